# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verdict on figures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.conntrack import statistics
from rempart.conntrack.statistics import saturation


def figures(entries: int = 0, **more: Any) -> dict[str, Any]:
    counters = {word: more.pop(word) for word in statistics.COUNTERS if word in more}
    return {"entries": entries, "max": 1000, "buckets": 1000, "statistics": counters, **more}


def judged(now: dict[str, Any], before: dict[str, Any] | None = None) -> tuple[str, list[tuple[str, str]]]:
    found = saturation(now, before)
    return found["verdict"], [(one["about"], one["verdict"]) for one in found["reasons"]]


@pytest.mark.parametrize(
    ("now", "before", "verdict", "reasons"),
    [
        (figures(799), None, "ok", []),
        (figures(800), None, "filling", [("use", "filling")]),
        (figures(949), None, "filling", [("use", "filling")]),
        (figures(950), None, "full", [("use", "full")]),
        (figures(5000, max=0), None, "filling", [("buckets", "filling")]),
        (figures(400, max=0), None, "ok", []),
        (figures(drop=1), None, "filling", [("drop", "filling")]),
        (figures(drop=1), figures(drop=1), "ok", []),
        (figures(drop=2), figures(drop=1), "full", [("drop", "full")]),
        (figures(early_drop=2), figures(), "full", [("early_drop", "full")]),
        (figures(chaintoolong=2), figures(), "full", [("chaintoolong", "full")]),
        (figures(insert_failed=9), None, "ok", [("insert_failed", "ok")]),
        (figures(insert_failed=9), figures(insert_failed=5), "ok", [("insert_failed", "ok")]),
        # Counters that begin again (the namespace was made anew) have grown by nothing.
        (figures(drop=1), figures(drop=7), "ok", []),
        (figures(buckets=200), None, "ok", [("buckets", "ok")]),
        (figures(buckets=250), None, "ok", []),
        (figures(900, buckets=200), None, "filling", [("use", "filling"), ("buckets", "filling")]),
        (figures(expectations=80, expect_max=100), None, "filling", [("expect_max", "filling")]),
        (figures(expectations=95, expect_max=100), None, "full", [("expect_max", "full")]),
        (figures(950, drop=3), figures(), "full", [("use", "full"), ("drop", "full")]),
    ],
)
def test_verdicts(now: Any, before: Any, verdict: str, reasons: list[tuple[str, str]]) -> None:
    assert judged(now, before) == (verdict, reasons)


def test_reasons_say_how_much() -> None:
    found = saturation(figures(870, drop=7), figures(870, drop=4))
    assert [one["message"] for one in found["reasons"]] == [
        "870 of 1000 connections are in use (87.0 per cent)",
        "new connections were refused for want of room: 3 since the last look",
    ]


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_any_figures_have_a_verdict(entries: int, most: int, buckets: int) -> None:
    found = saturation(figures(entries, max=most, buckets=buckets))
    assert found["verdict"] in statistics.VERDICTS
    assert found == saturation(figures(entries, max=most, buckets=buckets))


def test_sums_over_processors() -> None:
    processors = [{"cpu": 0, "found": 1, "drop": 2}, {"cpu": 1, "found": 3, "drop": 4}]
    assert statistics.total(processors) == {"found": 4, "drop": 6}
    assert statistics.total([]) == {}
