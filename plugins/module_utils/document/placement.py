# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which chain may hold what: jumps between chains, and statements that only some hooks allow.

A user chain runs on the hooks of every base chain from which jumps lead to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import Problem, nearest
from .by_keys import having
from .inline import HOLDING, place_of, with_inner

if TYPE_CHECKING:
    from .declared import DeclaredSet
    from .model import Chain, Table

STACK_SIZE = 16
"""NFT_JUMP_STACK_SIZE of net/netfilter/nf_tables.h: chains in a row, the base chain included."""

NAT_HOOKS = {
    "masquerade": ("postrouting",),
    "redirect": ("prerouting", "output"),
    "snat": ("postrouting", "input"),
    "dnat": ("prerouting", "output"),
}
"""net/netfilter/nft_masq.c, nft_redir.c, nft_nat.c: the validate functions. All ask for type nat as well."""

_ROUTED_REJECT = ("prerouting", "input", "forward", "output")
REJECT_HOOKS = {
    "ip": _ROUTED_REJECT,
    "ip6": _ROUTED_REJECT,
    "inet": (*_ROUTED_REJECT, "ingress"),
    "bridge": ("prerouting", "input"),
    "netdev": ("ingress",),
    "arp": (),
}
"""The validate functions of nft_reject.c, nft_reject_inet.c, nft_reject_netdev.c and nft_reject_bridge.c."""

NOTRACK_HOOKS = ("prerouting", "output")
CONNTRACK_PRIORITY = -200
"""NF_IP_PRI_CONNTRACK: from here on a packet is tracked, and notrack does nothing."""

OTHER_HOOKS = {"synproxy": ("input", "forward"), "flow": ("forward",)}
"""The validate functions of net/netfilter/nft_synproxy.c and nft_flow_offload.c."""

_COMING = ("prerouting", "input", "forward")
_LEAVING = ("forward", "output", "postrouting")
_EVERY = ("prerouting", "input", "forward", "output", "postrouting")
_LINK_HOOKS: dict[tuple[str, ...], tuple[str, ...]] = {
    _COMING: ("ingress",),
    _LEAVING: ("egress",),
    _EVERY: ("ingress", "egress"),
}
"""What the hooks of a netdev table are, as nft_fib_validate() of net/netfilter/nft_fib.c has it."""

SIZING_FAMILIES = ("inet", "ip", "ip6")
"""Where packets that leave have a route whose size is known (nft_rt_validate() of net/netfilter/nft_rt.c)."""

INTERESTING = HOLDING | {"vmap", "notrack", "reject", *NAT_HOOKS, *OTHER_HOOKS}
"""The keys that tie a rule to its chain; beside them only ``verdict: reject``."""

Calls = dict[str, list[tuple[str, str]]]
"""For each chain the chains its rules lead to, each with the place of the first rule that does."""


def check_calls(table: Table, problems: list[Problem]) -> Calls:
    """Note every jump to a chain that is not there or is a base chain, every loop, and stacks too deep.

    Returns who leads to whom.
    """
    chains = {chain.name: chain for chain in table.chains}
    maps = {one.name: one for one in table.sets if one.data == ("verdict",)}
    calls: Calls = {}
    missing: set[str] = set()
    for one in maps.values():
        for name in _targets(one.json.get("elem")):
            if name not in chains and name not in missing and not table.partial:
                missing.add(name)
                problems.append(
                    Problem(
                        "a jump to a chain that is not there",
                        one.place + ".elements",
                        name,
                        ", ".join(chains),
                        nearest(name, chains),
                    )
                )
    for chain in table.chains:
        targets: dict[str, str] = {}
        for place, name in _jumps(chain, maps):
            if not isinstance(name, str) or name in targets:
                continue
            target = chains.get(name)
            if target is None:
                if table.partial or name in missing:
                    continue
                problems.append(
                    Problem(
                        "a jump to a chain that is not there",
                        place,
                        name,
                        ", ".join(chains),
                        nearest(name, chains),
                    )
                )
            elif target.is_base:
                problems.append(
                    Problem(
                        "a jump to a chain with a hook",
                        place,
                        name,
                        cure="only chains without a hook are jumped to",
                    )
                )
            else:
                targets[name] = place
        calls[chain.name] = list(targets.items())
    if not problems and not _note_loops(calls, problems):
        _note_depth(table, calls, problems)
    return calls


def _jumps(chain: Chain, maps: dict[str, DeclaredSet]) -> Iterator[tuple[str, Any]]:
    """Place and target of every jump and goto of a chain; those of a verdict map stand where it is used."""
    isdisjoint = INTERESTING.isdisjoint
    for index in having(chain.by_keys, INTERESTING):
        for below, rule in with_inner(chain.rules[index]):
            if isdisjoint(rule):
                continue
            at = "%s.%s" % (chain.place, place_of(index, below))
            for key in ("jump", "goto"):
                if key in rule:
                    yield "%s.%s" % (at, key), rule[key]
            if "vmap" in rule:
                place = "%s.vmap" % at
                data = rule["vmap"].get("data") if isinstance(rule["vmap"], dict) else None
                for target in _targets_of_map(data, maps):
                    yield place, target
            if "expr" in rule:
                place = "%s.expr" % at
                for target in _targets(rule["expr"], maps):
                    yield place, target


def _targets_of_map(data: Any, maps: dict[str, DeclaredSet]) -> Iterator[Any]:
    """The targets in the data of a ``vmap``: a declared map's, or what stands in the rule."""
    if isinstance(data, str):
        if data[1:] in maps:
            yield from _targets(maps[data[1:]].json.get("elem"))
        return
    values: list[Any] = list(data.values()) if isinstance(data, dict) else []
    if isinstance(data, list):
        values = [one.get("value") for one in data if isinstance(one, dict)]
    for value in values:
        if isinstance(value, str):
            word, _unused, name = value.partition(" ")
            if word in ("jump", "goto"):
                yield name.strip()
        elif isinstance(value, dict):
            for key in ("jump", "goto"):
                target = value.get(key)
                yield target.get("target") if isinstance(target, dict) else target


def _targets(value: Any, maps: dict[str, DeclaredSet] | None = None) -> Iterator[Any]:
    """The targets of jumps and gotos anywhere in statements, those of verdict maps included."""
    pending = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            for key, inner in one.items():
                if key in ("jump", "goto") and isinstance(inner, dict) and "target" in inner:
                    yield inner["target"]
                elif (
                    key == "vmap" and maps and isinstance(inner, dict) and isinstance(inner.get("data"), str)
                ):
                    yield from _targets_of_map(inner["data"], maps)
                else:
                    pending.append(inner)
        elif isinstance(one, (list, tuple)):
            pending.extend(one)


def updates(table: Table) -> dict[str, tuple[str, bool]]:
    """The sets that rules change: by name the first such rule's place, and whether any gives a timeout."""
    found: dict[str, tuple[str, bool]] = {}
    isdisjoint = CHANGING.isdisjoint
    for chain in table.chains:
        for index in having(chain.by_keys, CHANGING | HOLDING):
            for below, rule in with_inner(chain.rules[index]):
                if isdisjoint(rule):
                    continue
                for place, name, timed in _changed(rule):
                    first = found.get(name)
                    place = "%s.%s.%s" % (chain.place, place_of(index, below), place)
                    found[name] = (first[0] if first else place, timed or (first is not None and first[1]))
    return found


CHANGING = frozenset(("add", "update", "delete", "expr"))
"""The keys that can change a set."""


def _changed(rule: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Place, name and timeout of each set that a rule changes."""
    for key in ("add", "update", "delete"):
        value = rule.get(key)
        if isinstance(value, dict):
            name = value.get("set", value.get("map"))
            if isinstance(name, str):
                yield key, name[1:] if name.startswith("@") else name, "timeout" in value
    statements = rule.get("expr")
    for index, statement in enumerate(statements if isinstance(statements, list) else ()):
        for key in ("set", "map"):
            value = statement.get(key) if isinstance(statement, dict) else None
            if isinstance(value, dict) and isinstance(value.get(key), str):
                element = value.get("elem")
                inner = element.get("elem") if isinstance(element, dict) else None
                yield "expr[%d]" % index, value[key][1:], isinstance(inner, dict) and "timeout" in inner


def _note_loops(calls: Calls, problems: list[Problem]) -> bool:
    """Note each loop once, at the jump that closes it. Returns whether there is one."""
    done: set[str] = set()
    found = False
    for start in calls:
        if start in done:
            continue
        path = [start]
        branches = [iter(calls[start])]
        while path:
            step = next(branches[-1], None)
            if step is None:
                done.add(path.pop())
                branches.pop()
                continue
            name, place = step
            if name in path:
                loop = " -> ".join([*path[path.index(name) :], name])
                problems.append(Problem("a loop of jumps: %s" % loop, place, name))
                found = True
            elif name not in done:
                path.append(name)
                branches.append(iter(calls[name]))
    return found


def _note_depth(table: Table, calls: Calls, problems: list[Problem]) -> None:
    """Note each base chain from which more chains in a row can be entered than the kernel's stack holds."""
    below: dict[str, int] = {}
    pending = list(calls)
    while pending:
        name = pending[-1]
        missing = [target for target, _unused in calls[name] if target not in below]
        if missing:
            pending.extend(missing)
            continue
        pending.pop()
        below[name] = 1 + max((below[target] for target, _unused in calls[name]), default=0)
    for chain in table.chains:
        if chain.is_base and below[chain.name] > STACK_SIZE:
            problems.append(
                Problem(
                    "jumps lead %d chains deep" % below[chain.name],
                    chain.place,
                    chain.name,
                    "%d chains in a row, with this one" % STACK_SIZE,
                )
            )


def check_statements(table: Table, calls: Calls, problems: list[Problem]) -> None:
    """Note every statement that a chain's hook, type or priority does not allow."""
    reached = None
    for chain in table.chains:
        for below, key, value in _statements(chain):
            if reached is None:
                reached = _reached(table, calls)
            for base in reached[chain.name]:
                problem = _misplaced(key, value, base, table.family)
                if problem is not None:
                    message, allowed = problem
                    if base is not chain:
                        message += " (reached from chain %s)" % base.name
                    place = "%s.%s.%s" % (chain.place, below, key)
                    problems.append(Problem(message, place, value, allowed))
                    break


def _statements(chain: Chain) -> Iterator[tuple[str, str, Any]]:
    """Place, key and value of the rules' statements whose place matters; ``expr`` is looked into."""
    isdisjoint = INTERESTING.isdisjoint
    rules = chain.rules
    indices = set(having(chain.by_keys, INTERESTING))
    indices.update(
        index for index in having(chain.by_keys, ("verdict",)) if rules[index]["verdict"] == "reject"
    )
    indices.update(having(chain.by_keys, ("fib",)))
    indices.update(index for index in having(chain.by_keys, ("set",)) if _by_route(rules[index]))
    for index in sorted(indices):
        for below, rule in with_inner(rules[index]):
            place = place_of(index, below)
            if rule.get("verdict") == "reject" and "reject" not in rule:
                yield place, "verdict", "reject"
            if isinstance(rule.get("fib"), str):
                yield place, "fib", rule["fib"]
            if _by_route(rule):
                yield place, "set.mss", rule["set"]["mss"]
            if isdisjoint(rule):
                continue
            for key in (*NAT_HOOKS, *OTHER_HOOKS, "reject", "notrack"):
                if key in rule and rule[key] is not False:
                    yield place, key, rule[key]
            statements = rule.get("expr")
            if isinstance(statements, list):
                for number, statement in enumerate(statements):
                    if isinstance(statement, dict):
                        for key in statement:
                            if key in NAT_HOOKS or key in OTHER_HOOKS or key == "reject":
                                yield place, "expr[%d].%s" % (number, key), statement[key]


def _by_route(rule: dict[str, Any]) -> bool:
    """Whether a rule sets a segment size by the packet's route."""
    value = rule.get("set")
    return isinstance(value, dict) and isinstance(value.get("mss"), str) and value["mss"].startswith("rt")


def _reached(table: Table, calls: Calls) -> dict[str, list[Chain]]:
    """For each chain the base chains from which packets come to it; a base chain comes to itself."""
    reached: dict[str, list[Chain]] = {chain.name: [] for chain in table.chains}
    for base in table.chains:
        if not base.is_base:
            continue
        seen = {base.name}
        pending = [base.name]
        while pending:
            name = pending.pop()
            reached[name].append(base)
            for target, _unused in calls[name]:
                if target not in seen:
                    seen.add(target)
                    pending.append(target)
    return reached


def _misplaced(key: str, value: Any, base: Chain, family: str) -> tuple[str, str] | None:
    """What is wrong with a statement on the hook of ``base``, and what is allowed; None if nothing is."""
    word = key.rpartition(".")[2]
    if word in NAT_HOOKS:
        hooks = NAT_HOOKS[word]
        if base.type == "nat" and base.hook in hooks:
            return None
        allowed = "chains of type nat on hook %s" % " or ".join(hooks)
        return "no %s in a chain of type %s on hook %s" % (word, base.type, base.hook), allowed
    if word in OTHER_HOOKS:
        hooks = OTHER_HOOKS[word]
        if base.hook in hooks:
            return None
        return "no %s on hook %s" % (word, base.hook), "hook %s" % " or ".join(hooks)
    if word in ("reject", "verdict"):
        hooks = REJECT_HOOKS[family]
        if base.hook in hooks:
            return None
        allowed = "hook %s" % ", ".join(hooks) if hooks else "drop"
        return "no reject on hook %s in a table of family %s" % (base.hook, family), allowed
    if word in ("fib", "mss"):
        hooks = _fib_hooks(value, family) if word == "fib" else _LEAVING if family in SIZING_FAMILIES else ()
        if base.hook in hooks:
            return None
        message = "this is not known on hook %s in a table of family %s" % (base.hook, family)
        allowed = "hook %s" % ", ".join(hooks)
        return message, allowed if hooks else "a table of family %s" % ", ".join(SIZING_FAMILIES)
    if base.hook in NOTRACK_HOOKS and base.priority < CONNTRACK_PRIORITY:
        return None
    return (
        "notrack on hook %s at priority %d comes too late: the packet is tracked by then"
        % (base.hook, base.priority),
        "hook %s at a priority below %d, such as raw" % (" or ".join(NOTRACK_HOOKS), CONNTRACK_PRIORITY),
    )


def _fib_hooks(question: str, family: str) -> tuple[str, ...]:
    """Where the routing table can be asked this: an interface is known on one side of routing only."""
    words = question.lstrip("! ").split()
    flags = [word for word in words[: words.index("type")] if word != "."] if "type" in words else words
    hooks: tuple[str, ...] = _EVERY
    if "iif" in flags or "type" not in words:
        hooks = _COMING
    elif "oif" in flags:
        hooks = _LEAVING
    return _LINK_HOOKS[hooks] if family == "netdev" else hooks
