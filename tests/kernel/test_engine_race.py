# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another program changes the ruleset while a plan is made: nothing of either is lost."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from rempart.errors import HostError

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, generation, handles, raw, table_of, watched


def document(*marks: int, name: str = "t") -> dict[str, Any]:
    rules = [{"mark": mark, "counter": True} for mark in marks]
    return {"tables": [{"name": name, "chains": [{"name": "c", "hook": "input", "rules": rules}]}]}


def test_a_change_between_plan_and_commit_is_seen(netns: Namespace) -> None:
    apply(document(1, 2), netns)
    netns.nft("table ip other { chain x { }\n }\n")
    with watched() as seen:
        seen.before_commit.append(lambda: netns.nft("add rule ip other x counter\n"))
        outcome = apply(document(1, 2, 3), netns)
    assert outcome.attempts == 2 and len(seen.batches) == 2
    assert len(handles(netns, "x", "ip", "other")) == 1
    assert len(handles(netns, "c")) == 3
    # what it remembers is the generation after its own commit
    assert outcome.generation == generation(netns)
    assert not apply(document(1, 2, 3), netns).compared


def test_a_change_of_the_same_table_is_planned_anew(netns: Namespace) -> None:
    apply(document(1, 2), netns)
    first = handles(netns, "c")[0]
    with watched() as seen:
        seen.before_commit.append(
            lambda: netns.nft(
                "delete rule inet t c handle %d\nadd rule inet t c meta mark 9 counter\n" % first
            )
        )
        outcome = apply(document(1, 2, 3), netns)
    assert outcome.attempts == 2
    assert first not in handles(netns, "c")
    assert not apply(document(1, 2, 3), netns, full=True).changed


def test_the_table_disappears_meanwhile(netns: Namespace) -> None:
    apply(document(1, 2), netns)
    with watched() as seen:
        seen.before_commit.append(lambda: netns.nft("delete table inet t\n"))
        apply(document(1, 2, 3), netns)
    assert len(handles(netns, "c")) == 3


def test_two_writers_of_one_table_keep_each_others_chain(netns: Namespace) -> None:
    def part(name: str, mark: int) -> dict[str, Any]:
        return {"tables": [{"name": "t", "chains": [{"name": name, "rules": [{"mark": mark}]}]}]}

    def other_writer() -> None:
        apply(part("b", 2), netns, partial=True)

    apply(part("a", 1), netns, partial=True)
    with watched() as seen:
        seen.before_commit.append(other_writer)
        outcome = apply(part("a", 3), netns, partial=True)
    assert outcome.attempts == 2
    chains = table_of(netns).chains
    assert {name: len(chain.rules) for name, chain in chains.items()} == {"a": 1, "b": 1}
    assert not apply(part("a", 3), netns, partial=True).changed
    assert not apply(part("b", 2), netns, partial=True).changed


def test_a_ruleset_that_never_rests_is_an_error_and_stays_the_others(netns: Namespace) -> None:
    apply(document(1), netns)
    netns.nft("table ip other { chain x { }\n }\n")
    before = raw(netns, lambda family, name: name == "t")
    with watched() as seen:
        seen.before_commit += [lambda: netns.nft("add rule ip other x counter\n")] * 50
        with pytest.raises(HostError, match=r"the ruleset changed during each of \d+ attempts"):
            apply(document(1, 2), netns)
    assert len(handles(netns, "x", "ip", "other")) == len(seen.batches)
    assert raw(netns, lambda family, name: name == "t") == before


def test_writers_at_the_same_time_lose_nothing(netns: Namespace) -> None:
    """Each process changes its own table again and again; each commit outdates the others' plans."""
    rounds = 25
    children = []
    for number in range(3):
        child = os.fork()
        if not child:
            code = 1
            try:
                signal.alarm(60)
                for one in range(1, rounds + 1):
                    apply(document(*range(1, one + 1), name="t%d" % number), netns)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    for number in range(3):
        assert len(handles(netns, "c", "inet", "t%d" % number)) == rounds
        wanted = document(*range(1, rounds + 1), name="t%d" % number)
        assert not apply(wanted, netns, full=True).changed
