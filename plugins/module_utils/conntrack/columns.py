# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A few numbers of every connection of a table, read off its raw messages without decoding them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Callable, Optional

from .layouts import Layout, Path

_MOST_LAYOUTS = 32  # of one length; a message of a further one is walked each time

_Match = Callable[[bytes], Optional["re.Match[bytes]"]]
_Numbers = tuple[Optional[int], ...]


class Columns:
    """Reads the numbers at these paths (of layouts.py; the empty one is the family).

    The layouts of messages are learned as they are met: for each there is one regular expression
    that proves all attribute headers and takes the values.
    """

    __slots__ = ("_known", "_paths")

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._known: dict[int, list[tuple[_Match, tuple[int | None, ...]]]] = {}

    def read(self, body: bytes) -> _Numbers:
        """The numbers of one message's body, None for what it lacks. Raises ValueError for no message."""
        known = self._known.setdefault(len(body), [])
        for match, groups in known:
            found = match(body)
            if found is not None:
                return tuple(
                    None if group is None else int.from_bytes(found[group], "big") for group in groups
                )
        layout = Layout(body)
        if len(known) < _MOST_LAYOUTS:
            known.append(self._learn(layout))
        numbers = []
        for path in self._paths:
            place = layout.places.get(path)
            numbers.append(
                None if place is None else int.from_bytes(body[place[0] : place[0] + place[1]], "big")
            )
        return tuple(numbers)

    def _learn(self, layout: Layout) -> tuple[_Match, tuple[int | None, ...]]:
        """The expression of a layout, and the group of each path in it."""
        pieces = [(start, header, 0) for start, header in layout.headers]
        numbers: dict[Path, int] = {}
        for path in self._paths:
            if path in layout.places and path not in numbers:
                start, length = layout.places[path]
                pieces.append((start, b"", length))
                numbers[path] = start
        parts = []
        at = 0
        order: dict[int, int] = {}
        for start, header, length in sorted(pieces):
            if header:
                parts.append(b".{%d}%s" % (start - at, re.escape(header)))
                at = start + len(header)
            else:
                parts.append(b".{%d}(.{%d})" % (start - at, length))
                at = start + length
                order[start] = len(order) + 1
        groups = tuple(order[numbers[path]] if path in numbers else None for path in self._paths)
        return re.compile(b"".join(parts), re.DOTALL).match, groups
