# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document brought before the kernel: what ``plan``, ``apply`` and ``check`` have in common."""

from __future__ import annotations

from typing import Any

from rempart.errors import DocumentError
from rempart.ruleset.reconcile import Outcome, reconcile

from .documents import Document
from .progress import progress_of
from .session import Session


def run(
    session: Session,
    document: Document,
    netns: str | None,
    check: bool,
    full: bool,
) -> Outcome:
    """Compare, and unless ``check`` apply. Raises RempartError, with all problems of a wrong document."""
    with progress_of(session, len(document.content)) as progress:
        try:
            outcome = reconcile(document.source(), netns, check=check, full=full, progress=progress)
        except DocumentError as error:
            if document.parsed is None:
                raise
            session.stage = ""
            from . import problems

            raise DocumentError.of(problems.find(document.parsed, error.problems)) from None
    session.stage = "compared" if check or not outcome.changed else "done"
    return outcome


def report(session: Session, outcome: Outcome, verb: str, show_diff: bool, ahead: bool) -> None:
    """Write what was found; ``ahead`` if it is still to be done. ``verb`` begins the last line."""
    if session.as_json:
        session.write_json(
            {
                "changed": outcome.changed,
                "changes": outcome.changes(),
                "diff": outcome.diff(),
                "errors": [],
            }
        )
        return
    if outcome.plan is None or not outcome.changed:
        session.write("nothing to do\n" if verb != "drifted" else "in line\n")
        return
    from . import summary, terminal

    if show_diff:
        from . import differences

        terminal.write_diff(session, differences.lines(outcome.diff()))
    terminal.write_summary(session, verb, summary.rows(outcome.plan), ahead)


EMPTY: dict[str, Any] = {"changed": False, "changes": [], "diff": [], "errors": []}
"""What programs read where an error came first."""
