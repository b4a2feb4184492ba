# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of a dump's raw messages, as line.py writes them, without a dictionary for each.

What the lines of one layout have in common is found out once: :func:`.line.connection` writes the
line of an entry that has a mark in the place of every number, address and name. Where the marks
come out, the values of each message go. So there is one place that says what a line looks like.

State and status become words in a line: their values are part of a layout here.
"""

from __future__ import annotations

import functools
import re
import socket
import struct
import time
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, NamedTuple

from . import entries, line
from .decoding import Slot, Tree, text
from .tuples import GRE

_MOST = 1024  # layouts kept; the line of a message of yet another one is written by way of its entry
_MARK = 10**18  # and so many more as the slot's number; no line has such a number but for a mark
_MARKS = re.compile("(1%s[0-9]{3})" % ("0" * 15))
_NANOSECONDS = 1_000_000_000
_UNSIGNED = 0xFFFFFFFFFFFFFFFF
_WORDS = ("state", "status")

Place = tuple[int, int]
"""Where a body begins and ends in a buffer."""


class _Form(NamedTuple):
    """How the line of one layout is made: ``format % pick(unpack(data, start))``.

    ``converted`` has what is to be done before that to the values at some places of what is picked.
    """

    format: str
    unpack: Callable[[bytes, int], tuple[Any, ...]]
    pick: Callable[[Any], tuple[Any, ...]]
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]


def _unchanged(written: str) -> str:
    return written


class Lines:
    """Writes the lines of a listing.

    ``extended`` and ``id`` are options of :func:`.line.connection`, ``now`` (time.time(), by default
    that of the call) is what ages count to. ``escape`` is done to every text of a line that comes
    from outside; it must leave all else of a line as it is, and give the same for two texts joined
    as for each by itself.
    """

    __slots__ = ("_count", "_escape", "_known", "_line", "_now")

    def __init__(
        self,
        extended: bool = False,
        id: bool = False,
        now: float | None = None,
        escape: Callable[[str], str] = _unchanged,
    ) -> None:
        self._line = functools.partial(line.connection, extended=extended, id=id)
        self._now = time.time() if now is None else now
        self._escape = escape
        # By the length of a body: masks, each with the forms by what the mask leaves of a body.
        self._known: dict[int, list[tuple[int, dict[int, _Form | None]]]] = {}
        self._count = 0

    def of(self, data: bytes, places: Iterable[Place]) -> list[str]:
        """The lines of the bodies at these places of a buffer; ValueError for what is no connection."""
        lines: list[str] = []
        known = self._known
        number_of = int.from_bytes
        for start, stop in places:
            number = number_of(data[start:stop], "little")
            for mask, forms in known.get(stop - start, ()):
                form = forms.get(number & mask)
                if form is not None:
                    break
            else:
                form = self._learn(data[start:stop], number)
                if form is None:
                    lines.append(self._slowly(data[start:stop]))
                    continue
            written, unpack, pick, converted = form
            values = pick(unpack(data, start))
            if converted:
                changed = list(values)
                for index, convert in converted:
                    changed[index] = convert(changed[index])
                values = tuple(changed)
            lines.append(written % values)
        return lines

    def _slowly(self, body: bytes) -> str:
        return self._escape(self._line(entries.decode(body), now=self._now))

    def _learn(self, body: bytes, number: int) -> _Form | None:
        """The form of a body's layout, known from now on; None where there is none."""
        for mask, forms in self._known.get(len(body), ()):
            if number & mask in forms:
                return None
        if self._count >= _MOST:
            return None
        tree, marked = entries.arranged(body)
        form = self._form(tree, marked, body)
        self._count += 1
        mask = int.from_bytes(marked, "little")
        of_length = self._known.setdefault(len(body), [])
        for other, forms in of_length:
            if other == mask:
                forms[number & mask] = form
                break
        else:
            of_length.append((mask, {number & mask: form}))
        return form

    def _form(self, tree: Tree, mask: bytearray, body: bytes) -> _Form | None:
        """The form of a layout; what becomes a word is made a part of it in ``mask``.

        None for a connection of GRE, whose keys are hexadecimal, for one that has ended, and for a
        line that could end in a space.
        """
        for key in _WORDS:
            slot = tree.get(key)
            if isinstance(slot, Slot) and slot.convert is not None:
                size = struct.calcsize(">" + slot.code)
                mask[slot.offset : slot.offset + size] = b"\xff" * size
                tree[key] = slot.convert(struct.unpack_from(">" + slot.code, body, slot.offset)[0])
        if tree["protonum"] == GRE or "stop" in tree:
            return None
        slots: list[Slot] = []
        entry = _marked(tree, slots)
        now = self._now
        if "start" in entry:
            # The age is what is written, and an age since 0 is the time of now.
            now, entry["start"] = entry["start"], 0
        literals = _MARKS.split(self._line(entry, now=now))
        numbers = [int(mark) - _MARK for mark in literals[1::2]]
        if not literals[-1] and slots[numbers[-1]].convert is text:
            return None
        code, position, first, count = ">", 0, {}, 0
        for number in sorted(set(numbers), key=lambda number: slots[number].offset):
            slot = slots[number]
            unpacked = "4B" if _is_ip(slot) else slot.code
            code += "%dx%s" % (slot.offset - position, unpacked)
            position = slot.offset + struct.calcsize(">" + unpacked)
            first[number] = count
            count += 4 if _is_ip(slot) else 1
        written = literals[0].replace("%", "%%")
        picked: list[int] = []
        converted = []
        for number, literal in zip(numbers, literals[2::2]):
            slot = slots[number]
            convert = self._age if slot is tree.get("start") else slot.convert
            if _is_ip(slot):
                picked += range(first[number], first[number] + 4)
                written += "%d.%d.%d.%d"
            elif convert is None:
                picked.append(first[number])
                written += "%d"
            else:
                converted.append((len(picked), self._text if convert is text else convert))
                picked.append(first[number])
                written += "%s"
            written += literal.replace("%", "%%")
        return _Form(written, struct.Struct(code).unpack_from, itemgetter(*picked), tuple(converted))

    def _age(self, start: int) -> int:
        return int(self._now) - start // _NANOSECONDS & _UNSIGNED

    def _text(self, payload: bytes) -> str:
        return self._escape(text(payload))


def _is_ip(slot: Slot) -> bool:
    """Whether it is an IPv4 address, which is written as four numbers."""
    return slot.convert is socket.inet_ntoa


def _marked(tree: Tree, slots: list[Slot]) -> dict[str, Any]:
    """The entry of a tree with the mark of its number in each slot's place."""
    entry: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            entry[key] = _marked(value, slots)
        elif isinstance(value, Slot):
            entry[key] = _MARK + len(slots)
            slots.append(value)
        else:
            entry[key] = value
    return entry
