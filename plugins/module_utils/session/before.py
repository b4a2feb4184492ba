# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables as they were before a change, to be put back."""

from __future__ import annotations

from ..ruleset.capture import of_picture
from ..ruleset.kernel import Picture
from ..ruleset.reconcile import Source, reconcile, remove
from ..ruleset.steps import Plan


class Before:
    """What the tables of a plan were when it was made."""

    __slots__ = ("_added", "_held", "_netns")

    def __init__(self, plan: Plan, netns: str | None = None) -> None:
        """Raises RempartError where a table is beyond what a document can say."""
        held = {(one.number, one.name): one.kernel for one in plan.tables if one.kernel is not None}
        self._added = [(one.family, one.name) for one in plan.tables if one.kernel is None]
        self._held: Source | None = None
        if held:
            document = of_picture(Picture(plan.generation, held), list(held), counts=True).document
            self._held = Source.of_mapping(document)
        self._netns = netns

    def put_back(self, check: bool = False) -> None:
        """Have the tables become what they were, counters included; with ``check`` only go through it.

        Raises RempartError where that fails.
        """
        remove(self._added, self._netns, check)
        if self._held is not None:
            reconcile(self._held, self._netns, check, full=True)
