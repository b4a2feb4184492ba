# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document a person writes: read, checked against its schema, modelled, lowered to statements."""
