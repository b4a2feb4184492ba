# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections that the kernel tracks: read, matched, watched, written."""
