# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``time``, ``day`` and ``hour``: when a packet comes.

nft keeps dates and hours in UTC and writes them in the host's time zone; the kernel's day is
that of UTC. A span of hours may go over midnight, here or in UTC: that is what is not between
its ends, as nft has it.
"""

from __future__ import annotations

import re
from typing import Any

from ...errors import DocumentError
from ...nftables.datatypes import TYPES, DatatypeError
from .key import Draft, Key
from .values import Scalar, Statement, at, match, right_of, values_of

DAY = 86400
"""Seconds."""

_SPAN = re.compile(r"([^-]+?) *- *([^-]+)")
_DATE = r"(\d{4}-\d\d-\d\d(?: [\d:]+)?)"
_DATES = re.compile("%s *- *%s" % (_DATE, _DATE))


class _Clock:
    """One of the keys: its data type, and how a span is written."""

    __slots__ = ("left", "span", "type")

    def __init__(self, key: str, type_name: str, span: re.Pattern[str]) -> None:
        self.left = {"meta": {"key": key}}
        self.type = TYPES[type_name]
        self.span = span

    def ends(self, item: Scalar) -> tuple[int, int]:
        """The numbers of the first and the last, equal for a single one. Raises as a data type does."""
        if not isinstance(item, str):
            raise DatatypeError("a number stands for no time", item, self.type.allowed(), "quote it")
        found = self.span.fullmatch(item)
        if found is None:
            number = self.type.number_of(item)
            return number, number
        first, last = found.groups()
        return self.type.number_of(first), self.type.number_of(last)

    def json(self, first: int, last: int) -> Any:
        """One time or a span of them, as nft prints it."""
        ends = [self.type.json_of(first), self.type.json_of(last)]
        return ends[0] if first == last else {"range": ends}

    def lower(self, value: Any, draft: Draft) -> list[Statement]:
        values = values_of(value)
        spans = [at(place, self.ends, item) for place, item in values.items]
        first, last = spans[0]
        if self.type.name == "hour" and len(spans) == 1 and first > last:
            return [match(self.left, self.json(first=last, last=first), not values.negated)]
        parts: list[Any] = []
        for (first, last), (place, item) in zip(spans, values.items):
            parts += [self.json(*part) for part in self._parts(first, last, place, item)]
        return [match(self.left, right_of(parts), values.negated)]

    def _parts(self, first: int, last: int, place: str, item: Scalar) -> list[tuple[int, int]]:
        """A span that begins anew, at midnight or on Sunday, as two."""
        if first <= last:
            return [(first, last)]
        if self.type.name == "date":
            raise DocumentError("a span of time upside down: its end is before its start", place, item)
        return [(first, DAY - 1 if self.type.name == "hour" else 6), (0, last)]


MATCHES = {
    "time": Key(_Clock("time", "date", _DATES).lower),
    "day": Key(_Clock("day", "day", _SPAN).lower),
    "hour": Key(_Clock("hour", "hour", _SPAN).lower),
}
