# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A filter over raw messages: which of them it wants, without decoding those that it doesn't.

Messages of one length are looked at by one regular expression, made as their layouts are met.
For each layout it has the conditions at the places where that layout has the values, behind
the attribute headers that prove the layout; and it says which messages it cannot judge, since
they have none of the layouts known. Those are walked attribute by attribute, and their layout
is known from then on. So an answer never rests on a guess about a message's form.

A buffer that has nowhere the bytes of a wanted value behind its attribute's header holds no
message that is wanted, and is passed over as a whole.
"""

from __future__ import annotations

import copy
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Callable, Optional

from ..netlink.messages import HEADER_SIZE
from . import uapi
from .conditions import Age, Condition, Pattern
from .filters import Filter
from .layouts import Layout

_MOST_LAYOUTS = 24  # of one length; a message of a further one is walked each time
_RARE = 1 / 8  # the part of all values that may be wanted for a search of the whole buffer to be worth it
_MOST_HITS = 16  # of that search in a buffer, before looking at each message is faster
_LENGTH = struct.Struct("=I")
_TYPE = struct.Struct("=H")
_LENGTH_AND_TYPE = struct.Struct("=IH")

_Look = Callable[[bytes, int], Optional[re.Match[bytes]]]
_Known = tuple[Layout, Sequence[Condition]]

_UNKNOWN = "unknown"
_NO_LAYOUT: _Look = re.compile(b"(?P<unknown>)").match


class Matcher:
    """Tells the messages of the connections that a filter means from all others.

    ``now`` (nanoseconds since 1970) is the time that ages are counted to; None is the time
    of each answer.
    """

    __slots__ = ("_conditions", "_known", "_layouts", "_looks", "_trace")

    def __init__(self, filter: Filter, now: int | None = None) -> None:
        self._conditions = [_at(condition, now) for condition in filter.conditions]
        # By the length of the message: what looks at its body.
        self._looks: dict[int, _Look] = {}
        # What is known of the layouts met: by length in their order, by the name of their group.
        self._layouts: dict[int, list[Layout]] = {}
        self._known: dict[str, _Known] = {}
        traces = sorted(one for one in (condition.trace() for condition in self._conditions) if one)
        self._trace = None
        if traces and traces[0][0] <= _RARE:
            self._trace = re.compile(traces[0][1], re.DOTALL).search

    def walks(self, body: bytes) -> bool:
        """Whether a body is wanted, found by walking its attributes: slow, and right by itself.

        Raises ValueError where the attributes do not fit.
        """
        layout = Layout(body)
        return all(one.holds(body, 0, layout) for one in self._conditions)

    def matches(self, body: bytes) -> bool:
        """Whether a body is wanted. Raises ValueError where the attributes of a new form do not fit."""
        found = self._looks.get(len(body) + HEADER_SIZE, _NO_LAYOUT)(body, 0)
        return found is not None and self._settle(found, body, 0, len(body))

    def find(self, data: bytes) -> Iterator[tuple[int, int]]:
        """(start, stop) of each body wanted in a received buffer of whole messages.

        Messages that are no connection's (the end of a dump) are passed over. Raises
        ValueError where lengths do not fit.
        """
        if not self._conditions:
            yield from _connections(data)
            return
        position, end = 0, len(data)
        length_at = _LENGTH.unpack_from
        look_at = self._looks.get
        search = self._trace
        hits = 0
        while position + HEADER_SIZE <= end:
            (length,) = length_at(data, position)
            if search is not None:
                hit = search(data, position)
                if hit is None:
                    return
                at = hit.start()
                while position + length <= at and length >= HEADER_SIZE:
                    position += (length + 3) & ~3
                    length = length_at(data, position)[0] if position + HEADER_SIZE <= end else 0
                hits += 1
                if hits > _MOST_HITS:
                    search = None
            found = look_at(length, _NO_LAYOUT)(data, position + HEADER_SIZE)
            if found is None:
                position += length
                continue
            start, stop = position + HEADER_SIZE, position + length
            if length < HEADER_SIZE or stop > end:
                raise ValueError("netlink message at byte %d: length %d does not fit" % (position, length))
            if _TYPE.unpack_from(data, position + 4)[0] >> 8 == uapi.NFNL_SUBSYS_CTNETLINK and self._settle(
                found, data, start, stop
            ):
                yield start, stop
            position = (stop + 3) & ~3
        if position != end:
            raise ValueError("%d bytes of a netlink buffer are no message" % (end - position))

    def _settle(self, found: re.Match[bytes], data: bytes, start: int, stop: int) -> bool:
        """The answer where the expression matched: all of it, or up to what it cannot ask."""
        name = found.lastgroup
        if name == _UNKNOWN:
            body = data[start:stop]
            self._learn(body)
            return self.walks(body)
        layout, rest = self._known[name or ""]
        return not rest or all(one.holds(data, start, layout) for one in rest)

    def _learn(self, body: bytes) -> None:
        """Know the layout of a body from now on."""
        layout = Layout(body)
        if layout.length % 4:
            return  # the kernel pads every attribute: this one is looked at each time
        layouts = self._layouts.setdefault(layout.length, [])
        if len(layouts) >= _MOST_LAYOUTS:
            return
        layouts.append(layout)
        wanted: list[bytes] = []
        judged: list[bytes] = []
        for index, one in enumerate(layouts):
            name = "k%d_%d" % (one.length, index)
            rest = [condition for condition in self._conditions if condition.pattern(one) is None]
            self._known[name] = (one, rest)
            wanted.append(_holding(one, self._patterns(one), bool(rest)) + b"(?P<%s>)" % name.encode())
            judged.append(_failing(one, self._patterns(one)))
        expression = b"%s|(?!%s)(?P<unknown>)" % (b"|".join(wanted), b"|".join(judged))
        self._looks[layout.length + HEADER_SIZE] = re.compile(expression, re.DOTALL).match

    def _patterns(self, layout: Layout) -> list[Pattern]:
        """The conditions' expressions for a layout, those first that need the fewest headers.

        They are made anew each time, since their groups have names that must not stand twice.
        """
        found = (condition.pattern(layout) for condition in self._conditions)
        return sorted((one for one in found if one is not None), key=lambda one: one.upto)


def _connections(data: bytes) -> Iterator[tuple[int, int]]:
    """(start, stop) of the body of each message of a buffer that is a connection's.

    As :func:`messages.split` finds them, without handing out what nobody here asks for.
    """
    position, end = 0, len(data)
    unpack = _LENGTH_AND_TYPE.unpack_from
    while position + HEADER_SIZE <= end:
        length, kind = unpack(data, position)
        stop = position + length
        if length < HEADER_SIZE or stop > end:
            raise ValueError("netlink message at byte %d: length %d does not fit" % (position, length))
        if kind >> 8 == uapi.NFNL_SUBSYS_CTNETLINK:
            yield position + HEADER_SIZE, stop
        position = (stop + 3) & ~3
    if position < end:
        raise ValueError("%d bytes of a netlink buffer are no message" % (end - position))


def _at(condition: Condition, now: int | None) -> Condition:
    """A condition that counts ages to that time, where it counts any."""
    if isinstance(condition, Age) and now is not None:
        condition = copy.copy(condition)
        condition.now = now
    return condition


def _headers(layout: Layout, after: int, upto: int) -> bytes:
    """An expression of no width: the headers at the offsets after one, up to another, are the layout's."""
    expression = b""
    at = 0
    for offset, raw in layout.headers:
        if after < offset <= upto:
            gap = b".{%d}" % (offset - at) if offset > at else b""
            expression += gap + b"".join(b"\\x%02x" % one for one in raw)
            at = offset + len(raw)
    return b"(?=%s)" % expression if expression else b""


def _holding(layout: Layout, patterns: Sequence[Pattern], all_headers: bool) -> bytes:
    """The expression of a message that has the layout and meets the patterns."""
    expression = b""
    seen = -1
    for pattern in patterns:
        expression += _headers(layout, seen, pattern.upto) + pattern.expression
        seen = max(seen, pattern.upto)
    return expression + _headers(layout, seen, layout.length) if all_headers else expression


def _failing(layout: Layout, patterns: Sequence[Pattern]) -> bytes:
    """The expression of a message that has the layout as far as it takes to see a pattern not met."""
    stages = []
    seen = -1
    for pattern in patterns:
        stages.append((_headers(layout, seen, pattern.upto), pattern.expression))
        seen = max(seen, pattern.upto)
    expression = b"(?!)"
    for headers, asked in reversed(stages):
        expression = b"%s(?:(?!%s)|%s)" % (headers, asked, expression)
    return expression
