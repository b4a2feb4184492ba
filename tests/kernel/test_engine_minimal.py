# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only what differs is touched: the rules that stay keep handle and counters, as many as can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rempart.nftables import uapi
from rempart.nftables.expressions import decode_list

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, handles, table_of, watched

Rule = dict[str, Any]


@pytest.fixture(scope="module")
def where() -> Iterator[Namespace]:
    """One namespace for all examples of this file."""
    with Namespace() as found:
        yield found.up()


def document(rules: list[Rule], **chain: Any) -> dict[str, Any]:
    """A table with one base chain and one user chain."""
    base = {"name": "c", "hook": "input", "rules": rules, **chain}
    return {"tables": [{"name": "t", "chains": [base, {"name": "user", "rules": [{"verdict": "return"}]}]}]}


#: each way to write a rule, in the document and for nft; %d tells the rules apart
WAYS: list[tuple[Rule, str]] = [
    ({"mark": "%d", "counter": True}, "meta mark %d counter packets {packets} bytes {bytes}"),
    ({"mark": ["%d", 77], "counter": True}, "meta mark {{ %d, 77 }} counter packets {packets} bytes {bytes}"),
    (
        {"mark": "%d", "counter": True, "jump": "user", "comment": "no %d"},
        'meta mark %d counter packets {packets} bytes {bytes} jump user comment "no %d"',
    ),
    (
        {"protocol": "tcp", "dport": "%d", "limit": "5/second", "counter": True, "verdict": "drop"},
        "tcp dport %d limit rate 5/second counter packets {packets} bytes {bytes} drop",
    ),
]


def written(number: int) -> tuple[Rule, str]:
    """Rule ``number`` in the document and in nft's words."""
    rule, text = WAYS[number % len(WAYS)]
    filled: Rule = {}
    for key, value in rule.items():
        if isinstance(value, list):
            filled[key] = [one % number if isinstance(one, str) else one for one in value]
        else:
            filled[key] = value % number if isinstance(value, str) and "%d" in value else value
    return filled, text.replace("%d", str(number))


def longest(old: list[int], new: list[int]) -> int:
    """The length of the longest common subsequence, by the textbook's table."""
    row = [0] * (len(new) + 1)
    for one in old:
        above = row
        row = [0]
        for index, other in enumerate(new):
            row.append(above[index] + 1 if one == other else max(above[index + 1], row[index]))
    return row[-1]


def counts(where: Namespace, chain: str = "c") -> dict[int, tuple[int, int]]:
    """Packets and bytes of a chain's rules by handle."""
    found = {}
    for rule in table_of(where).chains[chain].rules:
        for one in decode_list(rule.expressions):
            if one.name == "counter":
                found[rule.handle] = (one.packets, one.bytes)
    return found


def messages(batch: Any, kind: int) -> int:
    """How many messages of the kind a transaction has."""
    return sum(1 for one in batch if one[4] == kind)


numbers = st.lists(st.integers(1, 7), max_size=9)


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(old=numbers, new=numbers)
@example(old=[1, 1, 1], new=[1, 1])
@example(old=[1, 2, 3, 4], new=[4, 1, 2, 3])
@example(old=[1, 2, 3, 4], new=[4, 3, 2, 1])
@example(old=[1, 2, 3], new=[])
@example(old=[], new=[1, 2, 3])
@example(old=[5, 1, 5, 2, 5], new=[1, 5, 5, 2])
def test_as_many_rules_as_can_stay_with_their_counters(
    old: list[int], new: list[int], where: Namespace
) -> None:
    texts = [
        written(number)[1].format(packets=100 + index, bytes=9000 + index) for index, number in enumerate(old)
    ]
    chain = "type filter hook input priority 0; policy accept;\n" + "\n".join(texts)
    where.nft("flush ruleset\ntable inet t {\nchain user {\nreturn\n}\nchain c {\n%s\n}\n}\n" % chain)
    before = handles(where, "c")
    number_of = dict(zip(before, old))
    counted = counts(where)
    with watched() as seen:
        apply(document([written(number)[0] for number in new]), where)
    after = handles(where, "c")
    stayed = [handle for handle in after if handle in number_of]
    kept = longest(old, new)
    assert len(stayed) == kept
    # in their old order, in the places of the new one, with what they had counted
    assert stayed == sorted(stayed, key=before.index)
    assert all(number_of[handle] == new[index] for index, handle in enumerate(after) if handle in number_of)
    now = counts(where)
    assert {handle: now[handle] for handle in stayed} == {handle: counted[handle] for handle in stayed}
    assert all(now[handle] == (0, 0) for handle in after if handle not in number_of)
    batch = seen.batches[0] if seen.batches else []
    assert len(seen.batches) == (old != new)
    assert messages(batch, uapi.NFT_MSG_NEWRULE) == len(new) - kept
    assert messages(batch, uapi.NFT_MSG_DELRULE) == len(old) - kept
    # and the whole is what was asked for
    assert not apply(document([written(number)[0] for number in new]), where, full=True).changed


RULES = [written(number)[0] for number in (1, 2, 3, 4, 5)]


@pytest.fixture
def applied(netns: Namespace) -> Namespace:
    apply(document(RULES), netns)
    return netns


def test_a_policy_changes_without_touching_a_rule(applied: Namespace) -> None:
    before = table_of(applied)
    with watched() as seen:
        outcome = apply(document(RULES, policy="drop"), applied)
    after = table_of(applied)
    assert after.chains["c"].policy == 0 and before.chains["c"].policy == 1
    assert after.chains["c"].handle == before.chains["c"].handle
    assert [one.handle for one in after.chains["c"].rules] == [one.handle for one in before.chains["c"].rules]
    assert [[message[4] for message in batch] for batch in seen.batches] == [[uapi.NFT_MSG_NEWCHAIN]]
    [change] = outcome.changes()
    assert (change["kind"], change["before"], change["after"]) == ("policy", "accept", "drop")


@pytest.mark.parametrize(
    "changed",
    [
        {"priority": 5},
        {"hook": "forward"},
        {"comment": "now with a comment"},
        {"type": "route", "hook": "output"},
    ],
    ids=lambda changed: "-".join(changed),
)
def test_what_a_chain_cannot_change_makes_only_it_anew(applied: Namespace, changed: Rule) -> None:
    before = table_of(applied)
    apply(document(RULES, **changed), applied)
    after = table_of(applied)
    assert after.chains["c"].handle != before.chains["c"].handle
    assert len(after.chains["c"].rules) == len(RULES)
    assert after.handle == before.handle
    assert after.chains["user"].handle == before.chains["user"].handle
    assert handles(applied, "user") == [one.handle for one in before.chains["user"].rules]
    assert not apply(document(RULES, **changed), applied, full=True).changed


def test_a_chain_that_is_jumped_to_is_made_anew(applied: Namespace) -> None:
    before = table_of(applied)
    wanted = document(RULES)
    wanted["tables"][0]["chains"][1]["comment"] = "jumped to"
    apply(wanted, applied)
    after = table_of(applied)
    assert after.chains["user"].handle != before.chains["user"].handle
    assert after.chains["c"].handle == before.chains["c"].handle
    old, new = ([one.handle for one in table.chains["c"].rules] for table in (before, after))
    # only the rule that jumps to it is new
    jumps = [index for index, rule in enumerate(RULES) if "jump" in rule]
    assert [index for index, handle in enumerate(new) if handle not in old] == jumps != []
    assert not apply(wanted, applied, full=True).changed


VMAP = {
    "expr": [
        {
            "vmap": {
                "key": {"meta": {"key": "mark"}},
                "data": {"set": [[1, {"jump": {"target": "user"}}], [2, {"drop": None}]]},
            }
        }
    ]
}


def test_a_chain_in_a_verdict_map_is_made_anew_and_removed(netns: Namespace) -> None:
    wanted = document([VMAP, {"verdict": "accept"}])
    apply(wanted, netns)
    before = handles(netns, "c")
    wanted["tables"][0]["chains"][1]["comment"] = "jumped to"
    apply(wanted, netns)
    assert handles(netns, "c")[1:] == before[1:] and handles(netns, "c")[0] != before[0]
    del wanted["tables"][0]["chains"][1]
    wanted["tables"][0]["chains"][0]["rules"] = [{"verdict": "accept"}]
    apply(wanted, netns)
    assert handles(netns, "c") == before[1:]
    assert set(table_of(netns).chains) == {"c"}


def test_chains_come_and_go_around_those_that_stay(applied: Namespace) -> None:
    before = table_of(applied)
    wanted = document(RULES)
    chains = wanted["tables"][0]["chains"]
    chains.insert(0, {"name": "first", "hook": "output", "rules": [{"jump": "second"}]})
    chains.append({"name": "second", "rules": [{"goto": "third"}, {"counter": True}]})
    chains.append({"name": "third", "comment": "last"})
    apply(wanted, applied)
    after = table_of(applied)
    assert set(after.chains) == {"c", "user", "first", "second", "third"}
    for name in ("c", "user"):
        assert [one.handle for one in after.chains[name].rules] == [
            one.handle for one in before.chains[name].rules
        ]
    apply(document(RULES), applied)
    assert set(table_of(applied).chains) == {"c", "user"}
    assert handles(applied, "c") == [one.handle for one in before.chains["c"].rules]


def test_chains_that_lead_to_each_other_swap_their_roles(netns: Namespace) -> None:
    def chains(first: str, second: str) -> dict[str, Any]:
        inner = {"name": second, "rules": [{"counter": True}]}
        outer = {"name": first, "rules": [{"jump": second}]}
        base = {"name": "c", "hook": "input", "rules": [{"jump": first}]}
        return {"tables": [{"name": "t", "chains": [base, outer, inner]}]}

    apply(chains("a", "b"), netns)
    apply(chains("b", "a"), netns)
    assert not apply(chains("b", "a"), netns, full=True).changed
    assert "jump a" in netns.nft_text("chain", "inet", "t", "b")


def test_a_table_comment_makes_the_table_anew_and_no_other(applied: Namespace) -> None:
    wanted = document(RULES)
    other = {"name": "other", "family": "ip", "chains": [{"name": "x", "rules": [{"counter": True}]}]}
    both = {"tables": [wanted["tables"][0], other]}
    apply(both, applied)
    before, before_other = table_of(applied), table_of(applied, "ip", "other")
    both["tables"][0]["comment"] = "the wall"
    apply(both, applied)
    after, after_other = table_of(applied), table_of(applied, "ip", "other")
    assert before.handle != after.handle and after.userdata
    assert before_other.handle == after_other.handle
    assert handles(applied, "x", "ip", "other") == [one.handle for one in before_other.chains["x"].rules]


def test_a_table_falls_asleep_and_wakes_with_its_rules(applied: Namespace) -> None:
    before = handles(applied, "c")
    wanted = document(RULES)
    wanted["tables"][0]["flags"] = ["dormant"]
    apply(wanted, applied)
    assert "flags dormant" in applied.nft_text()
    assert handles(applied, "c") == before
    apply(document(RULES), applied)
    assert "flags dormant" not in applied.nft_text()
    assert handles(applied, "c") == before


def test_a_dormant_table_wakes_with_another_base_chain(applied: Namespace) -> None:
    asleep = document(RULES)
    asleep["tables"][0]["flags"] = ["dormant"]
    apply(asleep, applied)
    awake = document(RULES, priority=7, policy="drop")
    apply(awake, applied)
    assert not apply(awake, applied, full=True).changed
    apply(asleep, applied)
    assert not apply(asleep, applied, full=True).changed
