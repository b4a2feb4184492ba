# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack expect``: the connections that helpers expect."""

from __future__ import annotations

import sys
from typing import Any

import click

from ... import connection_output, options
from ...session import EXIT_DONE, Session, on_terminal, visible


@click.command("expect", short_help="List expected connections.")
@options.netns
@connection_output.option
@options.as_json
@click.pass_obj
def command(session: Session, netns: str | None, words: str | None) -> int:
    """List the connections that helpers announced as related to one that is there.

    Elsewhere than on a terminal, and with -o line, these are the lines of conntrack -L expect.
    """
    session.empty = {"expectations": [], "count": 0}
    output = connection_output.output_of(words, "table" if on_terminal(sys.stdout) else "line")
    from rempart.conntrack import expectations, line, xml
    from rempart.netlink.socket import NetlinkSocket

    with NetlinkSocket(netns) as kernel:
        entries = map(expectations.decode, expectations.read(kernel))
        if session.as_json:
            connection_output.write_json(session, "expectations", entries)
        elif output.form == "xml":
            lines = xml.document(map(xml.expectation, entries), xml.EXPECTATIONS)
            connection_output.write_lines(session, lines)
        elif output.form == "line":
            connection_output.write_lines(session, (visible(line.expectation(one)) for one in entries))
        else:
            _write_table(session, list(entries))
    return EXIT_DONE


def _write_table(session: Session, entries: list[dict[str, Any]]) -> None:
    if not entries:
        session.write("no connection is expected\n")
        return
    drawn = connection_output.new_table("", "from", "to", "helper", "for", ">left")
    for one in entries:
        ends = [connection_output.end(one, way, side) for way, side in (("expected", "s"), ("expected", "d"))]
        master = " - ".join(connection_output.end(one, "master", side) for side in "sd")
        left = connection_output.span(one["timeout"])
        drawn.add_row(*map(visible, (one["protocol"], *ends, one.get("helper", ""), master, left)))
    connection_output.write_table(session, drawn)
