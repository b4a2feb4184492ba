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

_LONGEST = 24 * 3600 * 1000  # milliseconds: for longer, a rule is the thing
_EXACTLY = "keys of the filter, connections, or everything"


class Wanted:
    """What to kill: what a filter means, of the connections given, or everything.

    ``arguments`` are :data:`filters.KEYS` as a module or the command got them, ``connections`` entries as
    listings return them (of these the filter's then, if there is one). ``block_for`` is seconds or a text
    such as 30s, ``max_kills`` the ceiling. Raises DocumentError with everything that is wrong.
    """

    __slots__ = ("block_for", "connections", "everything", "expectations", "filter", "how", "max_kills")

    def __init__(
        self,
        arguments: Mapping[str, Any],
        connections: Any = None,
        everything: bool = False,
        how: str = HOWS[0],
        block_for: Any = BLOCK_FOR,
        max_kills: Any = None,
        expectations: bool = False,
    ) -> None:
        problems: list[Problem] = []
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
        self.expectations = expectations
        self.block_for = _read_time(block_for, problems)
        self.max_kills = _read_ceiling(max_kills, problems)
        if self.max_kills is None and not everything:
            self.max_kills = MAX_KILLS
        if how not in HOWS:
            problems.append(
                Problem("no way to kill a connection", "how", how, ", ".join(HOWS), nearest(str(how), HOWS))
            )
        # A filter of which nothing can be read is a problem already, not an empty one.
        empty = self.filter.empty and not problems
        if everything and not (self.filter.empty and connections is None):
            found = self.filter.describe() if connections is None else "connections"
            message = "everything is to be killed, and something else says what is"
            problems.append(Problem(message, "everything", found, cure="give one of the two"))
        elif empty and connections is None and not everything:
            problems.append(
                Problem(
                    "nothing says which connections are to be killed",
                    allowed=_EXACTLY,
                    cure="to kill every connection say so: everything",
                )
            )
        if problems:
            raise DocumentError.of(problems)

    def describe(self) -> str:
        """A line for people."""
        if self.everything:
            return "everything"
        if self.connections is None:
            return self.filter.describe()
        given = "%d connection%s given" % (len(self.connections), "" if len(self.connections) == 1 else "s")
        return given if self.filter.empty else "of %s: %s" % (given, self.filter.describe())


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


def _read_time(value: Any, problems: list[Problem]) -> float:
    found = None
    if isinstance(value, str):
        found = 0 if value.strip() == "0" else milliseconds_of(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = int(value * 1000)
    if found is None or not 0 <= found <= _LONGEST:
        problems.append(
            Problem(
                "no time to block for",
                "block_for",
                value,
                "seconds, or a text such as 1m30s, from 0 to 24h",
                "for longer, have a rule drop such packets",
            )
        )
        return 0.0
    return found / 1000


def _read_ceiling(value: Any, problems: list[Problem]) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        problems.append(Problem("no ceiling", "max_kills", value, "a number from 1 on"))
        return None
    return value
