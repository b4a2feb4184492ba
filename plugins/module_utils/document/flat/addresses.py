# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``saddr`` and ``daddr``: IPv4 and IPv6 addresses, networks, ranges, host names, set references.

In a table of family arp they are the addresses the ARP message speaks of.
"""

from __future__ import annotations

import socket
from typing import Any

from ...errors import DocumentError
from ...nftables.datatypes import TYPES, DatatypeError, address_family, mask_to_prefix
from ...nftables.traced import carry
from .key import NETWORKS, Draft, Key
from .references import find_set
from .values import Scalar, Statement, Values, is_reference, match, right_of, values_of

KIND = {"ip": "IPv4", "ip6": "IPv6"}
TYPE_OF = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
ALLOWED = (
    "an IPv4 or IPv6 address, a network 192.0.2.0/24 or 192.0.2.0/255.255.255.0, "
    "a range a-b, a host name, a list of these, or @set"
)
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def host_name(text: str) -> bool:
    """Whether a text stands where a host name can be meant: no address, network, range or reference.

    A name whose last label is all digits is none (RFC 1123, section 2.1).
    """
    if ":" in text or "/" in text or text.startswith("@"):
        return False
    last = text.rpartition(".")[2]
    return not last.isdecimal() and not _is_range(text)


def well_formed(name: str) -> bool:
    """Whether a host name can be looked up at all."""
    return len(name) <= 253 and _LETTERS.issuperset(name) and not name.startswith("-")


def literal(item: Scalar) -> tuple[str, Any]:
    """The network ("ip", "ip6") and the statement form of one address, network or range.

    Raises DocumentError, saying what the text is instead.
    """
    if not isinstance(item, str):
        raise DocumentError("no address", found=item, allowed=ALLOWED, cure="quote it")
    family = address_family(item)
    if family is not None:
        return family, item
    if "/" in item:
        return _network(item)
    if _is_range(item):
        return _range(item)
    raise DocumentError("no address", found=item, allowed=ALLOWED, cure=_cure(item))


def _network(item: str) -> tuple[str, Any]:
    address, _unused, mask = item.partition("/")
    family = address_family(address)
    if family is None:
        cure = "a host name stands without a mask" if host_name(address) else _cure(address)
        raise DocumentError("no network: %r is no address" % address, found=item, allowed=ALLOWED, cure=cure)
    bits = 32 if family == "ip" else 128
    if mask.isdecimal() and mask.isascii():
        length = int(mask)
        if length > bits:
            raise DocumentError(
                "the prefix is longer than an %s address" % KIND[family],
                found=item,
                allowed="/0 to /%d" % bits,
            )
    elif family == "ip" and "." in mask:
        try:
            length = mask_to_prefix(mask)
        except DatatypeError as error:
            raise DocumentError(error.message, found=item, allowed=error.allowed, cure=error.cure) from None
    else:
        raise DocumentError("no mask behind the slash", found=item, allowed="/0 to /%d" % bits)
    if length == bits:
        return family, address
    data_type = TYPES["ipv4_addr" if family == "ip" else "ipv6_addr"]
    number = data_type.number_of(address)
    masked = number >> (bits - length) << (bits - length)
    return family, {
        "prefix": {
            "addr": carry(item, address if masked == number else data_type.text_of(masked)),
            "len": length,
        }
    }


def _is_range(text: str) -> bool:
    start, dash, end = text.partition("-")
    return dash != "" and (
        address_family(start.strip()) is not None or address_family(end.strip()) is not None
    )


def _range(item: str) -> tuple[str, Any]:
    start, _unused, end = (part.strip() for part in item.partition("-"))
    family, other = address_family(start), address_family(end)
    if family is None or other is None:
        wrong = start if family is None else end
        raise DocumentError(
            "no range: %r is no address" % wrong, found=item, allowed="two addresses joined by a dash"
        )
    if family != other:
        raise DocumentError("a range from one address family to the other", found=item)
    kind = socket.AF_INET if family == "ip" else socket.AF_INET6
    low, high = socket.inet_pton(kind, start), socket.inet_pton(kind, end)
    if low > high:
        raise DocumentError(
            "a range upside down: its end is below its start", found=item, cure="write %s-%s" % (end, start)
        )
    return family, start if low == high else {"range": [start, end]}


def _cure(text: str) -> str:
    octets = text.split(".")
    if len(octets) == 4 and all(one.isdecimal() for one in octets):
        if any(int(one) > 255 for one in octets):
            return "each part is at most 255"
        return "write each part without a leading zero"
    if 1 < len(octets) < 4 and all(one.isdecimal() for one in octets):
        return "write all four parts"
    return ""


def looked_up(item: str, draft: Draft) -> list[str]:
    """The addresses of a host name. Raises DocumentError where it is no name or has none."""
    if not well_formed(item):
        raise DocumentError("neither an address nor a host name", found=item, allowed=ALLOWED)
    found = draft.addresses.get(item)
    if not found:
        raise DocumentError(
            "the host name does not resolve", found=item, cure="check the name, or write its address"
        )
    return found


def _by_network(field: str, values: Values, draft: Draft) -> dict[str, list[Any]]:
    """The statement forms of the value's items, by network."""
    known: dict[str, list[Any]] | None = draft.memo.get(field)
    if known is None:
        known = draft.memo[field] = _sorted_by_network(values, draft)
    return known


def _sorted_by_network(values: Values, draft: Draft) -> dict[str, list[Any]]:
    networks: dict[str, list[Any]] = {}
    explicit: dict[str, tuple[str, Scalar]] = {}
    for place, item in values.items:
        try:
            if isinstance(item, str) and host_name(item):
                addresses = looked_up(item, draft)
                usable = [one for one in addresses if address_family(one) in NETWORKS[draft.family]]
                if not usable:
                    wanted = KIND[NETWORKS[draft.family][0]]
                    raise DocumentError("the host name has no %s address" % wanted, found=item)
                for address in usable:
                    networks.setdefault(str(address_family(address)), []).append(address)
                continue
            network, form = literal(item)
        except DocumentError as error:
            raise error.at(place) from None
        _fits_table(network, item, place, draft)
        networks.setdefault(network, []).append(form)
        explicit.setdefault(network, (place, item))
    if values.negated and len(explicit) > 1:
        place, item = list(explicit.values())[1]
        raise DocumentError(
            "a negated list mixes IPv4 and IPv6",
            place,
            item,
            "addresses of one family",
            "write two rules, one for each family",
        )
    return networks


def _fits_table(network: str, item: Scalar, place: str, draft: Draft) -> None:
    if network not in NETWORKS[draft.family]:
        raise DocumentError(
            "an %s address in a table of family %s" % (KIND[network], draft.family),
            place,
            item,
            "%s addresses" % KIND[NETWORKS[draft.family][0]],
            "use a table of family inet for both" if draft.family != "arp" else "",
        )


def _address(field: str) -> Key:
    def networks(value: Any, draft: Draft) -> tuple[str, ...] | None:
        values = values_of(value)
        if is_reference(values):
            return _networks_of_set(str(values.items[0][1])[1:], draft)
        found = _by_network(field, values, draft)
        return tuple(network for network in ("ip", "ip6") if network in found)

    def alternatives(value: Any, draft: Draft) -> list[list[Statement]]:
        network = draft.network or NETWORKS[draft.family][0]
        payload = (
            {"protocol": "arp", "field": field + " ip"}
            if draft.family == "arp"
            else {"protocol": network, "field": field}
        )
        left = {"payload": payload}
        values = values_of(value)
        first = values.items[0][1]
        if is_reference(values):
            _reference_has_network(values, draft)
            return [[match(left, first, values.negated)]]
        forms = _by_network(field, values, draft)[network]
        if len(values.items) == 1 and isinstance(first, str) and host_name(first) and not values.negated:
            return [[match(left, form)] for form in forms]
        return [[match(left, right_of(forms), values.negated)]]

    return Key(alternatives=alternatives, networks=networks, split=True, implies=True)


def _networks_of_set(name: str, draft: Draft) -> tuple[str, ...] | None:
    """The network of a declared set of addresses; None where it is not known."""
    declared = find_set(name, draft.declared)
    if declared is None:
        return None
    draft.refer(*TYPE_OF.values())(name)
    network = next(one for one, type_name in TYPE_OF.items() if declared.key[0] == type_name)
    _fits_table(network, "@" + name, "", draft)
    return (network,)


def _reference_has_network(values: Values, draft: Draft) -> None:
    if len(NETWORKS[draft.family]) > 1 and not draft.bound:
        raise DocumentError(
            "a named set without a family: is it one of IPv4 or of IPv6 addresses?",
            values.items[0][0],
            values.items[0][1],
            cure="declare it in this document, or add nfproto: ipv4 or nfproto: ipv6",
        )


MATCHES = {"saddr": _address("saddr"), "daddr": _address("daddr")}
