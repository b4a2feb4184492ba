# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The difference between what the kernel holds and what the document says, as a plan.

A plan has the messages of one transaction, and for each message what it is for,
so that a refusal can name the document's rule. Rules that stay keep their handle
and counters; what must go is deleted before what must come is made.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Callable

from ..nftables import uapi
from ..nftables.expressions import Verdict, decode_list
from . import canonical, messages, sequence
from .canonical import Canonical
from .desired import DesiredChain, DesiredTable
from .kernel import KernelChain, KernelRule, KernelTable, Picture
from .rules import DesiredRule

_SET_ID = struct.Struct(">I")


class Kept:
    """A rule that stays: the kernel's and the document's."""

    __slots__ = ("desired", "kernel")

    def __init__(self, kernel: KernelRule, desired: DesiredRule) -> None:
        self.kernel = kernel
        self.desired = desired


class ChainPlan:
    """What becomes of one chain.

    ``action``: "keep", "create", "remove" or "recreate"; ``entries`` are the rules in
    their final order with what goes in between: a Kept, a DesiredRule (to come) or a
    KernelRule (to go).
    """

    __slots__ = ("action", "desired", "entries", "kernel", "name", "policy")

    def __init__(
        self, name: str, action: str, kernel: KernelChain | None, desired: DesiredChain | None
    ) -> None:
        self.name = name
        self.action = action
        self.kernel = kernel
        self.desired = desired
        self.entries: list[Kept | DesiredRule | KernelRule] = []
        self.policy: int | None = None

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return (
            self.action != "keep"
            or self.policy is not None
            or any(not isinstance(entry, Kept) for entry in self.entries)
        )


class TablePlan:
    """What becomes of one table: ``action`` is "keep", "create", "remove", "recreate" or "none"."""

    __slots__ = ("action", "chains", "desired", "family", "flags", "kernel", "name", "number")

    def __init__(
        self, family: str, number: int, name: str, kernel: KernelTable | None, desired: DesiredTable | None
    ) -> None:
        self.family = family
        self.number = number
        self.name = name
        self.kernel = kernel
        self.desired = desired
        self.action = "keep"
        self.flags: int | None = None
        self.chains: list[ChainPlan] = []

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return (
            self.action not in ("keep", "none")
            or self.flags is not None
            or any(chain.changed for chain in self.chains)
        )


class Purpose:
    """What one message of the transaction is for."""

    __slots__ = ("chain", "rule", "table")

    def __init__(
        self,
        table: TablePlan,
        chain: ChainPlan | None = None,
        rule: DesiredRule | KernelRule | None = None,
    ) -> None:
        self.table = table
        self.chain = chain
        self.rule = rule


class Plan:
    """The difference of some tables, and the transaction that removes it."""

    __slots__ = ("batch", "generation", "purposes", "tables")

    def __init__(self, tables: list[TablePlan], generation: int) -> None:
        self.tables = tables
        self.generation = generation
        self.batch: list[bytes] = []
        self.purposes: list[Purpose] = []
        set_id = 0
        for table in tables:
            set_id = _write_table(self, table, set_id)

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.batch)

    def add(self, message: bytes, purpose: Purpose) -> None:
        """Append one message of the transaction."""
        self.batch.append(message)
        self.purposes.append(purpose)


def make_plan(desired: Iterable[DesiredTable], picture: Picture, remove_chains: Iterable[str] = ()) -> Plan:
    """The plan that makes the tables in ``picture`` the desired ones.

    ``remove_chains`` names chains that shall go, of tables that are only partly
    described.
    """
    tables = []
    for table in desired:
        kernel = picture.tables.get((table.number, table.name))
        tables.append(_plan_table(table, kernel, frozenset(remove_chains)))
    return Plan(tables, picture.generation)


def plan_removal(tables: Iterable[tuple[str, int, str]], picture: Picture) -> Plan:
    """The plan that removes tables, each given as (family, its number, name)."""
    plans = []
    for family, number, name in tables:
        plan = TablePlan(family, number, name, picture.tables.get((number, name)), None)
        plan.action = "remove" if plan.kernel is not None else "none"
        if plan.kernel is not None:
            plan.chains = [_removal(chain) for chain in plan.kernel.chains.values()]
        plans.append(plan)
    return Plan(plans, picture.generation)


def _plan_table(desired: DesiredTable, kernel: KernelTable | None, remove: frozenset[str]) -> TablePlan:
    plan = TablePlan(desired.family, desired.number, desired.name, kernel, desired)
    if kernel is None:
        plan.action = "create" if desired.chains or not desired.partial else "none"
        plan.chains = [_creation(chain) for chain in desired.chains.values()]
        return plan
    if not desired.partial and kernel.userdata != desired.userdata:
        plan.action = "recreate"
        plan.chains = [_removal(chain) for chain in kernel.chains.values()]
        plan.chains += [_creation(chain) for chain in desired.chains.values()]
        return plan
    if not desired.partial and kernel.flags & uapi.NFT_TABLE_F_DORMANT != desired.flags:
        plan.flags = desired.flags
    identity = _set_identities(kernel)
    again = {
        name
        for name, chain in desired.chains.items()
        if name in kernel.chains and _must_recreate(kernel.chains[name], chain)
    }
    for name, chain in kernel.chains.items():
        wanted = desired.chains.get(name)
        if wanted is not None and name not in again:
            plan.chains.append(_plan_chain(chain, wanted, identity, again))
        elif wanted is not None or name in remove or not desired.partial:
            plan.chains.append(_removal(chain))
    for name, wanted in desired.chains.items():
        if name not in kernel.chains or name in again:
            plan.chains.append(_creation(wanted))
            if name in again:
                plan.chains[-1].action = "recreate"
    return plan


def _must_recreate(kernel: KernelChain, desired: DesiredChain) -> bool:
    """Whether the chain differs in what the kernel cannot change: type, hook, priority, devices, comment."""
    if kernel.userdata != desired.userdata:
        return True
    if kernel.hook is None or desired.hook is None:
        return kernel.hook is not desired.hook
    return (
        kernel.kind != desired.kind
        or kernel.hook.number != desired.hook.number
        or kernel.hook.priority != desired.hook.priority
        or sorted(kernel.hook.devices) != sorted(desired.hook.devices)
    )


def _creation(chain: DesiredChain) -> ChainPlan:
    plan = ChainPlan(chain.name, "create", None, chain)
    plan.entries.extend(chain.rules)
    return plan


def _removal(chain: KernelChain) -> ChainPlan:
    plan = ChainPlan(chain.name, "remove", chain, None)
    plan.entries.extend(chain.rules)
    return plan


def _set_identities(table: KernelTable) -> Callable[[str], Any]:
    known: dict[str, Any] = {}

    def identity(name: str) -> Any:
        if name not in known:
            found = table.sets.get(name)
            known[name] = name if found is None else canonical.kernel_set_identity(found)
        return known[name]

    return identity


def _plan_chain(
    kernel: KernelChain, desired: DesiredChain, identity: Callable[[str], Any], again: set[str]
) -> ChainPlan:
    plan = ChainPlan(kernel.name, "keep", kernel, desired)
    if desired.policy is not None and kernel.policy != desired.policy:
        plan.policy = desired.policy
    old, new = kernel.rules, desired.rules
    stays = _keepable(again)
    start = 0
    limit = min(len(old), len(new))
    same = canonical.same
    while (
        start < limit and same(old[start].expressions, old[start].userdata, new[start]) and stays(old[start])
    ):
        start += 1
    end = 0
    limit -= start
    while (
        end < limit
        and same(old[-1 - end].expressions, old[-1 - end].userdata, new[-1 - end])
        and stays(old[-1 - end])
    ):
        end += 1
    plan.entries = [Kept(old[index], new[index]) for index in range(start)]
    plan.entries += _merge(old[start : len(old) - end], new[start : len(new) - end], identity, stays)
    plan.entries += [Kept(old[index - end], new[index - end]) for index in range(end)]
    return plan


def _merge(
    old: list[KernelRule],
    new: list[DesiredRule],
    identity: Callable[[str], Any],
    stays: Callable[[KernelRule], bool],
) -> list[Kept | DesiredRule | KernelRule]:
    if not old or not new:
        return [*old, *new]
    old_keys: list[Canonical | int] = [
        canonical.of_kernel(rule.expressions, rule.userdata, identity) if stays(rule) else rule.handle
        for rule in old
    ]
    new_keys = [canonical.of_desired(rule) for rule in new]
    entries: list[Kept | DesiredRule | KernelRule] = []
    before_old = before_new = 0
    for index, number in sequence.common(old_keys, new_keys):
        entries += old[before_old:index]
        entries += new[before_new:number]
        entries.append(Kept(old[index], new[number]))
        before_old, before_new = index + 1, number + 1
    entries += old[before_old:]
    entries += new[before_new:]
    return entries


def _keepable(again: set[str]) -> Callable[[KernelRule], bool]:
    """A test for rules that may stay: those that do not jump to a chain that is made anew."""
    if not again:
        return lambda rule: True
    return lambda rule: not again.intersection(targets(rule.expressions))


def targets(expressions: bytes) -> list[str]:
    """The chains that a rule's immediate verdicts name."""
    found = []
    for one in decode_list(expressions):
        data = one.__dict__.get("data")
        if isinstance(data, Verdict) and data.chain is not None:
            found.append(data.chain)
    return found


def _write_table(plan: Plan, table: TablePlan, set_id: int) -> int:
    number, name = table.number, table.name
    whole = Purpose(table)
    if table.action in ("none",) or not table.changed:
        return set_id
    if table.action in ("remove", "recreate"):
        assert table.kernel is not None
        plan.add(messages.delete_table(number, name), whole)
        if table.action == "remove":
            return set_id
    desired = table.desired
    assert desired is not None
    if table.action in ("create", "recreate"):
        plan.add(messages.new_table(number, name, desired.flags, desired.userdata, exclusive=True), whole)
    elif table.flags is not None:
        plan.add(messages.new_table(number, name, table.flags), whole)
    if table.action == "keep":
        _write_departures(plan, table)
    for chain in table.chains:
        _write_chain(plan, table, chain)
    for chain in table.chains:
        if chain.action != "remove":
            set_id = _write_arrivals(plan, table, chain, set_id)
    return set_id


def _write_departures(plan: Plan, table: TablePlan) -> None:
    number, name = table.number, table.name
    for chain in table.chains:
        if chain.action == "remove":
            if chain.entries:
                plan.add(messages.flush_chain(number, name, chain.name), Purpose(table, chain))
            continue
        for entry in chain.entries:
            if isinstance(entry, KernelRule):
                plan.add(
                    messages.delete_rule(number, name, chain.name, entry.handle), Purpose(table, chain, entry)
                )
    for chain in table.chains:
        if chain.action == "remove":
            plan.add(messages.delete_chain(number, name, chain.name), Purpose(table, chain))


def _write_chain(plan: Plan, table: TablePlan, chain: ChainPlan) -> None:
    desired = chain.desired
    if desired is None or chain.action == "remove":
        return
    if chain.action in ("create", "recreate"):
        plan.add(
            messages.new_chain(
                table.number,
                table.name,
                chain.name,
                desired.hook,
                desired.kind,
                desired.policy,
                userdata=desired.userdata,
                exclusive=True,
            ),
            Purpose(table, chain),
        )
    elif chain.policy is not None:
        plan.add(
            messages.new_chain(
                table.number, table.name, chain.name, desired.hook, desired.kind, chain.policy
            ),
            Purpose(table, chain),
        )


def _write_arrivals(plan: Plan, table: TablePlan, chain: ChainPlan, set_id: int) -> int:
    """Rules to come, each before the next rule that stays, or at the end of the chain."""
    following = 0
    places = []
    for entry in reversed(chain.entries):
        if isinstance(entry, Kept):
            following = entry.kernel.handle
        elif isinstance(entry, DesiredRule):
            places.append((entry, following))
    number, name = table.number, table.name
    for entry, before in reversed(places):
        purpose = Purpose(table, chain, entry)
        expressions = entry.expressions
        if entry.sets:
            for content in entry.sets:
                plan.add(
                    messages.new_set(
                        number,
                        name,
                        content.name,
                        set_id + content.set_id,
                        content.key_type,
                        content.key_length,
                        content.flags,
                        content.data_type,
                        content.data_length or 0,
                        content.object_type or 0,
                        size=len(content.elements),
                        fields=content.fields,
                        userdata=content.userdata(),
                    ),
                    purpose,
                )
                for message in messages.new_elements(
                    number, name, content.name, content.elements, set_id + content.set_id
                ):
                    plan.add(message, purpose)
            expressions = _numbered(entry, set_id)
            set_id += len(entry.sets)
        plan.add(
            messages.new_rule(number, name, chain.name, expressions, entry.userdata, before=before), purpose
        )
    return set_id


def _numbered(rule: DesiredRule, first: int) -> bytes:
    """The rule's expressions with its sets' numbers in this transaction."""
    expressions = bytearray(rule.expressions)
    for offset in rule.set_ids:
        own = _SET_ID.unpack_from(expressions, offset)[0]
        _SET_ID.pack_into(expressions, offset, first + own)
    return bytes(expressions)
