# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rule's matches so far say about the packet, and which of them go without saying.

A load of bytes gets its name from the headers that are known to be there. A match
that only makes sure of a header (``meta l4proto tcp``) is left out of the listing
when a later one (``tcp dport``) implies it: nft does so, and the compiler puts it
back. Rules for when it may go follow what ``nft list`` prints.
"""

from __future__ import annotations

from typing import Any

from .. import uapi
from ..headers import BY_ETHER_TYPE, BY_PROTOCOL, HEADERS, NEXT_BY_META, Field, Header
from ..headers.tunnel import TUNNELS

LINK = uapi.NFT_PAYLOAD_LL_HEADER
NETWORK = uapi.NFT_PAYLOAD_NETWORK_HEADER
TRANSPORT = uapi.NFT_PAYLOAD_TRANSPORT_HEADER
INNER = uapi.NFT_PAYLOAD_INNER_HEADER
TUNNEL = uapi.NFT_PAYLOAD_TUN_HEADER
BASE_NAMES = {LINK: "ll", NETWORK: "nh", TRANSPORT: "th", INNER: "ih", TUNNEL: "tun"}
BASE_NUMBERS = {name: number for number, name in BASE_NAMES.items()}

_LINKED = ("bridge", "netdev", "inet")  # families in which link headers and both IP versions occur
_VLAN_ETHER_TYPE = 0x8100
_ICMP = {1: "ip", 58: "ip6"}  # IPPROTO_ICMP, IPPROTO_ICMPV6: the network protocol they imply
_NFPROTO = {2: "ip", 10: "ip6"}
_ECHO = {"icmp": (0, 8), "icmpv6": (128, 129)}
#: what a protocol match on metadata or connection guards: the layer above its own
_GUARDED = {"iiftype": LINK, "nfproto": NETWORK, "protocol": NETWORK, "l4proto": TRANSPORT}


class Statement:
    """A statement of the result; ``dropped`` where a later one implies it.

    ``header``, ``field``, ``meta`` and ``number`` tell of an equality match with a
    protocol key; ``base`` is where its packet bytes are, -1 for none.
    """

    __slots__ = ("base", "body", "dropped", "field", "header", "meta", "number")

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self.dropped = False
        self.header = ""
        self.field = ""
        self.meta = ""
        self.number = 0
        self.base = -1


class Protocols:
    """The knowledge at one point of one rule."""

    def __init__(self, family: str, written_out: bool = False) -> None:
        self.family = family
        self.written_out = written_out
        #: the header known at each base: its name, "" for one that is there but not known
        self.known: dict[int, str] = {}
        if family == "bridge":
            self.known[LINK] = "ether"
        elif family in ("ip", "ip6", "arp"):
            self.known[NETWORK] = family
        self.vlans = 0
        self.icmp_type: int | None = None
        self._guarded_icmp_type: int | None = None
        #: matches that may go, by the base of the header that they make sure of
        self.guards: dict[int, Statement] = {}
        #: matches left out since :meth:`begin`
        self._dropped: list[Statement] = []
        self._tunnels: dict[str, Protocols] = {}

    def within(self, tunnel: str) -> Protocols:
        """The same of the packet inside a tunnel; of this one without a name."""
        if not tunnel:
            return self
        found = self._tunnels.get(tunnel)
        if found is None:
            found = self._tunnels[tunnel] = Protocols("bridge", self.written_out)
            if not TUNNELS[tunnel].link:
                del found.known[LINK]
            if TUNNELS[tunnel].own:
                found.known[TUNNEL] = tunnel
            if TUNNELS[tunnel].carrier == "gre":
                self.drop_header("gre")
        return found

    # -- names

    def header_at(self, base: int, offset: int) -> tuple[Header | None, int]:
        """The header that covers a bit, and where it starts."""
        name = self.known.get(base)
        if not name:
            return None, 0
        header = HEADERS[name]
        if base == LINK:
            ether = HEADERS["ether"].bits
            if offset >= ether:
                tag = (offset - ether) // HEADERS["vlan"].bits
                if tag >= self.vlans:
                    return None, 0
                return HEADERS["vlan"], ether + tag * HEADERS["vlan"].bits
            return HEADERS["ether"], 0
        return header, 0

    def fits(self, field: Field) -> bool:
        """Whether packets of the ICMP type that is known have the field."""
        return not field.icmp_types or self.icmp_type is None or self.icmp_type in field.icmp_types

    def find(self, base: int, offset: int, bits: int) -> tuple[Header, Field] | None:
        """The field that is exactly these bits."""
        header, start = self.header_at(base, offset)
        if header is not None:
            for field in header.fields.values():
                if field.offset == offset - start and field.bits == bits and self.fits(field):
                    return header, field
        return None

    def split(self, base: int, offset: int, bits: int) -> list[tuple[Header, Field, int]]:
        """The fields that these bits are made of, each with how many of its bits; empty where they are none.

        The last one may be cut short: the first bytes of an address.
        """
        found: list[tuple[Header, Field, int]] = []
        while bits > 0:
            header, start = self.header_at(base, offset)
            if header is None:
                return []
            for field in header.fields.values():
                if field.offset == offset - start and self.fits(field):
                    break
            else:
                return []
            used = min(bits, field.bits)
            found.append((header, field, used))
            offset += used
            bits -= used
        return found

    # -- learning

    def learn_meta(self, key: str, number: int) -> None:
        """Note that a meta key has this value."""
        if key == "iiftype":
            if self.family != "bridge":
                self.known[LINK] = NEXT_BY_META["iiftype"].get(number, "")
        elif key == "nfproto":
            if self.family in _LINKED:
                self.known[NETWORK] = _NFPROTO.get(number, "")
        elif key == "protocol":
            if self.family in ("netdev", "bridge"):
                name = BY_ETHER_TYPE.get(number, "")
                if not name or HEADERS[name].base == "nh":
                    self.known[NETWORK] = name
        elif key == "l4proto":
            self.known[TRANSPORT] = BY_PROTOCOL.get(number, "")

    def learn_field(self, header: Header, field: Field, number: int) -> None:
        """Note that a header field has this value."""
        if header.name in ("icmp", "icmpv6"):
            if field.name == "type":
                self.icmp_type = number
            return
        if header.next is None or header.next[0] != field.name:
            return
        name = header.next[1].get(number)
        if name is None:
            return
        following = HEADERS[name]
        if following.base == "ll":
            self.vlans += 1
        self.known[BASE_NUMBERS[following.base]] = name

    # -- what goes without saying

    def keep(self, base: int, statement: Statement) -> None:
        """Remember a match that makes sure of the header at ``base``."""
        self.guards[base] = statement

    def guard(self, base: int) -> Statement | None:
        """The match that makes sure of the header at ``base``; for ICMP's fields also that on its type."""
        found = self.guards.get(base)
        return self.guards.get(INNER) if found is None and base == TRANSPORT else found

    def drop(self, base: int) -> None:
        """Leave the match out of the listing."""
        for one in (base, INNER) if base == TRANSPORT else (base,):
            if one in self.guards:
                guard = self.guards.pop(one)
                if not self.written_out:
                    guard.dropped = True
                    self._dropped.append(guard)
                return

    def begin(self) -> None:
        """An expression starts."""
        self._dropped.clear()
        for inner in self._tunnels.values():
            inner.begin()

    def restore(self) -> None:
        """The expression has no statement: what was left out for its sake stays."""
        for one in self._dropped:
            one.dropped = False
        for inner in self._tunnels.values():
            inner.restore()

    def drop_header(self, name: str) -> None:
        """Leave out the match that makes sure of this very header."""
        if not name:
            return
        base = BASE_NUMBERS[HEADERS[name].base]
        guard = self.guards.get(base)
        if guard is not None and self.known.get(base) == name and guard.base != base:
            self.drop(base)

    def forget_guards(self) -> None:
        """A statement that does something stands between: what is before it must stay."""
        self.guards.clear()
        for inner in self._tunnels.values():
            inner.forget_guards()

    def keep_meta(self, key: str, number: int, statement: Statement) -> None:
        """A match on a protocol key of the metadata: it may make an earlier one needless."""
        base = _GUARDED[key]
        below = base - 1
        if below in self.guards and self._implies(key, number):
            self.drop(below)
        statement.meta = key
        statement.number = number
        self.keep(base, statement)

    def _implies(self, key: str, number: int) -> bool:
        guard = self.guards.get(NETWORK)
        if guard is None:
            return True
        network = None
        if guard.meta == "nfproto":
            network = _NFPROTO.get(guard.number)
        elif guard.meta == "protocol" or (guard.base == LINK and guard.field == "type"):
            network = BY_ETHER_TYPE.get(guard.number)
            network = network if network in ("ip", "ip6") else None
        else:
            return True
        if self.family not in _LINKED:
            return self.family == network or self.family not in ("ip", "ip6")
        if key != "l4proto":
            return True
        if number not in _ICMP:
            return False
        return network is None or _ICMP[number] == network

    def keep_field(self, header: Header, field: Field, number: int, base: int, statement: Statement) -> None:
        """A match on the header field that says what follows."""
        statement.header = header.name
        statement.field = field.name
        statement.number = number
        statement.base = base
        if header.name in _ECHO:
            # Fields of echo packets have two types: a match on one of them is never implied.
            self._guarded_icmp_type = number
            if number in _ECHO[header.name]:
                return
        guarded = base + 1
        if header.next is not None:
            following = header.next[1].get(number)
            if following is not None and HEADERS[following].base == "ll":
                guarded = LINK
        self.keep(guarded, statement)

    def use(self, base: int, header: Header, field: Field) -> None:
        """A field is used: the match that makes sure of its header may go."""
        guard = self.guard(base)
        if guard is not None and self._needless(guard, base, header, field):
            self.drop(base)

    def _needless(self, guard: Statement, base: int, header: Header, field: Field) -> bool:
        if self.family in _LINKED:
            if guard.header in ("ip", "ip6") and base == TRANSPORT:
                return False  # `ip protocol tcp` says more than `meta l4proto tcp`
            if guard.base == base:
                if header.next is not None and header.next[0] == field.name:
                    return False
                if base == LINK:
                    return guard.header == "ether" and guard.number == _VLAN_ETHER_TYPE
        if guard.header in _ECHO:
            # a field of several types presumes no one of them
            return guard.header == header.name and field.icmp_types == (self._guarded_icmp_type,)
        return True


def is_protocol_key(header: Header, field: Field) -> bool:
    """Whether the field says what follows the header (for ICMP: which of its forms it is)."""
    if header.name in _ECHO:
        return field.name == "type"
    return header.next is not None and header.next[0] == field.name
