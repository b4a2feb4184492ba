# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection that carries the run, such as Ansible's over SSH: a new ruleset must not cut it."""
