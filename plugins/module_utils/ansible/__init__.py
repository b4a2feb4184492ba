# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the Ansible modules share: options, and the way from an exception to a module's failure."""
