# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Netlink attributes: packing, walking, and the codecs that give a payload its meaning.

An attribute is a 4-byte header (length, type; both host order), its payload and
padding to four bytes (linux/netlink.h, ``struct nlattr``). Type bit 15 marks a
nest; the kernel sets it on what it dumps and accepts messages with or without it.
"""

from __future__ import annotations

import struct
from typing import Any

NESTED = 0x8000  # NLA_F_NESTED
TYPE_MASK = 0x3FFF  # NLA_TYPE_MASK: without the nested and byte-order bits

_HEADER = struct.Struct("=HH")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = len(payload)
    return _HEADER.pack(length + 4, kind) + payload + _PADDING[length & 3]


def nested(kind: int, *parts: bytes) -> bytes:
    """A nest of attributes that are already packed."""
    payload = b"".join(parts)
    return _HEADER.pack(len(payload) + 4, kind | NESTED) + payload


def walk(data: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, bytes]]:
    """Every attribute in ``data[start:end]`` as (type without flag bits, payload).

    Raises ValueError where a length points outside the data.
    """
    end = len(data) if end is None else end
    found = []
    unpack = _HEADER.unpack_from
    while start + 4 <= end:
        length, kind = unpack(data, start)
        stop = start + length
        if length < 4 or stop > end:
            raise ValueError("attribute %d: length %d does not fit" % (kind & TYPE_MASK, length))
        found.append((kind & TYPE_MASK, data[start + 4 : stop]))
        start = (stop + 3) & ~3
    if start < end:
        raise ValueError("%d stray bytes after the last attribute" % (end - start))
    return found


def table(data: bytes, start: int = 0, end: int | None = None) -> dict[int, bytes]:
    """The attributes of :func:`walk` by type; of a repeated one the last."""
    return dict(walk(data, start, end))


class Codec:
    """How one attribute's payload stands for a Python value.

    ``pack`` gives payload bytes, ``unpack`` the value or ValueError;
    ``nest`` is NESTED where the payload is a nest of attributes.
    """

    nest = 0

    def pack(self, value: Any) -> bytes:
        """The payload that stands for ``value``."""
        raise NotImplementedError

    def unpack(self, payload: bytes) -> Any:
        """The value that ``payload`` stands for; ValueError if it stands for none."""
        raise NotImplementedError


class _Number(Codec):
    def __init__(self, layout: str) -> None:
        self._struct = struct.Struct(layout)

    def pack(self, value: int) -> bytes:
        return self._struct.pack(value)

    def unpack(self, payload: bytes) -> int:
        if len(payload) != self._struct.size:
            raise ValueError("%d bytes where %d are due" % (len(payload), self._struct.size))
        return int(self._struct.unpack(payload)[0])


class _Raw(Codec):
    def pack(self, value: bytes) -> bytes:
        return value

    def unpack(self, payload: bytes) -> bytes:
        return payload


class _Text(Codec):
    def pack(self, value: str) -> bytes:
        return value.encode("utf-8", "surrogateescape") + b"\0"

    def unpack(self, payload: bytes) -> str:
        return payload.rstrip(b"\0").decode("utf-8", "surrogateescape")


class _Flag(Codec):
    def pack(self, value: bool) -> bytes:
        return b""

    def unpack(self, payload: bytes) -> bool:
        return True


U8 = _Number("=B")
U16 = _Number("=H")
U32 = _Number("=I")
U64 = _Number("=Q")
BE16 = _Number(">H")
BE32 = _Number(">I")
BE32S = _Number(">i")
BE64 = _Number(">Q")
RAW = _Raw()
TEXT = _Text()
FLAG = _Flag()
