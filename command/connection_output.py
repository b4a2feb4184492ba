# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The forms in which connections are written: conntrack(8)'s lines and XML, a table, JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Callable

import click
from rempart.errors import RempartError, nearest

from .session import Session, visible

if TYPE_CHECKING:
    from rempart.conntrack.raw_lines import Place
    from rich.table import Table

Entry = dict[str, Any]
Function = Callable[..., Any]

FORMS = ("line", "table", "xml")
DETAILS = ("extended", "id", "ktimestamp", "labels")
"""What ``conntrack -o`` adds to lines and XML."""

MOST_ROWS = 1000
"""Of a table, which is drawn as a whole; the other forms have no end."""

_WIDE = 200  # columns of a table that is not on a terminal


class Output:
    """``form`` is one of FORMS, ``details`` some of DETAILS."""

    __slots__ = ("details", "form", "label_names")

    def __init__(self, form: str, details: frozenset[str]) -> None:
        self.form = form
        self.details = details
        self.label_names: dict[int, str] | None = None
        if "labels" in details:
            from rempart.conntrack import labels

            # conntrack(8) too says nothing of labels where nobody named any
            self.label_names = labels.names() or None

    @property
    def swift(self) -> bool:
        """Whether it is lines that :func:`write_dump` can write, which takes no entries."""
        return self.form == "line" and self.details <= {"extended", "id"}

    def line(self, entry: Entry, event: str = "", now: float | None = None) -> str:
        """A connection as conntrack(8) prints it."""
        from rempart.conntrack import line

        return line.connection(
            entry,
            event,
            extended="extended" in self.details,
            id="id" in self.details,
            ktimestamp="ktimestamp" in self.details,
            label_names=self.label_names,
            now=now,
        )

    def flow(self, entry: Entry, event: str = "", now: float | None = None) -> str:
        """The same as an element of XML."""
        from rempart.conntrack import xml

        timed = "ktimestamp" in self.details
        return xml.connection(entry, event, ktimestamp=timed, label_names=self.label_names, now=now)


def option(function: Function) -> Function:
    """``-o``, in conntrack(8)'s words and two more."""
    return click.option(
        "-o",
        "--output",
        "words",
        metavar="WORDS",
        help="How to write it: %s; to lines and XML %s add what they do for conntrack -o. Several with "
        "commas. Without it a table on a terminal, else lines." % (", ".join(FORMS), ", ".join(DETAILS)),
    )(function)


def output_of(words: str | None, otherwise: str) -> Output:
    """What ``-o`` says; ``otherwise`` is the form where it says none. Raises BadParameter."""
    form = ""
    details = set()
    for word in (words or "").replace(",", " ").split():
        if word in FORMS and not form:
            form = word
        elif word in DETAILS:
            details.add(word)
        else:
            known = (*FORMS, *DETAILS)
            message = "%s beside %s" % (word, form) if word in FORMS else "%r is no form" % word
            raise click.BadParameter(
                "%s; known are %s; %s" % (message, ", ".join(known), nearest(word, known))
            )
    if details and form in ("", "table"):
        form = "line"
    return Output(form or otherwise, frozenset(details))


def write_json(session: Session, key: str, entries: Iterable[Entry]) -> int:
    """One JSON object with the entries under ``key``, written as they come; how many there were.

    An error after the beginning is in the object as well, and raised on.
    """
    session.write_raw('{\n  "%s": [' % key)
    count = 0
    try:
        for entry in entries:
            session.write_raw("%s\n    %s" % ("," if count else "", json.dumps(entry)))
            count += 1
    except RempartError as error:
        problems = [problem.as_dict() for problem in error.problems]
        session.write_raw('\n  ],\n  "count": %d,\n  "errors": %s\n}\n' % (count, json.dumps(problems)))
        session.as_json = False  # its object is complete
        raise
    session.write_raw('%s],\n  "count": %d,\n  "errors": []\n}\n' % ("\n  " if count else "", count))
    return count


def write_connections(session: Session, output: Output, entries: Iterable[Entry]) -> int:
    """The connections in a form for people or for conntrack(8)'s readers; how many there were."""
    counted = _Counted(entries)
    if output.form == "table":
        rows = []
        for entry in counted:
            if counted.count <= MOST_ROWS:
                rows.append(entry)
        if rows:
            write_table(session, connection_table(rows))
    else:
        now = time.time()
        if output.form == "xml":
            from rempart.conntrack import xml

            lines: Iterable[str] = xml.document(output.flow(entry, now=now) for entry in counted)
        else:
            lines = (visible(output.line(entry, now=now)) for entry in counted)
        write_lines(session, lines)
    return counted.count


def write_dump(session: Session, output: Output, pieces: Iterable[tuple[bytes, Iterable[Place]]]) -> None:
    """The lines of scan.pieces, as :func:`write_connections` writes them; ``output`` has to be swift."""
    from rempart.conntrack.raw_lines import Lines

    lines = Lines("extended" in output.details, "id" in output.details, escape=visible)
    for data, places in pieces:
        written = lines.of(data, places)
        if written:
            written.append("")
            session.write_raw("\n".join(written))


def write_lines(session: Session, lines: Iterable[str]) -> None:
    """Lines as they come, many at a time."""
    held: list[str] = []
    for line in lines:
        held.append(line + "\n")
        if len(held) >= 1000:
            session.write_raw("".join(held))
            held.clear()
    session.write_raw("".join(held))


class _Counted:
    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self.count = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            self.count += 1
            yield entry


def new_table(*columns: str) -> Table:
    """An empty table; a column whose name begins with ``>`` is of numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        justify: Any = "right" if column.startswith(">") else "left"
        # what does not fit goes on below: of an address nothing may be missing
        drawn.add_column(column.lstrip(">"), justify=justify, overflow="fold")
    return drawn


def write_table(session: Session, drawn: Table) -> None:
    """Draw a table."""
    import os
    import sys
    from io import StringIO

    from rich.console import Console

    from .session import coloured, on_terminal

    target = StringIO()
    system: Any = "standard" if coloured(sys.stdout) else None
    terminal = on_terminal(sys.stdout)
    console = Console(
        file=target,
        force_terminal=terminal,
        color_system=system,
        highlight=False,
        width=(os.get_terminal_size(sys.stdout.fileno()).columns if terminal else 0) or _WIDE,
    )
    console.print(drawn)
    session.write_raw(target.getvalue())


def connection_table(entries: Iterable[Entry]) -> Table:
    """Connections for people, one a row."""
    from rich.text import Text

    rows = sorted(entries, key=_order)
    counted = any("packets" in entry["original"] for entry in rows)
    marked = any(entry.get("mark") for entry in rows)
    columns = ["", "state", "from", "to", "translated to", ">left"]
    columns += [">packets", ">bytes"] if counted else []
    columns += ["mark"] if marked else []
    drawn = new_table(*columns, "")
    for entry in rows:
        cells = [
            Text(entry["protocol"]),
            Text(state_of(entry), _STYLES.get(state_of(entry), "")),
            Text(visible(end(entry, "original", "s"))),
            Text(visible(end(entry, "original", "d"))),
            Text(visible(translated(entry)), "cyan"),
            Text(span(entry.get("timeout", 0))),
        ]
        if counted:
            cells += [Text(amount(_both(entry, "packets"))), Text(amount(_both(entry, "bytes")))]
        if marked:
            cells.append(Text("0x%x" % entry["mark"] if entry.get("mark") else ""))
        drawn.add_row(*cells, Text(visible(notes(entry)), "dim"))
    return drawn


def _order(entry: Entry) -> tuple[str, str, int, str, int]:
    original = entry["original"]
    target = original.get("dport", original.get("icmp_type", 0))
    return entry["protocol"], original["daddr"], target, original["saddr"], original.get("sport", 0)


_STYLES = {"ESTABLISHED": "green", "no answer": "yellow", "SYN_SENT": "yellow"}


def state_of(entry: Entry) -> str:
    """The protocol's state, or what is known of a connection without states."""
    return str(entry.get("state") or ("no answer" if entry.get("unreplied") else "answered"))


def end(entry: Entry, way: str, side: str) -> str:
    """``192.0.2.1:443``, ``[2001:db8::1]:443``; of ICMP the address alone. ``side`` is s or d."""
    one = entry[way]
    address, port = one[side + "addr"], one.get(side + "port")
    if port is None:
        return str(address)
    return "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)


def translated(entry: Entry) -> str:
    """The ends that are others for the other side, a line each: ``from 192.0.2.1:443``, ``to [...]:80``."""
    parts = []
    if "snat" in entry["nat"]:
        parts.append("from " + end(entry, "reply", "d"))
    if "dnat" in entry["nat"]:
        parts.append("to " + end(entry, "reply", "s"))
    return "\n".join(parts)


def notes(entry: Entry) -> str:
    """What else there is to say."""
    words = []
    if entry.get("assured"):
        words.append("assured")
    words += ["%s %s" % (key, entry[key]) for key in ("helper", "zone") if key in entry]
    if "master" in entry:
        words.append("related")
    return ", ".join(words)


def span(seconds: int) -> str:
    """``4d23h``, ``1h59m``, ``2m30s``, ``12s``: two units at most."""
    for size, unit, rest_size, rest_unit in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if seconds >= size:
            rest = seconds % size // rest_size
            return "%d%s%s" % (seconds // size, unit, "%d%s" % (rest, rest_unit) if rest else "")
    return "%ds" % seconds


def count_text(number: int) -> str:
    """``1 connection``, ``20,711 connections``."""
    return "1 connection" if number == 1 else "%s connections" % format(number, ",")


def amount(number: float) -> str:
    """``987``, ``12.3K``, ``4.56M``: three digits and a power of a thousand."""
    for unit in ("", "K", "M", "G", "T"):
        if number < 999.5:
            digits = 0 if not unit or number >= 99.95 else 1 if number >= 9.995 else 2
            return "%.*f%s" % (digits, number, unit)
        number /= 1000
    return "%.0fP" % number


def _both(entry: Entry, what: str) -> int:
    return int(entry["original"].get(what, 0)) + int(entry["reply"].get(what, 0))
