# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack munin``: a munin plugin."""

from __future__ import annotations

import click

from ... import options
from ...session import EXIT_DONE, Session


@click.command("munin", short_help="Be a munin plugin.")
@click.argument("what", type=click.Choice(("config", "values", "autoconf")), default="values")
@options.netns
@click.pass_obj
def command(session: Session, what: str, netns: str | None) -> int:
    """Be a munin plugin, with graphs of the table, of its connections by state, and of what goes wrong.

    A file in /etc/munin/plugins that runs this and passes its arguments on is all that it takes.
    """
    from rempart.conntrack import metrics, statistics, table
    from rempart.conntrack.census import Census
    from rempart.errors import RempartError
    from rempart.netlink.socket import NetlinkSocket

    try:
        figures = statistics.figures(netns)
    except RempartError as error:
        if what != "autoconf":
            raise
        session.write("no (%s)\n" % error.problems[0])
        return EXIT_DONE
    if what == "autoconf":
        session.write("yes\n")
    elif what == "config":
        session.write(metrics.munin_config(figures))
    else:
        with NetlinkSocket(netns) as kernel:
            session.write(metrics.munin_values(figures, Census(table.read(kernel))))
    return EXIT_DONE
