# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart plan``: what an apply would do."""

from __future__ import annotations

import click

from .. import engine, options
from ..documents import read
from ..session import EXIT_DIFFERENT, EXIT_DONE, Session


@click.command("plan", short_help="Show what apply would change.")
@options.document
@options.netns
@options.full
@options.diff(True)
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
    """Show what apply would change, and change nothing.

    The difference is shown in nft syntax. Exit code 0: there is nothing to do; 2:
    there is something; 1: an error.
    """
    session.empty = engine.EMPTY
    outcome = engine.run(session, read(file, variable_files, assignments), netns, True, full)
    engine.report(session, outcome, "plan", show_diff, ahead=True)
    return EXIT_DIFFERENT if outcome.changed else EXIT_DONE
