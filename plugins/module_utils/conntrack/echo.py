# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The message that deletes the connection of a dumped body and no other.

Its tuple finds it, in its zone; its id tells it from one that has taken its place. All three are
sent as they came. Where they lie is known of a body whose attributes, as far as the id, are as
those of one met before: the same headers at the same places.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ..netlink import messages
from ..netlink.attributes import TYPE_MASK
from . import uapi
from .requests import DELETE

_HEADER = struct.Struct("=HH")
_ECHOED = (uapi.CTA_TUPLE_ORIG, uapi.CTA_ZONE, uapi.CTA_ID)
_MOST = 64  # layouts kept of one length; a body of a further one is walked each time


class _Layout(NamedTuple):
    """Bodies that are ``expected`` under ``mask``: what the message begins with, and what is sent of them."""

    mask: int
    expected: int
    head: bytes
    parts: tuple[slice, ...]


class Echoes:
    """Makes such messages of bodies, one after the other."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, list[_Layout]] = {}

    def of(self, body: bytes) -> bytes:
        """The message for a body of a dump. Raises ValueError where its attributes do not fit."""
        number = int.from_bytes(body, "little")
        for layout in self._known.get(len(body), ()):
            if number & layout.mask == layout.expected:
                break
        else:
            layout = self._learn(body, number)
        return layout.head + b"".join([body[part] for part in layout.parts])

    def _learn(self, body: bytes, number: int) -> _Layout:
        layout = _layout(body, number)
        known = self._known.setdefault(len(body), [])
        if len(known) < _MOST:
            known.append(layout)
        return layout


def _layout(body: bytes, number: int) -> _Layout:
    if len(body) < messages.ATTRIBUTES:
        raise ValueError("a message body of %d bytes" % len(body))
    mask = bytearray(len(body))
    mask[0] = 0xFF  # the family
    parts = []
    position = messages.ATTRIBUTES
    while position + _HEADER.size <= len(body):
        length, kind = _HEADER.unpack_from(body, position)
        if length < _HEADER.size or position + length > len(body):
            raise ValueError("attribute %d: length %d does not fit" % (kind & TYPE_MASK, length))
        mask[position : position + _HEADER.size] = b"\xff" * _HEADER.size
        stop = (position + length + 3) & ~3
        if kind & TYPE_MASK in _ECHOED:
            parts.append(slice(position, stop))
        position = stop
        if kind & TYPE_MASK == uapi.CTA_ID:
            break  # the last of the three in a dump
    under = int.from_bytes(mask, "little")
    attributes = b"".join(body[part] for part in parts)
    message = messages.message(DELETE, messages.NLM_F_REQUEST, body[0], attributes)
    return _Layout(under, number & under, message[: len(message) - len(attributes)], tuple(parts))
