# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The results for a person: a page of Markdown, a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from .measure import Times
from .results import Result, duration

HEADINGS = ("work", "rempart", "against", "takes", "result", "target", "met")

INTRODUCTION = """\
<!--
SPDX-FileCopyrightText: The rempart authors
SPDX-License-Identifier: GPL-3.0-or-later
-->

# Benchmarks

Written by `make bench`, which measures both sides of each row in turns, in the same run, in network
namespaces that it makes and removes. Times are medians; figures vary by machine, the ratios are what counts.
"""

RUNS = """\
From the shortest to the longest run on the clock, and the median of processor time: user and kernel mode
together, of the process and its children (not taken for Ansible's tasks).\
"""


def cells(result: Result) -> tuple[str, ...]:
    """One row of the table, as ``HEADINGS`` names the columns."""
    theirs = result.theirs
    return (
        result.benchmark.work,
        result.benchmark.amount(result.ours.median),
        result.benchmark.against,
        result.benchmark.amount(theirs.median) if theirs is not None else "",
        result.figure,
        result.benchmark.target.aim(),
        result.verdict,
    )


def markdown(
    results: Sequence[Result], machine: Sequence[tuple[str, str]], repetitions: int, paragraphs: Sequence[str]
) -> str:
    """The whole page; ``paragraphs`` say what the rulesets are and what else concerns all rows."""
    lines = [INTRODUCTION]
    lines += _table(HEADINGS, [cells(result) for result in results])
    lines += ["", "## What is measured", ""]
    for paragraph in (
        *paragraphs,
        "Every row has at least %d runs a side after one to warm up." % repetitions,
    ):
        lines += [paragraph, ""]
    for result in results:
        said = " ".join((result.benchmark.notes, *result.facts))
        lines.append("- **%s**: %s" % (result.benchmark.work, said))
    lines += ["", "## Every run", "", RUNS, ""]
    lines += _table(
        ("work", "rempart", "processor", "the other", "processor"),
        [
            (result.benchmark.work, *_runs(result, result.ours), *_runs(result, result.theirs))
            for result in results
        ],
    )
    lines += ["", "## Machine", ""]
    lines += _table(("", ""), machine)
    return "\n".join(lines) + "\n"


def terminal(results: Sequence[Result]) -> Table:
    """The same rows for rich."""
    table = Table(*HEADINGS, show_lines=True)
    for result in results:
        *first, met = cells(result)
        table.add_row(
            *(Text(cell.replace("`", "")) for cell in first),
            Text(met, style="green" if result.met else "bold red"),
        )
    return table


def _runs(result: Result, times: Times | None) -> tuple[str, str]:
    if times is None:
        return "", ""
    shortest, longest = times.spread
    cpu = times.median_cpu
    amount = result.benchmark.amount
    return "%s to %s" % (amount(shortest), amount(longest)), "" if cpu is None else duration(cpu)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| %s |" % " | ".join(headings), "|" + "---|" * len(headings)]
    lines += ["| %s |" % " | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return lines
