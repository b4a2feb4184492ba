# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version of the engine; what it remembers of an applied document is its own version's."""

VERSION = "0.1.0"
