# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ending connections: forgetting them, or cutting them so that they stay dead."""
