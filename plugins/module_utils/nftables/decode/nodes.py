# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a register holds while a rule is read back: loads, and what was computed on them.

Nothing here knows the rule's protocols. A packet load keeps its place until it is
used, because what its bytes are called depends on the matches before its use.
"""

from __future__ import annotations

from typing import Any

from ..datatypes import TYPES, DataType
from ..selectors.base import unpack_number

INTEGER = TYPES["integer"]


class Node:
    """A value in a register; ``bits`` as loaded, whole bytes. ``weight`` counts the nodes it is made of."""

    __slots__ = ("bits", "weight")

    bits: int
    weight: int

    def made_of(self, *parts: Node) -> None:
        """Note what the node is made of."""
        self.weight = 1 + sum(part.weight for part in parts)


class Plain(Node):
    """A property that needs no context: its JSON is known at once."""

    __slots__ = ("byteorder", "datatype", "json", "width")

    def __init__(self, json: Any, datatype: DataType, width: int, byteorder: str) -> None:
        self.json = json
        self.datatype = datatype
        self.width = width
        self.bits = (width + 7) & ~7
        self.byteorder = byteorder
        self.made_of()


class Packet(Node):
    """Bytes of the packet, or of the one in a tunnel; ``base`` is NFT_PAYLOAD_*, ``offset`` in bits."""

    __slots__ = ("base", "offset", "tunnel")

    def __init__(self, base: int, offset: int, bits: int, tunnel: str = "") -> None:
        self.tunnel = tunnel
        self.base = base
        self.offset = offset
        self.bits = bits
        self.made_of()


class Searched(Node):
    """Bytes of an extension header, option or chunk; ``op`` is NFT_EXTHDR_OP_*."""

    __slots__ = ("kind", "offset", "op", "present")

    def __init__(self, op: int, kind: int, offset: int, bits: int, present: bool) -> None:
        self.op = op
        self.kind = kind
        self.offset = offset
        self.bits = bits
        self.present = present
        self.made_of()


class Address(Node):
    """An address of the connection by its old key, whose family is the packet's."""

    __slots__ = ("json",)

    def __init__(self, json: dict[str, Any]) -> None:
        self.json = json
        self.bits = 0
        self.made_of()


class Hashed(Node):
    """The Jenkins hash of ``source``; ``json`` are the other parameters."""

    __slots__ = ("json", "source")

    def __init__(self, source: Node, json: dict[str, Any]) -> None:
        self.source = source
        self.json = json
        self.bits = 32
        self.made_of(source)


class Masked(Node):
    """``(left & keep) ^ flip``, both as they stand in the register."""

    __slots__ = ("flip", "keep", "left")

    def __init__(self, left: Node, keep: bytes, flip: bytes) -> None:
        self.left = left
        self.keep = keep
        self.flip = flip
        self.bits = left.bits or len(keep) * 8
        self.made_of(left)


class Shifted(Node):
    """``left`` shifted by ``count`` bits; ``symbol`` is << or >>."""

    __slots__ = ("count", "left", "symbol")

    def __init__(self, left: Node, symbol: str, count: int) -> None:
        self.left = left
        self.symbol = symbol
        self.count = count
        self.bits = left.bits
        self.made_of(left)


class Widened(Node):
    """``left`` as a number of ``bits`` bits, more than it has itself."""

    __slots__ = ("left",)

    def __init__(self, left: Node, bits: int) -> None:
        self.left = left
        self.bits = bits
        self.made_of(left)


class Combined(Node):
    """``left`` and ``right`` combined bit by bit; ``symbol`` is &, | or ^."""

    __slots__ = ("left", "right", "symbol")

    def __init__(self, left: Node, symbol: str, right: Node) -> None:
        self.left = left
        self.symbol = symbol
        self.right = right
        self.bits = left.bits
        self.made_of(left, right)


class Swapped(Node):
    """``left`` in the other byte order."""

    __slots__ = ("left",)

    def __init__(self, left: Node) -> None:
        self.left = left
        self.bits = left.bits
        self.made_of(left)


class Looked(Node):
    """What the map named ``name`` gives for ``key``; how wide that is, only its use tells."""

    __slots__ = ("key", "name")

    def __init__(self, key: Node, name: str) -> None:
        self.key = key
        self.name = name
        self.bits = 0
        self.made_of(key)


class Joined(Node):
    """Several registers side by side."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[Node]) -> None:
        self.parts = parts
        self.bits = sum((part.bits + 31) & ~31 for part in parts)
        self.made_of(*parts)


class Constant(Node):
    """Bytes put there by the rule."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bits = len(data) * 8
        self.made_of()


class Value:
    """A node with its name: the JSON, and how the register's bytes become the value.

    ``bits`` is the value's own width, ``width`` the register's; a bit field stands
    ``shift`` bits from the right end. ``header`` and ``field`` name packet bytes,
    ``tunnel`` the tunnel that the packet is in.
    """

    __slots__ = (
        "bits",
        "byteorder",
        "datatype",
        "field",
        "header",
        "json",
        "meta",
        "parts",
        "shift",
        "tunnel",
        "width",
    )

    def __init__(self, json: Any, datatype: DataType, bits: int, byteorder: str) -> None:
        self.json = json
        self.datatype = datatype
        self.bits = bits
        self.width = (bits + 7) & ~7
        self.byteorder = byteorder
        self.shift = 0
        self.header = ""
        self.field = ""
        self.meta = ""
        self.tunnel = ""
        self.parts: list[Value] = []

    def number(self, data: bytes) -> int:
        """The integer that these register bytes stand for."""
        return unpack_number(data, self.byteorder) >> self.shift
