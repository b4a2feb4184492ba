# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a flat key is, and the rule being lowered as the keys see it.

*network* means the packet's network protocol, "ip" or "ip6". In a table of
family inet, bridge or netdev a rule may be bound to one of them by its values
(an IPv4 address), by ``nfproto``, or not at all (None).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

from ...errors import DocumentError
from ...nftables.datatypes import TYPES
from ..declared import Declared
from .references import find_set
from .values import Statement, Values, at, values_of

NETWORKS = {
    "ip": ("ip",),
    "ip6": ("ip6",),
    "inet": ("ip", "ip6"),
    "bridge": ("ip", "ip6"),
    "netdev": ("ip", "ip6"),
    "arp": ("ip",),
}
"""The networks a packet in a table of that family can have (arp: the addresses it speaks of)."""

EVERY_FAMILY = frozenset(NETWORKS)
ROUTED = frozenset(("ip", "ip6", "inet", "bridge", "netdev"))
TRACKED = frozenset(("ip", "ip6", "inet", "bridge"))
TRANSLATED = frozenset(("ip", "ip6", "inet"))

PROTOCOL_KEYS = ("protocol", "ip_protocol", "ip6_nexthdr")
"""The keys that name the transport protocol; the first of them that a rule has is what counts."""

PORT_PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "udplite")

Lower = Callable[[Any, "Draft"], list[Statement]]
Alternatives = Callable[[Any, "Draft"], list[list[Statement]]]
Test = Callable[[Any, "Draft"], bool]
Networks = Callable[[Any, "Draft"], Optional[tuple[str, ...]]]


class Key:
    """One flat key.

    ``lower``         value and draft to statements
    ``alternatives``  the same where one rule becomes several: a list of lists of statements
    ``networks``      the networks the value can go with, None for any
    ``split``         the statements differ by network: without a hint there is one rule for each
    ``implies``       of a match: it binds the rule to the network by itself;
                      of another statement: it wants the rule bound
    ``brings``        of a statement: it binds the rule by itself, but only from where it stands:
                      the rule is to be bound where other statements come first
    ``families``      the table families in which the key has a meaning

    ``split``, ``implies`` and ``brings`` may be functions of value and draft.
    """

    __slots__ = ("alternatives", "brings", "families", "implies", "lower", "networks", "split")

    def __init__(
        self,
        lower: Lower | None = None,
        alternatives: Alternatives | None = None,
        networks: Networks | None = None,
        split: bool | Test = False,
        implies: bool | Test = False,
        brings: bool | Test = False,
        families: frozenset[str] = EVERY_FAMILY,
    ) -> None:
        self.brings = brings
        self.lower = lower
        self.alternatives = alternatives
        self.networks = networks
        self.split = split
        self.implies = implies
        self.families = families

    def splits(self, value: Any, draft: Draft) -> bool:
        """Whether this value's statements differ by network."""
        return self.split if isinstance(self.split, bool) else self.split(value, draft)

    def binds(self, value: Any, draft: Draft) -> bool:
        """Whether this value's statements bind the rule to the network at hand, or want it bound."""
        return self.implies if isinstance(self.implies, bool) else self.implies(value, draft)

    def carries(self, value: Any, draft: Draft) -> bool:
        """Whether this value's statement binds the rule from where it stands."""
        return self.brings if isinstance(self.brings, bool) else self.brings(value, draft)

    def rows(self, value: Any, draft: Draft) -> list[list[Statement]]:
        """The alternatives this key adds to the rule; usually one."""
        if self.alternatives is not None:
            return self.alternatives(value, draft)
        return [self.lower(value, draft)] if self.lower is not None else [[]]


class Draft:
    """The rule being lowered: what a key must know of the other keys.

    ``network``  the network of the alternative being made, None where it is bound to none
    ``bound``    whether the rule's own values or its table leave only one network
    ``first``    the first of the rule's keys that is a statement and no match, if there is one
    ``protocol`` the values of the key ``protocol_key``, which names the transport protocol
    ``memo``     what a key found out for one alternative and wants for the next
    ``inner``    lowers a rule inside this one; None where this one is inside another itself
    """

    __slots__ = (
        "addresses",
        "bound",
        "declared",
        "family",
        "first",
        "inner",
        "memo",
        "network",
        "protocol",
        "protocol_key",
        "rule",
    )

    def __init__(
        self,
        rule: Mapping[str, Any],
        family: str,
        addresses: Mapping[str, list[str]],
        declared: Declared,
        inner: Callable[[Any], list[list[Statement]]] | None = None,
    ) -> None:
        self.inner = inner
        self.rule = rule
        self.family = family
        self.addresses = addresses
        self.declared = declared
        self.first = ""
        self.network: str | None = None
        self.bound = family in ("ip", "ip6", "arp")
        self.memo: dict[str, Any] = {}
        self.protocol: Values | None = None
        self.protocol_key = ""

    def read_protocol(self) -> bool:
        """Resolve the protocol once, to the names nft prints; true when done. Raises DocumentError."""
        rule = self.rule
        if "protocol" in rule:
            key = "protocol"
        elif "ip_protocol" in rule:
            key = "ip_protocol"
        elif "ip6_nexthdr" in rule:
            key = "ip6_nexthdr"
        else:
            return True
        protocol = TYPES["inet_proto"]
        try:
            values = values_of(rule[key])
            self.protocol = Values(
                [
                    (place, at(place, lambda one: protocol.json_of(protocol.number_of(one)), item))
                    for place, item in values.items
                ],
                values.negated,
            )
        except DocumentError as error:
            raise error.at(key) from None
        self.protocol_key = key
        return True

    def protocols(self) -> list[str | int]:
        """The protocols the rule is bound to; empty where it is bound to none."""
        if self.protocol is None or self.protocol.negated:
            return []
        return list(dict.fromkeys(item for _unused, item in self.protocol.items))

    def needs_protocol(self, what: str, allowed: tuple[str, ...]) -> None:
        """Raise DocumentError unless every protocol of the rule is one of ``allowed``."""
        bound = self.protocols()
        if bound and all(one in allowed for one in bound):
            return
        found = self.rule.get(self.protocol_key)
        names = ", ".join(allowed)
        if found is None:
            raise DocumentError("%s needs a protocol" % what, cure="add protocol: %s" % allowed[0])
        raise DocumentError(
            "%s does not go with this protocol" % what,
            found={self.protocol_key: found},
            allowed="protocol %s" % names if len(allowed) == 1 else "protocol one of %s" % names,
        )

    def refer(self, *types: str) -> Callable[[str], None]:
        """What checks that a named set, if it is known, has one of these types as its key."""

        def check(name: str) -> None:
            declared = find_set(name, self.declared)
            if declared is not None and (len(declared.key) != 1 or declared.key[0] not in types):
                raise DocumentError(
                    "the set's key does not fit: it is %s" % " . ".join(declared.key),
                    found="@" + name,
                    allowed="a set of %s" % " or ".join(types),
                )

        return check

    def payload_protocol(self) -> str | None:
        """The transport header whose match binds the rule to its only protocol, if it has such a match."""
        rule = self.rule
        bound = self.protocols()
        if len(bound) == 1 and bound[0] in PORT_PROTOCOLS and self._has_port():
            return str(bound[0])
        if not rule.keys().isdisjoint(("tcp_flags", "syn")):
            return "tcp"
        if not rule.keys().isdisjoint(("icmp_type", "icmp_code")):
            return "icmp"
        if not rule.keys().isdisjoint(("icmpv6_type", "icmpv6_code")):
            return "ipv6-icmp"
        return None

    def _has_port(self) -> bool:
        """Whether a match on a port, or a lookup by one that no other statement precedes, is in the rule."""
        rule = self.rule
        if not rule.keys().isdisjoint(("sport", "dport")):
            return True
        # nft writes the match on the protocol where a redirect looks a port up
        first = rule.get(self.first) if self.first != "redirect" else None
        return _looks_port_up(rule.get("lookup")) or _looks_port_up(first)


def _looks_port_up(value: Any) -> bool:
    """Whether a value, well-formed or not, is a lookup by a port, or holds one and nothing else."""
    if isinstance(value, dict) and "key" not in value:
        inner = value.get("map", next(iter(value.values())) if len(value) == 1 else None)
        return inner is not None and _looks_port_up(inner)
    key = value.get("key") if isinstance(value, dict) else None
    names = key if isinstance(key, list) else [key]
    return "sport" in names or "dport" in names
