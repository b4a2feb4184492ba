# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The difference between what the kernel holds and what the document says, as a plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable

from ..nftables import uapi
from ..nftables.statements.stateful import OBJECT_TYPES
from . import compare_chains, compare_elements, compare_sets, references
from .batch import write
from .desired import TABLE_FLAGS, DesiredTable
from .kernel import KernelRule, KernelTable, Picture
from .references import Reference
from .steps import ChainPlan, FlowtablePlan, ObjectPlan, Plan, SetPlan, TablePlan
from .userdata import said


class Leaving:
    """What shall go of tables that are only partly described.

    ``chains`` by name, ``objects`` by libnftables' word for their kind ("ct helper") and name;
    with ``empty`` a table too in which nothing is left. ``others``: every chain and object that
    the document does not name.
    """

    __slots__ = ("chains", "empty", "objects", "others")

    def __init__(
        self,
        chains: Iterable[str] = (),
        objects: Iterable[tuple[str, str]] = (),
        empty: bool = False,
        others: bool = False,
    ) -> None:
        self.chains = frozenset(chains)
        self.objects = frozenset((OBJECT_TYPES[kind], name) for kind, name in objects)
        self.empty = empty
        self.others = others


NOTHING = Leaving()


def make_plan(desired: Iterable[DesiredTable], picture: Picture, leaving: Leaving = NOTHING) -> Plan:
    """The plan that makes the tables in ``picture`` the desired ones."""
    plan = Plan(
        [_plan_table(table, picture.tables.get((table.number, table.name)), leaving) for table in desired],
        picture.generation,
    )
    write(plan)
    return plan


def plan_removal(tables: Iterable[tuple[str, int, str]], picture: Picture) -> Plan:
    """The plan that removes tables, each given as (family, its number, name)."""
    plans = []
    for family, number, name in tables:
        kernel = picture.tables.get((number, name))
        table = TablePlan(family, number, name, kernel, None)
        table.action = "none"
        if kernel is not None:
            _plan_whole_removal(table, kernel)
        plans.append(table)
    plan = Plan(plans, picture.generation)
    write(plan)
    return plan


def _plan_whole_removal(plan: TablePlan, kernel: KernelTable) -> None:
    plan.action = "remove"
    plan.chains = [compare_chains.plan_removal(chain) for chain in kernel.named_chains()]


def _plan_table(desired: DesiredTable, kernel: KernelTable | None, leaving: Leaving) -> TablePlan:
    plan = TablePlan(desired.family, desired.number, desired.name, kernel, desired)
    if kernel is None:
        plan.action = "create" if not desired.partial or desired.chains or desired.sets else "none"
        _plan_all_new(plan, desired)
        return plan
    if not desired.partial and said(kernel.userdata) != said(desired.userdata):
        return _plan_again(desired, kernel)
    changed = 0 if desired.partial else kernel.flags & sum(TABLE_FLAGS.values()) ^ desired.flags
    if changed & uapi.NFT_TABLE_F_PERSIST:
        # nf_tables_updtable() does not change it
        return _plan_again(desired, kernel)
    if changed:
        plan.flags = desired.flags
    again = _made_again(desired, kernel)
    _plan_objects(plan, desired, kernel, again, leaving)
    _plan_flowtables(plan, desired, kernel, again)
    _plan_sets(plan, desired, kernel, again)
    _plan_chains(plan, desired, kernel, again, leaving)
    if leaving.empty and desired.partial and _is_emptied(plan, kernel):
        _plan_whole_removal(plan, kernel)
        return plan
    if plan.flags is not None and any(_touches_hook(chain) for chain in plan.chains):
        # nf_tables_updtable() and nf_tables_addchain() refuse both in one transaction
        return _plan_again(desired, kernel)
    return plan


def _plan_again(desired: DesiredTable, kernel: KernelTable) -> TablePlan:
    """The table removed and made anew."""
    plan = TablePlan(desired.family, desired.number, desired.name, kernel, desired)
    plan.action = "recreate"
    plan.chains = [compare_chains.plan_removal(chain) for chain in kernel.named_chains()]
    _plan_all_new(plan, desired)
    return plan


def _is_emptied(plan: TablePlan, kernel: KernelTable) -> bool:
    """Whether nothing comes into a table, and all that is in it goes; parts of rules go with them."""
    actions = [one.action for part in (plan.objects, plan.flowtables, plan.sets, plan.chains) for one in part]
    held = len(kernel.objects) + len(kernel.flowtables)
    held += sum(1 for one in kernel.sets.values() if not one.flags & uapi.NFT_SET_ANONYMOUS)
    held += len(kernel.named_chains())
    return len(actions) == held and all(action == "remove" for action in actions)


def _touches_hook(plan: ChainPlan) -> bool:
    """Whether a base chain comes, goes or changes its policy."""
    if plan.action == "keep":
        return plan.policy is not None
    return any(chain is not None and chain.hook is not None for chain in (plan.kernel, plan.desired))


def _plan_all_new(plan: TablePlan, desired: DesiredTable) -> None:
    plan.objects += [
        ObjectPlan(kind, name, "create", None, one) for (kind, name), one in desired.objects.items()
    ]
    plan.flowtables += [FlowtablePlan(name, "create", None, one) for name, one in desired.flowtables.items()]
    for name, content in desired.sets.items():
        plan.sets.append(SetPlan(name, "create", None, content))
        plan.sets[-1].add = content.elements
    plan.chains += [compare_chains.plan_creation(chain) for chain in desired.chains.values()]


def _made_again(desired: DesiredTable, kernel: KernelTable) -> set[Reference]:
    """What cannot be changed in place, and the maps that refer to such."""
    again: set[Reference] = set()
    for name, chain in desired.chains.items():
        if name in kernel.chains and compare_chains.must_recreate(kernel.chains[name], chain):
            again.add(("chain", name))
    for key, content in desired.objects.items():
        if key in kernel.objects and not compare_sets.same_object(kernel.objects[key], content):
            again.add(key)
    for name, flowtable in desired.flowtables.items():
        if name in kernel.flowtables and not flowtable.same(kernel.flowtables[name]):
            again.add(("flowtable", name))
    for name, wanted in desired.sets.items():
        held = kernel.sets.get(name)
        if held is not None and not compare_sets.same_properties(held, wanted):
            again.add(("set", name))
    if again:
        for name, held in kernel.sets.items():
            if again.intersection(references.of_elements(held.elements or (), held.object_type)):
                again.add(("set", name))
        for inline in kernel.chains.values():
            if kernel.inline(inline.name) and any(
                again.intersection(references.of_rule(rule.expressions)) for rule in inline.rules
            ):
                again.add(("chain", inline.name))
    return again


def _plan_objects(
    plan: TablePlan,
    desired: DesiredTable,
    kernel: KernelTable,
    again: set[Reference],
    leaving: Leaving,
) -> None:
    for key, held in kernel.objects.items():
        wanted = desired.objects.get(key)
        if wanted is None:
            if not desired.partial or leaving.others or key in leaving.objects:
                plan.objects.append(ObjectPlan(*key, "remove", held, None))
        else:
            plan.objects.append(ObjectPlan(*key, "recreate" if key in again else "keep", held, wanted))
    for key, wanted in desired.objects.items():
        if key not in kernel.objects:
            plan.objects.append(ObjectPlan(*key, "create", None, wanted))


def _plan_flowtables(
    plan: TablePlan, desired: DesiredTable, kernel: KernelTable, again: set[Reference]
) -> None:
    for name, held in kernel.flowtables.items():
        wanted = desired.flowtables.get(name)
        if wanted is None:
            if not desired.partial:
                plan.flowtables.append(FlowtablePlan(name, "remove", held, None))
        else:
            action = "recreate" if ("flowtable", name) in again else "keep"
            plan.flowtables.append(FlowtablePlan(name, action, held, wanted))
    for name, wanted in desired.flowtables.items():
        if name not in kernel.flowtables:
            plan.flowtables.append(FlowtablePlan(name, "create", None, wanted))


def _plan_sets(plan: TablePlan, desired: DesiredTable, kernel: KernelTable, again: set[Reference]) -> None:
    for name, held in kernel.sets.items():
        if held.flags & uapi.NFT_SET_ANONYMOUS:
            continue
        wanted = desired.sets.get(name)
        if wanted is None:
            if not desired.partial:
                plan.sets.append(SetPlan(name, "remove", held, None))
            continue
        one = SetPlan(name, "keep", held, wanted)
        plan.sets.append(one)
        if ("set", name) in again:
            one.action = "recreate"
            one.add = held.elements or [] if name in desired.kept_sets else wanted.elements
        elif name not in desired.kept_sets:
            points = wanted.interval and not wanted.fields
            compare_elements.plan_elements(one, held.elements or [], wanted.elements, points)
    for name, wanted in desired.sets.items():
        if name not in kernel.sets:
            plan.sets.append(SetPlan(name, "create", None, wanted))
            plan.sets[-1].add = wanted.elements


def _plan_chains(
    plan: TablePlan,
    desired: DesiredTable,
    kernel: KernelTable,
    again: set[Reference],
    leaving: Leaving,
) -> None:
    identity = compare_chains.identities(kernel)
    stays = _keepable(again)
    for held in kernel.named_chains():
        name = held.name
        wanted = desired.chains.get(name)
        if wanted is not None and ("chain", name) not in again:
            plan.chains.append(compare_chains.plan_chain(held, wanted, identity, stays))
        elif wanted is not None or leaving.others or name in leaving.chains or not desired.partial:
            plan.chains.append(compare_chains.plan_removal(held))
    for name, wanted in desired.chains.items():
        if name not in kernel.chains or ("chain", name) in again:
            plan.chains.append(compare_chains.plan_creation(wanted))
            if ("chain", name) in again:
                plan.chains[-1].action = "recreate"


def _keepable(again: set[Reference]) -> Callable[[KernelRule], bool] | None:
    """A test for rules that may stay: those that refer to nothing that is made anew; None where all may."""
    if not again:
        return None
    return lambda rule: not again.intersection(references.of_rule(rule.expressions))
