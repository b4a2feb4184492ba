# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests that the real kernel judges, in throwaway network namespaces."""
