# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's ``conntrack`` brought before the kernel: its settings, helpers and timeout policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rempart.errors import DocumentError, Problem, RempartError, moved_problems

if TYPE_CHECKING:
    from rempart.assignments.assign import Assigned
    from rempart.assignments.request import Request
    from rempart.ruleset.reconcile import Outcome
    from rempart.tunables.plan import Plan

    from .summary import Row


class Tracking:
    """What is to be done, known before any of it is.

    ``plan`` has the settings, ``helpers`` and ``policies`` what they say; None where the section does not.
    """

    __slots__ = ("_netns", "_persistent", "_section", "helpers", "plan", "policies")

    def __init__(self, section: dict[str, Any], netns: str | None) -> None:
        """Compare with the kernel. Raises RempartError with places relative to the section."""
        from rempart.tunables.plan import missing, plan
        from rempart.tunables.settings import read

        self._section = section
        self._netns = netns
        declared, problems = read(section)
        if problems:
            raise DocumentError.of(problems + missing(declared, netns))
        self.plan: Plan = plan(declared, netns)
        self.helpers: Assigned | None = None
        self.policies: Outcome | None = None
        self._persistent: bool | None = None  # the host's files are left alone
        if "helpers" in section:
            from rempart.tunables.plan import persists

            self._persistent = True if persists(section.get("persist"), netns) else None
            self.helpers = self._assign(check=True)
        if "policies" in section:
            self.policies = self._attach(check=True)

    @property
    def changed(self) -> bool:
        """Whether there is, or was, anything to do."""
        if self.plan.changed or (self.policies is not None and self.policies.changed):
            return True
        return self.helpers is not None and (
            self.helpers.outcome.changed or bool(self.helpers.modules.changes())
        )

    @property
    def warnings(self) -> list[str]:
        """What is to be told beside."""
        return self.plan.warnings + (self.helpers.modules.warnings if self.helpers is not None else [])

    def apply(self) -> None:
        """Do it. Raises RempartError as the making of it does."""
        self.plan.apply()
        if self.helpers is not None:
            self.helpers = self._assign(check=False)
        if self.policies is not None:
            self.policies = self._attach(check=False)

    def changes(self) -> list[dict[str, Any]]:
        """The changes for programs."""
        from rempart.tunables import describe

        found = describe.changes(self.plan)
        if self.helpers is not None:
            found += self.helpers.outcome.changes() + self.helpers.modules.changes()
        if self.policies is not None:
            found += self.policies.changes()
        return found

    def diff(self) -> list[dict[str, str]]:
        """The difference for people."""
        from rempart.tunables import describe

        found = describe.differences(self.plan)
        if self.helpers is not None:
            found += self.helpers.outcome.diff() + self.helpers.modules.diff()
        if self.policies is not None:
            found += self.policies.diff()
        return found

    def rows(self) -> list[Row]:
        """One row for each thing that changes."""
        from . import summary

        found = summary.conntrack_rows(self.plan)
        if self.helpers is not None:
            if self.helpers.outcome.plan is not None:
                found += summary.rows(self.helpers.outcome.plan)
            found += summary.module_rows(self.helpers.modules.changes())
        if self.policies is not None and self.policies.plan is not None:
            found += summary.rows(self.policies.plan)
        return found

    def _assign(self, check: bool) -> Assigned:
        from rempart.assignments.assign import assign
        from rempart.assignments.helpers import declared

        asked = declared(self._section["helpers"])
        try:
            return assign(asked, self._netns, check, persistent=self._persistent)
        except RempartError as error:
            error.problems = moved_problems(error.problems, asked.request.places)
            raise

    def _attach(self, check: bool) -> Outcome:
        from rempart.assignments.timeouts import declared

        asked = declared(self._section["policies"])
        try:
            return asked.apply(self._netns, check)
        except RempartError as error:
            error.problems = moved_problems(error.problems, asked.places)
            raise


def check(section: Any) -> list[Problem]:
    """Everything that can be known to be wrong with the section without a host."""
    from rempart.tunables import settings

    problems = settings.check(section)
    if isinstance(section, dict) and "helpers" in section:
        from rempart.assignments import helpers

        problems += _of_request(helpers.declared(section["helpers"]).request)
    if isinstance(section, dict) and "policies" in section:
        from rempart.assignments import timeouts

        problems += _of_request(timeouts.declared(section["policies"]))
    return problems


def _of_request(asked: Request) -> list[Problem]:
    from rempart.ruleset.reconcile import check_only

    problems = list(asked.problems)
    try:
        check_only(asked.document(), partial=True)
    except RempartError as error:
        problems += moved_problems(error.problems, asked.places)
    return problems
