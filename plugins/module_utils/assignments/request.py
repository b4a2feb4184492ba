# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asks of one of this collection's own tables, and its way into the kernel.

A table has many owners' chains: each name owns the chain of that name, where its rules
stand, and the two base chains that lead there. What belongs to other names stays.

A document declares all of its helpers and policies at once, so that what it no longer names goes. It has
tables of its own for that: what modules have made by other tasks stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..document.flat.lowering import MATCHES
from ..errors import DocumentError, Problem, nearest

if TYPE_CHECKING:
    from ..ruleset.reconcile import Outcome

FAMILY = "inet"

HOOKS = ("prerouting", "output")
"""A connection's first packet comes by one of these, whether it is forwarded, for this host or from it."""

PRIORITY = "mangle"
"""Between NF_IP_PRI_CONNTRACK (-200), before which there is no connection to tell anything to, and
NF_IP_PRI_NAT_DST (-100), from which on the destination may be another than was asked for."""

SEPARATOR = "/"
"""Between a name and a hook, and in no name itself."""

NOTES = ("counter", "log", "comment")
"""What a rule may do beside telling connection tracking."""

TRAFFIC = (*(key for key in MATCHES if key not in ("protocol", "ct_state", "ct_helper")), *NOTES)
"""The keys that say which traffic is meant. The protocol is said elsewhere, and all of it is new."""

NO_REASONS: Mapping[str, str] = MappingProxyType({})


class Request:
    """What shall be in a table and what shall not.

    ``places`` are those of the document with what stands for them in the options, as of
    ``places.moved``; ``problems`` are those of the options, found on the way to the document.
    ``exact``: the table is its alone, and what it does not ask for goes.
    """

    __slots__ = (
        "chains",
        "exact",
        "leaving_chains",
        "leaving_objects",
        "objects",
        "places",
        "problems",
        "table",
    )

    def __init__(self, table: str, exact: bool = False) -> None:
        self.table = table
        self.exact = exact
        self.chains: list[dict[str, Any]] = []
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.leaving_chains: list[str] = []
        self.leaving_objects: list[tuple[str, str]] = []
        self.places: dict[str, str] = {}
        self.problems: list[Problem] = []

    def assign(self, name: str, rules: list[tuple[str, dict[str, Any]]]) -> None:
        """Have the chains of ``name`` hold these rules, each with the place that it comes from."""
        at = "tables[0].chains[%d].rules" % len(self.chains)
        for index, (place, _unused) in enumerate(rules):
            self.places["%s[%d]" % (at, index)] = place
        self.chains.append({"name": name, "rules": [rule for _unused, rule in rules]})
        for hook in HOOKS:
            self.chains.append(
                {
                    "name": name + SEPARATOR + hook,
                    "type": "filter",
                    "hook": hook,
                    "priority": PRIORITY,
                    # Only the first packet of a connection can tell: it is confirmed from then on.
                    "rules": [{"ct_state": "new", "jump": name}],
                }
            )

    def declare(self, key: str, value: dict[str, Any], place: str, keys: dict[str, str]) -> None:
        """Have the table hold an object; ``keys`` has those of its keys that are options, with these."""
        listed = self.objects.setdefault(key, [])
        at = "tables[0].%s[%d]" % (key, len(listed))
        for inner, outer in keys.items():
            self.places["%s.%s" % (at, inner)] = outer
        self.places[at] = place
        listed.append(value)

    def leave(self, name: str) -> None:
        """Have the chains of ``name`` go."""
        self.leaving_chains += [name, *(name + SEPARATOR + hook for hook in HOOKS)]

    def document(self) -> dict[str, Any]:
        """The table as a document: what is in it beside that is not the task's."""
        table: dict[str, Any] = {"name": self.table, "family": FAMILY, **self.objects}
        if self.chains:
            table["chains"] = self.chains
        return {"tables": [table]}

    def check(self) -> None:
        """Raise DocumentError for what is wrong with the options, places and all."""
        if self.problems:
            raise DocumentError.of(self.problems)

    def apply(self, netns: str | None = None, check: bool = False) -> Outcome:
        """Make the kernel's table so; an empty one goes. Raises DocumentError, HostError, KernelError.

        Their places are the document's.
        """
        from ..ruleset.reconcile import Source, reconcile

        self.check()
        return reconcile(
            Source.of_mapping(self.document()),
            netns,
            check,
            partial=True,
            remove_chains=self.leaving_chains,
            remove_objects=self.leaving_objects,
            remove_empty=True,
            remove_others=self.exact,
        )


def traffic_of(
    value: dict[str, Any],
    own: tuple[str, ...],
    place: str,
    problems: list[Problem],
    reasons: Mapping[str, str] = NO_REASONS,
) -> dict[str, Any]:
    """The keys of a mapping that belong into a rule; those that are neither such nor ``own`` are noted.

    ``reasons`` tells of further keys what to do about them.
    """
    rule = {}
    known = (*own, *TRAFFIC)
    for key in value:
        if key in own:
            continue
        if key in TRAFFIC and key not in reasons:
            rule[key] = value[key]
            continue
        cure = reasons.get(key) or _REASONS.get(key) or nearest(str(key), known)
        problems.append(Problem("not a key of traffic", "%s.%s" % (place, key), value[key], "", cure))
    return rule


_REASONS = {
    "ct_state": "leave it out: the first packet of a connection is always new",
    "ct_helper": "leave it out: a new connection has no helper yet",
}
