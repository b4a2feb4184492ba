# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The benchmarks' arithmetic and their page; nothing is measured here."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tests.bench import measure, report
from tests.bench.measure import Side, Times
from tests.bench.results import (
    Below,
    Benchmark,
    Faster,
    Longer,
    Result,
    Target,
    Under,
    duration,
    number,
    size,
)


class Row(Benchmark):
    """A row with any target."""

    name = "row"
    work = "one | two"
    against = "`nft`"
    notes = "A note."

    def __init__(self, target: Target) -> None:
        self.target = target


def row(target: Target, ours: list[float], theirs: list[float], scale: float = 1) -> Result:
    return Row(target).result(Times(ours, [0.5]), Times(theirs, scale=scale), "A fact.")


def test_the_median_is_of_the_scaled_runs() -> None:
    times = Times([9.0, 1.0, 2.0, 4.0], [3.0, 1.0, 2.0], scale=50)
    assert times.median == 150
    assert times.median_cpu == 100
    assert times.spread == (50, 450)
    assert Times([1.0]).median_cpu is None


@pytest.mark.parametrize(
    ("target", "ours", "theirs", "scale", "figure", "verdict"),
    [
        (Faster(100), [0.001, 0.002, 9.0], [0.2, 0.1, 0.3], 1, "100 times faster", "yes"),
        (Faster(4), [0.1], [0.39], 1, "3.9 times faster", "no"),
        (Faster(1), [0.3], [0.2], 1, "1.5 times slower", "no"),
        (Faster(500), [0.5], [5.0], 50, "500 times faster", "yes"),
        (Longer(1.5), [0.3], [0.2], 1, "1.5 times as long", "yes"),
        (Longer(1.5), [0.32], [0.2], 1, "1.6 times as long", "no"),
        (Under(0.2), [0.1], [1.0], 1, "0.1 s, 10 times faster", "yes"),
        (Under(0.2), [0.2], [1.0], 1, "0.2 s, 5 times faster", "no"),
        (Target(), [1.0], [3.0], 1, "3 times faster", ""),
        (Target(), [3.0], [1.0], 1, "3 times slower", ""),
    ],
)
def test_ratios_are_of_medians(
    target: Target, ours: list[float], theirs: list[float], scale: float, figure: str, verdict: str
) -> None:
    result = row(target, ours, theirs, scale)
    assert (result.figure, result.verdict) == (figure, verdict)


def test_both_sides_run_in_turns_after_a_round_that_does_not_count() -> None:
    done: list[str] = []

    def prepare() -> str:
        done.append("prepare")
        return "ours"

    ours = Side(lambda given: done.append("run " + given), prepare)
    theirs = Side(lambda given: done.append("run theirs"))
    taken = measure.alternate(2, ours, theirs)
    rounds = len(taken[0].wall) + 1
    assert done == ["prepare", "run ours", "run theirs"] * rounds
    assert [len(times.cpu) for times in taken] == [rounds - 1, rounds - 1]


def test_the_page_has_a_row_for_each_result_the_notes_and_the_machine() -> None:
    results = [row(Faster(2), [0.1], [0.3]), row(Faster(4), [0.1], [0.3])]
    lines = report.markdown(results, [("kernel", "Linux 6.12")], 5, ["A paragraph."]).splitlines()
    assert "| one \\| two | 0.1 s | `nft` | 0.3 s | 3 times faster | 2 times faster | yes |" in lines
    assert "| one \\| two | 0.1 s | `nft` | 0.3 s | 3 times faster | 4 times faster | no |" in lines
    assert "- **one | two**: A note. A fact." in lines
    assert "| one \\| two | 0.1 s to 0.1 s | 0.5 s | 0.3 s to 0.3 s |  |" in lines
    assert "| kernel | Linux 6.12 |" in lines
    assert "A paragraph." in lines


def test_memory_is_told_in_megabytes() -> None:
    class Peak(Row):
        def amount(self, value: float) -> str:
            return size(value)

    results = [Peak(Below(limit)).result(Times([2e7, 3e7, 1e7]), None) for limit in (64e6, 2e7)]
    assert [result.verdict for result in results] == ["yes", "no"]
    lines = report.markdown(results, [], 5, []).splitlines()
    assert "| one \\| two | 20 MB | `nft` |  | 20 MB | under 64 MB | yes |" in lines
    assert "| one \\| two | 10 MB to 30 MB |  |  |  |" in lines


def test_long_sides_run_as_often_as_was_asked() -> None:
    nothing = Side(lambda _: None)
    assert [len(times.wall) for times in measure.alternate(5, nothing, nothing, long=True)] == [5, 5]


def test_the_terminal_shows_the_same_rows() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(report.terminal([row(Faster(2), [0.1], [0.3])]))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for cell in ("one | two", "0.1 s", "nft", "0.3 s", "3 times faster", "2 times faster", "yes"):
        assert cell in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0012345, "1.23 ms"), (0.05, "50 ms"), (0.25, "0.25 s"), (12.34, "12.3 s"), (2468, "2,468 s")],
)
def test_times_have_a_unit_that_suits_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.666, "0.67"), (1.0, "1"), (3.14, "3.1"), (191.4, "191"), (1234.5, "1,234")]
)
def test_ratios_have_no_more_figures_than_they_are_worth(value: float, text: str) -> None:
    assert number(value) == text
