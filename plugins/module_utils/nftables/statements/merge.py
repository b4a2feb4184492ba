# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Neighbouring header fields that a rule compares one by one, compared at once.

nft loads two adjacent fields with one expression where that costs the kernel
less; doing the same keeps a rule's bytes equal to nft's.
"""

from __future__ import annotations

from typing import cast

from ..datatypes import TYPES
from ..expressions.base import Slotted
from ..headers import HEADERS
from ..selectors.payload import Payload
from .context import Step
from .match import (
    FlagRelation,
    Membership,
    PrefixRelation,
    RangeRelation,
    Relation,
)

_REGISTER_BITS = 128
_FAST_BITS = 32  # loads up to here run in the kernel's evaluation loop itself
_MATCHES = (Relation, PrefixRelation, RangeRelation, FlagRelation, Membership)


def merge_payloads(steps: list[Step]) -> list[Step]:
    """The steps with adjacent equality matches joined, within each run of matches."""
    result: list[Step] = []
    run: list[Step] = []
    for step in steps:
        if isinstance(step, _MATCHES):
            run.append(step)
            continue
        result.extend(_merge_run(run))
        result.append(step)
        run = []
    result.extend(_merge_run(run))
    return result


def _mergeable(step: Step) -> bool:
    return (
        isinstance(step, Relation)
        and isinstance(step.selector, Payload)
        and step.selector.tunnel is None
        and step.selector.aligned
        and step.op in ("==", "in")
    )


def _merge_run(run: list[Step]) -> list[Step]:
    candidates = [cast(Relation, step) for step in run if _mergeable(step)]
    if len(candidates) < 2:
        return run
    candidates.sort(key=lambda step: (step.selector.base, step.selector.offset))  # type: ignore[attr-defined]
    last = candidates[0]
    for step in candidates[1:]:
        if not _adjacent(last, step):
            last = step
            continue
        first, second = cast(Payload, last.selector), cast(Payload, step.selector)
        joined = Payload(first.base, first.offset, first.bits + second.bits, TYPES["integer"])
        merged = Relation(joined, "==", Slotted.of(last.data, step.data))
        # What says which header follows stays where it is: others may rely on it, and it on none of them.
        stays, goes = (step, last) if _tells_protocol(step) else (last, step)
        run[run.index(stays)] = merged
        run.remove(goes)
        last = merged
    return run


def _tells_protocol(step: Relation) -> bool:
    """Whether it compares the field that says which header follows."""
    selector = cast(Payload, step.selector)
    header = HEADERS.get(selector.header or "")
    return header is not None and header.next is not None and header.next[0] == selector.field


def _adjacent(left: Relation, right: Relation) -> bool:
    first, second = cast(Payload, left.selector), cast(Payload, right.selector)
    if first.base != second.base or first.offset + first.bits != second.offset:
        return False
    total = first.bits + second.bits
    if total > _REGISTER_BITS:
        return False
    return total <= _FAST_BITS or first.base == 0 or first.bits > _FAST_BITS or second.bits > _FAST_BITS
