# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack delete``: the entry of one connection deleted."""

from __future__ import annotations

import click

from ... import one_connection, options
from ...session import Session


@click.command("delete", short_help="Delete the entry of one connection.")
@one_connection.argument
@one_connection.dry_run
@options.netns
@options.as_json
@click.pass_obj
def command(session: Session, words: tuple[str, ...], dry_run: bool, netns: str | None) -> int:
    """Delete the entry of one connection, named as for set. Its next packet may make it anew.

    To delete by a filter, and to end connections so that they stay dead: rempart kill.
    """
    return one_connection.bring(session, words, netns, "absent", False, dry_run)
