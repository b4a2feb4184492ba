# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack list``: the connections that a filter means."""

from __future__ import annotations

import sys

import click

from ... import connection_filter, connection_output, options
from ...session import EXIT_DONE, Session, complain, on_terminal


@click.command("list", short_help="List connections.")
@connection_filter.argument
@options.netns
@connection_output.option
@click.option(
    "--zero", is_flag=True, help="Set the counters of those listed to zero in the step that reads them."
)
@options.as_json
@click.pass_obj
def command(
    session: Session, filters: tuple[str, ...], netns: str | None, words: str | None, zero: bool
) -> int:
    """List the connections that the filters mean; without any, all of them.

    On a terminal it is a table, of the first thousand. Elsewhere, and with -o line, it is a line for
    each as conntrack -L prints it, and with -o xml the XML of conntrack -o xml.
    """
    session.empty = {"connections": [], "count": 0}
    output = connection_output.output_of(words, "table" if on_terminal(sys.stdout) else "line")
    wanted = connection_filter.filter_of(filters)
    from rempart.netlink.socket import NetlinkSocket

    if output.swift and not session.as_json and not zero:
        from rempart.conntrack import scan

        with NetlinkSocket(netns) as kernel:
            connection_output.write_dump(session, output, scan.pieces(kernel, wanted))
        return EXIT_DONE
    from rempart.conntrack.listing import listed

    with NetlinkSocket(netns) as kernel:
        entries = listed(kernel, wanted, zero)
        if session.as_json:
            connection_output.write_json(session, "connections", entries)
            return EXIT_DONE
        count = connection_output.write_connections(session, output, entries)
    if output.form == "table":
        more = count - connection_output.MOST_ROWS
        if more > 0:
            complain("%s more; -o line lists them all" % format(more, ","))
        session.write(connection_output.count_text(count) + "\n")
    return EXIT_DONE
