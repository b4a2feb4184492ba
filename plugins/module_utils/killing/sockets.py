# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Closing sockets of this host by the addresses and ports at their two ends.

sock_diag(7), linux/inet_diag.h. A socket is destroyed by the cookie that its listing showed, so never one
that took its place. A TCP peer is sent a reset by the kernel; the program gets ECONNABORTED.
A socket that is connected to nobody (a listening one, a UDP server's) belongs to no connection and stays.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator

from ..errors import HostError, KernelError
from ..netlink import messages, namespace

Ends = tuple[str, int, str, int]
"""A socket as its own program sees it: local address and port, remote address and port."""

_NETLINK_SOCK_DIAG = 4  # linux/netlink.h
_SOCK_DIAG_BY_FAMILY = 20  # linux/sock_diag.h
_SOCK_DESTROY = 21  # linux/sock_diag.h, since Linux 4.5
_TCP_LISTEN = 10  # net/tcp_states.h
_ALL_STATES = 0xFFF & ~(1 << _TCP_LISTEN)
_BUFFER = 64 * 1024
_TIMEOUT = 30  # seconds without an answer before the kernel is said to be silent

# struct inet_diag_req_v2: family, protocol, extensions, padding, states; then struct inet_diag_sockid
_REQUEST = struct.Struct("=BBBxI")
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_ID = struct.Struct("!HH16s16s")  # source port, destination port, source, destination
_ID_AT = 4  # struct inet_diag_msg: family, state, timer, retransmissions, then the id
_ID_SIZE = 48  # with the interface and the cookie
_INODE = struct.Struct("=I")
_INODE_AT = _ID_AT + _ID_SIZE + 16  # behind the timer's end, both queues and the user
_MAPPED = b"\0" * 10 + b"\xff\xff"  # RFC 4291 2.5.5.2: an IPv4 address in a socket of IPv6


class Found:
    """A socket of this host. ``id`` is the kernel's struct inet_diag_sockid, cookie included."""

    __slots__ = ("ends", "family", "id", "inode", "protocol")

    def __init__(self, family: int, protocol: int, id: bytes, ends: Ends, inode: int) -> None:
        self.inode = inode
        self.family = family
        self.protocol = protocol
        self.id = id
        self.ends = ends


class SocketDiagnostics:
    """A socket to the kernel's socket diagnostics, in a namespace. ``with SocketDiagnostics(netns) as diag:``

    Raises HostError where there is none.
    """

    __slots__ = ("_sequence", "_socket")

    def __init__(self, netns: str | None = None) -> None:
        with namespace.Entered(netns):
            try:
                self._socket = socket.socket(
                    socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG
                )
            except OSError as error:
                raise HostError(
                    "this kernel has no socket diagnostics: %s" % error.strerror,
                    cure="load the module inet_diag, or use a kernel with CONFIG_INET_DIAG",
                ) from error
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _TIMEOUT, 0))
        self._sequence = 0

    def __enter__(self) -> SocketDiagnostics:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def all(self, protocol: int) -> Iterator[Found]:
        """The connected sockets of TCP or UDP."""
        # Sockets of IPv6 carry IPv4 connections too.
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _REQUEST.pack(family, protocol, 0, _ALL_STATES) + bytes(_ID_SIZE)
            for body in self._ask(_SOCK_DIAG_BY_FAMILY, messages.NLM_F_DUMP, request):
                id = body[_ID_AT : _ID_AT + _ID_SIZE]
                (inode,) = _INODE.unpack_from(body, _INODE_AT)
                yield Found(body[0], protocol, id, _ends(body[0], id), inode)

    def destroy(self, found: Found) -> bool:
        """Close a socket; False where it was gone already.

        Raises KernelError, EOPNOTSUPP where this kernel cannot (CONFIG_INET_DIAG_DESTROY).
        """
        request = _REQUEST.pack(found.family, found.protocol, 0, _ALL_STATES) + found.id
        try:
            for _unused in self._ask(_SOCK_DESTROY, messages.NLM_F_ACK, request):
                pass
        except KernelError as error:
            if error.code == errno.ENOENT:
                return False
            raise
        return True

    def _ask(self, kind: int, flags: int, body: bytes) -> Iterator[bytes]:
        """The bodies that answer a request, to the answer's end."""
        self._sequence += 1
        length = messages.HEADER_SIZE + len(body)
        header = _HEADER.pack(length, kind, messages.NLM_F_REQUEST | flags, self._sequence, 0)
        try:
            self._socket.send(header + body)
            while True:
                data = self._socket.recv(_BUFFER)
                for kind_, flags_, sequence, start, stop in messages.split(data):
                    if sequence != self._sequence:
                        continue
                    if kind_ in (messages.NLMSG_ERROR, messages.NLMSG_DONE):
                        self._check(messages.answer(kind_, flags_, sequence, data[start:stop]))
                        return
                    yield data[start:stop]
        except OSError as error:
            raise KernelError(
                "socket diagnostics failed: %s" % error.strerror, error.errno or errno.EIO
            ) from error

    @staticmethod
    def _check(answer: messages.Answer) -> None:
        if answer.code in (errno.EPERM, errno.EACCES):
            raise HostError("not allowed to close sockets", cure=namespace.PRIVILEGE)
        if answer.code:
            raise KernelError("the kernel refused: %s" % errno.errorcode.get(answer.code, "?"), answer.code)


def _ends(family: int, id: bytes) -> Ends:
    sport, dport, source, target = _ID.unpack_from(id)
    return _address(family, source), sport, _address(family, target), dport


def _address(family: int, packed: bytes) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, packed[:4])
    if packed.startswith(_MAPPED):
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)
