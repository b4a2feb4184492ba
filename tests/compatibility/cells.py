# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the matrix, their cells, and what running a cell gave."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from typing import Callable

Work = Callable[[], None]

PASSED = "passed"
FAILED = "**failed**"


class NotRun(Exception):
    """What a cell needs is not to be had here; the text says what."""


class Cell:
    """One combination: its ``row`` and ``column``, and its ``work``, which raises what is wrong."""

    __slots__ = ("column", "row", "work")

    def __init__(self, row: str, column: str, work: Work) -> None:
        self.row = row
        self.column = column
        self.work = work


class Table:
    """One question: its ``title``, a paragraph on what a cell does, and the cells.

    ``corner`` names what the rows are. A combination without a cell is shown as ``empty``.
    """

    __slots__ = ("cells", "corner", "empty", "name", "text", "title")

    def __init__(
        self, name: str, title: str, text: str, corner: str, cells: Sequence[Cell], empty: str = ""
    ) -> None:
        self.name = name
        self.title = title
        self.text = text
        self.corner = corner
        self.cells = list(cells)
        self.empty = empty

    def rows(self) -> list[str]:
        """The rows, in the order of the cells."""
        return list(dict.fromkeys(cell.row for cell in self.cells))

    def columns(self) -> list[str]:
        """The columns, in the order of the cells."""
        return list(dict.fromkeys(cell.column for cell in self.cells))


class Outcome:
    """What a cell gave: ``text`` for its table, ``failure`` with all that is known of it, ``seconds``."""

    __slots__ = ("failure", "seconds", "text")

    def __init__(self, text: str, failure: str = "", seconds: float = 0.0) -> None:
        self.text = text
        self.failure = failure
        self.seconds = seconds


def outcome(cell: Cell) -> Outcome:
    """Run a cell."""
    begin = time.monotonic()
    try:
        cell.work()
    except NotRun as error:
        return Outcome("not run: %s" % error)
    except AssertionError as error:
        return Outcome(FAILED, str(error) or traceback.format_exc(), time.monotonic() - begin)
    except Exception:
        return Outcome(FAILED, traceback.format_exc(), time.monotonic() - begin)
    return Outcome(PASSED, "", time.monotonic() - begin)
