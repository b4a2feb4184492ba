# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack watch``: connections as they come, change and go."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from ... import connection_filter, connection_output, options
from ...session import EXIT_DONE, Session, complain, visible

if TYPE_CHECKING:
    from rempart.conntrack.events import Events
    from rempart.conntrack.filters import Filter

KINDS = ("new", "update", "destroy")


@click.command("watch", short_help="Watch connections come, change and go.")
@connection_filter.argument
@options.netns
@click.option(
    "-e",
    "--events",
    "kinds",
    default=",".join(KINDS),
    show_default=True,
    metavar="KINDS",
    help="Which events, with commas; expect_new and expect_destroy are those of expectations.",
)
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many events.")
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0), metavar="SECONDS", help="End after so many seconds."
)
@connection_output.option
@options.as_json
@click.pass_obj
def command(
    session: Session,
    filters: tuple[str, ...],
    netns: str | None,
    kinds: str,
    count: int | None,
    seconds: float | None,
    words: str | None,
) -> int:
    """Write a line for each event of the connections that the filters mean, as conntrack -E does.

    With --json each line is one object with the event's kind and the connection. Events that came
    faster than they could be read are lost; how often that was is told at the end.
    """
    output = connection_output.output_of(words, "line")
    if output.form == "table":
        raise click.BadParameter("events come one by one, and a table is drawn as a whole; use line or xml")
    wanted = connection_filter.filter_of(filters)
    chosen = tuple(kinds.replace(",", " ").split())
    with _listening(wanted, chosen, netns, seconds, count) as events:
        try:
            _write_all(session, output, events)
        except KeyboardInterrupt:
            session.write("")
        finally:
            if events.lost:
                complain("events were lost %d times for want of room" % events.lost)
    return EXIT_DONE


def _listening(
    wanted: Filter, kinds: tuple[str, ...], netns: str | None, seconds: float | None, count: int | None
) -> Events:
    """The listener. Raises DocumentError, in which kinds stand where they were given: at --events."""
    from rempart.conntrack.events import Events
    from rempart.errors import DocumentError

    try:
        return Events(wanted, kinds, netns, timeout=seconds, count=count)
    except DocumentError as error:
        for problem in error.problems:
            if problem.place.startswith("kinds"):
                problem.place = "--events"
        raise


def _write_all(session: Session, output: connection_output.Output, events: Events) -> None:
    """Each event as it comes."""
    from rempart.conntrack import entries, expectations

    if output.form == "xml" and not session.as_json:
        session.write_raw('<?xml version="1.0" encoding="utf-8"?>\n<conntrack>\n')
    for kind, body in events:
        expected = kind.startswith("expect_")
        decode = expectations.decode if expected else entries.decode
        session.write_raw(_line(session, output, kind, decode(body), expected) + "\n")
        if sys.stdout is not None:
            session.close()
    if output.form == "xml" and not session.as_json:
        session.write_raw("</conntrack>\n")


def _line(
    session: Session, output: connection_output.Output, kind: str, entry: dict[str, Any], expected: bool
) -> str:
    from rempart.conntrack import line, xml

    word = kind.rpartition("_")[2]
    if session.as_json:
        return json.dumps({"event": kind, "expectation" if expected else "connection": entry})
    if output.form == "xml":
        return xml.expectation(entry, word) if expected else output.flow(entry, word)
    return visible(line.expectation(entry, word) if expected else output.line(entry, word))
