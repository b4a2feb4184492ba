# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the values of a connection's message lie.

Messages whose attribute headers are the same, byte for byte and at the same places, have one
layout. A table of a million connections has a few: one for a TCP connection over IPv4, one for
UDP, and so on. What is known of a layout is known of every message that has it.

Offsets count from the start of the body: ``struct nfgenmsg`` (four bytes, the family first),
then the attributes.
"""

from __future__ import annotations

import struct

from ..netlink.attributes import TYPE_MASK
from ..netlink.messages import ATTRIBUTES
from . import uapi

Path = tuple[int, ...]
"""The way to an attribute: its nests' types from the outermost, then its own."""

_HEADER = struct.Struct("=HH")

_Nests = dict[int, "_Nests"]

_TUPLE: _Nests = {uapi.CTA_TUPLE_IP: {}, uapi.CTA_TUPLE_PROTO: {}}
_NESTS: _Nests = {
    uapi.CTA_TUPLE_ORIG: _TUPLE,
    uapi.CTA_TUPLE_REPLY: _TUPLE,
    uapi.CTA_PROTOINFO: {
        uapi.CTA_PROTOINFO_TCP: {},
        uapi.CTA_PROTOINFO_DCCP: {},
        uapi.CTA_PROTOINFO_SCTP: {},
    },
    uapi.CTA_HELP: {},
    uapi.CTA_COUNTERS_ORIG: {},
    uapi.CTA_COUNTERS_REPLY: {},
    uapi.CTA_SECCTX: {},
    uapi.CTA_TIMESTAMP: {},
}
"""The nests that hold what a filter looks at; any other attribute is one value."""


class Layout:
    """The places of one message's values.

    ``length`` is the body's, in bytes. ``places`` has (offset, length) of the payload of each
    attribute by its path, and of the family under the empty path; ``headers`` has (offset, bytes)
    of each attribute's header, in order.
    Raises ValueError for a body whose attributes do not fit.
    """

    __slots__ = ("headers", "length", "places")

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self.places: dict[Path, tuple[int, int]] = {(): (0, 1)}
        self.headers: list[tuple[int, bytes]] = []
        if self.length < ATTRIBUTES:
            raise ValueError("a message body of %d bytes" % self.length)
        self._read(body, ATTRIBUTES, self.length, (), _NESTS)

    def _read(self, body: bytes, start: int, end: int, path: Path, nests: _Nests) -> None:
        while start + 4 <= end:
            length, kind = _HEADER.unpack_from(body, start)
            stop = start + length
            if length < 4 or stop > end:
                raise ValueError("attribute %d: length %d does not fit" % (kind & TYPE_MASK, length))
            kind &= TYPE_MASK
            here = (*path, kind)
            self.places[here] = (start + 4, length - 4)
            self.headers.append((start, body[start : start + 4]))
            inner = nests.get(kind)
            if inner is not None:
                self._read(body, start + 4, stop, here, inner)
            start = (stop + 3) & ~3
        if start < end:
            raise ValueError("%d stray bytes after the last attribute" % (end - start))
