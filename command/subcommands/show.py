# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart show``: what the kernel holds."""

from __future__ import annotations

import click

from .. import options
from ..session import EXIT_DONE, Session
from ..table_names import complete, table_name


@click.command("show", short_help="Show what the kernel holds.")
@click.argument("tables", nargs=-1, metavar="[[FAMILY:]TABLE]...", shell_complete=complete)
@options.netns
@click.option("-x", "--exact", is_flag=True, help="Exact counters, instead of K, M and G.")
@click.option("--zero", is_flag=True, help="Set the counters of rules to zero in the step that reads them.")
@options.as_json
@click.pass_obj
def command(
    session: Session,
    tables: tuple[str, ...],
    netns: str | None,
    exact: bool,
    zero: bool,
) -> int:
    """Show what the kernel holds, as nft text: the tables named, or all of them.

    A chain's line tells how many rules jump to it. With -x nft can load the text.
    """
    session.empty = {"tables": []}
    from rempart.ruleset import inventory

    found = inventory.tables(netns, [table_name(one) for one in tables], zero)
    if session.as_json:
        session.write_json({"tables": found, "errors": []})
        return EXIT_DONE
    from .. import listing, terminal

    terminal.write_nft(session, listing.text(found, exact))
    return EXIT_DONE
