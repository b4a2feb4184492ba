# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is looked up in a set or a map, as the names of flat keys."""

from __future__ import annotations

from typing import Any

from ..flat.key import PORT_PROTOCOLS
from .draft import Draft, NotFlat, Selector, selector_of
from .elements import data_of

_NAMES: dict[Selector, tuple[str, str]] = {
    ("meta", "nfproto"): ("nfproto", ""),
    ("meta", "iif"): ("iif", ""),
    ("meta", "iifname"): ("iifname", ""),
    ("meta", "oif"): ("oif", ""),
    ("meta", "oifname"): ("oifname", ""),
    ("meta", "pkttype"): ("pkttype", ""),
    ("meta", "length"): ("length", ""),
    ("meta", "l4proto"): ("protocol", ""),
    ("meta", "mark"): ("mark", ""),
    ("meta", "skuid"): ("skuid", ""),
    ("meta", "skgid"): ("skgid", ""),
    ("payload", "ether", "type"): ("ether_type", ""),
    ("payload", "ip", "ttl"): ("ttl", "ip"),
    ("payload", "ip6", "hoplimit"): ("hoplimit", "ip6"),
    ("payload", "ip", "protocol"): ("ip_protocol", "ip"),
    ("payload", "ip6", "nexthdr"): ("ip6_nexthdr", "ip6"),
    ("ct", "state"): ("ct_state", ""),
    ("ct", "direction"): ("ct_direction", ""),
    ("ct", "zone"): ("ct_zone", ""),
    ("ct", "mark"): ("ct_mark", ""),
}
"""The flat key of a left side, and the network that it is about."""

for _end in ("saddr", "daddr"):
    _NAMES["payload", "ether", _end] = _NAMES["payload", "arp", _end + " ether"] = ("ether_" + _end, "")
    _NAMES["payload", "ip", _end] = _NAMES["payload", "arp", _end + " ip"] = (_end, "ip")
    _NAMES["payload", "ip6", _end] = (_end, "ip6")
for _network, _protocol in (("ip", "icmp"), ("ip6", "icmpv6")):
    for _field in ("type", "code"):
        _NAMES["payload", _protocol, _field] = ("%s_%s" % (_protocol, _field), _network)
    for _field in ("dscp", "ecn"):
        _NAMES["payload", _network, _field] = (_field, _network)

_PORTS = ("sport", "dport")

_COMPARED = frozenset(
    ("nfproto", "pkttype", "length", "protocol", "ip_protocol", "ip6_nexthdr",
     "ether_type", "ttl", "hoplimit", "dscp", "ecn")
)  # fmt: skip

NO_REFERENCES = frozenset(
    selector
    for selector, (name, _unused) in _NAMES.items()
    if name in _COMPARED or (name.startswith("ct_") and name != "ct_mark")
)
"""What a flat key of its own does not compare with a named set."""


def selection_of(draft: Draft, left: Any) -> Any:
    """The flat key of a left side, or the list of those of a concatenation. Raises NotFlat."""
    parts = left.get("concat", [left])
    names = [_name(draft, selector_of(part)) for part in parts]
    return names if len(names) > 1 else names[0]


def _name(draft: Draft, selector: Selector) -> str:
    if selector[0] == "payload" and selector[2] in _PORTS:
        header = selector[1]
        if header in PORT_PROTOCOLS and draft.rule.setdefault("protocol", header) == header:
            return selector[2]
        if header == "th":
            return selector[2]
    if selector not in _NAMES:
        raise NotFlat("selection")
    name, network = _NAMES[selector]
    if network:
        draft.about(network, False)
    return name


def lookup_of(draft: Draft, body: Any) -> dict[str, Any]:
    """A map as a flat key takes it: ``{key, data}``. Raises NotFlat."""
    return {"key": selection_of(draft, body["key"]), "data": data_of(body["data"])}
