# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known while one rule compiles: protocols, steps so far, its anonymous sets.

A match on a header presumes that the packet has it. The context keeps what the
rule's earlier matches (or its table's family) guarantee and adds the missing
matches itself, as nft does, so that both make the same bytes of the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import DocumentError
from ..headers import BY_ETHER_TYPE, BY_PROTOCOL, HEADERS, NEXT_BY_META, Field, Header
from ..headers.tunnel import Tunnel
from ..selectors.base import Selector
from ..selectors.constants import number_of
from ..selectors.meta import Meta
from ..selectors.payload import BASES, Payload
from ..selectors.program import Program
from ..selectors.surroundings import Surroundings
from ..sets import SetContent

_ETHERNET = 1  # ARPHRD_ETHER (linux/if_arp.h)
_NFPROTO = {"ip": 2, "ip6": 10}  # NFPROTO_IPV4, NFPROTO_IPV6 (linux/netfilter.h)
_ETHER_TYPES = {name: number for number, name in reversed(list(BY_ETHER_TYPE.items()))}
_PROTOCOLS = {name: number for number, name in reversed(list(BY_PROTOCOL.items()))}
#: transport headers that belong to one network protocol only
_NETWORK_OF = {"icmp": "ip", "igmp": "ip", "icmpv6": "ip6"}


class Step:
    """One statement (or implied match) of the rule, ready to append its expressions."""

    def emit(self, program: Program) -> None:
        """Append the step's expressions."""
        raise NotImplementedError


class Context(Surroundings):
    """The compiler's knowledge at one point of one rule.

    ``family`` is the table's; ``link``, ``network``, ``transport`` name the
    headers known to be there; ``steps`` grow as statements compile;
    ``anonymous`` holds the sets that the rule brings along, ``inline`` the chains;
    ``sets`` the table's declared ones by name. ``inner`` is a rule of such a chain.
    """

    tunnel: Tunnel | None = None

    def __init__(
        self, family: str, sets: Mapping[str, SetContent] | None = None, inner: bool = False
    ) -> None:
        super().__init__(family)
        self.inner = inner
        self.sets = sets or {}
        self.link: str | None = "ether" if family == "bridge" else None
        self.transport: str | None = None
        self.vlan_bits = 0
        self.icmp_types: frozenset[int] = frozenset()
        self.steps: list[Step] = []
        self.anonymous: list[SetContent] = []
        self.inline: list[Any] = []
        self._tunnels: dict[str, Context] = {}

    # -- protocols

    def need(self, header: Header, field: Field | None = None) -> int:
        """Make sure that ``header`` is there; the bits by which stacked link headers move its fields."""
        shift = 0
        if header.base == "ll":
            shift = self._need_link(header)
        elif header.base == "nh":
            self._need_network(header.name)
        elif header.base == "th" and header.name != "th":
            self._need_transport(header.name)
        if (
            field is not None
            and field.icmp_types
            and not (self.icmp_types and self.icmp_types <= set(field.icmp_types))
        ):
            self._need_icmp_type(header, field)
        return shift

    def within(self, tunnel: Tunnel) -> Context:
        """What is known of the packet inside a tunnel, whose outer header is made sure of."""
        if tunnel.name not in self._tunnels:
            from .tunnels import TunnelContext

            if tunnel.carrier == "udp" and self.transport != "udp":
                raise DocumentError(
                    "the rule does not match UDP packets",
                    found=tunnel.name,
                    cure="match the port of the tunnel first: udp dport",
                )
            self._need_transport(tunnel.carrier)
            self._tunnels[tunnel.name] = TunnelContext(self, tunnel)
        return self._tunnels[tunnel.name]

    def placed(self, selector: Selector) -> Selector:
        """A selector of the packet that this is about."""
        return selector

    def need_first(self, header: Header) -> None:
        """Make sure of a network header at the rule's head: nft puts it there for options and extensions."""
        before = len(self.steps)
        self._need_network(header.name, special=True)
        self.steps = self.steps[before:] + self.steps[:before]

    def _need_link(self, header: Header) -> int:
        if header.name == "ether":
            if self.link is None:
                self._imply(Meta("iiftype"), _ETHERNET)
                self.link = "ether"
            return 0
        if self.link != header.name:
            outer = HEADERS["ether"]
            if self.link is None:
                self._need_link(outer)
            kind = outer.fields["type"]
            shift = self.vlan_bits
            self._imply(
                Payload(BASES["ll"], kind.offset + shift, kind.bits, kind.datatype, "ether", "type"),
                _ETHER_TYPES[header.name],
            )
            self.stack(header.name)
        return HEADERS["ether"].bits + self.vlan_bits - HEADERS["vlan"].bits

    def stack(self, name: str) -> None:
        """A VLAN tag lies behind what link headers there are."""
        self.link = name
        self.vlan_bits += HEADERS["vlan"].bits

    def _need_network(self, name: str, special: bool = False) -> None:
        if self.network == name:
            return
        if self.network is not None:
            raise DocumentError(
                "the rule already matches %s packets" % self.network,
                found=name,
                cure="match %s in a rule of its own" % name,
            )
        if self.link == "vlan":
            kind = HEADERS["vlan"].fields["type"]
            offset = HEADERS["ether"].bits + self.vlan_bits - HEADERS["vlan"].bits + kind.offset
            self._imply(
                Payload(BASES["ll"], offset, kind.bits, kind.datatype, "vlan", "type"), _ETHER_TYPES[name]
            )
        elif self.family == "inet" and self.link is None and name in _NFPROTO:
            self._imply(Meta("nfproto"), _NFPROTO[name])
        elif self.family in ("bridge", "netdev", "inet") and name in _ETHER_TYPES:
            if self.link is not None and (special or name == "arp" or self.family != "bridge"):
                kind = HEADERS["ether"].fields["type"]
                field = Payload(BASES["ll"], kind.offset, kind.bits, kind.datatype, "ether", "type")
                self._imply(field, _ETHER_TYPES[name])
            else:
                self._imply(Meta("protocol"), _ETHER_TYPES[name])
        else:
            raise DocumentError("a table of family %s has no %s packets" % (self.family, name), found=name)
        self.network = name

    def _need_transport(self, name: str) -> None:
        if self.transport == name:
            return
        if self.transport is not None:
            raise DocumentError(
                "the rule already matches %s packets" % self.transport,
                found=name,
                cure="match %s in a rule of its own" % name,
            )
        network = _NETWORK_OF.get(name)
        if network and self.network is None:
            self._need_network(network, special=True)
        self.transport = name
        self._imply(Meta("l4proto"), _PROTOCOLS[name])

    def _need_icmp_type(self, header: Header, field: Field) -> None:
        kind = header.fields["type"]
        selector = Payload(BASES["th"], kind.offset, kind.bits, kind.datatype, header.name, "type")
        from .match import imply_any

        imply_any(self, self.placed(selector), list(field.icmp_types))

    def _imply(self, selector: Selector, number: int) -> None:
        from .match import Relation

        self.steps.append(Relation(self.placed(selector), "==", selector.pack(number), implied=True))

    def learn(self, selector: Selector, number: int) -> None:
        """Note what an equality match says about the packet's headers."""
        if selector.tunnel is not None and selector.tunnel is not self.tunnel:
            self.within(selector.tunnel).learn(selector, number)
            return
        header = None
        if isinstance(selector, Meta):
            table = NEXT_BY_META.get(selector.key)
            header = table.get(number) if table else None
        elif isinstance(selector, Payload) and selector.header is not None:
            described = HEADERS[selector.header]
            if described.next is not None and described.next[0] == selector.field:
                header = described.next[1].get(number)
            elif selector.header in ("icmp", "icmpv6") and selector.field == "type":
                self.icmp_types = frozenset([number])
        if header is None:
            return
        base = HEADERS[header].base
        if base == "nh":
            self.network = self.network or header
        elif base == "th":
            self.transport = self.transport or header
        elif header == "ether":
            self.link = "ether"
        elif self.link != header or isinstance(selector, Payload):
            if self.link is None:
                self.link = "ether"
            self.stack(header)

    def learn_any(self, selector: Selector, values: Any) -> None:
        """Note what membership in an anonymous set says: which ICMP types it may be."""
        if selector.tunnel is not None and selector.tunnel is not self.tunnel:
            self.within(selector.tunnel).learn_any(selector, values)
        elif (
            isinstance(selector, Payload)
            and selector.field == "type"
            and selector.header in ("icmp", "icmpv6")
        ):
            items = values if isinstance(values, list) else [values]
            self.icmp_types = frozenset(number_of(selector, one) for one in items)
