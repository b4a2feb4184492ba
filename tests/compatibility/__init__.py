# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which versions of Python, ansible-core and packages it works with: ``make matrix`` runs ``run.py``."""
