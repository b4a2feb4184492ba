# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document brought before the kernel: what ``plan``, ``apply`` and ``check`` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rempart.errors import DocumentError, RempartError
from rempart.ruleset.reconcile import Outcome, Source, reconcile

from .documents import Document
from .progress import progress_of
from .sections import conntrack_of, has_tables
from .session import Session, complain

if TYPE_CHECKING:
    from .tracking import Tracking


class Done:
    """What a run found and did with the tables and with connection tracking; None where not declared."""

    __slots__ = ("conntrack", "tables")

    def __init__(self, tables: Outcome | None, conntrack: Tracking | None) -> None:
        self.tables = tables
        self.conntrack = conntrack

    @property
    def changed(self) -> bool:
        """Whether there was, or is, anything to do."""
        return any(one is not None and one.changed for one in (self.tables, self.conntrack))

    def changes(self) -> list[dict[str, Any]]:
        """The changes for programs."""
        found = self.tables.changes() if self.tables is not None else []
        if self.conntrack is not None:
            found += self.conntrack.changes()
        return found

    def diff(self) -> list[dict[str, str]]:
        """The difference for people."""
        found = self.tables.diff() if self.tables is not None else []
        if self.conntrack is not None:
            found += self.conntrack.diff()
        return found


def run(
    session: Session,
    document: Document,
    netns: str | None,
    check: bool,
    full: bool,
    keep_session: bool = False,
) -> Done:
    """Compare, and unless ``check`` apply; with ``keep_session`` as ``reconcile_keeping`` does.

    Raises RempartError, with all problems of a wrong document.
    Whatever can be known to be wrong with either half is known before either is changed.
    """
    section = None
    with progress_of(session, len(document.content)) as progress:
        try:
            section = conntrack_of(document)
            conntrack = None if section is None else _plan(section["conntrack"], netns)
            outcome = None
            if has_tables(document):
                way = _keeping if keep_session else reconcile
                outcome = way(document.source(), netns, check=check, full=full, progress=progress)
        except DocumentError as error:
            if document.parsed is None and section is None:
                raise
            session.stage = ""
            from . import problems

            raise DocumentError.of(problems.find(document.parse(), error.problems)) from None
    done = Done(outcome, conntrack)
    if conntrack is not None and conntrack.changed and not check:
        _apply(conntrack, outcome)
    session.stage = "compared" if check or not done.changed else "done"
    return done


def _keeping(source: Source, netns: str | None, **options: Any) -> Outcome:
    from rempart.session.keep import reconcile_keeping

    return reconcile_keeping(source, netns, **options)[0]


def _plan(section: Any, netns: str | None) -> Tracking:
    from .tracking import Tracking

    try:
        return Tracking(section, netns)
    except RempartError as error:
        raise error.at("conntrack") from None


def _apply(conntrack: Tracking, tables: Outcome | None) -> None:
    """Set what differs in connection tracking, once the tables are in force."""
    try:
        conntrack.apply()
    except RempartError as error:
        for problem in error.problems:
            if tables is not None and tables.changed:
                problem.cure += "; the tables of the document are in force"
        raise error.at("conntrack") from None


def report(session: Session, done: Done, verb: str, show_diff: bool, ahead: bool) -> None:
    """Write what was found; ``ahead`` if it is still to be done. ``verb`` begins the last line."""
    warnings = done.conntrack.warnings if done.conntrack is not None else []
    if session.as_json:
        found = {"changed": done.changed, "changes": done.changes(), "diff": done.diff(), "errors": []}
        session.write_json({**found, "warnings": warnings} if warnings else found)
        return
    for warning in warnings:
        complain("warning: conntrack: %s" % warning)
    if not done.changed:
        session.write("nothing to do\n" if verb != "drifted" else "in line\n")
        return
    from . import summary, terminal

    if show_diff:
        from . import differences

        terminal.write_diff(session, differences.lines(done.diff()))
    rows = []
    if done.tables is not None and done.tables.plan is not None:
        rows += summary.rows(done.tables.plan)
    if done.conntrack is not None:
        rows += done.conntrack.rows()
    terminal.write_summary(session, verb, rows, ahead)


EMPTY: dict[str, Any] = {"changed": False, "changes": [], "diff": [], "errors": []}
"""What programs read where an error came first."""
