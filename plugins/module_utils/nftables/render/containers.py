# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables and what they hold, in nft's order and indentation.

Tables, chains, sets, maps, flowtables and objects come as libnftables-json(5)
describes them. What the JSON of nft 1.0.6 leaves out is taken where it is given,
under the names newer versions use: ``comment`` of tables and chains, ``dev`` of a
chain, ``dynamic`` in a set's flags, ``auto-merge``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Callable, Optional

from ..datatypes import TYPES
from .expressions import element_texts, pair_texts, selector
from .stateful import counts_text, rate_text, volume_text
from .statements import render_rule, render_statement, synproxy_options
from .tunnels import tunnel_lines
from .values import Kind, duration_text, json_text, quoted

Rule = tuple[list[dict[str, Any]], Optional[str]]
"""A rule's statements and its comment."""

# nft's names of priorities: linux/netfilter_ipv4.h (NF_IP_PRI_*), linux/netfilter_bridge.h (NF_BR_PRI_*),
# each with the hooks where nft uses it, empty for all
_IP_PRIORITIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "raw": (-300, ()),
    "mangle": (-150, ()),
    "dstnat": (-100, ("prerouting",)),
    "filter": (0, ()),
    "security": (50, ()),
    "srcnat": (100, ("postrouting",)),
}
_BRIDGE_PRIORITIES: dict[str, tuple[int, tuple[str, ...]]] = {
    "dstnat": (-300, ("prerouting",)),
    "filter": (-200, ()),
    "out": (100, ("output",)),
    "srcnat": (300, ("postrouting",)),
}
_FILTER_ONLY: dict[str, tuple[int, tuple[str, ...]]] = {"filter": (0, ())}
_PRIORITIES = {"bridge": _BRIDGE_PRIORITIES, "arp": _FILTER_ONLY, "netdev": _FILTER_ONLY}
_REACH = 10  # nft writes a priority relative to a name up to this far from it

# how many elements nft puts on one line; one of every type that is not here
_FIVE_A_LINE = frozenset(
    (
        "nf_proto",
        "integer",
        "arp_op",
        "inet_proto",
        "inet_service",
        "tcp_flag",
        "dccp_pkttype",
        "mark",
        "iface_index",
        "classid",
        "uid",
        "gid",
        "ct_dir",
    )
)
_TWO_A_LINE = frozenset(("ipv4_addr", "ct_state", "ct_status", "pkt_type"))
_OBJECT_MAPS = frozenset(
    ("counter", "quota", "limit", "synproxy", "secmark", "tunnel", "ct helper", "ct timeout")
)


def render_table(
    table: dict[str, Any],
    chains: Iterable[tuple[dict[str, Any], Sequence[Rule]]] = (),
    sets: Iterable[dict[str, Any]] = (),
    objects: Iterable[dict[str, Any]] = (),
    flowtables: Iterable[dict[str, Any]] = (),
) -> str:
    """A whole table as ``nft list table`` prints it, with a newline at its end.

    ``table`` is the inner JSON object (``family``, ``name``, ``flags``, ``comment``);
    ``chains`` pairs inner chain objects with their rules. Sets, maps and objects
    carry their kind: ``{"set": {…}}``, ``{"map": {…}}``, ``{"counter": {…}}``.
    """
    family = table.get("family", "inet")
    lines = ["table %s %s {" % (family, table["name"])]
    flags = _words(table.get("flags"))
    if table.get("comment") is not None:
        lines.append("\tcomment " + quoted(table["comment"]))
    if flags:
        lines.append("\tflags " + ",".join(flags))
    blocks = [render_object(one) for one in objects]
    blocks += [render_set(one, family) for one in sets]
    blocks += [_flowtable(one.get("flowtable", one)) for one in flowtables]
    blocks += [render_chain(chain, rules, family) for chain, rules in chains]
    for at, block in enumerate(blocks):
        if at or flags:
            lines.append("")
        lines += block
    lines.append("}\n")
    return "\n".join(lines)


def render_chain(chain: dict[str, Any], rules: Iterable[Rule] = (), family: str | None = None) -> list[str]:
    """A chain with its rules, as lines one tab deep.

    ``chain`` has ``name``, and for a base chain ``type``, ``hook``, ``prio``,
    ``policy``, ``dev`` (one name or several); ``family`` overrides its own.
    """
    family = family or chain.get("family", "inet")
    lines = ["\tchain %s {" % chain["name"]]
    if chain.get("comment") is not None:
        lines.append("\t\tcomment " + quoted(chain["comment"]))
    if chain.get("hook"):
        lines.append("\t\t" + _hook(chain, family))
    lines += ["\t\t" + render_rule(statements, comment, family) for statements, comment in rules]
    lines.append("\t}")
    return lines


def _device_list(devices: list[str]) -> str:
    """In quotes, as nft since 1.1.4, where earlier ones could not list or read them anyway: with a prefix."""
    if any(device.endswith("*") for device in devices):
        devices = [quoted(device) for device in devices]
    return ", ".join(devices)


def _hook(chain: dict[str, Any], family: str) -> str:
    devices = _words(chain.get("dev"))
    text = "type %s hook %s" % (chain.get("type", "filter"), chain["hook"])
    if len(devices) == 1:
        text += " device " + quoted(devices[0])
    elif devices:
        text += " devices = { %s }" % _device_list(devices)
    priority = render_priority(chain.get("prio", 0), family, chain["hook"])
    text += " priority %s; policy %s;" % (priority, chain.get("policy", "accept"))
    flags = _words(chain.get("flags"))
    return "%s flags %s;" % (text, ",".join(flags)) if flags else text


def render_priority(priority: int | str, family: str, hook: str) -> str:
    """A priority by its name, or relative to the name it is near, as nft writes it for this hook."""
    if isinstance(priority, str):
        return priority
    for name, (value, hooks) in _PRIORITIES.get(family, _IP_PRIORITIES).items():
        distance = priority - value
        if abs(distance) <= _REACH and (not hooks or hook in hooks):
            return name if not distance else "%s %s %d" % (name, "+-"[distance < 0], abs(distance))
    return str(priority)


# sets and maps


def render_set(entity: dict[str, Any], family: str = "inet") -> list[str]:
    """A named set or map with its elements, as lines one tab deep: ``{"set": {…}}`` or ``{"map": {…}}``."""
    (word, body), *_unused = entity.items()
    lines = ["\t%s %s {" % (word, body["name"]), "\t\t" + _key_type(body, word)]
    if body.get("policy") == "memory":
        lines.append("\t\tpolicy " + body["policy"])
    if "size" in body and "constant" not in _words(body.get("flags")):
        lines.append("\t\tsize %d" % body["size"])
    flags = _set_flags(body)
    if flags:
        lines.append("\t\tflags " + flags)
    stateful = body.get("stmt") or []
    if stateful:
        statements = [stateful] if isinstance(stateful, dict) else stateful
        lines.append("\t\t" + " ".join([render_statement(one, family) for one in statements]))
    for key in ("timeout", "gc-interval"):
        if key in body:
            lines.append("\t\t%s %s" % (key, duration_text(body[key])))
    if body.get("auto-merge"):
        lines.append("\t\tauto-merge")
    if body.get("comment") is not None:
        lines.append("\t\tcomment " + quoted(body["comment"]))
    if body.get("elem"):
        lines += _elements(body, word, family)
    lines.append("\t}")
    return lines


def _key_type(body: dict[str, Any], word: str) -> str:
    key = body.get("typeof", body.get("type"))
    if isinstance(key, dict):
        text = "typeof " + selector(key.get("typeof", key), "")[0]
    else:
        text = "type " + " . ".join(_words(key))
    if word != "map":
        return text
    data = body["map"]
    if isinstance(data, dict):
        return "%s : %s" % (text, selector(data.get("typeof"), "")[0])
    return "%s : %s" % (text, " . ".join(_words(data)))


def _set_flags(body: dict[str, Any]) -> str:
    """The flags in nft's order; ``timeout`` alone is left out where a timeout says it."""
    given = _words(body.get("flags"))
    if given == ["timeout"] and "timeout" in body:
        return ""
    return ",".join([one for one in ("constant", "dynamic", "interval", "timeout") if one in given])


def _elements(body: dict[str, Any], word: str, family: str) -> list[str]:
    key = _kind({"typeof": body["typeof"]} if "typeof" in body else body["type"])
    if word == "map":
        texts = pair_texts(body["elem"], key, _data_kind(body["map"]), family)
    else:
        texts = element_texts(body["elem"], key, family)
    width = 5 if key in _FIVE_A_LINE else 2 if key in _TWO_A_LINE else 1
    rows = [", ".join(texts[at : at + width]) for at in range(0, len(texts), width)]
    return ("\t\telements = { %s }" % ",\n\t\t\t     ".join(rows)).split("\n")


def render_elements(
    elements: list[Any], key_type: Any, data_type: Any = None, family: str = "inet"
) -> list[str]:
    """One text for each element of a set, or with ``data_type`` (as "map" has it) of a map."""
    if data_type is not None:
        return pair_texts(elements, _kind(key_type), _data_kind(data_type), family)
    return element_texts(elements, _kind(key_type), family)


def _kind(declared: Any) -> Kind:
    if isinstance(declared, dict):
        return selector(declared.get("typeof"), "")[1]
    names = _words(declared)
    if len(names) == 1:
        names = names[0].split(" . ")
    return names[0] if len(names) == 1 else tuple(names)


def _data_kind(declared: Any) -> Kind:
    if isinstance(declared, str):
        if declared in _OBJECT_MAPS:
            return "string"
        if declared.startswith("interval "):
            return _kind(declared[len("interval ") :])
    return _kind(declared)


# objects and flowtables


def render_object(entity: dict[str, Any]) -> list[str]:
    """A stateful object, as lines one tab deep: ``{"counter": {…}}``, ``{"ct helper": {…}}``."""
    (word, body), *_unused = entity.items()
    lines = ["\t%s %s {" % (word, body["name"])]
    if body.get("comment") is not None:
        lines.append("\t\tcomment " + quoted(body["comment"]))
    settings = _OBJECTS.get(word)
    lines += ["\t\t" + one for one in (settings(body) if settings else ["# " + json_text(body)])]
    lines.append("\t}")
    return lines


def _helper(body: dict[str, Any]) -> list[str]:
    lines = ["type %s protocol %s" % (quoted(body["type"]), body["protocol"])]
    return [*lines, "l3proto " + body["l3proto"]] if "l3proto" in body else lines


def _timeout(body: dict[str, Any]) -> list[str]:
    lines = ["%s %s" % (key, body[key]) for key in ("protocol", "l3proto") if key in body]
    policy = ", ".join(["%s : %d" % (state, seconds) for state, seconds in body.get("policy", {}).items()])
    return [*lines, "policy = { %s }" % policy] if policy else lines


def _expectation(body: dict[str, Any]) -> list[str]:
    """libnftables gives this one timeout in milliseconds."""
    lines = ["protocol " + body["protocol"], "dport %d" % body["dport"]]
    lines += ["timeout " + TYPES["time"].text_of(body["timeout"]), "size %d" % body["size"]]
    return [*lines, "l3proto " + body["l3proto"]] if "l3proto" in body else lines


_OBJECTS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "counter": lambda body: [counts_text(body)],
    "quota": lambda body: [volume_text(body)],
    "limit": lambda body: [rate_text(body)],
    "ct helper": _helper,
    "ct timeout": _timeout,
    "ct expectation": _expectation,
    "synproxy": synproxy_options,
    "secmark": lambda body: [quoted(body["context"])],
    "tunnel": tunnel_lines,
}


def _flowtable(body: dict[str, Any]) -> list[str]:
    devices = _words(body.get("dev"))
    lines = ["\tflowtable %s {" % body["name"]]
    priority = render_priority(body.get("prio", 0), "netdev", "ingress")
    lines.append("\t\thook %s priority %s" % (body.get("hook", "ingress"), priority))
    if devices:
        lines.append("\t\tdevices = { %s }" % _device_list(devices))
    flags = _words(body.get("flags"))
    if flags:
        lines.append("\t\tflags " + ",".join(flags))
    if body.get("counter"):
        lines.append("\t\tcounter")
    lines.append("\t}")
    return lines


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
