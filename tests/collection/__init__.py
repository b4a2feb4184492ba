# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the collection as it is published: its tarball, its documentation, what Ansible asks of both."""
