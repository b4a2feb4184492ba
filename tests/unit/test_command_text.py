# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command's own words: counts, differences, what a terminal may see."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.command.differences import lines
from rempart.command.listing import short
from rempart.command.listing import text as listed
from rempart.command.session import visible
from rempart.command.summary import Row, count, totals, words


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (99_999, "99999"),
        (100_000, "100K"),
        (100_499, "100K"),
        (100_500, "101K"),
        (9_999_499, "9999K"),
        (9_999_500, "10M"),
        (12_345_678_901, "12G"),
        (9_999_499_000, "9999M"),
        (18_446_744_073_709_551_615, "18446744T"),
    ],
)
def test_counts_are_shortened_as_ipchains_did(number: int, shown: str) -> None:
    assert short(number) == shown


def table(rule: dict[str, object], comment: str | None = None) -> dict[str, object]:
    rules = [{"handle": 1, "expr": [rule], **({"comment": comment} if comment else {})}]
    chain = {"name": "c", "references": 2, "rules": rules}
    return {
        "family": "ip",
        "name": "t",
        "chains": [chain],
        "sets": [],
        "maps": [],
        "objects": [],
        "flowtables": [],
    }


def test_only_counts_are_shortened() -> None:
    counter = {"counter": {"packets": 1_234_567, "bytes": 7_654_321_000}}
    comment = "packets 1234567 bytes 7654321000"
    assert '\t\tcounter packets 1235K bytes 7654M comment "%s"\n' % comment in listed(
        [table(counter, comment)]
    )
    exact = listed([table(counter, comment)], exact=True)
    assert '\t\tcounter packets 1234567 bytes 7654321000 comment "%s"\n' % comment in exact


def test_a_chain_tells_what_refers_to_it() -> None:
    assert "\tchain c { # 2 references\n" in listed([table({"accept": None})])


def test_a_unified_diff() -> None:
    before, after = "a\nb\nc\n", "a\nB\nc\n"
    one = {"before": before, "after": after, "before_header": "old", "after_header": "new"}
    assert list(lines([one])) == ["--- old", "+++ new", "@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]
    assert list(lines([])) == []


LINES = st.lists(st.sampled_from("abcde"), max_size=30)


@given(LINES, LINES)
def test_a_unified_diff_leads_from_before_to_after(before: list[str], after: list[str]) -> None:
    one = {
        "before": "\n".join(before),
        "after": "\n".join(after),
        "before_header": "old",
        "after_header": "new",
    }
    assert patched(before, list(lines([one]))[2:]) == after


def patched(before: list[str], diff: list[str]) -> list[str]:
    """What patch(1) makes of it; AssertionError where a line is not the one that is expected."""
    after: list[str] = []
    at = 0
    for line in diff:
        mark, text = line[0], line[1:]
        if mark == "@":
            place = re.match(r"@@ -(\d+)(,0)?", line)
            assert place
            start = int(place[1]) - (place[2] is None)
            after += before[at:start]
            at = start
        elif mark == "+":
            after.append(text)
        else:
            assert before[at] == text
            after += [text] if mark == " " else []
            at += 1
    return after + before[at:]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("bell\x07 del\x7f csi\x9b", "bell\\x07 del\\x7f csi\\x9b"),
        ("over\rwritten", "over\\x0dwritten"),
        ("drop \u202etpecca", "drop \\u202etpecca"),
        ("Grüße 漢字", "Grüße 漢字"),
    ],
)
def test_what_would_steer_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_row_and_the_total_in_words() -> None:
    rule = Row("inet edge", "chain input")
    rule.added, rule.removed = 2, 1
    rule.note("policy", "change", "policy drop, was accept")
    chain = Row("inet edge", "chain services")
    chain.note("chain", "add", "new")
    chain.added = 10_000
    elements = Row("inet edge", "set blocked", "element")
    elements.removed = 1
    assert words(rule, True) == (
        "inet edge, chain input: policy drop, was accept; 2 rules to add; 1 rule to remove"
    )
    assert words(chain, False) == "inet edge, chain services: new; 10,000 rules added"
    assert totals([rule, chain, elements], True) == (
        "1 chain, 10,002 rules to add; 1 rule, 1 element to remove; 1 policy to change"
    )


def test_plurals() -> None:
    assert [count(2, one) for one in ("rule", "policy", "ct helper")] == [
        "2 rules",
        "2 policies",
        "2 ct helpers",
    ]
    assert count(1, "policy") == "1 policy"
