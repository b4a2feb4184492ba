# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Markdown as every page that is made has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

HEAD = """<!--
SPDX-FileCopyrightText: The rempart authors
SPDX-License-Identifier: GPL-3.0-or-later

Made by `make reference` from %s.
-->
"""


def cell(text: str) -> str:
    """A text that stands in one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """A text as code in a cell."""
    fence = "``" if "`" in text else "`"
    return "%s%s%s" % (fence, cell(text), fence)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = ["| %s |" % " | ".join(head), "|" + "---|" * len(head)]
    lines += ["| %s |" % " | ".join(row) for row in rows]
    return "\n".join(line.replace("  |", " |") for line in lines) + "\n"
