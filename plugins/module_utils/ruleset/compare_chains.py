# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One chain compared: which rules stay, which come and which go.

Rules that stay keep their handle and counters. Between the common head
and the common tail the longest common subsequence decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from ..nftables import uapi
from . import canonical, sequence
from .canonical import Canonical
from .desired import DesiredChain
from .kernel import KernelChain, KernelRule, KernelTable
from .rules import DesiredRule
from .steps import ChainPlan, Kept
from .userdata import said


def identities(table: KernelTable) -> Callable[[str], Any]:
    """A function from the name of an anonymous set or inline chain to what makes it the same as another.

    Of a chain that is no inline one it is None.
    """
    known: dict[str, Any] = {}

    def identity(name: str) -> Any:
        if name not in known:
            found = table.sets.get(name)
            if found is not None:
                known[name] = canonical.kernel_set_identity(found)
            elif name in table.chains:
                chain = table.inline(name)
                known[name] = None if chain is None else canonical.kernel_chain_identity(chain, identity)
            else:
                known[name] = name
        return known[name]

    return identity


def must_recreate(kernel: KernelChain, desired: DesiredChain) -> bool:
    """Whether the chain differs in what the kernel cannot change: type, hook, priority, devices,
    flags, comment."""
    if said(kernel.userdata) != said(desired.userdata):
        return True
    if kernel.flags & uapi.NFT_CHAIN_HW_OFFLOAD != desired.flags:
        return True
    if kernel.hook is None or desired.hook is None:
        return kernel.hook is not desired.hook
    return (
        kernel.kind != desired.kind
        or kernel.hook.number != desired.hook.number
        or kernel.hook.priority != desired.hook.priority
        or sorted(kernel.hook.devices) != sorted(desired.hook.devices)
    )


def plan_creation(chain: DesiredChain) -> ChainPlan:
    """A chain that is not there yet."""
    plan = ChainPlan(chain.name, "create", None, chain)
    plan.entries.extend(chain.rules)
    plan.moves = bool(chain.rules)
    return plan


def plan_removal(chain: KernelChain) -> ChainPlan:
    """A chain that shall go."""
    plan = ChainPlan(chain.name, "remove", chain, None)
    plan.entries.extend(chain.rules)
    plan.moves = bool(chain.rules)
    return plan


def plan_chain(
    kernel: KernelChain,
    desired: DesiredChain,
    identity: Callable[[str], Any],
    stays: Callable[[KernelRule], bool] | None,
) -> ChainPlan:
    """A chain that stays: its policy, and its rules. ``stays`` says which rules may, None that all may."""
    plan = ChainPlan(kernel.name, "keep", kernel, desired)
    if desired.policy is not None and kernel.policy != desired.policy:
        plan.policy = desired.policy
    old, new = kernel.rules, desired.rules
    start = _alike(zip(old, new), identity, stays)
    end = _alike(zip(reversed(old[start:]), reversed(new[start:])), identity, stays)
    middle = _merge(old[start : len(old) - end], new[start : len(new) - end], identity, stays)
    plan.entries = [*map(Kept, old[:start], new[:start]), *middle]
    plan.entries += map(Kept, old[len(old) - end :], new[len(new) - end :])
    plan.moves = any(not isinstance(entry, Kept) for entry in middle)
    return plan


def _alike(
    pairs: Iterable[tuple[KernelRule, DesiredRule]],
    identity: Callable[[str], Any],
    stays: Callable[[KernelRule], bool] | None,
) -> int:
    """How many pairs of rules, from the first on, are of equal ones that may stay."""
    count = 0
    for rule, wanted in pairs:
        held = rule.holds(wanted.attributes, wanted.form.lasting)
        if not held and not canonical.equal(rule, wanted, identity):
            break
        if stays is not None and not stays(rule):
            break
        count += 1
    return count


def _merge(
    old: list[KernelRule],
    new: list[DesiredRule],
    identity: Callable[[str], Any],
    stays: Callable[[KernelRule], bool] | None,
) -> list[Kept | DesiredRule | KernelRule]:
    if not old or not new:
        return [*old, *new]
    old_keys: list[Canonical | int] = [
        canonical.of_kernel(rule.expressions, rule.userdata, identity)
        if stays is None or stays(rule)
        else rule.handle
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
