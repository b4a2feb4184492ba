# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a table declares beside its chains, read and checked as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import DocumentError, Problem
from .declared import OBJECTS, DeclaredSet
from .fields import note_repetitions, read_list
from .flat.references import check_object

if TYPE_CHECKING:
    from .model import Table


def declare(value: dict[str, Any], table: Table, problems: list[Problem]) -> None:
    """Read the sets, maps, objects and flowtables of a table's mapping into ``table``."""
    for plural, word in (("sets", "set"), ("maps", "map")):
        if plural in value:
            from .sets import read_set

            for place, item in _items(value, plural, table.place, problems):
                one = read_set(item, word, table.family, place, problems)
                if one is not None:
                    table.sets.append(one)
    for plural, kind in OBJECTS.items():
        if plural in value:
            from .objects import read_object

            made = []
            for place, item in _items(value, plural, table.place, problems):
                found = read_object(item, kind, table.family, place, problems)
                if found is not None:
                    made.append(found)
            note_repetitions(made, kind, problems)
            table.objects += made
    if "flowtables" in value:
        from .flowtables import read_flowtable

        for place, item in _items(value, "flowtables", table.place, problems):
            flowtable = read_flowtable(item, table.family, place, problems)
            if flowtable is not None:
                table.flowtables.append(flowtable)
        note_repetitions(table.flowtables, "flowtable", problems)
    note_repetitions(table.sets, "set or map", problems)
    _check_objects(table, problems)


def _items(value: dict[str, Any], key: str, place: str, problems: list[Problem]) -> list[tuple[str, Any]]:
    place = "%s.%s" % (place, key)
    return [
        ("%s[%d]" % (place, index), one) for index, one in enumerate(read_list(value[key], place, problems))
    ]


def _check_objects(table: Table, problems: list[Problem]) -> None:
    """Note every object that a map names and the table does not have."""
    kinds = OBJECTS.values()
    declared = None
    for one in table.sets:
        if not one.data or one.data[0] not in kinds:
            continue
        declared = declared or table.declared()
        for name in dict.fromkeys(pair[1] for pair in one.json.get("elem", ())):
            try:
                check_object(one.data[0], name, declared)
            except DocumentError as error:
                problems.extend(error.at(one.place + ".elements").problems)


def fill_by_packets(table: Table, updates: dict[str, tuple[str, bool]], problems: list[Problem]) -> None:
    """Fit the sets that rules add to: they are dynamic, and have a size.

    ``updates`` names them, each with the place of a rule and whether some rule gives a timeout.
    """
    sets = {one.name: one for one in table.sets}
    for name, (place, timed) in updates.items():
        one = sets.get(name)
        if one is not None:
            _make_dynamic(one, place, timed, problems)


SIZE = 0xFFFF
"""nft_dynset_init() of net/netfilter/nft_dynset.c gives a set without a size this one."""


def _make_dynamic(one: DeclaredSet, place: str, timed: bool, problems: list[Problem]) -> None:
    flags = set(one.json.get("flags", ()))
    for flag, why in (("constant", "constant"), ("interval", "a set of intervals")):
        if flag in flags:
            problems.append(
                Problem(
                    "a rule cannot change this set, which is %s" % why,
                    place,
                    one.name,
                    cure="the set is %s" % one.place,
                )
            )
            return
    flags.add("dynamic")
    if timed:
        flags.add("timeout")
    one.json["flags"] = [flag for flag in ("constant", "dynamic", "interval", "timeout") if flag in flags]
    one.json.setdefault("size", SIZE)
