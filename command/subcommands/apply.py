# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart apply``: make the kernel hold what the document says."""

from __future__ import annotations

import click

from .. import engine, options
from ..documents import read
from ..session import EXIT_DONE, Session


@click.command("apply", short_help="Make the kernel hold what the document says.")
@options.document
@options.netns
@options.full
@options.keep_session
@options.diff(False)
@options.as_json
@click.pass_obj
def command(
    session: Session,
    file: str,
    variable_files: tuple[str, ...],
    assignments: tuple[str, ...],
    netns: str | None,
    full: bool,
    keep_session: bool,
    show_diff: bool,
) -> int:
    """Make the kernel hold what the document says, in one transaction.

    Rules that stay keep their counters, and nothing is sent where nothing differs. Typed over
    SSH, a change that cuts this very connection is taken back.
    Exit code 0: the document is in force; 1: an error, and nothing was changed.
    """
    session.empty = engine.EMPTY
    outcome = engine.run(session, read(file, variable_files, assignments), netns, False, full, keep_session)
    engine.report(session, outcome, "applied", show_diff, ahead=False)
    return EXIT_DONE
