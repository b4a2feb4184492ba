# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tunnel objects as nft prints them (nftables 1.1.6)."""

from __future__ import annotations

from typing import Any, Callable

from .values import quoted


def tunnel_lines(body: dict[str, Any]) -> list[str]:
    """The lines inside the object's braces. nft has no words for flags and flow label: they are remarks."""
    lines = ["id %d" % body["id"]]
    for network, version in (("ip", "ipv4"), ("ip6", "ipv6")):
        for key, side in (("saddr", "src-"), ("daddr", "dst-")):
            if side + version in body:
                lines.append("%s %s %s" % (network, key, body[side + version]))
    lines += ["%s %d" % (key, body[key]) for key in ("sport", "dport", "tos", "ttl") if key in body]
    if "flowlabel" in body:
        lines.append("# flowlabel %d" % body["flowlabel"])
    if body.get("flags"):
        lines.append("# flags " + ",".join(body["flags"]))
    if "type" in body:
        inner = _OPTIONS[body["type"]](body["tunnel"])
        lines += ["%s {" % body["type"], *["\t" + one for one in inner], "}"]
    return lines


def _erspan(told: dict[str, Any]) -> list[str]:
    if told["version"] == 1:
        return ["version 1", "index %d" % told["index"]]
    return ["version 2", "direction " + told["dir"], "id %d" % told["hwid"]]


def _geneve(told: list[dict[str, Any]]) -> list[str]:
    return [
        "class 0x%x opt-type 0x%x data %s" % (one["class"], one["opt-type"], quoted(one["data"]))
        for one in told
    ]


_OPTIONS: dict[str, Callable[[Any], list[str]]] = {
    "vxlan": lambda told: ["gbp %d" % told["gbp"]],
    "erspan": _erspan,
    "geneve": _geneve,
}
