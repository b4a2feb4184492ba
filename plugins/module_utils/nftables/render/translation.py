# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that send a packet elsewhere: NAT, tproxy, dup, fwd, queue."""

from __future__ import annotations

from typing import Any, Callable

from .expressions import value_text
from .values import Kind

_ADDRESS = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}


def translation(word: str) -> Callable[[Any, str], str]:
    """The renderer of snat, dnat, masquerade or redirect."""

    def render(body: Any, family: str) -> str:
        if not body:
            return word
        text = word
        version = body.get("family")
        if version:
            text += " " + version
        if "prefix" in _words(body.get("type_flags")):
            text += " prefix"
        destination = _address_and_port(body, version or family, family)
        if destination:
            text += " to " + destination
        # netmap is what a prefix means to the kernel; nft has no word for it
        flags = [one for one in _words(body.get("flags")) if one != "netmap"]
        return "%s %s" % (text, ",".join(flags)) if flags else text

    return render


def tproxy(body: dict[str, Any], family: str) -> str:
    """``tproxy ip to 127.0.0.1:50080``."""
    version = body.get("family")
    word = "tproxy %s to " % version if version else "tproxy to "
    return word + _address_and_port(body, version or family, family, always_bracketed=True)


def dup(body: dict[str, Any], family: str) -> str:
    """``dup to 10.0.0.1 device "lo"``; in netdev tables the target is a device."""
    kind: Kind = "iface_index" if family == "netdev" else _ADDRESS.get(family)
    text = "dup to " + value_text(body["addr"], kind if kind else _guessed(body["addr"]), family)
    return text + " device " + value_text(body["dev"], "iface_index", family) if "dev" in body else text


def fwd(body: dict[str, Any], family: str) -> str:
    """``fwd to "lo"``, or ``fwd ip to 10.0.0.1 device "lo"``."""
    device = value_text(body["dev"], "iface_index", family)
    if "addr" not in body:
        return "fwd to " + device
    version = body.get("family", "ip")
    address = value_text(body["addr"], _ADDRESS.get(version), family)
    return "fwd %s to %s device %s" % (version, address, device)


def queue(body: Any, family: str) -> str:
    """``queue flags bypass,fanout to 1-5``; without a number it is queue 0."""
    body = body or {}
    flags = _words(body.get("flags"))
    text = "queue flags %s to " % ",".join(flags) if flags else "queue to "
    return text + value_text(body.get("num", 0), "integer", family)


def _address_and_port(body: dict[str, Any], version: str, family: str, always_bracketed: bool = False) -> str:
    address, port = body.get("addr"), body.get("port")
    text = ""
    if address is not None:
        kind: Kind = _ADDRESS.get(version)
        if address.__class__ is dict and "map" in address:
            kind = _data_kind(address["map"], kind)
        bracketed = (port is not None or always_bracketed) and version != "ip"
        text = _bracketed(address, kind, family) if bracketed else value_text(address, kind, family)
    if port is not None:
        text += ":" + value_text(port, "inet_service", family)
    return text


def _bracketed(address: Any, kind: Kind, family: str) -> str:
    """An address that a port follows: IPv6 stands in brackets."""
    if address.__class__ is str and ":" in address:
        return "[%s]" % value_text(address, kind, family)
    if address.__class__ is dict and "range" in address and ":" in str(address["range"][0]):
        return "-".join(["[%s]" % value_text(end, kind, family) for end in address["range"]])
    return value_text(address, kind, family)


def _data_kind(body: dict[str, Any], kind: Kind) -> Kind:
    """What a NAT map yields: addresses, or addresses with ports."""
    data = body["data"]
    if data.__class__ is dict and data.get("set"):
        first = data["set"][0][1]
        if first.__class__ is dict and "concat" in first:
            return (kind, "inet_service")
    return kind


def _guessed(address: Any) -> Kind:
    """The type of a dup target where the table's family is unknown."""
    if address.__class__ is not str or ":" in address or address.replace(".", "").isdecimal():
        return None
    return "iface_index"


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
