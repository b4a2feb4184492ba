# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables that stand after a reboot before the network does: documents, program, units."""
