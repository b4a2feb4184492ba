# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rempart engine: Ansible's module_utils and the Python package `rempart` at once."""
