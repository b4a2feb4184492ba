# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What connection tracking is told by rules of this collection's own tables: helpers and timeout policies."""
