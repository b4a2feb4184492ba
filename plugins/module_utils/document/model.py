# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document as tables and chains, and what can be said about it without a kernel.

Rules stay the mappings they were: ``load`` looks only at the keys that tie a
rule to its chain or to another chain.
"""

from __future__ import annotations

from typing import Any

from ..errors import DocumentError, Problem, nearest
from .flat.interfaces import ALLOWED as INTERFACE_ALLOWED
from .flat.interfaces import name_of
from .flat.lowering import COMMENT_LENGTH
from .flat.values import size_of, text
from .placement import CONNTRACK_PRIORITY, check_calls, check_statements
from .priorities import priority_of

FAMILIES = ("inet", "ip", "ip6", "arp", "bridge", "netdev")

HOOKS: dict[str, dict[str, tuple[str, ...]]] = {
    "ip": {
        "filter": ("prerouting", "input", "forward", "output", "postrouting"),
        "nat": ("prerouting", "input", "output", "postrouting"),
        "route": ("output",),
    },
    "arp": {"filter": ("input", "output")},
    "bridge": {"filter": ("prerouting", "input", "forward", "output", "postrouting")},
    "netdev": {"filter": ("ingress", "egress")},
}
HOOKS["ip6"] = HOOKS["ip"]
HOOKS["inet"] = {**HOOKS["ip"], "filter": (*HOOKS["ip"]["filter"], "ingress")}
"""The hooks of each type of chain by family (net/netfilter/nft_chain_filter.c, _nat.c, _route.c)."""

DEVICE_HOOKS = ("ingress", "egress")

NAME_LENGTH = 255
"""NFT_NAME_MAXLEN of linux/netfilter/nf_tables.h, less the closing NUL."""

DEVICES = 256
"""NFT_NETDEVICE_MAX of net/netfilter/nf_tables_api.c."""

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.")
_FURTHER = _FIRST | frozenset("0123456789/-\\")

TABLE_KEYS = ("name", "family", "comment", "flags", "chains", "sets")
CHAIN_KEYS = ("name", "type", "hook", "priority", "policy", "device", "devices", "comment", "rules")


class Chain:
    """A chain; ``type``, ``hook`` and ``policy`` are empty for a user chain.

    ``rules`` are the document's mappings, untouched. ``place`` is the chain's path in the document.
    """

    __slots__ = ("comment", "devices", "hook", "name", "place", "policy", "priority", "rules", "type")

    def __init__(
        self,
        name: str,
        type: str = "",
        hook: str = "",
        priority: int = 0,
        policy: str = "",
        devices: tuple[str, ...] = (),
        comment: str = "",
        rules: list[dict[str, Any]] | None = None,
        place: str = "",
    ) -> None:
        self.name = name
        self.type = type
        self.hook = hook
        self.priority = priority
        self.policy = policy
        self.devices = devices
        self.comment = comment
        self.rules: list[dict[str, Any]] = rules if rules is not None else []
        self.place = place

    @property
    def is_base(self) -> bool:
        """Whether packets enter it from a hook."""
        return self.hook != ""


class Table:
    """A table, owned whole. ``flags`` holds "dormant" or nothing; ``sets`` is as the document has it."""

    __slots__ = ("chains", "comment", "family", "flags", "name", "place", "sets")

    def __init__(
        self,
        family: str,
        name: str,
        comment: str = "",
        flags: tuple[str, ...] = (),
        chains: list[Chain] | None = None,
        sets: list[dict[str, Any]] | None = None,
        place: str = "",
    ) -> None:
        self.family = family
        self.name = name
        self.comment = comment
        self.flags = flags
        self.chains: list[Chain] = chains if chains is not None else []
        self.sets: list[dict[str, Any]] = sets if sets is not None else []
        self.place = place


def load(document: Any) -> list[Table]:
    """The tables of a document. Raises DocumentError with every problem found.

    Whatever the schema would refuse is refused here too, but for the rules' own
    keys: those are for ``flat.lower``.
    """
    problems: list[Problem] = []
    tables: list[Table] = []
    if not isinstance(document, dict):
        raise DocumentError("a document is a mapping with the key 'tables'", found=document)
    _known(document, ("tables",), "", problems)
    if "tables" not in document:
        problems.append(Problem("the key 'tables' is missing", allowed="a list of tables"))
    seen: dict[tuple[str, str], str] = {}
    for index, one in enumerate(_list(document.get("tables", []), "tables", problems)):
        place = "tables[%d]" % index
        table = _table(one, place, problems)
        if table is None:
            continue
        tables.append(table)
        key = (table.family, table.name)
        if key in seen:
            problems.append(
                Problem(
                    "a second table of this family and name; the first is %s" % seen[key],
                    place + ".name",
                    table.name,
                )
            )
        seen.setdefault(key, place)
    if problems:
        raise DocumentError.of(problems)
    return tables


def _known(value: dict[str, Any], keys: tuple[str, ...], place: str, problems: list[Problem]) -> None:
    for key in value:
        if key not in keys:
            problem = Problem("unknown key", str(key), value[key], ", ".join(keys), nearest(str(key), keys))
            problems.append(problem.at(place))


def _list(value: Any, place: str, problems: list[Problem]) -> list[Any]:
    if isinstance(value, list):
        return value
    problems.append(Problem("no list", place, value, "a list"))
    return []


def _name(value: dict[str, Any], what: str, place: str, problems: list[Problem]) -> str:
    if "name" not in value:
        problems.append(Problem("the key 'name' is missing", place, allowed="the %s's name" % what))
        return ""
    name = value["name"]
    place += ".name"
    if not isinstance(name, str):
        problems.append(Problem("the name of a %s is a text" % what, place, name, cure="quote it"))
        return ""
    size = size_of(name)
    if not 0 < size <= NAME_LENGTH:
        message = "the name is too long: %d bytes" % size if size else "an empty name"
        problems.append(Problem(message, place, name, "1 to %d bytes" % NAME_LENGTH))
    elif name[0] not in _FIRST or not _FURTHER.issuperset(name):
        problems.append(
            Problem(
                "nft could not write this name",
                place,
                name,
                "a letter, _ or . first, then letters, digits and _ . - / \\",
            )
        )
    return name


def _comment(value: dict[str, Any], place: str, problems: list[Problem]) -> str:
    try:
        return text(value.get("comment", ""), COMMENT_LENGTH, "the comment")
    except DocumentError as error:
        problems.extend(error.at(place + ".comment").problems)
        return ""


def _choice(
    value: dict[str, Any], key: str, known: tuple[str, ...], default: str, place: str, problems: list[Problem]
) -> str:
    word = value.get(key, default)
    if isinstance(word, str) and (word in known or word == default):
        return word
    problems.append(
        Problem("no such %s" % key, "%s.%s" % (place, key), word, ", ".join(known), nearest(str(word), known))
    )
    return default


def _table(value: Any, place: str, problems: list[Problem]) -> Table | None:
    if not isinstance(value, dict):
        problems.append(Problem("a table is a mapping", place, value, ", ".join(TABLE_KEYS)))
        return None
    _known(value, TABLE_KEYS, place, problems)
    table = Table(
        _choice(value, "family", FAMILIES, "inet", place, problems),
        _name(value, "table", place, problems),
        _comment(value, place, problems),
        _flags(value, place, problems),
        place=place,
    )
    if value.get("sets"):
        problems.append(
            Problem(
                "named sets cannot be declared yet",
                place + ".sets",
                value["sets"],
                cure="write the values as a list in the rule",
            )
        )
    elif "sets" in value:
        _list(value["sets"], place + ".sets", problems)
    before = len(problems)
    for index, one in enumerate(_list(value.get("chains", []), place + ".chains", problems)):
        chain = _chain(one, table, "%s.chains[%d]" % (place, index), problems)
        if chain is not None:
            table.chains.append(chain)
    _check_names(table, problems)
    if len(problems) == before:
        calls = check_calls(table, problems)
        if len(problems) == before:
            check_statements(table, calls, problems)
    return table


def _flags(value: dict[str, Any], place: str, problems: list[Problem]) -> tuple[str, ...]:
    flags = _list(value.get("flags", []), place + ".flags", problems)
    for index, flag in enumerate(flags):
        if flag != "dormant":
            problems.append(Problem("no flag of a table", "%s.flags[%d]" % (place, index), flag, "dormant"))
    return ("dormant",) if "dormant" in flags else ()


def _check_names(table: Table, problems: list[Problem]) -> None:
    seen: dict[str, str] = {}
    for chain in table.chains:
        if chain.name and chain.name in seen:
            problems.append(
                Problem(
                    "a second chain of this name; the first is %s" % seen[chain.name],
                    chain.place + ".name",
                    chain.name,
                )
            )
        seen.setdefault(chain.name, chain.place)


def _chain(value: Any, table: Table, place: str, problems: list[Problem]) -> Chain | None:
    if not isinstance(value, dict):
        problems.append(Problem("a chain is a mapping", place, value, ", ".join(CHAIN_KEYS)))
        return None
    _known(value, CHAIN_KEYS, place, problems)
    chain = Chain(
        _name(value, "chain", place, problems), comment=_comment(value, place, problems), place=place
    )
    chain.rules = _list(value.get("rules", []), place + ".rules", problems)
    if "hook" in value:
        _base_chain(value, chain, table.family, problems)
    else:
        for key in ("type", "priority", "policy", "device", "devices"):
            if key in value:
                problems.append(
                    Problem(
                        "a chain without a hook has no %s" % key,
                        "%s.%s" % (place, key),
                        value[key],
                        cure="add a hook, or leave out %s" % key,
                    )
                )
    return chain


def _base_chain(value: dict[str, Any], chain: Chain, family: str, problems: list[Problem]) -> None:
    place = chain.place
    types = HOOKS[family]
    hooks = tuple(dict.fromkeys(hook for some in types.values() for hook in some))
    chain.type = "filter"
    kind, hook = value.get("type", "filter"), value["hook"]
    if not isinstance(kind, str) or kind not in HOOKS["ip"]:
        problems.append(Problem("no type of a chain", place + ".type", kind, ", ".join(HOOKS["ip"])))
    elif kind not in types:
        problems.append(
            Problem(
                "a table of family %s has no chains of type %s" % (family, kind),
                place + ".type",
                kind,
                ", ".join(types),
            )
        )
    elif not isinstance(hook, str) or hook not in types[kind]:
        elsewhere = isinstance(hook, str) and hook in hooks
        message = (
            "a chain of type %s does not go on hook %s" % (kind, hook)
            if elsewhere
            else "no hook of a table of family %s" % family
        )
        problems.append(
            Problem(message, place + ".hook", hook, ", ".join(types[kind]), nearest(str(hook), hooks))
        )
    else:
        chain.type = kind
    chain.hook = str(hook)
    try:
        chain.priority = priority_of(value.get("priority", "filter"), family)
    except DocumentError as error:
        problems.extend(error.at(place + ".priority").problems)
    if chain.type == "nat" and chain.priority <= CONNTRACK_PRIORITY:
        problems.append(
            Problem(
                "translation comes after connection tracking",
                place + ".priority",
                value.get("priority"),
                "more than %d" % CONNTRACK_PRIORITY,
            )
        )
    chain.policy = _choice(value, "policy", ("accept", "drop"), "accept", place, problems)
    _devices(value, chain, problems)


def _devices(value: dict[str, Any], chain: Chain, problems: list[Problem]) -> None:
    place = chain.place
    given = [key for key in ("device", "devices") if key in value]
    if chain.hook not in DEVICE_HOOKS:
        for key in given:
            problems.append(
                Problem(
                    "a chain on hook %s has no %s" % (chain.hook, key),
                    "%s.%s" % (place, key),
                    value[key],
                    cure="match the interface in its rules: iifname, oifname",
                )
            )
        return
    if len(given) != 1:
        message = "device beside devices" if given else "a chain on hook %s needs a device" % chain.hook
        problems.append(Problem(message, place, allowed="device: name, or devices: [names]"))
        return
    key = given[0]
    devices = value[key] if key == "devices" else [value[key]]
    if not isinstance(devices, list) or not 0 < len(devices) <= DEVICES:
        problems.append(
            Problem("no devices", place + ".devices", devices, "a list of 1 to %d names" % DEVICES)
        )
        return
    for index, device in enumerate(devices):
        where = "%s.devices[%d]" % (place, index) if key == "devices" else place + ".device"
        try:
            if name_of(device).endswith("*"):
                raise DocumentError(
                    "a chain is bound to whole names", found=device, allowed=INTERFACE_ALLOWED
                )
        except DocumentError as error:
            problems.extend(error.at(where).problems)
            continue
        if device in devices[:index]:
            problems.append(Problem("the same device twice", where, device))
    chain.devices = tuple(str(device) for device in devices)
