# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack count``: how many connections a filter means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ... import connection_filter, options
from ...session import EXIT_DONE, Session

if TYPE_CHECKING:
    from rempart.conntrack.filters import Filter
    from rempart.netlink.socket import NetlinkSocket


@click.command("count", short_help="Count connections.")
@connection_filter.argument
@options.netns
@options.as_json
@click.pass_obj
def command(session: Session, filters: tuple[str, ...], netns: str | None) -> int:
    """Count the connections that the filters mean. Without any, the kernel tells the number at once."""
    session.empty = {"count": None}
    wanted = connection_filter.filter_of(filters) if filters else None
    from rempart.netlink.socket import NetlinkSocket

    with NetlinkSocket(netns) as kernel:
        count = _count(kernel, wanted)
    if session.as_json:
        session.write_json({"count": count, "errors": []})
    else:
        session.write("%d\n" % count)
    return EXIT_DONE


def _count(kernel: NetlinkSocket, wanted: Filter | None) -> int:
    """What looks at connections is imported only where they are looked at."""
    if wanted is None:
        from rempart.conntrack import table

        return table.count(kernel)
    from rempart.conntrack import scan

    return scan.count(kernel, wanted)
