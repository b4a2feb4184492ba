# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's own tests of a collection: ``make sanity`` runs ``run.py``."""
