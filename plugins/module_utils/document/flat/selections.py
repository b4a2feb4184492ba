# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flat keys as the key of a set or map: ``key: saddr``, ``key: [saddr, dport]``.

A selection is what is looked up: of each flat key its left side in libnftables
JSON and its data type. Where it names addresses, the rule is bound to the
network of the declared set, or of the elements that stand in the rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ...errors import DocumentError, Problem, nearest
from ...nftables.datatypes import TYPES
from .addresses import TYPE_OF
from .key import NETWORKS, PORT_PROTOCOLS, ROUTED, TRACKED, Draft
from .references import find_set
from .values import Statement

if TYPE_CHECKING:
    from ..elements import Part, Read

NETWORK_OF = {name: network for network, name in TYPE_OF.items()}

EVERY_FAMILY = frozenset(NETWORKS)


class Field:
    """One flat key as a part of a key.

    ``left``     the JSON left side, from the draft
    ``type``     the data type, empty for an address: that follows the network
    ``bits``     the width where the type has none
    ``network``  the only network it goes with, if there is but one
    ``split``    whether it stands elsewhere in IPv4 than in IPv6
    """

    __slots__ = ("bits", "families", "left", "network", "split", "type")

    def __init__(
        self,
        left: Statement | Callable[[Draft], Statement],
        type: str,
        bits: int = 0,
        network: str = "",
        split: bool = False,
        families: frozenset[str] = EVERY_FAMILY,
    ) -> None:
        self.left = left
        self.type = type
        self.bits = bits
        self.network = network
        self.split = split
        self.families = families


def _network_of(draft: Draft) -> str:
    return draft.network or NETWORKS[draft.family][0]


def _address(name: str) -> Callable[[Draft], Statement]:
    def left(draft: Draft) -> Statement:
        if draft.family == "arp":
            return {"payload": {"protocol": "arp", "field": name + " ip"}}
        return {"payload": {"protocol": _network_of(draft), "field": name}}

    return left


def _ethernet(name: str) -> Callable[[Draft], Statement]:
    def left(draft: Draft) -> Statement:
        if draft.family == "arp":
            return {"payload": {"protocol": "arp", "field": name + " ether"}}
        return {"payload": {"protocol": "ether", "field": name}}

    return left


def _port(name: str) -> Callable[[Draft], Statement]:
    def left(draft: Draft) -> Statement:
        draft.needs_protocol("a port", PORT_PROTOCOLS)
        bound = draft.protocols()
        return {"payload": {"protocol": bound[0] if len(bound) == 1 else "th", "field": name}}

    return left


def _of_network(name: str) -> Callable[[Draft], Statement]:
    return lambda draft: {"payload": {"protocol": _network_of(draft), "field": name}}


def _payload(protocol: str, name: str) -> Statement:
    return {"payload": {"protocol": protocol, "field": name}}


def _meta(key: str) -> Statement:
    return {"meta": {"key": key}}


def _ct(key: str) -> Statement:
    return {"ct": {"key": key}}


FIELDS: dict[str, Field] = {
    "nfproto": Field(_meta("nfproto"), "nf_proto", families=ROUTED),
    "iif": Field(_meta("iif"), "iface_index"),
    "iifname": Field(_meta("iifname"), "ifname"),
    "oif": Field(_meta("oif"), "iface_index"),
    "oifname": Field(_meta("oifname"), "ifname"),
    "pkttype": Field(_meta("pkttype"), "pkt_type"),
    "ether_saddr": Field(_ethernet("saddr"), "ether_addr"),
    "ether_daddr": Field(_ethernet("daddr"), "ether_addr"),
    "ether_type": Field(_payload("ether", "type"), "ether_type", families=ROUTED),
    "saddr": Field(_address("saddr"), "", split=True),
    "daddr": Field(_address("daddr"), "", split=True),
    "length": Field(_meta("length"), "integer", 32),
    "ttl": Field(_payload("ip", "ttl"), "integer", 8, network="ip", families=ROUTED),
    "hoplimit": Field(_payload("ip6", "hoplimit"), "integer", 8, network="ip6", families=ROUTED),
    "dscp": Field(_of_network("dscp"), "dscp", split=True, families=ROUTED),
    "ecn": Field(_of_network("ecn"), "ecn", split=True, families=ROUTED),
    "ip_protocol": Field(_payload("ip", "protocol"), "inet_proto", network="ip", families=ROUTED),
    "ip6_nexthdr": Field(_payload("ip6", "nexthdr"), "inet_proto", network="ip6", families=ROUTED),
    "protocol": Field(_meta("l4proto"), "inet_proto", families=ROUTED),
    "sport": Field(_port("sport"), "inet_service", families=ROUTED),
    "dport": Field(_port("dport"), "inet_service", families=ROUTED),
    "icmp_type": Field(_payload("icmp", "type"), "icmp_type", network="ip", families=ROUTED),
    "icmp_code": Field(_payload("icmp", "code"), "icmp_code", network="ip", families=ROUTED),
    "icmpv6_type": Field(_payload("icmpv6", "type"), "icmpv6_type", network="ip6", families=ROUTED),
    "icmpv6_code": Field(_payload("icmpv6", "code"), "icmpv6_code", network="ip6", families=ROUTED),
    "ct_state": Field(_ct("state"), "ct_state", families=TRACKED),
    "ct_direction": Field(_ct("direction"), "ct_dir", families=TRACKED),
    "ct_zone": Field(_ct("zone"), "integer", 16, families=TRACKED),
    "ct_mark": Field(_ct("mark"), "mark", families=TRACKED),
    "mark": Field(_meta("mark"), "mark"),
    "skuid": Field(_meta("skuid"), "uid"),
    "skgid": Field(_meta("skgid"), "gid"),
}
"""The flat keys that a key can be made of."""


class Selection:
    """The flat keys under ``key``, in their order."""

    __slots__ = ("fields", "names")

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.fields = [FIELDS[name] for name in names]

    @property
    def has_ports(self) -> bool:
        """Whether it needs the transport protocol to be known."""
        return "sport" in self.names or "dport" in self.names

    @property
    def splits(self) -> bool:
        """Whether its left side differs by network."""
        return any(field.split for field in self.fields)

    @property
    def has_address(self) -> bool:
        """Whether elements show the network."""
        return any(not field.type for field in self.fields)

    def left(self, draft: Draft) -> Statement:
        """The left side as JSON. Raises DocumentError."""
        parts = []
        for name, field in zip(self.names, self.fields):
            if draft.family not in field.families:
                raise DocumentError("not in a table of family %s" % draft.family, found=name)
            parts.append(field.left(draft) if callable(field.left) else field.left)
        return parts[0] if len(parts) == 1 else {"concat": parts}

    def types(self, draft: Draft) -> tuple[str, ...]:
        """The data types of its parts for the network at hand."""
        address = TYPE_OF[_network_of(draft)]
        return tuple(field.type or address for field in self.fields)

    def parts(self, draft: Draft) -> list[Part]:
        """What reads elements for it."""
        from ..elements import Part

        return [Part(TYPES[name], field.bits) for name, field in zip(self.types(draft), self.fields)]

    def networks(self, draft: Draft) -> tuple[str, ...] | None:
        """The networks that its fields leave possible by themselves; None for any."""
        only = {field.network for field in self.fields if field.network}
        if not only:
            return None
        network = only.pop()
        if only or network not in NETWORKS[draft.family]:
            raise DocumentError("no packet has all of these", found=self.names)
        return (network,)

    def networks_of_set(self, name: str, draft: Draft) -> tuple[str, ...] | None:
        """The networks that go with a declared set; None for any, or where it is not known.

        Raises DocumentError where the set's key is of other types.
        """
        own = self.networks(draft)
        declared = find_set(name, draft.declared)
        if declared is None:
            return own
        fits = len(declared.key) == len(self.fields)
        found = set()
        for field, type_name in zip(self.fields, declared.key):
            if field.type:
                fits = fits and field.type == type_name
            elif type_name in NETWORK_OF:
                found.add(NETWORK_OF[type_name])
            else:
                fits = False
        if len(found) > 1 or (own is not None and not found.issubset(own)):
            fits = False
        if not fits:
            raise DocumentError(
                "the set's key does not fit: it is %s" % " . ".join(declared.key),
                found="@" + name,
                allowed="a set or map of %s"
                % " . ".join(field.type or "ipv4_addr or ipv6_addr" for field in self.fields),
            )
        if found and not found.issubset(NETWORKS[draft.family]):
            raise DocumentError(
                "a set of %s in a table of family %s" % (" . ".join(declared.key), draft.family),
                found="@" + name,
            )
        return tuple(found) or own

    def networks_of_elements(self, keys: list[Any], draft: Draft) -> tuple[str, ...] | None:
        """The networks that inline elements go with: those whose addresses they hold."""
        from ..elements import CATCH_ALL, parts_of

        own = self.networks(draft)
        if own is not None or not self.has_address:
            return own
        found = set()
        for item in keys:
            if item == CATCH_ALL:
                continue
            items = [item] if len(self.fields) == 1 else parts_of(item)
            for field, part in zip(self.fields, items):
                if not field.type:
                    found.add("ip6" if ":" in str(part) else "ip")
        return tuple(network for network in NETWORKS[draft.family] if network in found) or None

    def needs_network(self, name: str, draft: Draft) -> None:
        """Raise DocumentError where nothing says of which network the rule is."""
        if self.has_address and len(NETWORKS[draft.family]) > 1 and not draft.bound:
            raise DocumentError(
                "a named set without a family: is it one of IPv4 or of IPv6 addresses?",
                found=name,
                cure="declare it in this document, or add nfproto: ipv4 or nfproto: ipv6",
            )


def selection_of(value: Any) -> Selection:
    """The selection that ``key`` names. Raises DocumentError."""
    names = value if isinstance(value, list) else [value]
    if not names:
        raise DocumentError("no key", found=value, allowed=", ".join(FIELDS))
    for index, name in enumerate(names):
        if not isinstance(name, str) or name not in FIELDS:
            place = "[%d]" % index if isinstance(value, list) else ""
            raise DocumentError(
                "no flat key that can be looked up",
                place,
                name,
                ", ".join(FIELDS),
                nearest(str(name), FIELDS),
            )
    return Selection(names)


def pairs_of(data: Any) -> list[tuple[Any, Any]]:
    """Keys and values of an inline map: a mapping, or a list of {key, value}. Raises DocumentError."""
    if isinstance(data, dict) and data:
        return list(data.items())
    if (
        isinstance(data, list)
        and data
        and all(isinstance(one, dict) and "key" in one and "value" in one for one in data)
    ):
        return [(one["key"], one["value"]) for one in data]
    raise DocumentError(
        "no data of a map",
        found=data,
        allowed='"@name", a mapping of keys to values, or a list of {key, value}',
    )


def inline_set(selection: Selection, items: list[Any], draft: Draft) -> Any:
    """The elements that stand in a rule, as JSON; only those of the network at hand."""
    elements = _elements(
        selection, [item for item in items if _of_network_at_hand(selection, item, draft)], None, draft
    )
    single = len(elements) == 1 and len(selection.fields) == 1 and elements[0] != "*"
    return elements[0] if single else {"set": elements}


def inline_map(selection: Selection, data: Any, read: Read, draft: Draft) -> Any:
    """The map that stands in a rule, as JSON; only its elements of the network at hand."""
    pairs = [
        {"key": key, "value": value}
        for key, value in pairs_of(data)
        if _of_network_at_hand(selection, key, draft)
    ]
    return {"set": _elements(selection, pairs, read, draft)}


def _elements(selection: Selection, items: list[Any], read: Read | None, draft: Draft) -> list[Any]:
    from ..elements import read_elements

    problems: list[Problem] = []
    elements = read_elements(items, selection.parts(draft), read, "", problems)
    if problems:
        raise DocumentError.of(problems)
    return elements.json


def _of_network_at_hand(selection: Selection, item: Any, draft: Draft) -> bool:
    if not selection.has_address or draft.network is None:
        return True
    found = selection.networks_of_elements([item], draft)
    return found is None or draft.network in found
