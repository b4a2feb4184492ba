# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a kernel expression is: a name and a list of attributes, written and read alike.

Each expression class names its attributes once, in the order in which the kernel
dumps them; encoding in that order gives the very bytes that a later dump returns,
so comparing rules is comparing bytes. The order is that of the ``dump`` functions
in the kernel's net/netfilter/nft_*.c.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from ...netlink.attributes import Codec, attribute, walk
from .. import uapi
from .codecs import Verdict

_HEADER = struct.Struct("=HH")
_CHAIN_ID = 20  # bytes: three headers and NFTA_VERDICT_CODE stand before the id


class Undecodable(ValueError):
    """An expression or attribute that this table does not know."""


class Slot(bytes):
    """Data bytes that came from one value of a document's rule.

    ``source`` says which; a rule template is the encoded rule with the places of
    its slots, so that rules that differ only there need no compiling.
    """

    source: object

    def __new__(cls, data: bytes, source: object) -> Slot:
        """The bytes, with the source they came from."""
        slot = super().__new__(cls, data)
        slot.source = source
        return slot


class Slotted(bytes):
    """Data bytes with slots in them, each at its offset."""

    slots: list[tuple[int, Slot]]

    @classmethod
    def of(cls, *parts: bytes) -> Slotted:
        """The parts in a row, their slots kept."""
        slots: list[tuple[int, Slot]] = []
        at = 0
        for part in parts:
            if isinstance(part, Slot):
                slots.append((at, part))
            elif isinstance(part, Slotted):
                slots += [(at + offset, slot) for offset, slot in part.slots]
            at += len(part)
        joined = cls(b"".join(parts))
        joined.slots = slots
        return joined


class Trace:
    """Where in an encoded expression list the changeable bytes stand.

    ``slots``: (offset, :class:`Slot`); ``state``: (start, end) of what packets
    change (counters); ``set_ids`` and ``chain_ids``: offsets of 4-byte NFTA_*_SET_ID
    and NFTA_VERDICT_CHAIN_ID values.
    """

    __slots__ = ("chain_ids", "set_ids", "slots", "state")

    def __init__(self) -> None:
        self.slots: list[tuple[int, Slot]] = []
        self.state: list[tuple[int, int]] = []
        self.set_ids: list[int] = []
        self.chain_ids: list[int] = []


class Attribute:
    """One attribute of an expression: its Python name, its number and its codec.

    ``state`` marks what packets change and comparing must ignore; ``set_id`` marks
    the number by which a batch names a set that has no name yet: sent, never dumped.
    """

    __slots__ = ("codec", "default", "kind", "name", "set_id", "state")

    def __init__(
        self,
        name: str,
        kind: int,
        codec: Codec,
        *,
        default: Any = None,
        state: bool = False,
        set_id: bool = False,
    ) -> None:
        self.name = name
        self.kind = kind
        self.codec = codec
        self.default = default
        self.state = state
        self.set_id = set_id


class Expression:
    """The base of all expressions; a subclass gives ``name`` and ``attributes``.

    An attribute that is None is absent on the wire. Instances compare and print by
    what they hold.
    """

    name = ""
    attributes: tuple[Attribute, ...] = ()
    #: the kernel dumps no NFTA_EXPR_DATA for this expression
    bare = False

    def __init__(self, **values: Any) -> None:
        for one in self.attributes:
            setattr(self, one.name, values.pop(one.name, one.default))
        if values:
            raise TypeError("%s has no %s" % (self.name, ", ".join(values)))

    def payload(self, trace: Trace | None = None, at: int = 0) -> bytes:
        """The packed attributes (the payload of NFTA_EXPR_DATA), starting at offset ``at``."""
        parts = []
        for one in self.attributes:
            value = getattr(self, one.name)
            if value is None:
                continue
            data = one.codec.pack(value)
            if trace is not None:
                if one.state:
                    trace.state.append((at + 4, at + 4 + len(data)))
                elif one.set_id:
                    trace.set_ids.append(at + 4)
                elif isinstance(value, Slot):
                    trace.slots.append((at + 8, value))
                elif isinstance(value, Slotted):
                    trace.slots += [(at + 8 + offset, slot) for offset, slot in value.slots]
                elif isinstance(value, Verdict) and value.chain_id is not None:
                    trace.chain_ids.append(at + _CHAIN_ID)
            packed = attribute(one.kind, data)
            parts.append(packed)
            at += len(packed)
        return b"".join(parts)

    def encode(self, trace: Trace | None = None, at: int = 0) -> bytes:
        """One NFTA_LIST_ELEM attribute, as rules, sets and elements list expressions."""
        label = attribute(uapi.NFTA_EXPR_NAME, self.name.encode() + b"\0")
        if self.bare:
            return _HEADER.pack(len(label) + 4, uapi.NFTA_LIST_ELEM) + label
        data = self.payload(trace, at + 4 + len(label) + 4)
        head = _HEADER.pack(len(data) + 4, uapi.NFTA_EXPR_DATA)
        return _HEADER.pack(len(label) + len(data) + 8, uapi.NFTA_LIST_ELEM) + label + head + data

    @classmethod
    def decode(cls, payload: bytes) -> Expression:
        """The expression that packs to ``payload``; Undecodable if an attribute is unknown."""
        known = {one.kind: one for one in cls.attributes}
        values = {}
        for kind, data in walk(payload):
            one = known.get(kind)
            if one is None:
                if kind == _PADDING.get(cls.name):
                    continue
                raise Undecodable("%s: attribute %d is unknown" % (cls.name, kind))
            try:
                values[one.name] = one.codec.unpack(data)
            except (ValueError, IndexError, KeyError, struct.error) as error:
                raise Undecodable("%s: %s: %s" % (cls.name, one.name, error)) from error
        expression = cls.__new__(cls)
        for one in cls.attributes:
            setattr(expression, one.name, values.get(one.name))
        return expression

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ("%s=%r" % item for item in self.__dict__.items() if item[1] is not None)
        return "%s(%s)" % (type(self).__name__, ", ".join(shown))

    if TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        raise AttributeError("%s has no attribute %s" % (type(self).__name__, name))


#: 64-bit attributes are preceded by an empty padding attribute on some architectures
_PADDING = {
    "counter": uapi.NFTA_COUNTER_PAD,
    "limit": uapi.NFTA_LIMIT_PAD,
    "quota": uapi.NFTA_QUOTA_PAD,
    "last": uapi.NFTA_LAST_PAD,
    "dynset": uapi.NFTA_DYNSET_PAD,
}
