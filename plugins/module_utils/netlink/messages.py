# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Netlink messages: packing one, splitting a received buffer, reading an answer.

A message is ``struct nlmsghdr`` (linux/netlink.h: length, type, flags, sequence,
port, all in host order), then for netfilter ``struct nfgenmsg``
(linux/netfilter/nfnetlink.h: family, version, a 16-bit resource id in network
order), then attributes. What follows the nlmsghdr is called the body here, so a
body's attributes start at :data:`ATTRIBUTES`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .attributes import walk

# linux/netlink.h: message types below NLMSG_MIN_TYPE
NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSG_OVERRUN = 4

# linux/netlink.h: flags of any message
NLM_F_REQUEST = 0x01
NLM_F_MULTI = 0x02
NLM_F_ACK = 0x04
NLM_F_ECHO = 0x08
NLM_F_DUMP_INTR = 0x10

# linux/netlink.h: flags of a request that gets, makes or deletes something
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_NONREC = 0x100

# linux/netlink.h: flags of an answer
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200

# linux/netlink.h: attributes of an answer
NLMSGERR_ATTR_MSG = 1
NLMSGERR_ATTR_OFFS = 2

HEADER_SIZE = 16  # struct nlmsghdr, bytes
ATTRIBUTES = 4  # struct nfgenmsg, bytes: where a body's attributes start

#: where something stands in what was received: the buffer, the first byte, the byte after the last
Span = tuple[bytes, int, int]

_NLMSGHDR = struct.Struct("=IHHII")
_NLMSGHDR_SPLIT = struct.Struct("=IHHI4x")
_NFGENMSG = struct.Struct(">BBH")
_HEADERS = struct.Struct("=IHHIIBBH")
_ERRNO = struct.Struct("=i")
_OFFSET = struct.Struct("=I")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def message(
    kind: int, flags: int, family: int, attributes: bytes = b"", resource: int = 0, sequence: int = 0
) -> bytes:
    """One netfilter message, padded to four bytes.

    ``kind`` is the 16-bit type (subsystem in the high byte), ``family`` an NFPROTO_
    number, ``resource`` nfgenmsg's res_id. The sender fills the sequence in.
    """
    if not resource:
        length = 20 + len(attributes)
        return (
            _HEADERS.pack(length, kind, flags, sequence, 0, family, 0, 0) + attributes + _PADDING[length & 3]
        )
    body = _NFGENMSG.pack(family, 0, resource) + attributes
    length = HEADER_SIZE + len(body)
    return _NLMSGHDR.pack(length, kind, flags, sequence, 0) + body + _PADDING[length & 3]


def split(data: bytes | bytearray | memoryview) -> Iterator[tuple[int, int, int, int, int]]:
    """Every message of a received buffer as (type, flags, sequence, body start, body end).

    Raises ValueError where a length points outside the buffer.
    """
    position = 0
    end = len(data)
    unpack = _NLMSGHDR_SPLIT.unpack_from
    while position + HEADER_SIZE <= end:
        length, kind, flags, sequence = unpack(data, position)
        stop = position + length
        if length < HEADER_SIZE or stop > end:
            raise ValueError("netlink message at byte %d: length %d does not fit" % (position, length))
        yield kind, flags, sequence, position + HEADER_SIZE, stop
        position = (stop + 3) & ~3
    if position < end:
        raise ValueError("%d stray bytes after the last netlink message" % (end - position))


class Answer:
    """What NLMSG_ERROR or NLMSG_DONE says: ``code`` is a positive errno, 0 for "done".

    ``text`` is the kernel's own sentence (NLMSGERR_ATTR_MSG) or "", ``offset`` the byte
    of the request where the offending attribute starts (NLMSGERR_ATTR_OFFS) or None.
    """

    __slots__ = ("code", "offset", "sequence", "text")

    def __init__(self, code: int, sequence: int, text: str = "", offset: int | None = None) -> None:
        self.code = code
        self.sequence = sequence
        self.text = text
        self.offset = offset


def answer(kind: int, flags: int, sequence: int, body: bytes) -> Answer:
    """The body of an NLMSG_ERROR or NLMSG_DONE message, extended ACK included.

    Raises ValueError for a body that is too short or whose attributes do not fit.
    """
    if len(body) < 4:
        if kind == NLMSG_DONE and not body:
            return Answer(0, sequence)
        raise ValueError("a netlink answer of %d bytes" % len(body))
    code = -_ERRNO.unpack_from(body)[0]
    if not flags & NLM_F_ACK_TLVS:
        return Answer(code, sequence)
    start = 4
    if kind == NLMSG_ERROR:
        if len(body) < 4 + HEADER_SIZE:
            raise ValueError("a netlink answer of %d bytes, without the request's header" % len(body))
        request = HEADER_SIZE if flags & NLM_F_CAPPED else _OFFSET.unpack_from(body, 4)[0]
        start += (request + 3) & ~3
        if request < HEADER_SIZE or start > len(body):
            raise ValueError("a netlink answer to a request of %d bytes" % request)
    text, offset = "", None
    for attribute_type, payload in walk(body, start):
        if attribute_type == NLMSGERR_ATTR_MSG:
            text = payload.rstrip(b"\0").decode("utf-8", "replace")
        elif attribute_type == NLMSGERR_ATTR_OFFS and len(payload) == 4:
            offset = _OFFSET.unpack(payload)[0]
    return Answer(code, sequence, text, offset)
