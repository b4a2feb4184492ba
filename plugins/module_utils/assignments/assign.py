# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Helpers all the way: modules into the kernel, rules into its table, files onto the host, in this order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .helpers import Wanted
from .modules import ModulePlan, plan_absent, plan_present

if TYPE_CHECKING:
    from ..ruleset.reconcile import Outcome


class Assigned:
    """What was done (with ``check``, would be): the ``outcome`` for the table, ``modules`` for the rest."""

    __slots__ = ("modules", "outcome", "wanted")

    def __init__(self, wanted: Wanted, outcome: Outcome, modules: ModulePlan) -> None:
        self.wanted = wanted
        self.outcome = outcome
        self.modules = modules

    def states(self) -> dict[str, dict[str, dict[str, str]]]:
        """By helper the states of its modules, as they are after the run."""
        return {
            helper.name: {"modules": {name: self.modules.states[name] for name in helper.modules}}
            for helper in self.wanted.helpers
        }


def assign(
    wanted: Wanted,
    netns: str | None = None,
    check: bool = False,
    root: str = "/",
    persistent: bool | None = True,
    unload: bool = False,
) -> Assigned:
    """Have the helpers there and assigned to their traffic, or where they are not to be present neither.

    ``check`` changes nothing. ``persistent``: their modules are loaded at boot too; None leaves it as it
    is. ``unload``: absent
    ones leave the kernel. ``root`` as of ``plan_present``. What would be refused for the modules'
    sake is refused before anything is changed. Raises DocumentError, HostError, KernelError.
    """
    wanted.request.check()
    if wanted.present:
        modules = plan_present(wanted, root, persistent, check)
    else:
        modules = plan_absent(wanted, root, unload, netns)
    if not check:
        modules.prepare()
    outcome = wanted.request.apply(netns, check)
    if not check:
        modules.finish()
    return Assigned(wanted, outcome, modules)
