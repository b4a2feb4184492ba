# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tunnel objects: the document's form and libnftables JSON, each from the other.

The document has the words of nft's text (``saddr``, ``erspan: {direction, id}``); libnftables JSON
says ``src-ipv4`` and ``dir``, ``hwid`` for the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ..errors import DocumentError, nearest
from ..nftables.datatypes import TYPES, DatatypeError
from ..nftables.datatypes.address import address_family
from ..nftables.declared.tunnels import (
    DIRECTIONS,
    FLAGS,
    HIGHEST_HARDWARE,
    HIGHEST_INDEX,
    HIGHEST_LABEL,
    check_options,
    option_data,
)
from .flat.values import integer, mapping

KEYS = (
    "id", "saddr", "daddr", "sport", "dport", "tos", "ttl", "flowlabel", "flags", "vxlan", "erspan", "geneve",
)  # fmt: skip

_VERSIONS = {"ip": "ipv4", "ip6": "ipv6"}
_WRITTEN = {"ip": "IPv4", "ip6": "IPv6"}
_NUMBERS = (("id", 0xFFFFFFFF), ("tos", 0xFF), ("ttl", 0xFF), ("flowlabel", HIGHEST_LABEL))


def tunnel_of(value: dict[str, Any], family: str) -> Mapping[str, Any]:
    """The libnftables JSON of a tunnel in the document, without its name. Raises DocumentError."""
    if "id" not in value:
        raise DocumentError("the key 'id' is missing", allowed="0 to 4294967295")
    made: dict[str, Any] = {
        key: integer(value[key], 0, top, key, key) for key, top in _NUMBERS if key in value
    }
    made.update(_addresses(value))
    if "flowlabel" in made and "dst-ipv4" in made:
        raise DocumentError("IPv4 has no flow label", "flowlabel", value["flowlabel"], "IPv6 addresses")
    for key in ("sport", "dport"):
        if key in value:
            made[key] = _port(value, key)
    flags = _flags(value)
    if flags:
        made["flags"] = flags
    kinds = [kind for kind in _MAKERS if kind in value]
    if len(kinds) > 1:
        raise DocumentError("one kind of tunnel is due", kinds[1], value[kinds[1]], " or ".join(_MAKERS))
    for kind in kinds:
        made["type"] = kind
        try:
            made["tunnel"] = _MAKERS[kind](value[kind])
        except DocumentError as error:
            raise error.at(kind) from None
    return made


def _addresses(value: dict[str, Any]) -> dict[str, str]:
    if "daddr" not in value:
        raise DocumentError("the key 'daddr' is missing", allowed="the address of the tunnel's other end")
    families = {}
    for key in ("daddr", "saddr"):
        if key in value:
            found = address_family(value[key]) if isinstance(value[key], str) else None
            if found is None:
                raise DocumentError("no address", key, value[key], "an IPv4 or IPv6 address")
            families[key] = found
    if len(set(families.values())) > 1:
        raise DocumentError(
            "addresses of two families",
            "saddr",
            value["saddr"],
            "an %s address, as daddr is" % _WRITTEN[families["daddr"]],
        )
    words = {"saddr": "src-", "daddr": "dst-"}
    return {
        words[key] + _VERSIONS[families[key]]: str(value[key]) for key in ("saddr", "daddr") if key in value
    }


def _port(value: dict[str, Any], key: str) -> int:
    try:
        return TYPES["inet_service"].number_of(value[key])
    except DatatypeError as error:
        raise DocumentError(error.message, key, value[key], error.allowed, error.cure) from None


def _flags(value: dict[str, Any]) -> list[str]:
    given = value.get("flags", [])
    for index, flag in enumerate(given if isinstance(given, list) else [given]):
        if not isinstance(flag, str) or flag not in FLAGS:
            place = "flags[%d]" % index if isinstance(given, list) else "flags"
            raise DocumentError(
                "no flag of a tunnel", place, flag, ", ".join(FLAGS), nearest(str(flag), tuple(FLAGS))
            )
    return [flag for flag in FLAGS if flag in given]


def _vxlan(value: Any) -> Any:
    mapping(value, ("gbp",))
    return {"gbp": _number(value, "gbp", 0xFFFFFFFF)}


def _erspan(value: Any) -> Any:
    mapping(value, ("version", "index", "direction", "id"))
    version = _number(value, "version", 2, 1)
    if version == 1:
        mapping(value, ("version", "index"))
        return {"version": 1, "index": _number(value, "index", HIGHEST_INDEX)}
    mapping(value, ("version", "direction", "id"))
    direction = value.get("direction")
    if direction not in tuple(DIRECTIONS):
        raise DocumentError("no direction", "direction", direction, ", ".join(DIRECTIONS))
    return {"version": 2, "dir": direction, "hwid": _number(value, "id", HIGHEST_HARDWARE)}


def _geneve(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise DocumentError(
            "no list of options", found=value, allowed="a list of mappings of class, opt-type, data"
        )
    made = []
    sizes = []
    for index, one in enumerate(value):
        try:
            mapping(one, ("class", "opt-type", "data"))
            data = option_data(one.get("data"))
            numbers = {"class": _number(one, "class", 0xFFFF), "opt-type": _number(one, "opt-type", 0xFF)}
        except DocumentError as error:
            raise error.at("[%d]" % index) from None
        made.append({**numbers, "data": "0x" + data.hex()})
        sizes.append(len(data))
    check_options(sizes)
    return made


def _number(value: dict[str, Any], key: str, high: int, low: int = 0) -> int:
    if key not in value:
        raise DocumentError("the key %r is missing" % key, allowed="%d to %d" % (low, high))
    return integer(value[key], low, high, key, key)


_MAKERS: dict[str, Callable[[Any], Any]] = {"vxlan": _vxlan, "erspan": _erspan, "geneve": _geneve}


def tunnel_form(json: Mapping[str, Any]) -> dict[str, Any]:
    """A tunnel of libnftables JSON in the document's form, its keys in the order of ``KEYS``."""
    found = dict(json)
    for key, side in (("saddr", "src-"), ("daddr", "dst-")):
        for version in _VERSIONS.values():
            if side + version in found:
                found[key] = found.pop(side + version)
    if "type" in found:
        kind, told = found.pop("type"), found.pop("tunnel")
        if kind == "erspan" and told["version"] == 2:
            told = {"version": 2, "direction": told["dir"], "id": told["hwid"]}
        found[kind] = told
    return {key: found[key] for key in KEYS if key in found}
