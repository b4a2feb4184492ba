# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A refused transaction in the document's terms: the rule's place and text, the kernel's reason."""

from __future__ import annotations

import errno
import os

from ..document.devices import is_prefix
from ..errors import KernelError, Problem, RempartError
from ..netlink.socket import Refusal, Refused, reason
from . import describe
from .desired import DesiredChain, DesiredFlowtable
from .kernel import KernelRule
from .rules import DesiredRule
from .steps import ChainPlan, FlowtablePlan, ObjectPlan, Plan, Purpose


def explain(error: Refused, plan: Plan) -> RempartError:
    """A refused transaction in the document's terms: the rule's place and text, the kernel's reason."""
    problems = []
    for refusal in _causes(error.refusals, plan):
        if refusal.index < 0 or refusal.index >= len(plan.purposes):
            problems.append(
                Problem("the kernel refused the transaction: %s" % reason(refusal.code, refusal.text))
            )
            continue
        problems.append(_blame(refusal.code, refusal.text, plan.purposes[refusal.index]))
    unique = {str(problem): problem for problem in problems}
    explained = KernelError(error.problems[0].message, error.code, error.sequence)
    explained.problems = list(unique.values())
    return explained


def _causes(refusals: list[Refusal], plan: Plan) -> list[Refusal]:
    """The refusals without those that only follow from an earlier one.

    What lies in a table, chain or set that was refused is refused too, and what refers
    to it is told that it does not exist. After a rule that may not stand where it does,
    nf_tables_newrule() checks the whole table again with each further rule of it, and
    refuses that with the same error and no attribute to blame.
    """
    found = []
    refused: set[object] = set()
    for refusal in refusals:
        if 0 <= refusal.index < len(plan.purposes):
            purpose = plan.purposes[refusal.index]
            table, part = id(purpose.table), id(purpose.part)
            missing = refusal.code == errno.ENOENT
            if table in refused or part in refused or (missing and (table, "part") in refused):
                continue
            if refusal.offset is None and (table, refusal.code) in refused:
                continue
            if purpose.rule is None:
                refused |= {(table, "part"), table if purpose.part is None else part}
            elif refusal.offset is None:
                refused.add((table, refusal.code))
        found.append(refusal)
    return found


def _blame(code: int, text: str, purpose: Purpose) -> Problem:
    table, part, rule = purpose.table, purpose.part, purpose.rule
    chain = part if isinstance(part, ChainPlan) else None
    why = reason(code, text)
    cure = _CURES.get(os.strerror(code), "")
    if code == errno.EPERM and table.kernel is not None and table.kernel.owner:
        # NFT_TABLE_F_OWNER in nf_tables.h; a privilege would not help
        return Problem(
            "table %s %s belongs to another process, which alone may change it" % (table.family, table.name),
            table.desired.source.place if table.desired else "",
            cure="end the process with the netlink port %d, or take another name" % table.kernel.owner,
        )
    if isinstance(rule, DesiredRule) and chain is not None and chain.desired and table.desired:
        return Problem(
            "the kernel refused this rule: %s" % why,
            "%s.rules[%d]" % (chain.desired.source.place, rule.index),
            describe.desired_rule_text(table.desired, chain.desired, rule),
            cure=cure,
        )
    if isinstance(rule, KernelRule) and table.kernel is not None:
        return Problem(
            "the kernel did not let this rule of chain %s go: %s" % (chain.name if chain else "?", why),
            found=describe.kernel_rule_text(table.kernel, rule),
            cure=cure,
        )
    if part is not None and chain is None:
        kind: object = "set"
        word = "set"
        if isinstance(part, ObjectPlan):
            kind, word = part.kind, "object"
        elif isinstance(part, FlowtablePlan):
            kind = word = "flowtable"
        place = table.desired.places.get((kind, part.name), "") if table.desired else ""
        if isinstance(part, FlowtablePlan) and code == errno.EINVAL and _has_prefix(part.desired):
            cure = _PREFIXES
        if word == "set" and code in _SETS:
            why, cure = _SETS[code]
        return Problem("the kernel refused %s %s: %s" % (word, part.name, why), place, cure=cure)
    if chain is not None:
        place = chain.desired.source.place if chain.desired else ""
        if code == errno.EOPNOTSUPP and chain.desired and chain.desired.flags:
            # nft_chain_offload_support() and nft_flow_offload_chain() of net/netfilter/nf_tables_offload.c
            cure = "offload wants devices that can do it, a priority above 0 and the policy accept"
        if code == errno.EINVAL and _has_prefix(chain.desired):
            cure = _PREFIXES
        return Problem("the kernel refused chain %s: %s" % (chain.name, why), place, cure=cure)
    place = table.desired.source.place if table.desired else ""
    return Problem("the kernel refused table %s %s: %s" % (table.family, table.name, why), place, cure=cure)


_PREFIXES = "a prefix of devices takes Linux 6.16 or later: name the devices"


def _has_prefix(desired: DesiredChain | DesiredFlowtable | None) -> bool:
    return desired is not None and desired.hook is not None and any(map(is_prefix, desired.hook.devices))


_SETS = {
    errno.ENFILE: ("it is full", "give it a larger size, or leave the size out"),
    errno.EEXIST: ("two of its elements overlap", "leave one of them out"),
}
"""What these mean of a set, and the cure."""

_CURES = {
    os.strerror(95): "this kernel lacks the feature, or has it only in a module that is not loaded",
    os.strerror(2): "what the rule refers to does not exist, or this kernel lacks the expression",
    os.strerror(16): "something else still refers to it",
    os.strerror(22): "the kernel does not allow this combination here",
    os.strerror(1): "run as root, or give the process CAP_NET_ADMIN",
}
