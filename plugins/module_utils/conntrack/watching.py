# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an automation is to be told of connections: which events, and when their table fills up.

Each thing that is told is a dictionary that JSON can carry, with its ``kind``:

    ``new``, ``update``, ``destroy``   a connection's event: ``connection``, as of entries.py
    ``lost``         events found no room: ``events`` since the last time this was told, and in
                     ``total``. They are counted before the filter looks at them.
    ``saturation``   use of the table crossed the threshold: ``crossed`` is ``up`` or ``down``,
                     ``use`` the per cent in use, ``entries`` of ``max``, ``threshold`` and ``clear``,
                     and the ``verdict`` with its ``reasons``, as of statistics.py

``host`` is the host's name, ``netns`` the network namespace if one was given.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from ..errors import DocumentError, Problem, nearest
from ..netlink.socket import NetlinkSocket
from . import entries, statistics
from .events import CONNECTIONS, Events
from .filters import Filter

KEYS = ("events", "filter", "netns", "buffer", "saturation")
"""The arguments of a :class:`Watch`."""

SATURATION = ("threshold", "clear", "interval")
"""The arguments under ``saturation``."""

BUFFER = 2 * 1024 * 1024
"""Bytes of room for events that wait: some thousands. What waits longer is soon old."""

_LEAST_BUFFER = 64 * 1024
_MOST_BUFFER = 1 << 30
_INTERVAL = 5
_LEAST_INTERVAL = 0.1
_DAY = 86400


class Level:
    """A threshold with a second one below it, so that a use that wavers is not told each time.

    All in per cent. It is crossed upwards at ``threshold``, and then downwards below ``clear``.
    """

    __slots__ = ("_above", "clear", "threshold")

    def __init__(self, threshold: float, clear: float) -> None:
        self.threshold = threshold
        self.clear = clear
        self._above = False

    def crossed(self, use: float) -> str:
        """``up`` or ``down`` where this use is the first on the other side, else empty."""
        if not self._above and use >= self.threshold:
            self._above = True
            return "up"
        if self._above and use < self.clear:
            self._above = False
            return "down"
        return ""


class Watch:
    """What is to be told, from arguments as YAML or a template gives them.

    ``events`` is a list of ``new``, ``update`` and ``destroy`` (all by default, and none if it is
    empty), ``filter`` a mapping of filters.KEYS, ``buffer`` the bytes of room for events that wait.
    ``saturation`` has ``threshold`` (80 by default), ``clear`` (nine tenths of it) and ``interval`` in
    seconds. Raises DocumentError with everything wrong at once.
    """

    __slots__ = ("_about", "_before", "buffer", "filter", "interval", "kinds", "level", "netns")

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        problems: list[Problem] = []
        _note_unknown(arguments, KEYS, problems)
        self.kinds = _kinds(arguments.get("events"), problems)
        self.filter = _filter(arguments.get("filter"), problems)
        self.netns: str | None = arguments.get("netns")
        if self.netns is not None and not isinstance(self.netns, str):
            problems.append(Problem("no name of a network namespace", "netns", self.netns, "a text"))
        self.buffer = int(_number(arguments, "buffer", BUFFER, (_LEAST_BUFFER, _MOST_BUFFER), problems))
        self.level: Level | None = None
        self.interval = float(_INTERVAL)
        saturation = arguments.get("saturation")
        if isinstance(saturation, Mapping):
            wrong: list[Problem] = []
            self._read_saturation(saturation, wrong)
            problems += [problem.at("saturation") for problem in wrong]
        elif saturation is not None:
            problems.append(Problem("no mapping", "saturation", saturation, ", ".join(SATURATION)))
        if not self.kinds and saturation is None and not problems:
            problems.append(Problem("nothing to watch", "events", [], cure="give events, or saturation"))
        if problems:
            raise DocumentError.of(problems)
        self._about: dict[str, Any] = {"host": socket.gethostname()}
        if self.netns is not None:
            self._about["netns"] = self.netns
        self._before: dict[str, Any] | None = None

    def _read_saturation(self, given: Mapping[str, Any], problems: list[Problem]) -> None:
        _note_unknown(given, SATURATION, problems)
        threshold = _number(given, "threshold", statistics.FILLING_FROM, (0, 100), problems)
        clear = _number(given, "clear", threshold * 0.9, (0, 100), problems)
        self.interval = _number(given, "interval", _INTERVAL, (_LEAST_INTERVAL, _DAY), problems)
        if threshold == 0 and not problems:
            problems.append(Problem("a threshold that every table is above", "threshold", threshold))
        if clear > threshold and not problems:
            problems.append(
                Problem("clear only above the threshold", "clear", clear, "up to %g per cent" % threshold)
            )
        self.level = Level(threshold, clear)

    def listen(self) -> Events:
        """A listener to the events. Raises HostError where it can't listen."""
        return Events(self.filter, self.kinds, self.netns, self.buffer)

    def connection(self, kind: str, body: bytes) -> dict[str, Any]:
        """What is told of a connection's event."""
        return {"kind": kind, "connection": entries.decode(body), **self._about}

    def lost(self, events: int, total: int) -> dict[str, Any]:
        """What is told of events that were lost."""
        return {"kind": "lost", "events": events, "total": total, **self._about}

    def look(self) -> dict[str, Any] | None:
        """Look how full the table is; what is told of it, if it crossed the threshold since the last look.

        A table without a limit fills up never. Raises HostError, KernelError.
        """
        if self.level is None:
            return None
        with NetlinkSocket(self.netns) as kernel:
            found = statistics.count(kernel)
        if "max" not in found:  # an old kernel does not send it
            found["max"] = statistics.limits(self.netns)["max"]
        count, most = found["entries"], found["max"]
        use = count * 100 / most if most else 0.0
        crossed = self.level.crossed(use)
        if not crossed:
            return None
        figures = statistics.figures(self.netns)
        judged = statistics.saturation(figures, self._before)
        self._before = figures
        return {
            "kind": "saturation",
            "crossed": crossed,
            "use": round(use, 4),
            "entries": count,
            "max": most,
            "threshold": self.level.threshold,
            "clear": self.level.clear,
            "verdict": judged["verdict"],
            "reasons": judged["reasons"],
            **self._about,
        }


def _note_unknown(given: Mapping[str, Any], known: tuple[str, ...], problems: list[Problem]) -> None:
    problems += [
        Problem("unknown key", str(key), given[key], ", ".join(known), nearest(str(key), known))
        for key in given
        if key not in known
    ]


def _kinds(given: Any, problems: list[Problem]) -> tuple[str, ...]:
    """The kinds of events, from a list or a text with commas."""
    if given is None:
        return CONNECTIONS
    words = [word.strip() for word in given.split(",")] if isinstance(given, str) else given
    if not isinstance(words, (list, tuple)):
        problems.append(Problem("no list", "events", given, ", ".join(CONNECTIONS)))
        return ()
    problems += [
        Problem(
            "no kind of event",
            "events[%d]" % index,
            word,
            ", ".join(CONNECTIONS),
            nearest(str(word), CONNECTIONS),
        )
        for index, word in enumerate(words)
        if word not in CONNECTIONS
    ]
    return tuple(kind for kind in CONNECTIONS if kind in words)


def _filter(given: Any, problems: list[Problem]) -> Filter:
    try:
        return Filter(given, "filter")
    except DocumentError as error:
        problems += error.problems
        return Filter()


def _number(
    given: Mapping[str, Any], key: str, default: float, bounds: tuple[float, float], problems: list[Problem]
) -> float:
    """A number, or a text of one, within bounds."""
    value = given.get(key)
    if value is None:
        return default
    try:
        found = float("" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        found = float("nan")
    low, high = bounds
    if not low <= found <= high:
        problems.append(Problem("no number for it", key, value, "%g to %g" % bounds))
        return default
    return found
