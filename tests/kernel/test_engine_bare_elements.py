# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets whose elements are keys alone are compared as a whole: the kernel ends with the same either way."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rempart.errors import DocumentError
from rempart.ruleset import compare_elements, membership
from rempart.ruleset.membership import Membership, change_elements
from rempart.ruleset.pairs import Pairs, is_end

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, set_of, table_of, watched

ADDRESSES = ["10.0.0.%d" % number for number in range(9)] + ["255.255.255.254", "255.255.255.255", "0.0.0.0"]
NETWORKS = ["10.0.0.0/29", "10.0.0.8/30", "128.0.0.0/1", "10.0.0.2-10.0.0.6", "255.255.255.252/30"]
ADDRESSES6 = ["::", "::1", "::2", "2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]
NETWORKS6 = ["2001:db8::/32", "::/127", "ffff::/16", "::2-::7"]
PORTS = [0, 1, 2, 3, 22, 80, "https", 65534, 65535]
RANGES = ["0-2", "22-80", "65000-65535", "81-90"]
MARKS = [0, 1, 7, 4294967295]
PAIRS = ["10.0.0.%d . %s" % (number, port) for number in range(3) for port in (22, 80)]

INTERVALS: dict[str, Any] = {"flags": ["interval"]}
MERGED: dict[str, Any] = {"flags": ["interval"], "auto_merge": True}

#: the declaration, and elements for it
KINDS: list[tuple[dict[str, Any], list[Any]]] = [
    ({"type": "ipv4_addr"}, ADDRESSES),
    ({"type": "ipv4_addr", **INTERVALS}, ADDRESSES + NETWORKS),
    ({"type": "ipv4_addr", **MERGED}, ADDRESSES + NETWORKS),
    ({"type": "ipv4_addr", "flags": ["interval", "timeout"], "auto_merge": True}, ADDRESSES + NETWORKS),
    ({"type": "ipv4_addr", "flags": ["dynamic"], "timeout": "1h", "size": 99}, ADDRESSES),
    ({"type": "ipv6_addr"}, ADDRESSES6),
    ({"type": "ipv6_addr", **INTERVALS}, ADDRESSES6 + NETWORKS6),
    ({"type": "ipv6_addr", **MERGED}, ADDRESSES6 + NETWORKS6),
    ({"type": "inet_service"}, PORTS),
    ({"type": "inet_service", **INTERVALS}, PORTS + RANGES),
    ({"type": "inet_service", **MERGED}, PORTS + RANGES),
    ({"type": "mark", **INTERVALS}, [*MARKS, "2-6", "8-4294967295"]),
    ({"type": "ipv4_addr . inet_service"}, PAIRS),
    ({"type": "ipv4_addr . inet_service", **INTERVALS}, [*PAIRS, "10.0.1.0/24 . 22-80"]),
]

Change = tuple[dict[str, Any], list[Any], list[Any]]

bounded = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """A declaration, elements at first and elements to be the only ones; a few say something."""
    declared, known = draw(st.sampled_from(KINDS))
    both: list[list[Any]] = []
    for _unused in range(2):
        found: list[Any] = draw(st.lists(st.sampled_from(known), max_size=6))
        if found and draw(st.integers(0, 2)) == 0:
            said: dict[str, Any] = {"elem": found[-1], "comment": "x"}
            if "timeout" in str(declared) and draw(st.booleans()):
                said["timeout"] = "2h"
            found[-1] = said
        both.append(found)
    return declared, both[0], both[1]


def change(where: Namespace, elements: list[Any]) -> Membership | list[str]:
    """The set with these elements alone; or what is wrong with them."""
    try:
        return change_elements(where.name, "inet", "t", "s", elements, "exact")
    except DocumentError as error:
        return [str(one) for one in error.problems]


def held(where: Namespace) -> Any:
    """What the kernel holds, without times that run. An end at zero that an emptied set keeps is nothing."""
    elements = set_of(table_of(where).sets["s"])[-1]
    return [] if all(map(is_end, elements)) else elements


def told(one: Membership) -> tuple[bool, list[str], list[str]]:
    """What a run tells of itself."""
    added, removed = (
        sorted(re.sub(" expires [^ ]*", "", text) for text in listed)
        for listed in (one.added(), one.removed())
    )
    return one.changed, added, removed


def document(declared: dict[str, Any], elements: list[Any]) -> dict[str, Any]:
    return {"tables": [{"name": "t", "sets": [{"name": "s", **declared, "elements": elements}]}]}


@bounded
@given(changes())
@example(({"type": "ipv4_addr", **INTERVALS}, ["10.0.0.1"], ["10.0.0.0/29", "10.0.0.1"]))
@example(({"type": "ipv4_addr", **MERGED}, ["10.0.0.1", "128.0.0.0/1"], ["128.0.0.0/1"]))
def test_both_ways_end_with_the_same(pair: tuple[Namespace, Namespace], wanted: Change) -> None:
    declared, first, second = wanted
    for where in pair:
        where.nft("flush ruleset")
        apply(document(declared, []), where)
    for elements in (first, second, [], second):
        found = change(pair[0], elements)
        with mock.patch.object(membership, "plan_bare", return_value=False):
            other = change(pair[1], elements)
        if isinstance(found, list) or isinstance(other, list):
            assert found == other
            continue
        assert held(pair[0]) == held(pair[1])
        assert told(found) == told(other)
        again = change(pair[0], elements)
        assert isinstance(again, Membership) and not again.changed


@bounded
@given(changes())
def test_documents_that_differ_in_elements(pair: tuple[Namespace, Namespace], wanted: Change) -> None:
    declared, *both = wanted
    for where in pair:
        where.nft("flush ruleset")
    for elements in (*both, [], both[1]):
        try:
            found = apply(document(declared, elements), pair[0])
        except DocumentError:
            continue
        with (
            mock.patch.object(Pairs, "of", return_value=None),
            mock.patch.object(compare_elements, "_alike", return_value=0),
        ):
            other = apply(document(declared, elements), pair[1], full=True)
        assert found.changed == other.changed
        assert held(pair[0]) == held(pair[1])
        assert not apply(document(declared, elements), pair[0], full=True).changed


def test_all_elements_go_in_one_message(netns: Namespace) -> None:
    """But where packets may have added some meanwhile only those go that were read."""
    for flags, messages in ((["interval"], 1), (["timeout"], 2)):
        declared = {"type": "inet_service", "flags": flags}
        netns.nft("flush ruleset")
        apply(document(declared, list(range(10, 9000, 2))), netns)
        with watched() as seen:
            apply(document(declared, []), netns)
        assert [len(batch) for batch in seen.batches] == [messages]
        assert not held(netns)
