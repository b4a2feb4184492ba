# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack top``: the busiest connections, live."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click
from rempart.errors import HostError

from ... import connection_filter, options
from ...connection_output import (
    amount,
    count_text,
    end,
    new_table,
    span,
    state_of,
    translated,
    write_table,
)
from ...session import EXIT_DONE, Session, on_terminal, visible

if TYPE_CHECKING:
    from rempart.conntrack.rates import Reading
    from rich.console import RenderableType
    from rich.table import Table


@click.command("top", short_help="Show the busiest connections, live.")
@connection_filter.argument
@options.netns
@click.option(
    "-n", "--lines", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many to show."
)
@click.option(
    "-s",
    "--sort",
    "order",
    type=click.Choice(("bytes", "packets")),
    default="bytes",
    show_default=True,
    help="By what.",
)
@click.option(
    "-d",
    "--delay",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long between two reads.",
)
@click.option("-r", "--rounds", type=click.IntRange(min=1), help="End after so many pictures.")
@options.as_json
@click.pass_obj
def command(
    session: Session,
    filters: tuple[str, ...],
    netns: str | None,
    lines: int,
    order: str,
    delay: float,
    rounds: int | None,
) -> int:
    """Show the connections that carry the most, until Ctrl-C. The kernel must count them: acct.

    Elsewhere than on a terminal each picture is written below the one before, and with --json it is
    one object; without --rounds that is one picture.
    """
    session.empty = {"connections": []}
    wanted = connection_filter.filter_of(filters)
    from rempart.conntrack import scan, statistics
    from rempart.conntrack.rates import Rates
    from rempart.netlink.socket import NetlinkSocket

    rates = Rates()
    live = on_terminal(sys.stdout) and not session.as_json
    left = rounds if rounds is not None else (None if live else 1)
    with NetlinkSocket(netns) as kernel:

        def read() -> Reading:
            return rates.read(scan.matching(kernel, wanted), time.monotonic(), lines, order)

        _require_counters(read())
        limit = statistics.limits(netns)["max"]

        def picture() -> tuple[Reading, str]:
            time.sleep(delay)
            found = read()
            total = scan.count(kernel)
            head = "%s of %s" % (count_text(total), format(limit, ",") if limit else "no limit")
            if not wanted.empty:
                head += ", %d of them %s" % (found.connections, wanted.describe())
            return found, head

        if live:
            _watch(session, picture, left)
            return EXIT_DONE
        while left:
            left -= 1
            found, head = picture()
            if session.as_json:
                session.write_json({"connections": _rows(found), "errors": []})
            else:
                session.write(head + "\n")
                write_table(session, _table(found))
    return EXIT_DONE


def _require_counters(found: Reading) -> None:
    if found.connections and not found.counted:
        raise HostError(
            "the kernel does not count the packets of these connections",
            cure="have it count those to come: in a document, conntrack: {acct: true}",
        )


def _watch(session: Session, picture: Any, left: int | None) -> None:
    """A picture over the one before, until Ctrl-C or after so many."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    def drawn(found: Reading, head: str) -> RenderableType:
        return Group(Text(visible(head), "bold"), _table(found))

    console = Console(highlight=False)
    try:
        with Live(Text("looking ..."), console=console, screen=left is None, auto_refresh=False) as shown:
            while left is None or left > 0:
                shown.update(drawn(*picture()), refresh=True)
                left = None if left is None else left - 1
    except KeyboardInterrupt:
        session.stage = ""


def _table(found: Reading) -> Table:
    drawn = new_table(">bytes/s", ">packets/s", "", "state", "from", "to", "translated to", ">left")
    for one in found.busiest:
        entry = one.entry
        drawn.add_row(
            amount(one.bytes),
            amount(one.packets),
            entry["protocol"],
            state_of(entry),
            visible(end(entry, "original", "s")),
            visible(end(entry, "original", "d")),
            visible(translated(entry)),
            span(entry.get("timeout", 0)),
        )
    return drawn


def _rows(found: Reading) -> list[dict[str, Any]]:
    return [
        {"bytes_per_second": one.bytes, "packets_per_second": one.packets, **one.entry}
        for one in found.busiest
    ]
