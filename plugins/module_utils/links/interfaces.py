# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interface names and indexes, of the network namespace that a run works in.

An index means another device in each namespace, so whoever turns the one into the other
has to know which namespace is meant. A run says it once, with :func:`of`: the command for
its ``--netns``, the modules for their ``netns``. What is asked inside goes to that namespace.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from ..netlink.namespace import Entered, of_socket, path_of_descriptor

_SIOCGIFNAME = 0x8910  # linux/sockios.h
_SIOCGIFINDEX = 0x8933
_REQUEST = struct.Struct("=16si20x")  # struct ifreq of linux/if.h
_LONGEST = 15  # bytes: IFNAMSIZ of linux/if.h, less the closing NUL


class _Namespace:
    """A namespace's interfaces. It is entered with the first question, to open the socket that is asked.

    A socket stays in the namespace that it was made in, and the thread where it was.
    """

    __slots__ = ("_name", "_socket")

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket: socket.socket | None = None

    def index(self, name: str) -> int:
        """Raises OSError where there is none of that name."""
        raw = os.fsencode(name)
        if not 0 < len(raw) <= _LONGEST or b"\0" in raw:
            raise OSError("not the name of an interface")
        found: int = _REQUEST.unpack(self._ask(_SIOCGIFINDEX, _REQUEST.pack(raw, 0)))[1]
        return found

    def name(self, index: int) -> str:
        """Raises OSError where there is none of that index, OverflowError where there cannot be."""
        if not 0 <= index < 1 << 31:
            raise OverflowError("not the index of an interface")
        raw: bytes = _REQUEST.unpack(self._ask(_SIOCGIFNAME, _REQUEST.pack(b"", index)))[0]
        return os.fsdecode(raw.partition(b"\0")[0])

    def names(self) -> list[str]:
        with of_socket(self._opened()) as place, Entered(path_of_descriptor(place)):
            return [name for _index, name in socket.if_nameindex()]

    def _ask(self, question: int, request: bytes) -> bytes:
        return fcntl.ioctl(self._opened(), question, request)

    def _opened(self) -> socket.socket:
        if self._socket is None:
            with Entered(self._name):
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


_meant: _Namespace | None = None  # None: the one that the thread is in


@contextmanager
def of(netns: str | None) -> Iterator[None]:
    """Inside the block, interfaces are those of a namespace, named as for ``namespace.Entered``.

    None is the caller's own. The first question raises HostError where there is no such
    namespace or no privilege to enter it.
    """
    global _meant
    before, mine = _meant, None if netns is None else _Namespace(netns)
    _meant = mine
    try:
        yield
    finally:
        _meant = before
        if mine is not None:
            mine.close()


def index_of(name: str) -> int | None:
    """The index of the interface of this name, None where there is none."""
    try:
        return socket.if_nametoindex(name) if _meant is None else _meant.index(name)
    except (OSError, UnicodeError, ValueError):
        return None


def name_of(index: int) -> str | None:
    """The name of the interface of this index, None where there is none."""
    try:
        return socket.if_indextoname(index) if _meant is None else _meant.name(index)
    except (OSError, OverflowError):
        return None


def names() -> list[str]:
    """The names of all interfaces."""
    return [name for _index, name in socket.if_nameindex()] if _meant is None else _meant.names()
