# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of connection tracking as a whole: sizes, switches and timeouts, now and after a reboot."""
