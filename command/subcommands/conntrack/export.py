# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack export``: figures for Prometheus."""

from __future__ import annotations

import click

from ... import options
from ...session import EXIT_DONE, Session

_ENDING = ".prom"
_MODE = 0o644  # the node exporter, another user, reads the file


@click.command("export", short_help="Write figures for Prometheus.")
@options.netns
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Into this file, as a whole or not at all, for the textfile collector; its name ends in .prom.",
)
@click.option(
    "--connections",
    is_flag=True,
    help="Count connections by protocol, state and status too: reads the whole table.",
)
@click.pass_obj
def command(session: Session, netns: str | None, path: str | None, connections: bool) -> int:
    """Write the figures of the connection table in Prometheus' text format, once.

    A timer that runs this is all that the textfile collector of the node exporter needs.
    """
    if path is not None and not path.endswith(_ENDING):
        raise click.BadParameter(
            "the textfile collector reads files whose names end in %s; found %s" % (_ENDING, path),
            param_hint="--output",
        )
    from rempart.conntrack import metrics, statistics, table
    from rempart.conntrack.census import Census
    from rempart.netlink.socket import NetlinkSocket

    figures = statistics.figures(netns)
    census = None
    if connections:
        with NetlinkSocket(netns) as kernel:
            census = Census(table.read(kernel))
    text = metrics.prometheus(figures, statistics.saturation(figures), census)
    if path is None:
        session.write_raw(text)
        return EXIT_DONE
    from rempart.host import files

    files.write(path, text, _MODE)
    return EXIT_DONE
