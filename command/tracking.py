# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's ``conntrack`` brought before the kernel: its settings, and its helpers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rempart.errors import Problem, RempartError, moved_problems

if TYPE_CHECKING:
    from rempart.assignments.assign import Assigned
    from rempart.tunables.plan import Plan

    from .summary import Row


class Tracking:
    """What is to be done, known before any of it is: ``plan`` has the settings, ``helpers`` the helpers."""

    __slots__ = ("_netns", "_persistent", "_section", "helpers", "plan")

    def __init__(self, section: dict[str, Any], netns: str | None) -> None:
        """Compare with the kernel. Raises RempartError with places relative to the section."""
        from rempart.tunables.plan import plan
        from rempart.tunables.settings import load

        self._section = section
        self._netns = netns
        self.plan: Plan = plan(load(section), netns)
        self.helpers: Assigned | None = None
        self._persistent = False
        if "helpers" in section:
            from rempart.tunables.plan import persists

            self._persistent = persists(section.get("persist"), netns)
            self.helpers = self._assign(check=True)

    @property
    def changed(self) -> bool:
        """Whether there is, or was, anything to do."""
        if self.plan.changed:
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

    def changes(self) -> list[dict[str, Any]]:
        """The changes for programs."""
        from rempart.tunables import describe

        found = describe.changes(self.plan)
        if self.helpers is not None:
            found += self.helpers.outcome.changes() + self.helpers.modules.changes()
        return found

    def diff(self) -> list[dict[str, str]]:
        """The difference for people."""
        from rempart.tunables import describe

        found = describe.differences(self.plan)
        if self.helpers is not None:
            found += self.helpers.outcome.diff() + self.helpers.modules.diff()
        return found

    def rows(self) -> list[Row]:
        """One row for each thing that changes."""
        from . import summary

        found = summary.conntrack_rows(self.plan)
        if self.helpers is not None:
            if self.helpers.outcome.plan is not None:
                found += summary.rows(self.helpers.outcome.plan)
            found += summary.module_rows(self.helpers.modules.changes())
        return found

    def _assign(self, check: bool) -> Assigned:
        from rempart.assignments.assign import assign
        from rempart.assignments.helpers import wanted

        asked = wanted({"helpers": self._section["helpers"]})
        try:
            return assign(asked, self._netns, check, persistent=self._persistent)
        except RempartError as error:
            error.problems = moved_problems(error.problems, asked.request.places)
            raise


def check(section: Any) -> list[Problem]:
    """Everything that can be known to be wrong with the section without a host."""
    from rempart.tunables import settings

    problems = settings.check(section)
    if isinstance(section, dict) and "helpers" in section:
        from rempart.assignments.helpers import wanted
        from rempart.ruleset.reconcile import check_only

        asked = wanted({"helpers": section["helpers"]})
        problems += asked.request.problems
        try:
            check_only(asked.request.document(), partial=True)
        except RempartError as error:
            problems += moved_problems(error.problems, asked.request.places)
    return problems
