# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``masquerade``, ``redirect``, ``snat`` and ``dnat``: address and port translation."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, nearest
from .addresses import KIND, literal
from .key import NETWORKS, PORT_PROTOCOLS, TRANSLATED, Draft, Key
from .lookups import Lookup
from .ports import port_of
from .references import find_set
from .selections import NETWORK_OF, pairs_of
from .values import Statement, at, mapping, scalar, switched_on

FLAGS = ("random", "fully-random", "persistent")
ALLOWED = '"address", "address:port", "[IPv6 address]:port", with ranges a-b for either, or a mapping'


def _flags(value: Any) -> Any:
    flags = [value] if isinstance(value, str) else value
    if not isinstance(flags, list) or not flags:
        raise DocumentError("no flags of a translation", "flags", value, ", ".join(FLAGS))
    for index, flag in enumerate(flags):
        if flag not in FLAGS:
            place = "flags" if isinstance(value, str) else "flags[%d]" % index
            raise DocumentError(
                "no flag of a translation", place, flag, ", ".join(FLAGS), nearest(str(flag), FLAGS)
            )
    ordered = [flag for flag in FLAGS if flag in flags]
    return ordered[0] if len(ordered) == 1 else ordered


def _port(value: Any, draft: Draft, place: str) -> Any:
    form = at(place, port_of, scalar(value, place))
    try:
        draft.needs_protocol("a translation to a port", PORT_PROTOCOLS)
    except DocumentError as error:
        raise error.at(place) from None
    return form


def _to_port(statement: str) -> Key:
    """masquerade and redirect: no address, perhaps a port, perhaps flags."""

    def lower(value: Any, draft: Draft) -> list[Statement]:
        if value is False:
            return []
        options: dict[str, Any] = {}
        if isinstance(value, dict):
            mapping(value, ("to", "map", "flags") if statement == "redirect" else ("to", "flags"))
            if "map" in value:
                if "to" in value:
                    raise DocumentError(
                        "a map beside a port", "map", value["map"], cure="leave out one of them"
                    )
                options["port"] = _port_map(value["map"], draft)
            elif "to" in value:
                options["port"] = _port(value["to"], draft, "to")
            if "flags" in value:
                options["flags"] = _flags(value["flags"])
        elif value is not True:
            options["port"] = _port(value, draft, "")
        return [{statement: options or None}]

    def networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
        lookup = _lookup(value)
        return lookup.networks(draft) if lookup is not None else None

    def splits(value: Any, draft: Draft) -> bool:
        lookup = _lookup(value)
        return lookup is not None and lookup.selection.splits

    return Key(lower, networks=networks, split=splits, brings=splits, families=TRANSLATED)


def _lookup(value: Any) -> Lookup | None:
    """The map from which a translation takes its target; None where it takes none."""
    if not isinstance(value, dict) or "map" not in value:
        return None
    try:
        return Lookup(value["map"])
    except DocumentError as error:
        raise error.at("map") from None


def _port_map(value: Any, draft: Draft) -> Statement:
    try:
        draft.needs_protocol("a translation to a port", PORT_PROTOCOLS)
        return {
            "map": Lookup(value).json(lambda port: at("", port_of, scalar(port)), ("inet_service",), draft)
        }
    except DocumentError as error:
        raise error.at("map") from None


def _split(text: str) -> tuple[str, str | None]:
    """Address and port of a text; either may be missing, but not both."""
    if text.startswith("["):
        address, bracket, rest = text.replace("]-[", "-").partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise DocumentError("no address in brackets", found=text, allowed=ALLOWED)
        return address[1:], rest[1:] if rest else None
    if text.count(":") == 1:
        address, _unused, port = text.partition(":")
        return address, port
    return text, None


def _target(value: Any) -> tuple[str, Any, str, Any, dict[str, Any]]:
    """The parts of a translation: address and its place, port and its place, the other options."""
    if isinstance(value, dict):
        mapping(value, ("addr", "port", "flags", "family"))
        if "addr" not in value and "port" not in value:
            raise DocumentError("neither an address nor a port to translate to", found=value, allowed=ALLOWED)
        return "addr", value.get("addr"), "port", value.get("port"), value
    if not isinstance(value, str) or not value:
        raise DocumentError("no address to translate to", found=value, allowed=ALLOWED)
    address, port = _split(value)
    if port == "":
        raise DocumentError("no port behind the colon", found=value, allowed=ALLOWED)
    return "", address or None, "", port, {}


def _address_of(place: str, address: Any, options: dict[str, Any]) -> tuple[str, Any]:
    network, form = at(place, literal, scalar(address, place))
    family = options.get("family", network)
    if family not in KIND:
        raise DocumentError("no address family", "family", family, "ip or ip6")
    if family != network:
        raise DocumentError("the address is not of this family", "family", family, network)
    return network, form


MAP_KEYS = ("map", "prefix", "flags", "family")


def _data_networks(lookup: Lookup, draft: Draft) -> tuple[str, ...]:
    """The network of the addresses that a map gives; empty where that is not known."""
    if not lookup.name:
        found = {"ip6" if str(one).count(":") > 1 else "ip" for _unused, one in pairs_of(lookup.data)}
        if len(found) > 1:
            raise DocumentError(
                "a map to both IPv4 and IPv6 addresses", "data", lookup.data, cure="write two rules"
            )
        return tuple(found)
    declared = find_set(lookup.name, draft.declared)
    if declared is None:
        return ()
    if (
        not declared.is_map
        or declared.data[0] not in NETWORK_OF
        or declared.data[1:] not in ((), ("inet_service",))
    ):
        raise DocumentError(
            "this is no map to addresses",
            "data",
            lookup.data,
            "a map to ipv4_addr, ipv6_addr, or one of these . inet_service",
        )
    return (NETWORK_OF[declared.data[0]],)


def _map_networks(value: dict[str, Any], lookup: Lookup, draft: Draft) -> tuple[str, ...] | None:
    mapping(value, MAP_KEYS)
    try:
        by_key = lookup.networks(draft)
        by_data = _data_networks(lookup, draft)
    except DocumentError as error:
        raise error.at("map") from None
    family = value.get("family")
    if family is not None and family not in KIND:
        raise DocumentError("no address family", "family", family, "ip or ip6")
    possible = [one for one in NETWORKS[draft.family] if by_key is None or one in by_key]
    possible = [one for one in possible if (not by_data or one in by_data) and family in (None, one)]
    if not possible:
        raise DocumentError(
            "no packet can match: key, data and table are not of one address family", "map", value["map"]
        )
    return tuple(possible)


def _by_map(value: dict[str, Any], lookup: Lookup, draft: Draft) -> Statement:
    """The address, and perhaps the port, that a map gives."""
    network = draft.network or NETWORKS[draft.family][0]
    if not draft.bound:
        raise DocumentError(
            "a named map without a family: does it give IPv4 or IPv6 addresses?",
            "map.data",
            lookup.data,
            cure="declare it in this document, or add family: ip or family: ip6",
        )
    declared = find_set(lookup.name, draft.declared) if lookup.name else None
    with_port = declared is not None and len(declared.data) > 1
    spread = declared is not None and str(declared.json["map"]).startswith("interval ")
    result: dict[str, Any] = {}
    if draft.family == "inet":
        result["family"] = network
    try:
        found = lookup.json(_target_reader(network), (), draft)
    except DocumentError as error:
        raise error.at("map") from None
    if not lookup.name:
        targets = [target for _unused, target in found["data"]["set"]]
        with_port = any("concat" in target for target in targets if isinstance(target, dict))
        spread = any("concat" not in target for target in targets if isinstance(target, dict))
        if with_port and not all(isinstance(target, dict) and "concat" in target for target in targets):
            raise DocumentError(
                "some targets with a port and some without", "map.data", lookup.data, "all of them, or none"
            )
    if with_port:
        try:
            draft.needs_protocol("a translation to a port", PORT_PROTOCOLS)
        except DocumentError as error:
            raise error.at("map") from None
    result["addr"] = {"map": found}
    flags = _flags(value["flags"]) if "flags" in value else []
    if "prefix" in value and switched_on(value["prefix"]):
        flags = [*([flags] if isinstance(flags, str) else flags), "netmap"]
        result["flags"] = flags[0] if len(flags) == 1 else flags
        result["type_flags"] = "prefix"
        return result
    if flags:
        result["flags"] = flags
    if spread:
        result["type_flags"] = "interval"
    return result


def _target_reader(network: str) -> Any:
    """What reads the targets of a map in a rule: an address, a range, and perhaps a port behind it."""

    def read(value: Any) -> Any:
        text = scalar(value)
        address, port = _split(str(text)) if " . " not in str(text) else str(text).split(" . ", 1)
        found, form = at("", literal, address)
        if found != network:
            raise DocumentError(
                "this is an %s address" % KIND[found], found=value, allowed="%s addresses" % KIND[network]
            )
        if port is None:
            return form
        return {"concat": [form, at("", port_of, port.strip())]}

    return read


def _translation(statement: str) -> Key:
    def lower(value: Any, draft: Draft) -> list[Statement]:
        lookup = _lookup(value)
        if lookup is not None:
            return [{statement: _by_map(value, lookup, draft)}]
        address_place, address, port_place, port, options = _target(value)
        result: dict[str, Any] = {}
        if address is not None:
            network, form = _address_of(address_place, address, options)
            if draft.family == "inet":
                result["family"] = network
            result["addr"] = form
        if port is not None:
            result["port"] = _port(port, draft, port_place)
        if "flags" in options:
            result["flags"] = _flags(options["flags"])
        return [{statement: result}]

    def networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
        lookup = _lookup(value)
        if lookup is not None:
            return _map_networks(value, lookup, draft)
        place, address, _unused, _unused, options = _target(value)
        if address is None:
            family = options.get("family")
            if family is None:
                return None
            if family not in KIND:
                raise DocumentError("no address family", "family", family, "ip or ip6")
            return (str(family),)
        network, _unused = _address_of(place, address, options)
        if network not in NETWORKS[draft.family]:
            raise DocumentError(
                "an %s address in a table of family %s" % (KIND[network], draft.family), place, address
            )
        return (network,)

    def brings(value: Any, draft: Draft) -> bool:
        return _lookup(value) is not None

    return Key(lower, networks=networks, brings=brings, families=TRANSLATED)


STATEMENTS = {
    "masquerade": _to_port("masquerade"),
    "redirect": _to_port("redirect"),
    "snat": _translation("snat"),
    "dnat": _translation("dnat"),
}
