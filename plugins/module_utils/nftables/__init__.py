# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nf_tables in userspace: data types, headers, expressions, statements and their text."""
