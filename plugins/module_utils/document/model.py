# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document as tables and chains, and what can be said about it without a kernel.

Rules stay the mappings they were: ``load`` looks only at the keys that tie a
rule to its chain or to another chain.
"""

from __future__ import annotations

from typing import Any

from ..errors import DocumentError, Problem, nearest
from .by_keys import ByKeys, by_keys
from .declared import OBJECTS, Declared, DeclaredFlowtable, DeclaredObject, DeclaredSet
from .devices import read_devices
from .fields import (
    note_repetitions,
    note_unknown,
    read_choice,
    read_comment,
    read_flags,
    read_list,
    read_name,
)
from .placement import CONNTRACK_PRIORITY, check_calls, check_statements, updates
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

DOCUMENT_KEYS = ("tables", "conntrack")
DECLARING = ("sets", "maps", *OBJECTS, "flowtables")
TABLE_KEYS = ("name", "family", "comment", "flags", "chains", *DECLARING)
CHAIN_KEYS = ("name", "type", "hook", "priority", "policy", "device", "devices", "flags", "comment", "rules")
TABLE_FLAGS = ("dormant", "persist")
CHAIN_FLAGS = ("offload",)


class Chain:
    """A chain; ``type``, ``hook`` and ``policy`` are empty for a user chain.

    ``rules`` are the document's mappings, untouched. ``place`` is the chain's path in the document.
    """

    __slots__ = (
        "_by_keys",
        "comment",
        "devices",
        "flags",
        "hook",
        "name",
        "place",
        "policy",
        "priority",
        "rules",
        "type",
    )

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
        flags: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.flags = flags
        self.type = type
        self.hook = hook
        self.priority = priority
        self.policy = policy
        self.devices = devices
        self.comment = comment
        self.rules: list[dict[str, Any]] = rules if rules is not None else []
        self.place = place
        self._by_keys: ByKeys | None = None

    @property
    def by_keys(self) -> ByKeys:
        """The indices of its rules by their keys, from when they are first asked for."""
        if self._by_keys is None:
            self._by_keys = by_keys(self.rules)
        return self._by_keys

    @property
    def is_base(self) -> bool:
        """Whether packets enter it from a hook."""
        return self.hook != ""


class Table:
    """A table. ``flags`` are of TABLE_FLAGS; ``sets`` are sets and maps.

    ``partial``: what the document does not name may be in the table all the same.
    """

    __slots__ = (
        "chains",
        "comment",
        "family",
        "flags",
        "flowtables",
        "name",
        "objects",
        "partial",
        "place",
        "sets",
    )

    def __init__(
        self,
        family: str,
        name: str,
        comment: str = "",
        flags: tuple[str, ...] = (),
        chains: list[Chain] | None = None,
        sets: list[DeclaredSet] | None = None,
        objects: list[DeclaredObject] | None = None,
        flowtables: list[DeclaredFlowtable] | None = None,
        place: str = "",
        partial: bool = False,
    ) -> None:
        self.family = family
        self.name = name
        self.comment = comment
        self.flags = flags
        self.chains: list[Chain] = chains if chains is not None else []
        self.sets: list[DeclaredSet] = sets if sets is not None else []
        self.objects: list[DeclaredObject] = objects if objects is not None else []
        self.flowtables: list[DeclaredFlowtable] = flowtables if flowtables is not None else []
        self.place = place
        self.partial = partial

    def declared(self) -> Declared:
        """What the table's rules may refer to by name: for ``flat.lower``."""
        objects: dict[str, dict[str, DeclaredObject]] = {}
        for one in self.objects:
            objects.setdefault(one.type, {})[one.name] = one
        return Declared(
            {one.name: one for one in self.sets},
            objects,
            {one.name: one for one in self.flowtables},
            not self.partial,
        )


def load(document: Any, partial: bool = False) -> list[Table]:
    """The tables of a document. Raises DocumentError with every problem found.

    Whatever the schema would refuse is refused here too, but for the rules' own
    keys: those are for ``flat.lower``. ``partial``: the document names only some of
    what is in its tables, so jumps and references may lead to what it does not name.
    ``conntrack``, beside or instead of ``tables``, is for ``tunables.settings``.
    """
    problems: list[Problem] = []
    tables: list[Table] = []
    if not isinstance(document, dict):
        raise DocumentError("a document is a mapping with the key 'tables' or 'conntrack'", found=document)
    note_unknown(document, DOCUMENT_KEYS, "", problems)
    if document.keys().isdisjoint(DOCUMENT_KEYS):
        problems.append(Problem("the key 'tables' is missing", allowed="a list of tables"))
    seen: dict[tuple[str, str], str] = {}
    for index, one in enumerate(read_list(document.get("tables", []), "tables", problems)):
        place = "tables[%d]" % index
        table = _table(one, place, partial, problems)
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


def _table(value: Any, place: str, partial: bool, problems: list[Problem]) -> Table | None:
    if not isinstance(value, dict):
        problems.append(Problem("a table is a mapping", place, value, ", ".join(TABLE_KEYS)))
        return None
    note_unknown(value, TABLE_KEYS, place, problems)
    table = Table(
        read_choice(value, "family", FAMILIES, "inet", place, problems),
        read_name(value, "table", place, problems),
        read_comment(value, place, problems),
        tuple(_table_flags(value, place, problems)),
        place=place,
        partial=partial,
    )
    if not value.keys().isdisjoint(DECLARING):
        from .declarations import declare

        declare(value, table, problems)
    before = len(problems)
    for index, one in enumerate(read_list(value.get("chains", []), place + ".chains", problems)):
        chain = _chain(one, table, "%s.chains[%d]" % (place, index), problems)
        if chain is not None:
            table.chains.append(chain)
    note_repetitions(table.chains, "chain", problems)
    if len(problems) == before:
        calls = check_calls(table, problems)
        if len(problems) == before:
            check_statements(table, calls, problems)
    if table.sets:
        from .declarations import fill_by_packets

        fill_by_packets(table, updates(table), problems)
    return table


def _table_flags(value: dict[str, Any], place: str, problems: list[Problem]) -> list[str]:
    flags = value.get("flags")
    if isinstance(flags, list) and "owner" in flags:
        problems.append(
            Problem(
                "a table with an owner goes when the process that made it ends, as rempart does",
                "%s.flags[%d]" % (place, flags.index("owner")),
                "owner",
                ", ".join(TABLE_FLAGS),
                "leave it out",
            )
        )
        value = {**value, "flags": [flag for flag in flags if flag != "owner"]}
    return read_flags(value, TABLE_FLAGS, "table", place, problems)


def _chain(value: Any, table: Table, place: str, problems: list[Problem]) -> Chain | None:
    if not isinstance(value, dict):
        problems.append(Problem("a chain is a mapping", place, value, ", ".join(CHAIN_KEYS)))
        return None
    note_unknown(value, CHAIN_KEYS, place, problems)
    chain = Chain(
        read_name(value, "chain", place, problems), comment=read_comment(value, place, problems), place=place
    )
    chain.rules = read_list(value.get("rules", []), place + ".rules", problems)
    if "hook" in value:
        _base_chain(value, chain, table.family, problems)
    else:
        for key in ("type", "priority", "policy", "device", "devices", "flags"):
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
    chain.flags = tuple(read_flags(value, CHAIN_FLAGS, "chain", place, problems))
    if "offload" in chain.flags and hook != "ingress":
        problems.append(
            Problem(
                "only what comes in can be left to the device",
                place + ".flags",
                value["flags"],
                "hook: ingress",
            )
        )
    chain.policy = read_choice(value, "policy", ("accept", "drop"), "accept", place, problems)
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
    chain.devices = read_devices(value[given[0]], "%s.%s" % (place, given[0]), problems)
