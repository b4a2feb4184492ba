# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's ``conntrack``: what its keys and values mean. Needs no host.

What is not named is not touched.
"""

from __future__ import annotations

from typing import Any, Union

from ..errors import DocumentError, Problem, nearest
from .table import TUNABLES, Tunable
from .timeouts import ONLY, SECONDS, TIMEOUTS, State, understood

Row = Union[Tunable, State]

KEYS = (*TUNABLES, "timeouts", "masquerade_timeouts", "helpers", "policies", "persist")
"""What ``conntrack`` may say. ``helpers`` and ``policies`` are rules and modules: for ``assignments``."""

MASQUERADE = ("tcp", "tcp_fin", "udp")
"""The three timeouts of ``ipchains -M -S``, in its order."""

_MASQUERADE = {
    "tcp": (TIMEOUTS["tcp"]["established"],),
    "tcp_fin": (TIMEOUTS["tcp"]["fin_wait"],),
    "udp": (TIMEOUTS["udp"]["unreplied"], TIMEOUTS["udp"]["replied"]),
}

_TRIPLE = "a mapping of tcp, tcp_fin and udp, or a list of these three; 0 keeps what is"


class Setting:
    """One setting that is named. ``value`` is the kernel's number, None where it is to be worked out.

    ``place`` is where it was said, such as ``timeouts.tcp.established``.
    """

    __slots__ = ("place", "row", "value")

    def __init__(self, row: Row, value: int | None, place: str) -> None:
        self.row = row
        self.value = value
        self.place = place

    @property
    def name(self) -> str:
        """The setting's word: ``max``, ``timeouts.tcp.established``."""
        return self.row.name


class Declared:
    """What was said: the settings, and whether they are to be kept over a reboot (None: not said)."""

    __slots__ = ("persist", "settings")

    def __init__(self, settings: list[Setting], persist: bool | None = None) -> None:
        self.settings = settings
        self.persist = persist


def load(section: Any) -> Declared:
    """The settings of a ``conntrack`` mapping. Raises DocumentError with everything wrong with it."""
    declared, problems = read(section)
    if problems:
        raise DocumentError.of(problems)
    return declared


def check(section: Any) -> list[Problem]:
    """Everything wrong with a ``conntrack`` mapping."""
    return read(section)[1]


def read(section: Any) -> tuple[Declared, list[Problem]]:
    """The settings of a ``conntrack`` mapping as far as they can be read, and everything wrong with it."""
    problems: list[Problem] = []
    if not isinstance(section, dict):
        problems.append(Problem("no mapping", found=section, allowed="a mapping of settings"))
        return Declared([]), problems
    found: list[Setting] = []
    persist = section.get("persist")
    if "persist" in section and not isinstance(persist, bool):
        problems.append(Problem("no truth value", "persist", persist, "true or false"))
    for key, value in section.items():
        if key in TUNABLES:
            _note(found, TUNABLES[key], value, key, problems)
        elif key == "timeouts":
            _timeouts(value, found, problems)
        elif key == "masquerade_timeouts":
            _masquerade(value, found, problems)
        elif key not in KEYS:
            problems.append(_unknown(key, value))
    _frag6(found, problems)
    return Declared(_distinct(found, problems), persist), problems


def _note(found: list[Setting], row: Row, value: Any, place: str, problems: list[Problem]) -> None:
    try:
        found.append(Setting(row, row.kind.read(value), place))
    except DocumentError as error:
        problems += error.at(place).problems


def _unknown(key: Any, value: Any) -> Problem:
    word = str(key)
    bare = word.rpartition(".")[2]
    known_prefix = bare.startswith(("nf_conntrack_", "nf_flowtable_"))
    cure = _own_word(bare) if known_prefix else nearest(word, KEYS)
    return Problem("unknown setting", word, value, "" if cure else ", ".join(KEYS), cure)


def _own_word(key: str) -> str:
    """What a sysctl key is called here."""
    rows: list[Row] = [*TUNABLES.values()]
    rows += [state for states in TIMEOUTS.values() for state in states.values()]
    for row in rows:
        if row.key == key:
            return "here it is %s" % row.name
    return nearest(key[len("nf_conntrack_") :], KEYS)


def _timeouts(value: Any, found: list[Setting], problems: list[Problem]) -> None:
    allowed = "a mapping of protocols to mappings of states to times"
    if not isinstance(value, dict):
        problems.append(Problem("no mapping", "timeouts", value, allowed))
        return
    for protocol, states in value.items():
        place = "timeouts.%s" % protocol
        if protocol not in TIMEOUTS:
            known = ", ".join(TIMEOUTS)
            cure = nearest(str(protocol), TIMEOUTS) or "what has no name here has the timeout generic"
            problems.append(Problem("no timeouts of this protocol", place, states, known, cure))
            continue
        known_states = understood(protocol)
        if not isinstance(states, dict):
            if ONLY in TIMEOUTS[protocol]:
                _note(found, TIMEOUTS[protocol][ONLY], states, place, problems)
            else:
                problems.append(Problem("no mapping", place, states, "a mapping of states to times"))
            continue
        for word, time in states.items():
            inner = "%s.%s" % (place, word)
            if word in known_states:
                _note(found, known_states[word], time, inner, problems)
            else:
                known = ", ".join(TIMEOUTS[protocol])
                cure = nearest(str(word), known_states)
                problems.append(Problem("no state of %s" % protocol, inner, time, known, cure))


def _masquerade(value: Any, found: list[Setting], problems: list[Problem]) -> None:
    """``ipchains -M -S tcp tcpfin udp``: 0 keeps what is."""
    place = "masquerade_timeouts"
    if isinstance(value, list):
        if len(value) != len(MASQUERADE):
            problems.append(Problem("not three timeouts", place, value, _TRIPLE))
            return
        said = [(word, time, "%s[%d]" % (place, index))
                for index, (word, time) in enumerate(zip(MASQUERADE, value))]  # fmt: skip
    elif isinstance(value, dict):
        said = [(word, time, "%s.%s" % (place, word)) for word, time in value.items()]
    else:
        problems.append(Problem("not three timeouts", place, value, _TRIPLE))
        return
    for word, time, inner in said:
        if word not in _MASQUERADE:
            problems.append(
                Problem("unknown key", inner, time, ", ".join(MASQUERADE), nearest(str(word), MASQUERADE))
            )
        elif isinstance(time, bool) or time != 0:
            try:
                seconds = SECONDS.read(time)
            except DocumentError as error:
                problems += error.at(inner).problems
                continue
            found += [Setting(state, seconds, inner) for state in _MASQUERADE[word]]


def _frag6(found: list[Setting], problems: list[Problem]) -> None:
    said = {one.name: one for one in found}
    low, high = said.get("frag6_low_thresh"), said.get("frag6_high_thresh")
    if low and high and low.value is not None and high.value is not None and low.value > high.value:
        problems.append(
            Problem("more than frag6_high_thresh", low.place, low.value, "at most %d" % high.value)
        )


def _distinct(found: list[Setting], problems: list[Problem]) -> list[Setting]:
    """One setting for each that the kernel has; two that say otherwise of one are a problem."""
    kept: dict[str, Setting] = {}
    for one in found:
        first = kept.setdefault(one.row.key or one.name, one)
        if first.value != one.value:
            what = "the same timeout as %s, and another time" % first.place
            problems.append(Problem(what, one.place, one.row.kind.shown(one.value or 0)))
    return list(kept.values())
