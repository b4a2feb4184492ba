# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outcomes for a person: a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .cells import FAILED, PASSED, Cell, Outcome, Table

INTRODUCTION = """\
<!--
SPDX-FileCopyrightText: The rempart authors
SPDX-License-Identifier: GPL-3.0-or-later
-->

# Compatibility

Written by `make matrix`, which has every combination work on this machine's kernel, in network namespaces
that it makes and removes. What it needs is installed from the package index into virtual environments
below `.build/matrix`. A Python that the machine does not have is not run, and not counted as passed.

Promised are ansible-core %(ansible)s or newer on the controller, Python %(python)s or newer on the hosts and
for the command, and pyroute2 %(pyroute2)s or newer where a host's queue lengths are set.\
"""

Outcomes = Mapping[Cell, Outcome]


def markdown(
    tables: Sequence[Table],
    outcomes: Outcomes,
    promised: Mapping[str, str],
    machine: Sequence[tuple[str, str]],
) -> str:
    """The whole page; ``promised`` has the versions that the introduction names."""
    lines = [INTRODUCTION % promised, "", summary(outcomes)]
    for table in tables:
        lines += ["", "## " + table.title, "", table.text, "", *grid(table, outcomes)]
    failed = [(table, cell) for table in tables for cell in table.cells if outcomes[cell].failure]
    if failed:
        lines += ["", "## What failed"]
    for table, cell in failed:
        lines += ["", "%s, %s, %s:" % (table.title, cell.row, cell.column), ""]
        lines += ["```text", *outcomes[cell].failure.splitlines(), "```"]
    lines += ["", "## Machine", "", "|  |  |", "|---|---|"]
    lines += ["| %s | %s |" % one for one in machine]
    return "\n".join(lines) + "\n"


def grid(table: Table, outcomes: Outcomes) -> list[str]:
    """A table's rows and columns, as lines of Markdown."""
    columns = table.columns()
    found = {(cell.row, cell.column): outcomes[cell].text for cell in table.cells}
    lines = ["| %s |" % " | ".join((table.corner, *columns)), "|" + "---|" * (len(columns) + 1)]
    for row in table.rows():
        texts = [found.get((row, column), table.empty) for column in columns]
        lines.append("| %s |" % " | ".join((row, *texts)))
    return lines


def summary(outcomes: Outcomes) -> str:
    """How many cells there are of each kind."""
    texts = [one.text for one in outcomes.values()]
    passed, failed = texts.count(PASSED), texts.count(FAILED)
    left = len(texts) - passed - failed
    return "Of %d combinations %d passed, %d failed and %d were not run." % (
        len(texts),
        passed,
        failed,
        left,
    )
