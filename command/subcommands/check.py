# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart check``: whether the kernel still holds what the document says."""

from __future__ import annotations

import click

from .. import engine, options
from ..documents import read
from ..session import EXIT_DIFFERENT, EXIT_DONE, Session


@click.command("check", short_help="Tell whether the kernel has drifted from the document.")
@options.document
@options.netns
@options.full
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
    show_diff: bool,
) -> int:
    """Tell whether the kernel holds what the document says, and change nothing.

    Exit code 0: it does; 2: it has drifted; 1: an error.
    """
    session.empty = engine.EMPTY
    outcome = engine.run(session, read(file, variable_files, assignments), netns, True, full)
    engine.report(session, outcome, "drifted", show_diff, ahead=True)
    return EXIT_DIFFERENT if outcome.changed else EXIT_DONE
