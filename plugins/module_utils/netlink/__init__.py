# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The netlink wire: attributes, messages, the socket, and the network namespaces they are sent in."""
