# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rulesets in the kernel: reading them, planning a change, making it in one transaction, remembering it."""
