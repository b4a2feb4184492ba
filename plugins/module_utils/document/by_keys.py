# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A chain's rules by the keys that they have.

Most questions about a document concern a few keys. Ten thousand rules have a
handful of sets of keys, so these are asked instead of the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Optional

#: indices of rules, ascending, by their keys in order; by None those of what is no mapping
ByKeys = dict[Optional[tuple[Any, ...]], list[int]]


def by_keys(rules: Sequence[Any]) -> ByKeys:
    """The indices of rules by their keys."""
    found: defaultdict[tuple[Any, ...] | None, list[int]] = defaultdict(list)
    for index, rule in enumerate(rules):
        found[tuple(rule) if isinstance(rule, dict) else None].append(index)
    return found


def having(found: ByKeys, wanted: Iterable[str]) -> list[int]:
    """The indices of the rules that have any of the wanted keys, ascending."""
    isdisjoint = frozenset(wanted).isdisjoint
    groups = [indices for keys, indices in found.items() if keys and not isdisjoint(keys)]
    return sorted(index for indices in groups for index in indices)
