# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The same words for a person at a terminal and for a pipe: with colours and tables, or plain.

rich is imported only where there is a terminal.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Callable

from .session import Session, coloured, on_terminal, visible
from .summary import Row, totals, words

#: what is coloured in nft text; a text in quotes first, so that nothing inside it is
_WORDS = re.compile(
    r'(?P<quoted>"[^"]*")'
    r"|(?P<note>#.*)"
    r"|(?P<frame>^\t?(?:table|chain|set|map|flowtable)\b)"
    r"|(?P<good>\baccept\b)"
    r"|(?P<bad>\b(?:drop|reject)\b)"
    r"|(?P<way>\b(?:jump|goto|return|continue|masquerade|redirect|snat|dnat|log)\b)"
)
_STYLES = {
    "quoted": "yellow",
    "note": "dim",
    "frame": "bold",
    "good": "green",
    "bad": "red",
    "way": "cyan",
}
#: by how a line of a diff begins; the first that fits
_DIFF_STYLES = (("---", "bold"), ("+++", "bold"), ("@@", "cyan"), ("-", "red"), ("+", "green"))

Painter = Callable[[str, str], str]


def write_diff(session: Session, lines: Iterable[str]) -> None:
    """A unified diff; at a terminal removed lines are red and added ones green."""
    if coloured(sys.stdout):
        paint = _painter()
        lines = (_painted_difference(visible(line), paint) for line in lines)
        session.write_raw("".join(line + "\n" for line in lines))
    else:
        session.write("".join(line + "\n" for line in lines))


def write_nft(session: Session, text: str) -> None:
    """A ruleset in nft syntax; at a terminal its words are coloured."""
    if coloured(sys.stdout):
        paint = _painter()
        lines = visible(text).splitlines(keepends=True)
        session.write_raw("".join(_painted_words(line, paint) for line in lines))
    else:
        session.write(text)


def write_summary(session: Session, verb: str, rows: list[Row], ahead: bool) -> None:
    """What changes, in one sentence; if in several places, each of them first (at a terminal a table)."""
    if len(rows) == 1:
        session.write("%s: %s\n" % (verb, words(rows[0], ahead)))
        return
    if on_terminal(sys.stdout):
        session.write_raw(_table(rows, ahead))
    else:
        session.write("".join("%s\n" % words(row, ahead) for row in rows))
    session.write("%s: %s\n" % (verb, totals(rows, ahead)))


def _painter() -> Painter:
    """A function that puts a text into a style. The sixteen colours that every terminal has will do."""
    from rich.color import ColorSystem
    from rich.style import Style

    styles = {name: Style.parse(name) for name in {*_STYLES.values(), *dict(_DIFF_STYLES).values()}}
    return lambda text, style: styles[style].render(text, color_system=ColorSystem.STANDARD)


def _painted_difference(line: str, paint: Painter) -> str:
    for head, style in _DIFF_STYLES:
        if line.startswith(head):
            return paint(line, style)
    return line


def _painted_words(line: str, paint: Painter) -> str:
    return _WORDS.sub(lambda found: paint(found.group(), _STYLES[str(found.lastgroup)]), line)


def _table(rows: list[Row], ahead: bool) -> str:
    from io import StringIO

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("table", "part"):
        drawn.add_column(name)
    for name in ("to add", "to remove") if ahead else ("added", "removed"):
        drawn.add_column(name, justify="right")
    drawn.add_column("")
    for row in rows:
        numbers = [format(number, ",") if number else "" for number in (row.added, row.removed)]
        cells = (row.table, row.part, *numbers, ", ".join(row.notes))
        styles = ("", "bold", "green", "red", "")
        drawn.add_row(*(Text(visible(cell), style) for cell, style in zip(cells, styles)))
    target = StringIO()
    system = "standard" if coloured(sys.stdout) else None
    console = Console(file=target, force_terminal=True, color_system=system, highlight=False)  # type: ignore[arg-type]
    console.print(drawn)
    return target.getvalue()
