# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan written out as the messages of one transaction.

The kernel takes them one by one, so what refers goes before what it refers to,
and comes after it: rules leave first and arrive last.
"""

from __future__ import annotations

import struct

from ..nftables.sets import SetContent
from . import messages
from .kernel import KernelRule
from .rules import DesiredRule
from .steps import ChainPlan, FlowtablePlan, Kept, ObjectPlan, Plan, Purpose, SetPlan, TablePlan
from .userdata import comment_userdata

_SET_ID = struct.Struct(">I")
_LEAVING = ("remove", "recreate")
_ARRIVING = ("create", "recreate")


def write(plan: Plan) -> None:
    """Fill in the plan's batch and purposes."""
    set_id = 0
    for table in plan.tables:
        if table.changed:
            set_id = _write_table(plan, table, set_id)


def _write_table(plan: Plan, table: TablePlan, set_id: int) -> int:
    number, name = table.number, table.name
    whole = Purpose(table)
    if table.action in _LEAVING:
        plan.add(messages.delete_table(number, name), whole)
        if table.action == "remove":
            return set_id
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
        set_id = _write_set(plan, table, content, set_id)
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
    for content in table.sets:
        purpose = Purpose(table, content)
        if content.action in _LEAVING:
            plan.add(messages.delete_set(number, name, content.name), purpose)
        elif content.remove:
            for message in messages.delete_elements(number, name, content.name, content.remove):
                plan.add(message, purpose)
    for chain in table.chains:
        if chain.action == "remove":
            plan.add(messages.delete_chain(number, name, chain.name), Purpose(table, chain))
    for flowtable in table.flowtables:
        if flowtable.action in _LEAVING:
            plan.add(messages.delete_flowtable(number, name, flowtable.name), Purpose(table, flowtable))
    for one in table.objects:
        if one.action in _LEAVING:
            plan.add(messages.delete_object(number, name, one.name, one.kind), Purpose(table, one))


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


def _write_set(plan: Plan, table: TablePlan, one: SetPlan, set_id: int) -> int:
    """A set's properties if it is new, and the elements that come."""
    content = one.desired
    purpose = Purpose(table, one)
    own_id = 0
    if one.action in _ARRIVING and content is not None:
        set_id += 1
        own_id = set_id
        plan.add(_new_set(table, content, own_id, content.size), purpose)
    if one.action != "remove" and one.add:
        for message in messages.new_elements(table.number, table.name, one.name, one.add, own_id):
            plan.add(message, purpose)
    return set_id


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
                    _new_set(table, content, set_id + content.set_id, content.size or len(content.elements)),
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
