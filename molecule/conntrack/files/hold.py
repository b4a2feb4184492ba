# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connects to ports of an address, says a word on each connection, hears it back, holds them for a minute."""

from __future__ import annotations

import socket
import sys
import time

address, *ports = sys.argv[1:]
held = [socket.create_connection((address, int(port)), timeout=5) for port in ports]
for one in held:
    one.sendall(b"there")
    if one.recv(5) != b"there":
        sys.exit("no echo")
time.sleep(60)
