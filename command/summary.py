# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much a plan changes, counted and put into words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

from rempart.netlink.attributes import table as attributes_of
from rempart.nftables import uapi
from rempart.nftables.statements.stateful import OBJECT_TYPES
from rempart.ruleset.desired import POLICY_NAMES
from rempart.ruleset.kernel import KernelRule
from rempart.ruleset.rules import DesiredRule
from rempart.ruleset.steps import ChainPlan, FlowtablePlan, ObjectPlan, Plan, SetPlan, TablePlan

if TYPE_CHECKING:
    from rempart.tunables.plan import Plan as TunablesPlan

Part = Union[ChainPlan, SetPlan, ObjectPlan, FlowtablePlan]

#: what becomes of a table or a part of it: as a change, and in words
_ACTIONS = {
    "create": ("add", "new"),
    "remove": ("remove", "removed"),
    "recreate": ("change", "made anew"),
}
_AHEAD = {"add": "to add", "remove": "to remove", "change": "to change"}
_DONE = {"add": "added", "remove": "removed", "change": "changed"}
_OBJECT_NAMES = {number: name for name, number in OBJECT_TYPES.items()}


class Row:
    """What changes in one part of a table, or in the table itself (``part`` is then empty).

    ``part`` is its kind and name: ``chain input``. ``added`` and ``removed`` count its
    rules or elements (``unit`` says which); ``notes`` says the rest in words,
    ``changes`` as pairs of what ("table", "chain", "policy") and how ("add", "remove",
    "change").
    """

    __slots__ = ("added", "changes", "notes", "part", "removed", "table", "unit")

    def __init__(self, table: str, part: str = "", unit: str = "rule") -> None:
        self.table = table
        self.part = part
        self.unit = unit
        self.added = 0
        self.removed = 0
        self.notes: list[str] = []
        self.changes: list[tuple[str, str]] = []

    def note(self, kind: str, change: str, words: str) -> None:
        """Note a change that is not one of rules or elements."""
        self.changes.append((kind, change))
        self.notes.append(words)


def rows(plan: Plan) -> list[Row]:
    """One row for each table that changes and each part of one; nothing is decoded for it."""
    found: list[Row] = []
    for table in plan.tables:
        if not table.changed:
            continue
        own = _table_row(table)
        if own.notes:
            found.append(own)
        parts: list[Part] = [*table.objects, *table.flowtables, *table.sets, *table.chains]
        found += [_part_row(own.table, part) for part in parts if part.changed]
    return found


def conntrack_rows(plan: TunablesPlan) -> list[Row]:
    """One row for each setting of connection tracking that changes, and each file."""
    from rempart.tunables import describe

    found = []
    for change in describe.changes(plan):
        if change["kind"] == "file":
            row = Row("conntrack", change["path"])
            row.note("file", change["action"], "the file for boot")
        else:
            row = Row("conntrack", change["name"])
            before, after = (str(change[side]).lower() for side in ("before", "after"))
            row.note("setting", "change", "%s, was %s" % (after, before))
        found.append(row)
    return found


def module_rows(changes: list[dict[str, Any]]) -> list[Row]:
    """One row for each kernel module, parameter of one or file that changes."""
    found = []
    for change in changes:
        row = Row("conntrack", change.get("path") or change["module"])
        if change["kind"] == "parameter":
            words = "%s %s, was %s" % (change["parameter"], change["after"], change["before"])
        else:
            words = {"file": "the file for boot", "module": "the kernel module"}[change["kind"]]
        row.note(change["kind"], change["action"], words)
        found.append(row)
    return found


def _table_row(table: TablePlan) -> Row:
    row = Row("%s %s" % (table.family, table.name))
    if table.action in _ACTIONS:
        row.note("table", *_ACTIONS[table.action])
    if table.flags is not None:
        row.note(
            "table", "change", "dormant" if table.flags & uapi.NFT_TABLE_F_DORMANT else "no longer dormant"
        )
    return row


def _part_row(table: str, part: Part) -> Row:
    kind = _kind(part)
    row = Row(table, "%s %s" % (kind, part.name), "element" if isinstance(part, SetPlan) else "rule")
    if part.action in _ACTIONS:
        row.note(kind, *_ACTIONS[part.action])
    if isinstance(part, SetPlan):
        row.added, row.removed = _elements(part.add), _elements(part.remove)
    elif isinstance(part, ChainPlan):
        if part.policy is not None and part.kernel is not None:
            before = POLICY_NAMES.get(part.kernel.policy or 0, "?")
            row.note("policy", "change", "policy %s, was %s" % (POLICY_NAMES[part.policy], before))
        kinds = list(map(type, part.entries))
        row.added, row.removed = kinds.count(DesiredRule), kinds.count(KernelRule)
    return row


def _kind(part: Part) -> str:
    if isinstance(part, ChainPlan):
        return "chain"
    if isinstance(part, FlowtablePlan):
        return "flowtable"
    if isinstance(part, ObjectPlan):
        return _OBJECT_NAMES.get(part.kind, "object")
    flags = part.kernel.flags if part.kernel is not None else part.desired.flags if part.desired else 0
    return "map" if flags & (uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT) else "set"


def _elements(payloads: list[bytes]) -> int:
    """How many elements these are: the point behind an interval is not one of its own."""
    ends = 0
    for payload in payloads:
        flags = int.from_bytes(attributes_of(payload).get(uapi.NFTA_SET_ELEM_FLAGS, b""), "big")
        ends += bool(flags & uapi.NFT_SET_ELEM_INTERVAL_END)
    return len(payloads) - ends


def totals(found: list[Row], ahead: bool) -> str:
    """All rows in a sentence, ``1 chain, 3 rules to add``; ``ahead`` if that is still to be done."""
    parts = []
    for change, verb in (_AHEAD if ahead else _DONE).items():
        counted: dict[str, int] = {}
        for row in found:
            for kind, how in row.changes:
                if how == change:
                    counted[kind] = counted.get(kind, 0) + 1
        for row in found:
            number = {"add": row.added, "remove": row.removed}.get(change, 0)
            counted[row.unit] = counted.get(row.unit, 0) + number
        said = [count(number, kind) for kind, number in counted.items() if number]
        if said:
            parts.append("%s %s" % (", ".join(said), verb))
    return "; ".join(parts)


def words(row: Row, ahead: bool) -> str:
    """One row: ``inet edge, chain input: policy drop, was accept; 1 rule to add``."""
    where = "%s, %s" % (row.table, row.part) if row.part else row.table
    verbs = _AHEAD if ahead else _DONE
    parts = list(row.notes)
    if row.added:
        parts.append("%s %s" % (count(row.added, row.unit), verbs["add"]))
    if row.removed:
        parts.append("%s %s" % (count(row.removed, row.unit), verbs["remove"]))
    return "%s: %s" % (where, "; ".join(parts))


def count(number: int, one: str) -> str:
    """``1 rule``, ``10,000 rules``, ``2 policies``."""
    if number == 1:
        return "1 " + one
    many = one[:-1] + "ies" if one.endswith("y") else one + "s"
    return "%s %s" % (format(number, ","), many)
