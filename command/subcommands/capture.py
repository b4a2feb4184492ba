# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart capture``: the kernel's tables as a document."""

from __future__ import annotations

import click

from .. import options
from ..session import EXIT_DONE, Session, complain
from ..table_names import complete, table_name


@click.command("capture", short_help="Write the kernel's tables as a document.")
@click.argument("tables", nargs=-1, metavar="[[FAMILY:]TABLE]...", shell_complete=complete)
@options.netns
@click.option(
    "--counts",
    is_flag=True,
    help="With what packets counted, the elements that they added to sets, "
    "and what is left of elements' time.",
)
@options.as_json
@click.pass_obj
def command(session: Session, tables: tuple[str, ...], netns: str | None, counts: bool) -> int:
    """Write the kernel's tables, those named or all, as a document.

    Applied on the same host it changes nothing; applied on another it makes the same
    tables there. It is YAML, with --json JSON. What a document cannot say is told on
    standard error.
    """
    session.empty = {"tables": []}
    from rempart.netlink.socket import NetlinkSocket
    from rempart.ruleset.capture import capture

    with NetlinkSocket(netns) as kernel:
        captured = capture(kernel, [table_name(one) for one in tables], counts)
    if session.as_json:
        session.write_json(captured.document)
    else:
        from ..yaml_text import document_text

        session.write(document_text(captured.document))
    for note in captured.notes:
        complain(str(note))
    return EXIT_DONE
