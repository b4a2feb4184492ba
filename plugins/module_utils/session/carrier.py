# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding the connections that carry this process: sockets of the processes that it descends from.

A task that Ansible runs over SSH descends from the SSH server's process for this connection,
which holds the socket, whatever sudo(8) has taken out of the environment in between. A copy
of that descriptor (pidfd_getfd(2), Linux 5.6) tells both ends of the connection, and later how
it fares.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import Any

from ..netlink.namespace import is_own, of_socket

_PIDFD_GETFD = 438  # asm-generic/unistd.h, the same number on every architecture
_ESTABLISHED = 1  # TCP_ESTABLISHED of net/tcp_states.h
_STATE = struct.Struct("B")  # the first member of struct tcp_info, linux/tcp.h
_VARIABLE = b"SSH_CONNECTION="  # ssh(1): client's address and port, server's address and port

End = tuple[str, int]
"""An address and a port."""


class Carrier:
    """A TCP connection of this host: ``local`` and ``remote`` end; ``socket`` shares its state."""

    __slots__ = ("local", "remote", "socket")

    def __init__(self, local: End, remote: End, socket: socket.socket) -> None:
        self.local = local
        self.remote = remote
        self.socket = socket

    def __str__(self) -> str:
        return "the connection of %s port %d with %s port %d" % (*self.remote, *self.local)


def find() -> list[Carrier]:
    """The established TCP connections, in the calling thread's network namespace, of the nearest
    process above this one that has any there.

    If SSH's variable names one of them it is that alone: the others are forwarded ports. Empty
    where there is none, or where the kernel or a container's rules do not let it be found.
    """
    named = set()
    pid = os.getppid()
    while pid > 0:
        named |= _named_by(pid)
        found = _of_process(pid) if pid > 1 else []
        if found:
            chosen = [one for one in found if (one.remote, one.local) in named | _named_by(os.getpid())]
            for one in found:
                if chosen and one not in chosen:
                    one.socket.close()
            return chosen or found
        pid = _parent(pid)
    return []


def _parent(pid: int) -> int:
    """The process above, 0 where there is none."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as opened:
            # proc_pid_stat(5): pid, (name), state, parent; a name may hold anything
            return int(opened.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _named_by(pid: int) -> set[tuple[End, End]]:
    """Client's and server's end of what the process's environment calls its SSH connection."""
    try:
        with open("/proc/%d/environ" % pid, "rb") as opened:
            variables = opened.read().split(b"\0")
        words = next(one for one in variables if one.startswith(_VARIABLE)).decode().partition("=")[2].split()
        return {((_plain(words[0]), int(words[1])), (_plain(words[2]), int(words[3])))}
    except (OSError, StopIteration, ValueError, IndexError):
        return set()


def _of_process(pid: int) -> list[Carrier]:
    found: dict[tuple[End, End], Carrier] = {}
    try:
        descriptors = os.listdir("/proc/%d/fd" % pid)
        process = os.pidfd_open(pid)
    except OSError:
        return []
    try:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                if os.readlink("/proc/%d/fd/%s" % (pid, descriptor)).startswith("socket:"):
                    carrier = _carrier(socket.socket(fileno=_copy(process, int(descriptor))))
                    if carrier is not None:
                        found.setdefault((carrier.local, carrier.remote), carrier)
    finally:
        os.close(process)
    return list(found.values())


def _copy(process: int, descriptor: int) -> int:
    """A copy of another process's file descriptor. Raises OSError."""
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    copy: int = library.syscall(
        ctypes.c_long(_PIDFD_GETFD), ctypes.c_int(process), ctypes.c_int(descriptor), ctypes.c_uint(0)
    )
    if copy < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return copy


def _carrier(copied: socket.socket) -> Carrier | None:
    """The connection that a socket is; None, and the copy closed, where it is none of this namespace."""
    try:
        if (
            copied.family in (socket.AF_INET, socket.AF_INET6)
            and copied.type == socket.SOCK_STREAM
            and copied.proto == socket.IPPROTO_TCP
            and _STATE.unpack(copied.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))[0] == _ESTABLISHED
            and _is_here(copied)
        ):
            return Carrier(_end(copied.getsockname()), _end(copied.getpeername()), copied)
    except OSError:
        pass
    copied.close()
    return None


def _is_here(copied: socket.socket) -> bool:
    with of_socket(copied) as place:
        return is_own(place)


def _end(name: Any) -> End:
    return _plain(str(name[0])), int(name[1])


def _plain(address: str) -> str:
    """An address without its zone; one of IPv4 in a socket of IPv6 (RFC 4291 2.5.5.2) as that of IPv4."""
    address = address.partition("%")[0]
    return address[7:] if address.startswith("::ffff:") and "." in address else address
