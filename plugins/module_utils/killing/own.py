# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection by which somebody is at work here, which is spared.

Who cuts by a network that is the own one as well, or cuts everything, would end the very session that does
it, half way. It is known by the processes that this one descends from: the SSH server that started it holds
the session's socket (proc(5), /proc/PID/fd).
"""

from __future__ import annotations

import os
import socket

from .sockets import Ends, SocketDiagnostics

_SOCKET = "socket:["
_MOST = 64  # generations


def ends(netns: str | None) -> set[Ends]:
    """The TCP sockets in a namespace that processes hold which this one descends from."""
    inodes: set[int] = set()
    process = os.getppid()
    for _unused in range(_MOST):
        if process <= 1:  # what init holds, it holds for services
            break
        inodes |= _sockets_of(process)
        process = _parent_of(process)
    if not inodes:
        return set()
    with SocketDiagnostics(netns) as diagnostics:
        return {one.ends for one in diagnostics.all(socket.IPPROTO_TCP) if one.inode in inodes}


def _sockets_of(process: int) -> set[int]:
    """The inodes of a process's sockets; none where it may not be looked at."""
    place = "/proc/%d/fd" % process
    found = set()
    try:
        for descriptor in os.listdir(place):
            target = os.readlink("%s/%s" % (place, descriptor))
            if target.startswith(_SOCKET):
                found.add(int(target[len(_SOCKET) : -1]))
    except OSError:
        pass
    return found


def _parent_of(process: int) -> int:
    """The parent's number; 0 where there is none to be seen."""
    try:
        with open("/proc/%d/stat" % process, "rb") as file:
            # after the name in parentheses, which may hold anything: the state, then the parent
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
