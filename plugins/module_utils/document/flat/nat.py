# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``masquerade``, ``redirect``, ``snat`` and ``dnat``: address and port translation."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, nearest
from .addresses import KIND, literal
from .key import NETWORKS, PORT_PROTOCOLS, TRANSLATED, Draft, Key
from .ports import port_of
from .values import Statement, at, mapping, scalar

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
            mapping(value, ("to", "flags"))
            if "to" in value:
                options["port"] = _port(value["to"], draft, "to")
            if "flags" in value:
                options["flags"] = _flags(value["flags"])
        elif value is not True:
            options["port"] = _port(value, draft, "")
        return [{statement: options or None}]

    return Key(lower, families=TRANSLATED)


def _split(text: str) -> tuple[str, str | None]:
    """Address and port of a text; either may be missing, but not both."""
    if text.startswith("["):
        address, bracket, rest = text.replace("]-[", "-").partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise DocumentError("no address in brackets", found=text, allowed=ALLOWED)
        return address[1:], rest[1:] if rest else None
    if text.count(":") == 1:
        address, _, port = text.partition(":")
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


def _translation(statement: str) -> Key:
    def lower(value: Any, draft: Draft) -> list[Statement]:
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
        place, address, _, _, options = _target(value)
        if address is None:
            family = options.get("family")
            if family is None:
                return None
            if family not in KIND:
                raise DocumentError("no address family", "family", family, "ip or ip6")
            return (str(family),)
        network, _ = _address_of(place, address, options)
        if network not in NETWORKS[draft.family]:
            raise DocumentError(
                "an %s address in a table of family %s" % (KIND[network], draft.family), place, address
            )
        return (network,)

    return Key(lower, networks=networks, families=TRANSLATED)


STATEMENTS = {
    "masquerade": _to_port("masquerade"),
    "redirect": _to_port("redirect"),
    "snat": _translation("snat"),
    "dnat": _translation("dnat"),
}
