# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the attributes of a dumped connection lie, as far as its id, learned once for each layout.

Bodies whose attribute headers up to the id are the same, at the same places, have the same head. What is
known of one such body is known of all, at the price of one comparison.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Callable, Generic, TypeVar

from ..netlink import messages
from ..netlink.attributes import TYPE_MASK
from . import uapi

Known = TypeVar("Known")

_HEADER = struct.Struct("=HH")
_MOST = 64  # heads kept of one length; a body of a further one is walked each time

Places = Mapping[int, slice]
"""By the attribute's type where it lies in the body, its header and padding included."""


class _Head(Generic[Known]):
    """Bodies that are ``expected`` under ``mask``, and what is ``known`` of them."""

    __slots__ = ("expected", "known", "mask")

    def __init__(self, mask: int, expected: int, known: Known) -> None:
        self.mask = mask
        self.expected = expected
        self.known = known


class Heads(Generic[Known]):
    """What ``learn`` makes of a body and its places, made once for each head."""

    __slots__ = ("_heads", "_learn")

    def __init__(self, learn: Callable[[bytes, Places], Known]) -> None:
        self._learn = learn
        self._heads: dict[int, list[_Head[Known]]] = {}

    def of(self, body: bytes) -> Known:
        """What is known of a body of a dump. Raises ValueError where its attributes do not fit."""
        number = int.from_bytes(body, "little")
        heads = self._heads.setdefault(len(body), [])
        for head in heads:
            if number & head.mask == head.expected:
                return head.known
        mask, places = _walk(body)
        known = self._learn(body, places)
        if len(heads) < _MOST:
            heads.append(_Head(mask, number & mask, known))
        return known


def _walk(body: bytes) -> tuple[int, Places]:
    """The bits of the family and of the headers, and where the attributes lie."""
    if len(body) < messages.ATTRIBUTES:
        raise ValueError("a message body of %d bytes" % len(body))
    mask = bytearray(len(body))
    mask[0] = 0xFF  # the family
    places = {}
    position = messages.ATTRIBUTES
    while position + _HEADER.size <= len(body):
        length, kind = _HEADER.unpack_from(body, position)
        kind &= TYPE_MASK
        if length < _HEADER.size or position + length > len(body):
            raise ValueError("attribute %d: length %d does not fit" % (kind, length))
        mask[position : position + _HEADER.size] = b"\xff" * _HEADER.size
        stop = (position + length + 3) & ~3
        places[kind] = slice(position, stop)
        position = stop
        if kind == uapi.CTA_ID:
            break  # what comes behind it differs most, and nobody asks for it
    return int.from_bytes(mask, "little"), places
