# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan written out as the messages of one transaction.

The kernel takes them one by one, so what refers goes before what it refers to,
and comes after it: rules leave first and arrive last.
"""

from __future__ import annotations

import struct

from ..nftables import uapi
from ..nftables.sets import SetContent
from . import messages
from .kernel import KernelRule
from .rules import DesiredRule
from .steps import ChainPlan, FlowtablePlan, Kept, ObjectPlan, Plan, Purpose, SetPlan, TablePlan
from .userdata import comment_userdata

_NUMBER = struct.Struct(">I")
_LEAVING = ("remove", "recreate")
_ARRIVING = ("create", "recreate")


class _Numbers:
    """The numbers by which a transaction names the sets and chains that have no name yet."""

    def __init__(self) -> None:
        self._last = 0

    def take(self, count: int = 1) -> int:
        """The first of so many new ones."""
        first = self._last + 1
        self._last += count
        return first


def write(plan: Plan) -> None:
    """Fill in the plan's batch and purposes."""
    numbers = _Numbers()
    for table in plan.tables:
        if table.changed:
            _write_table(plan, table, numbers)


def _write_table(plan: Plan, table: TablePlan, numbers: _Numbers) -> None:
    number, name = table.number, table.name
    whole = Purpose(table)
    if table.action in _LEAVING:
        plan.add(messages.delete_table(number, name), whole)
        if table.action == "remove":
            return
    desired = table.desired
    if table.action in _ARRIVING and desired is not None:
        plan.add(messages.new_table(number, name, desired.flags, desired.userdata, exclusive=True), whole)
    elif table.flags is not None:
        plan.add(messages.new_table(number, name, table.flags), whole)
    if table.action == "keep":
        _write_departures(plan, table)
    for one in table.objects:
        _write_object(plan, table, one)
    for flowtable in table.flowtables:
        _write_flowtable(plan, table, flowtable)
    for chain in table.chains:
        _write_chain(plan, table, chain)
    for content in table.sets:
        _write_set(plan, table, content, numbers)
    for chain in table.chains:
        if chain.action != "remove":
            _write_arrivals(plan, table, chain, numbers)


def _write_departures(plan: Plan, table: TablePlan) -> None:
    number, name = table.number, table.name
    for chain in table.chains:
        if chain.action == "remove":
            if chain.entries:
                plan.add(messages.flush_chain(number, name, chain.name), Purpose(table, chain))
            continue
        for entry in chain.entries if chain.moves else ():
            if isinstance(entry, KernelRule):
                plan.add(
                    messages.delete_rule(number, name, chain.name, entry.handle), Purpose(table, chain, entry)
                )
    for content in table.sets:
        purpose = Purpose(table, content)
        if content.action in _LEAVING:
            plan.add(messages.delete_set(number, name, content.name), purpose)
        elif content.remove:
            _write_elements_to_go(plan, purpose, content)
    for chain in table.chains:
        if chain.action == "remove":
            plan.add(messages.delete_chain(number, name, chain.name), Purpose(table, chain))
    for flowtable in table.flowtables:
        if flowtable.action in _LEAVING:
            plan.add(messages.delete_flowtable(number, name, flowtable.name), Purpose(table, flowtable))
    for one in table.objects:
        if one.action in _LEAVING:
            plan.add(messages.delete_object(number, name, one.name, one.kind), Purpose(table, one))


def _write_elements_to_go(plan: Plan, purpose: Purpose, content: SetPlan) -> None:
    """One message where all go, unless packets or the clock may have changed the set since it was read."""
    number, name = purpose.table.number, purpose.table.name
    moving = uapi.NFT_SET_EVAL | uapi.NFT_SET_TIMEOUT
    if content.emptied and content.kernel is not None and not content.kernel.flags & moving:
        plan.add(messages.flush_set(number, name, content.name), purpose)
        return
    for message in messages.delete_elements(number, name, content.name, content.remove):
        plan.add(message, purpose)


def _write_object(plan: Plan, table: TablePlan, one: ObjectPlan) -> None:
    if one.action in _ARRIVING and one.desired is not None:
        message = messages.new_object(
            table.number,
            table.name,
            one.name,
            one.kind,
            one.desired.data,
            comment_userdata(one.desired.comment),
            exclusive=True,
        )
        plan.add(message, Purpose(table, one))


def _write_flowtable(plan: Plan, table: TablePlan, one: FlowtablePlan) -> None:
    if one.action in _ARRIVING and one.desired is not None:
        message = messages.new_flowtable(
            table.number, table.name, one.name, one.desired.hook, one.desired.flags
        )
        plan.add(message, Purpose(table, one))


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
                desired.flags,
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


def _write_set(plan: Plan, table: TablePlan, one: SetPlan, numbers: _Numbers) -> None:
    """A set's properties if it is new, and the elements that come."""
    content = one.desired
    purpose = Purpose(table, one)
    own_id = 0
    if one.action in _ARRIVING and content is not None:
        own_id = numbers.take()
        plan.add(_new_set(table, content, own_id, content.size), purpose)
    if one.action != "remove" and one.add:
        for message in messages.new_elements(table.number, table.name, one.name, one.add, own_id):
            plan.add(message, purpose)


def _new_set(table: TablePlan, content: SetContent, set_id: int, size: int) -> bytes:
    return messages.new_set(
        table.number,
        table.name,
        content.name,
        set_id,
        content.key_type,
        content.key_length,
        content.flags,
        content.data_type,
        content.data_length,
        content.object_type or 0,
        content.timeout,
        content.gc_interval,
        content.policy,
        size,
        content.fields,
        content.expressions,
        content.userdata(),
    )


def _write_arrivals(plan: Plan, table: TablePlan, chain: ChainPlan, numbers: _Numbers) -> None:
    """Rules to come, each before the next rule that stays, or at the end of the chain."""
    if not chain.moves:
        return
    following: KernelRule | None = None
    places = []
    for entry in reversed(chain.entries):
        if isinstance(entry, Kept):
            following = entry.kernel
        elif isinstance(entry, DesiredRule):
            places.append((entry, following.handle if following is not None else 0))
    number, name = table.number, table.name
    make, made_before = messages.new_rules_as_dumped(number, name, chain.name), 0
    for entry, before in reversed(places):
        if before != made_before:
            make, made_before = messages.new_rules_as_dumped(number, name, chain.name, before), before
        purpose = Purpose(table, chain, entry)
        form = entry.form
        if form.as_dumped and not form.sets and not form.chains:
            message = make(entry.attributes)
        else:
            expressions = _write_unnamed(plan, purpose, entry, numbers)
            message = messages.new_rule(number, name, chain.name, expressions, entry.userdata, before=before)
        plan.add(message, purpose)


def _write_unnamed(plan: Plan, purpose: Purpose, rule: DesiredRule, numbers: _Numbers) -> bytes:
    """Write what a rule brings along, which must come first; its expressions with the numbers of that."""
    table = purpose.table
    number, name = table.number, table.name
    expressions = bytearray(rule.expressions)
    form = rule.form
    first_set = numbers.take(len(form.sets))
    for content in form.sets:
        set_id = first_set + content.set_id - 1
        plan.add(_new_set(table, content, set_id, content.size or len(content.elements)), purpose)
        for message in messages.new_elements(number, name, content.name, content.elements, set_id):
            plan.add(message, purpose)
    first_chain = numbers.take(len(form.chains))
    for chain_id, rules in enumerate(form.chains, first_chain):
        plan.add(messages.new_inline_chain(number, name, chain_id), purpose)
        for one in rules:
            inner = _write_unnamed(plan, purpose, one, numbers)
            plan.add(messages.new_rule(number, name, "", inner, one.userdata, chain_id=chain_id), purpose)
    for offsets, first in ((form.set_ids, first_set), (form.chain_ids, first_chain)):
        for offset in offsets:
            own = _NUMBER.unpack_from(expressions, offset)[0]
            _NUMBER.pack_into(expressions, offset, first + own - 1)
    return bytes(expressions)
