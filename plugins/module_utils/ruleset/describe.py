# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan for people and for programs: nft text before and after, and a list of changes.

Only what differs is decoded. Long runs of rules that stay are shown as one line
on both sides, so that the text of a diff stays as short as the difference.
"""

from __future__ import annotations

from typing import Any, Callable, cast

from ..nftables import uapi
from ..nftables.datatypes import BY_NUMBER
from ..nftables.declared.objects import decode_object
from ..nftables.decode import SetView, decode_elements, decode_rule
from ..nftables.expressions import decode_list
from ..nftables.render import render_chain, render_elements, render_object, render_rule
from ..nftables.sets import SetContent
from ..nftables.statements.stateful import OBJECT_TYPES
from .desired import (
    FAMILY_NAMES,
    HOOK_NAMES,
    POLICY_NAMES,
    DesiredChain,
    DesiredTable,
    rule_statements,
)
from .kernel import KernelChain, KernelObject, KernelRule, KernelSet, KernelTable
from .pairs import is_end
from .rules import DesiredRule
from .steps import ChainPlan, Kept, ObjectPlan, Plan, SetPlan, TablePlan
from .userdata import comment_of

#: rules shown around a difference
_CONTEXT = 3

Change = dict[str, Any]

OBJECT_NAMES = {number: name for name, number in OBJECT_TYPES.items()}


def set_view(table: KernelTable) -> Callable[[str], SetView | None]:
    """A function that finds a table's sets for the decoder."""

    def find(name: str) -> SetView | None:
        found = table.sets.get(name)
        if found is None:
            return None
        return SetView(
            found.name,
            found.flags,
            found.key_type,
            found.key_length,
            found.data_type,
            found.data_length,
            found.object_type,
            found.fields,
            found.elements,
            found.size,
            found.userdata,
        )

    return find


def kernel_statements(table: KernelTable, rule: KernelRule) -> list[dict[str, Any]]:
    """A dumped rule as libnftables JSON statements, those of its inline chains included."""
    family = FAMILY_NAMES.get(table.family, "inet")
    return decode_rule(decode_list(rule.expressions), family, set_view(table), chains=inline_view(table))


def inline_view(table: KernelTable) -> Callable[[str], list[dict[str, Any]] | None]:
    """A function that finds the rules of a table's inline chains for the decoder."""

    def find(name: str) -> list[dict[str, Any]] | None:
        chain = table.inline(name)
        if chain is None:
            return None
        rules: list[dict[str, Any]] = []
        for rule in chain.rules:
            rules.append({"expr": kernel_statements(table, rule)})
            comment = comment_of(rule.userdata)
            if comment is not None:
                rules[-1]["comment"] = comment
        return rules

    return find


def kernel_rule_text(table: KernelTable, rule: KernelRule) -> str:
    """A dumped rule in nft syntax, as a document says it: without what packets counted."""
    statements = _without_counts(kernel_statements(table, rule))
    return render_rule(statements, comment_of(rule.userdata), FAMILY_NAMES.get(table.family, "inet"))


def _without_counts(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for one in statements:
        ((name, body),) = one.items()
        if name == "counter" and isinstance(body, dict) and "map" not in body:
            one = {"counter": None}
        elif name in ("jump", "goto") and "rules" in body:
            rules = [{**rule, "expr": _without_counts(rule["expr"])} for rule in body["rules"]]
            one = {name: {"rules": rules}}
        found.append(one)
    return found


def desired_rule_text(table: DesiredTable, chain: DesiredChain, rule: DesiredRule) -> str:
    """A rule of the document in nft syntax."""
    return render_rule(rule_statements(table, chain, rule), comment_of(rule.userdata), table.family)


def kernel_chain_json(table: KernelTable, chain: KernelChain) -> dict[str, Any]:
    """A dumped chain's properties as libnftables JSON names them."""
    family = FAMILY_NAMES.get(table.family, "inet")
    shown: dict[str, Any] = {"name": chain.name}
    if chain.hook is not None:
        shown["type"] = chain.kind
        shown["hook"] = HOOK_NAMES[family].get(chain.hook.number, str(chain.hook.number))
        shown["prio"] = chain.hook.priority
        shown["policy"] = POLICY_NAMES.get(chain.policy if chain.policy is not None else 1, "accept")
        if chain.hook.devices:
            shown["dev"] = list(chain.hook.devices)
        if chain.flags & uapi.NFT_CHAIN_HW_OFFLOAD:
            shown["flags"] = ["offload"]
    comment = comment_of(chain.userdata)
    if comment:
        shown["comment"] = comment
    return shown


def desired_chain_json(chain: DesiredChain, family: str) -> dict[str, Any]:
    """A document's chain as libnftables JSON names its properties."""
    shown: dict[str, Any] = {"name": chain.name}
    if chain.hook is not None:
        shown["type"] = chain.kind
        shown["hook"] = HOOK_NAMES[family][chain.hook.number]
        shown["prio"] = chain.hook.priority
        shown["policy"] = POLICY_NAMES[chain.policy if chain.policy is not None else 1]
        if chain.hook.devices:
            shown["dev"] = list(chain.hook.devices)
        if chain.flags:
            shown["flags"] = list(chain.source.flags)
    if chain.source.comment:
        shown["comment"] = chain.source.comment
    return shown


def differences(plan: Plan) -> list[dict[str, str]]:
    """Ansible's ``diff``: before and after in nft syntax, one entry for each table that changes."""
    shown = []
    for table in plan.tables:
        if not table.changed:
            continue
        before, after = _table_texts(table)
        header = "table %s %s" % (table.family, table.name)
        shown.append(
            {
                "before_header": "%s (kernel)" % header,
                "after_header": "%s (document)" % header,
                "before": before,
                "after": after,
            }
        )
    return shown


def _table_texts(table: TablePlan) -> tuple[str, str]:
    before: list[str] = []
    after: list[str] = []
    for one in table.objects:
        if one.changed:
            before += _kernel_object_lines(one)
            after += _desired_object_lines(one)
    for content in table.sets:
        if content.changed:
            old, new = _set_texts(table, content)
            before += old
            after += new
    for flowtable in table.flowtables:
        if flowtable.changed:
            before += ["\tflowtable %s" % flowtable.name] if flowtable.kernel else []
            after += ["\tflowtable %s" % flowtable.name] if flowtable.action != "remove" else []
    for chain in table.chains:
        if not chain.changed:
            note = "\t# chain %s: %s unchanged" % (chain.name, _count(len(chain.entries)))
            before.append(note)
            after.append(note)
            continue
        old, new = _chain_texts(table, chain)
        before += old
        after += new
    return _wrap(table, before, table.kernel is not None), _wrap(
        table, after, table.action not in ("remove", "none")
    )


def kernel_object_json(held: KernelObject) -> dict[str, Any]:
    """A dumped object as libnftables JSON lists it: ``{"counter": {"name": …}}``."""
    body: dict[str, Any] = {"name": held.name}
    comment = comment_of(held.userdata)
    if comment:
        body["comment"] = comment
    body.update(decode_object(held.kind, held.data))
    return {OBJECT_NAMES.get(held.kind, "object %d" % held.kind): body}


def _kernel_object_lines(one: ObjectPlan) -> list[str]:
    if one.kernel is None:
        return []
    return render_object(kernel_object_json(one.kernel))


def _desired_object_lines(one: ObjectPlan) -> list[str]:
    if one.desired is None or one.action == "remove":
        return []
    body: dict[str, Any] = {"name": one.name}
    if one.desired.comment:
        body["comment"] = one.desired.comment
    body.update(decode_object(one.kind, one.desired.data))
    return render_object({one.desired.type: body})


def _view(held: KernelSet | None, desired: SetContent | None, elements: list[bytes]) -> SetView:
    """A set for the decoder with these elements only."""
    if held is not None:
        return SetView(
            held.name,
            held.flags,
            held.key_type,
            held.key_length,
            held.data_type,
            held.data_length,
            held.object_type,
            held.fields,
            elements,
            held.size,
            held.userdata,
        )
    if desired is None:
        raise ValueError("no set to be seen")
    return SetView(
        desired.name,
        desired.flags,
        desired.key_type,
        desired.key_length,
        desired.data_type,
        desired.data_length,
        desired.object_type or 0,
        tuple(desired.fields) if desired.interval else (),
        elements,
        desired.size,
        desired.userdata(),
    )


def element_texts(view: SetView) -> list[str]:
    """The elements of a set in nft syntax, one text each."""
    data: str | None = None
    if view.flags & uapi.NFT_SET_OBJECT:
        data = OBJECT_NAMES.get(view.object_type, "counter")
    elif view.flags & uapi.NFT_SET_MAP:
        data = "verdict" if view.data_type == uapi.NFT_DATA_VERDICT else _type_names(view.data_type or 0)
    return render_elements(decode_elements(view), _type_names(view.key_type), data)


def _set_texts(table: TablePlan, one: SetPlan) -> tuple[list[str], list[str]]:
    held = one.kernel.elements or [] if one.kernel is not None else []
    word = "map" if _is_map(one) else "set"
    head = "\t%s %s {" % (word, one.name)
    gone = one.remove if one.action == "keep" else held
    old = ["\t\t" + text for text in element_texts(_view(one.kernel, one.desired, gone))] if gone else []
    come = one.add
    new = (
        [
            "\t\t" + text
            for text in element_texts(_view(None if one.desired else one.kernel, one.desired, come))
        ]
        if come
        else []
    )
    if one.action == "keep":
        stay = "\t\t# %s elements unchanged" % format(_count_elements(held) - _count_elements(gone), ",")
        return [head, stay, *old, "\t}"], [head, stay, *new, "\t}"]
    before = [head, *_property_lines(one.kernel), *old, "\t}"] if one.kernel is not None else []
    after = [head, *_property_lines(one.desired), *new, "\t}"] if one.action != "remove" else []
    return before, after


def _count_elements(payloads: list[bytes]) -> int:
    """Elements as people count them: the end of an interval is none of its own."""
    return sum(1 for payload in payloads if not is_end(payload))


def _is_map(one: SetPlan) -> bool:
    flags = (
        one.desired.flags if one.desired is not None else one.kernel.flags if one.kernel is not None else 0
    )
    return bool(flags & (uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT))


_SET_FLAGS = {
    "constant": uapi.NFT_SET_CONSTANT,
    "interval": uapi.NFT_SET_INTERVAL,
    "timeout": uapi.NFT_SET_TIMEOUT,
    "dynamic": uapi.NFT_SET_EVAL,
}


def _property_lines(content: KernelSet | SetContent | None) -> list[str]:
    if content is None:
        return []
    kind = _type_names(content.key_type)
    if content.data_type == uapi.NFT_DATA_VERDICT:
        kind += " : verdict"
    elif content.data_type is not None:
        kind += " : " + _type_names(content.data_type)
    elif content.object_type:
        kind += " : " + OBJECT_NAMES.get(content.object_type, "object")
    lines = ["\t\ttype %s" % kind]
    flags = [name for name, bit in _SET_FLAGS.items() if content.flags & bit]
    if flags:
        lines.append("\t\tflags %s" % ",".join(flags))
    if content.timeout:
        lines.append("\t\ttimeout %gs" % (content.timeout / 1000))
    if content.size:
        lines.append("\t\tsize %d" % content.size)
    return lines


def _type_names(number: int) -> str:
    names = []
    while number:
        known = BY_NUMBER.get(number & 0x3F)
        names.append(known.name if known is not None else str(number & 0x3F))
        number >>= 6
    return " . ".join(reversed(names))


def _wrap(table: TablePlan, lines: list[str], exists: bool) -> str:
    if not exists:
        return ""
    head = ["table %s %s {" % (table.family, table.name)]
    return "\n".join([*head, *lines, "}", ""])


def _count(number: int) -> str:
    return "1 rule" if number == 1 else "%s rules" % format(number, ",")


def _chain_texts(table: TablePlan, chain: ChainPlan) -> tuple[list[str], list[str]]:
    before = after = None
    if chain.kernel is not None and table.kernel is not None:
        before = kernel_chain_json(table.kernel, chain.kernel)
    if chain.desired is not None and chain.action != "remove":
        after = desired_chain_json(chain.desired, table.family)
    old_rules: list[str] = []
    new_rules: list[str] = []
    entries = chain.entries
    near = _near_changes(entries)
    skipped = 0
    for index, entry in enumerate(entries):
        if isinstance(entry, Kept) and index not in near:
            skipped += 1
            continue
        if skipped:
            _note(skipped, old_rules, new_rules)
            skipped = 0
        if isinstance(entry, Kept):
            text = _desired_text(table, chain, entry.desired)
            old_rules.append(text)
            new_rules.append(text)
        elif isinstance(entry, DesiredRule):
            new_rules.append(_desired_text(table, chain, entry))
        else:
            old_rules.append(_kernel_text(table, entry))
    if skipped:
        _note(skipped, old_rules, new_rules)
    return _chain_lines(before, old_rules, table.family), _chain_lines(after, new_rules, table.family)


def _both_desired(table: TablePlan, chain: ChainPlan) -> tuple[DesiredTable, DesiredChain]:
    """The document's table and chain, which are there where one of its rules is."""
    return cast(DesiredTable, table.desired), cast(DesiredChain, chain.desired)


def _desired_text(table: TablePlan, chain: ChainPlan, rule: DesiredRule) -> str:
    return desired_rule_text(*_both_desired(table, chain), rule)


def _kernel_text(table: TablePlan, rule: KernelRule) -> str:
    return kernel_rule_text(cast(KernelTable, table.kernel), rule)


def _note(skipped: int, *texts: list[str]) -> None:
    for text in texts:
        text.append("# %s unchanged" % _count(skipped))


def _near_changes(entries: list[Any]) -> set[int]:
    near: set[int] = set()
    for index, entry in enumerate(entries):
        if not isinstance(entry, Kept):
            near.update(range(index - _CONTEXT, index + _CONTEXT + 1))
    return near


def _chain_lines(chain: dict[str, Any] | None, rules: list[str], family: str) -> list[str]:
    if chain is None:
        return []
    lines = render_chain(chain, (), family)
    body = ["\t\t" + rule for rule in rules]
    return [*("\t" + line if not line.startswith("\t") else line for line in lines[:-1]), *body, "\t}"]


def changes(plan: Plan) -> list[Change]:
    """What a plan does, for programs: one mapping for each table, chain, policy and rule it changes.

    ``action`` is add, remove or change; ``kind`` table, chain, policy or rule. Rules
    carry their text, where they stand in the document (``place``) or their handle.
    """
    listed: list[Change] = []
    for table in plan.tables:
        if not table.changed:
            continue
        base = {"family": table.family, "table": table.name}
        if table.action in ("create", "remove", "recreate"):
            verb = {"create": "add", "remove": "remove", "recreate": "change"}[table.action]
            listed.append({"action": verb, "kind": "table", **base})
            if table.action == "remove":
                continue
        if table.flags is not None:
            state = "dormant" if table.flags & uapi.NFT_TABLE_F_DORMANT else "active"
            listed.append({"action": "change", "kind": "table", **base, "state": state})
        for one in table.objects:
            if one.changed:
                word = OBJECT_NAMES.get(one.kind, "object")
                listed.append({"action": _VERBS[one.action], "kind": word, **base, "name": one.name})
        for flow in table.flowtables:
            if flow.changed:
                listed.append({"action": _VERBS[flow.action], "kind": "flowtable", **base, "name": flow.name})
        for content in table.sets:
            listed += _set_changes(content, base)
        for chain in table.chains:
            listed += _chain_changes(table, chain, base)
    return listed


_VERBS = {"create": "add", "remove": "remove", "recreate": "change"}

#: changed elements listed one by one; beyond, their number alone
_MOST_ELEMENTS = 1000


def _set_changes(one: SetPlan, base: Change) -> list[Change]:
    listed: list[Change] = []
    where = {**base, "set": one.name}
    if one.action != "keep":
        listed.append({"action": _VERBS[one.action], "kind": "map" if _is_map(one) else "set", **where})
        return listed
    for verb, payloads in (("remove", one.remove), ("add", one.add)):
        if payloads:
            texts = element_texts(_view(one.kernel, one.desired, payloads))
            if len(texts) > _MOST_ELEMENTS:
                listed.append({"action": verb, "kind": "elements", **where, "count": len(texts)})
            else:
                listed += [{"action": verb, "kind": "element", **where, "element": text} for text in texts]
    return listed


def _chain_changes(table: TablePlan, chain: ChainPlan, base: Change) -> list[Change]:
    listed: list[Change] = []
    where = {**base, "chain": chain.name}
    if chain.action == "remove":
        return [{"action": "remove", "kind": "chain", **where, "rules": len(chain.entries)}]
    if chain.action in ("create", "recreate"):
        verb = "add" if chain.action == "create" else "change"
        listed.append({"action": verb, "kind": "chain", **where, "rules": len(chain.entries)})
    if chain.policy is not None:
        listed.append(
            {
                "action": "change",
                "kind": "policy",
                **where,
                "before": POLICY_NAMES[chain.kernel.policy or 0] if chain.kernel else None,
                "after": POLICY_NAMES[chain.policy],
            }
        )
    for entry in chain.entries:
        if isinstance(entry, DesiredRule):
            listed.append(
                {
                    "action": "add",
                    "kind": "rule",
                    **where,
                    "place": "%s.rules[%d]" % (_both_desired(table, chain)[1].source.place, entry.index),
                    "rule": _desired_text(table, chain, entry),
                }
            )
        elif isinstance(entry, KernelRule):
            listed.append(
                {
                    "action": "remove",
                    "kind": "rule",
                    **where,
                    "handle": entry.handle,
                    "rule": _kernel_text(table, entry),
                }
            )
    return listed
