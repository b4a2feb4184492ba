# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The speed of rempart beside that of the tools it replaces: ``make bench`` runs ``run.py``."""
