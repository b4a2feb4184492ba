# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a protocol header is: named fields at bit offsets, and the headers that may follow."""

from __future__ import annotations

from ..datatypes.base import DataType


class Field:
    """One field of a header.

    ``name`` is libnftables-json's; ``text`` the word that nft's own syntax reads for it.
    ``offset`` and ``bits`` count from the header's first bit on the wire.
    ``icmp_types``: the ICMP or ICMPv6 types that have this field at all; nft
    puts a match on them before the field. Empty where the field is in every packet.
    """

    __slots__ = ("bits", "byteorder", "datatype", "icmp_types", "name", "offset", "text")

    def __init__(
        self,
        name: str,
        offset: int,
        bits: int,
        datatype: DataType,
        byteorder: str = "big",
        icmp_types: tuple[int, ...] = (),
        text: str = "",
    ) -> None:
        self.name = name
        self.offset = offset
        self.bits = bits
        self.datatype = datatype
        self.byteorder = byteorder
        self.icmp_types = icmp_types
        self.text = text or name

    def __repr__(self) -> str:
        return "<Field %s %d+%d %s>" % (self.name, self.offset, self.bits, self.datatype.name)

    def number_of(self, value: object) -> int:
        """The integer of a JSON scalar, checked against this field's width. Raises DatatypeError."""
        return self.datatype.number_of(value, self.bits)


class Header:
    """One protocol header, extension header or option.

    ``base``      what its offsets count from: "ll", "nh", "th", "ih"; "" for what is searched for
    ``fields``    by nft's name, in nft's order
    ``next``      the field that says what follows, and the header's name by that field's value; None
                  where nothing follows
    ``number``    what it is searched by: an IPv6 next header, an option's kind, a chunk's type; else -1
    ``checksum``  the field that holds its checksum, which a write into the header must keep right; ""
                  where nft has the kernel update none
    ``bits``      its length, where link layers are stacked (a VLAN tag behind an Ethernet header); else 0
    """

    __slots__ = ("base", "bits", "checksum", "fields", "name", "next", "number")

    def __init__(
        self,
        name: str,
        base: str,
        fields: tuple[Field, ...],
        next: tuple[str, dict[int, str]] | None = None,
        number: int = -1,
        checksum: str = "",
        bits: int = 0,
    ) -> None:
        self.name = name
        self.base = base
        self.fields: dict[str, Field] = {field.name: field for field in fields}
        self.next = next
        self.number = number
        self.checksum = checksum
        self.bits = bits

    def __repr__(self) -> str:
        return "<Header %s>" % self.name

    def field_at(self, offset: int, bits: int) -> Field | None:
        """The first field that covers exactly these bits, for decoding; None where there is none."""
        for field in self.fields.values():
            if field.offset == offset and field.bits == bits:
                return field
        return None
