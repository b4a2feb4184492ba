# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody wants killed, and how; checked before anything is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..conntrack.filters import Filter
from ..errors import DocumentError, Problem, nearest
from ..nftables.datatypes import milliseconds_of
from .given import Given

HOWS = ("cut", "forget")
"""How a connection is killed; the first is the default."""

BLOCK_FOR = "30s"
"""How long packets of what cannot be told to be over are refused, if nobody says. Most QUIC connections that
hear nothing for 30 seconds are over (the idle timeout of RFC 9000 section 10.1, as commonly set)."""

MAX_KILLS = 1000
"""The ceiling, if nobody says another one, and not the whole table is asked for in words."""

OPTIONS: Mapping[str, str] = {
    **{
        name: name
        for name in ("how", "block_for", "max_kills", "everything", "expectations", "only_expectations")
    },
    "filter": "keys of the filter, connections, or everything",
}
"""What the options are called, if nobody says otherwise; ``filter`` is what says which connections."""

_LONGEST = 24 * 3600 * 1000  # milliseconds: for longer, a rule is the thing


class Wanted:
    """What to kill: what a filter means, of the connections given, or everything.

    ``arguments`` are :data:`filters.KEYS` as a module or the command got them, ``connections`` entries as
    listings return them (of these the filter's then, if there is one). ``block_for`` is seconds or a text
    such as 30s, ``max_kills`` the ceiling. ``expectations``: expected connections go too;
    ``only_expectations``: they go, and no connection does. ``names`` has the options as who asks calls
    them, for errors, by their names here. Raises DocumentError with everything that is wrong.
    """

    __slots__ = (
        "block_for",
        "connections",
        "everything",
        "expectations",
        "filter",
        "how",
        "max_kills",
        "names",
        "only_expectations",
    )

    def __init__(
        self,
        arguments: Mapping[str, Any],
        connections: Any = None,
        everything: bool = False,
        how: str = HOWS[0],
        block_for: Any = BLOCK_FOR,
        max_kills: Any = None,
        expectations: bool = False,
        only_expectations: bool = False,
        names: Mapping[str, str] = OPTIONS,
    ) -> None:
        problems: list[Problem] = []
        self.names = names
        self.filter = Filter()
        self.connections: list[Given] | None = None
        try:
            self.filter = Filter(arguments)
        except DocumentError as error:
            problems += error.problems
        if connections is not None:
            self.connections = _read_connections(connections, problems)
        self.everything = everything
        self.how = how
        self.expectations = expectations or only_expectations
        self.only_expectations = only_expectations
        self.block_for = _read_time(block_for, names["block_for"], problems)
        self.max_kills = _read_ceiling(max_kills, names["max_kills"], problems)
        if self.max_kills is None and not everything:
            self.max_kills = MAX_KILLS
        if how not in HOWS:
            cure = nearest(str(how), HOWS)
            problems.append(Problem("no way to kill a connection", names["how"], how, ", ".join(HOWS), cure))
        # A filter of which nothing can be read is a problem already, not an empty one.
        empty = self.filter.empty and not problems
        what = "expected connections" if only_expectations else "connections"
        if everything and not (self.filter.empty and connections is None):
            found = self.filter.describe() if connections is None else "connections"
            message = "everything is to be killed, and something else says what is"
            problems.append(Problem(message, names["everything"], found, cure="give one of the two"))
        elif empty and connections is None and not everything:
            cure = "to kill every connection say so: %s" % names["everything"]
            if only_expectations:
                cure = "to delete every one of them say so: %s" % names["everything"]
            elif expectations:
                cure += "; for expected ones alone: %s" % names["only_expectations"]
            problems.append(
                Problem("nothing says which %s are to be killed" % what, allowed=names["filter"], cure=cure)
            )
        if problems:
            raise DocumentError.of(problems)

    def describe(self) -> str:
        """A line for people."""
        if self.everything:
            text = "everything"
        elif self.connections is None:
            text = self.filter.describe()
        else:
            count = len(self.connections)
            text = "%d connection%s given" % (count, "" if count == 1 else "s")
            if not self.filter.empty:
                text = "of %s: %s" % (text, self.filter.describe())
        return "expected connections only: %s" % text if self.only_expectations else text


def _read_connections(value: Any, problems: list[Problem]) -> list[Given]:
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, (list, tuple)):
        problems.append(
            Problem(
                "no list of connections",
                "connections",
                value,
                "connections as rempart.netfilter.conntrack_info returns them",
            )
        )
        return []
    found = []
    for index, one in enumerate(value):
        try:
            found.append(Given(one))
        except DocumentError as error:
            problems += error.at("connections[%d]" % index).problems
    return found


def _read_time(value: Any, place: str, problems: list[Problem]) -> float:
    found = None
    if isinstance(value, str):
        found = 0 if value.strip() == "0" else milliseconds_of(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = int(value * 1000)
    if found is None or not 0 <= found <= _LONGEST:
        problems.append(
            Problem(
                "no time to block for",
                place,
                value,
                "seconds, or a text such as 1m30s, from 0 to 24h",
                "for longer, have a rule drop such packets",
            )
        )
        return 0.0
    return found / 1000


def _read_ceiling(value: Any, place: str, problems: list[Problem]) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        problems.append(Problem("no ceiling", place, value, "a number from 1 on"))
        return None
    return value
