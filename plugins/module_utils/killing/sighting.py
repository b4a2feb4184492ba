# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of every connection that a kill meets, without decoding it: a table may hold a million."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import NamedTuple

from ..conntrack import uapi
from ..conntrack.heads import Heads, Places
from ..netlink.attributes import attribute
from .sockets import Ends

_VALUE = 4  # bytes of an attribute's header
_NONE = slice(0, 0)


class Sight(NamedTuple):
    """``id``: the four bytes of CTA_ID. ``status``: those of CTA_STATUS as a number. ``original``: the
    payload of the tuple of its original direction. ``zone``: that of CTA_ZONE, or nothing."""

    id: bytes
    status: int
    original: bytes
    zone: bytes

    @property
    def key(self) -> int:
        """A number of 64 bits for the connection. Of a million ids, a hundred are those of two."""
        return int.from_bytes(self.id, "big") << 32 | zlib.crc32(self.original + self.zone)

    @property
    def is_offloaded(self) -> bool:
        """Whether a flowtable carries its packets past every rule."""
        return bool(self.status & (uapi.IPS_OFFLOAD | uapi.IPS_HW_OFFLOAD))


class _Places(NamedTuple):
    id: slice
    status: slice
    original: slice
    zone: slice


class Sighting:
    """Looks at the bodies of a dump, one after the other."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads = Heads(_learn)

    def of(self, body: bytes) -> Sight:
        """What a body says. Raises ValueError for what is no connection, or one without an id."""
        places = self._heads.of(body)
        return Sight(
            body[places.id],
            int.from_bytes(body[places.status], "big"),
            body[places.original],
            body[places.zone],
        )


def _learn(body: bytes, places: Places) -> _Places:
    if uapi.CTA_ID not in places:
        raise ValueError("a connection without an id")
    id, status, original, zone = (
        slice(places[kind].start + _VALUE, places[kind].stop) if kind in places else _NONE
        for kind in (uapi.CTA_ID, uapi.CTA_STATUS, uapi.CTA_TUPLE_ORIG, uapi.CTA_ZONE)
    )
    return _Places(id, status, original, zone)


def ports_of(ends: Collection[Ends]) -> list[bytes]:
    """Bytes of which the body of a connection with one of these pairs of ends has at least one.

    Most bodies have none of them, and need not be decoded to know that they are others.
    """
    return [
        attribute(uapi.CTA_PROTO_SRC_PORT, port.to_bytes(2, "big"))
        for port in sorted({end[1] for end in ends})
    ]
