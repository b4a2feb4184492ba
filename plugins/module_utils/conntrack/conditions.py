# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a filter asks of a connection, each question as a test of values and as a byte pattern.

A condition answers in two ways that must agree. ``holds`` reads the values of one message at
the places of its layout. ``pattern`` gives the same question as a regular expression over the
raw bytes of every message of that layout, of no width and anchored at the body's start, so
that the matching of a million messages runs in C; None where it can't be said so.

A value that a message lacks (an event has fewer than a dump) is the field's default where it
has one: no mark is mark 0. Without a default it is none of the values asked for: what is
wanted does not hold, what is unwanted does.
"""

from __future__ import annotations

import bisect
import itertools
import struct
import sys
import time
from collections.abc import Mapping, Sequence

from . import uapi
from .layouts import Layout, Path

_MOST_ALTERNATIVES = 64  # a longer list is searched faster by halves than by a regular expression
_LONG = struct.calcsize("L")
_COUNT = struct.Struct(">Q")
_SECOND = 10**9  # nanoseconds

# An attribute's header: its length, then its type, which is less than 256 here.
_HEADER = b"%s%s\\x00" if sys.byteorder == "little" else b"%s\\x00%s"

_groups = itertools.count()  # names of groups: no two expressions that may stand together share one

ANY = 0
"""The kind of an item that is compared with each kind of value that a field may have."""


class Item:
    """Some numbers: those from ``low`` to ``high``, or those that are ``low`` under ``mask``.

    ``kind`` says which of a field's values it is about: 4 or 6 for the IP version that an
    address or an ICMP type belongs to, a protocol's number for a state.
    """

    __slots__ = ("high", "kind", "low", "mask")

    def __init__(self, low: int, high: int | None = None, kind: int = ANY, mask: int | None = None):
        self.low = low
        self.high = low if high is None else high
        self.kind = kind
        self.mask = mask

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return "Item(%r, %r, %r, %r)" % (self.low, self.high, self.kind, self.mask)

    def _key(self) -> tuple[int, int, int, int | None]:
        return self.low, self.high, self.kind, self.mask


class Numbers:
    """A set of numbers, as items of one kind give it."""

    __slots__ = ("_ends", "_masks", "_starts")

    def __init__(self, items: Sequence[Item]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._masks = [(one.low, one.mask) for one in items if one.mask is not None]
        for low, high in sorted((one.low, one.high) for one in items if one.mask is None):
            if self._ends and low <= self._ends[-1] + 1:
                self._ends[-1] = max(self._ends[-1], high)
            else:
                self._starts.append(low)
                self._ends.append(high)

    def share(self, size: int) -> float:
        """Which part of all numbers of so many bytes they are, at most."""
        count = sum(high - low + 1 for low, high in zip(self._starts, self._ends))
        whole: float = 1 << 8 * size
        return count / whole + sum(2.0 ** -bin(mask).count("1") for _value, mask in self._masks)

    def __contains__(self, number: int) -> bool:
        at = bisect.bisect_right(self._starts, number) - 1
        if at >= 0 and number <= self._ends[at]:
            return True
        return any(number & mask == value for value, mask in self._masks)

    def pattern(self, size: int, little: bool) -> bytes | None:
        """The numbers as a pattern of so many bytes; None where it would be a long one."""
        top = (1 << 8 * size) - 1
        if len(self._starts) + len(self._masks) > _MOST_ALTERNATIVES:
            return None
        if little and self._starts:
            return None
        parts = []
        for low, high in zip(self._starts, self._ends):
            if low <= top:
                parts.append(_between(low.to_bytes(size, "big"), min(high, top).to_bytes(size, "big")))
        for value, mask in self._masks:
            if value & ~top == 0:
                parts.append(_masked(value, mask & top, size, little))
        return _either(parts)


class Field:
    """A number of a connection, and where its message has it.

    ``paths`` gives the attribute by the kind of the value (see :class:`Item`): the source address is
    another attribute in IPv4 than in IPv6. ``sizes`` has the payload's bytes by kind, where they are
    of use. ``default`` is what a message without it means; ``little`` is a bit field of the kernel's
    own byte order.
    """

    __slots__ = ("default", "little", "paths", "sizes")

    def __init__(
        self,
        paths: Mapping[int, Path],
        default: int | None = None,
        little: bool = False,
        sizes: Mapping[int, int] | None = None,
    ) -> None:
        self.paths = dict(paths)
        self.default = default
        self.little = little
        self.sizes = dict(sizes or {})

    def value(self, body: bytes, start: int, layout: Layout) -> tuple[int, int | None]:
        """(kind, number) of one message's value; the number is None where it has none."""
        kind, place = self.place(layout)
        if place is None:
            return ANY, self.default
        offset, length = place
        raw = body[start + offset : start + offset + length]
        return kind, _little(raw) if self.little else int.from_bytes(raw, "big")

    def place(self, layout: Layout) -> tuple[int, tuple[int, int] | None]:
        """(kind, place) of the value in messages of a layout; the place is None where they have none."""
        for kind, path in self.paths.items():
            place = layout.places.get(path)
            if place is not None:
                return kind, place
        return ANY, None


def _little(raw: bytes) -> int:
    """A bit field that the kernel keeps as unsigned longs of its own byte order (labels)."""
    if sys.byteorder == "little":
        return int.from_bytes(raw, "little")
    number = 0
    for at in range(0, len(raw), _LONG):
        number |= int.from_bytes(raw[at : at + _LONG], "big") << 8 * at
    return number


class Pattern:
    """A condition's regular expression for one layout.

    ``upto`` is the offset of the last header that must be in its place for the expression to
    mean what it says; -1 needs none.
    """

    __slots__ = ("expression", "upto")

    def __init__(self, expression: bytes, upto: int) -> None:
        self.expression = expression
        self.upto = upto


NEVER = b"(?!)"
ALWAYS = b""


class Condition:
    """One question of a filter. ``key`` is the filter's word for it."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key

    def holds(self, body: bytes, start: int, layout: Layout) -> bool:
        """Whether it holds for the message whose body starts there and has that layout."""
        raise NotImplementedError

    def pattern(self, layout: Layout) -> Pattern | None:
        """The same as an expression for the bodies of a layout, where there is one."""
        return None

    def trace(self) -> tuple[float, bytes] | None:
        """Bytes that every message has, somewhere, for which it holds: an expression, where there is one.

        The number tells how rare they are: which part of all possible values leaves them.
        """
        return None


class Values(Condition):
    """One of some fields is one of the numbers wanted, and none of them is one that is unwanted."""

    __slots__ = ("_unwanted", "_wanted", "fields", "unwanted", "wanted")

    def __init__(
        self, key: str, fields: Sequence[Field], wanted: Sequence[Item], unwanted: Sequence[Item]
    ) -> None:
        super().__init__(key)
        self.fields = tuple(fields)
        self.wanted = tuple(wanted)
        self.unwanted = tuple(unwanted)
        kinds = {ANY}.union(*(one.paths for one in fields))
        self._wanted = {kind: _numbers(wanted, kind) for kind in kinds}
        self._unwanted = {kind: _numbers(unwanted, kind) for kind in kinds}

    def holds(self, body: bytes, start: int, layout: Layout) -> bool:
        """As :class:`Condition` has it."""
        found = not self.wanted
        for field in self.fields:
            kind, number = field.value(body, start, layout)
            if number is None:
                continue
            if number in self._unwanted[kind]:
                return False
            found = found or number in self._wanted[kind]
        return found

    def pattern(self, layout: Layout) -> Pattern | None:
        """As :class:`Condition` has it."""
        wanted: list[bytes] = []
        unwanted: list[bytes] = []
        upto = -1
        always = not self.wanted
        for field in self.fields:
            kind, place = field.place(layout)
            if place is None:
                # That it is absent is known once every header is seen.
                upto = layout.length
                if field.default is not None:
                    if field.default in self._unwanted[ANY]:
                        return Pattern(NEVER, upto)
                    always = always or field.default in self._wanted[ANY]
                continue
            offset, size = place
            upto = max(upto, offset - 4)
            for one, alternatives in ((self._wanted[kind], wanted), (self._unwanted[kind], unwanted)):
                expression = one.pattern(size, field.little)
                if expression is None:
                    return None
                if expression != NEVER:
                    alternatives.append(b".{%d}%s" % (offset, expression))
        expression = b"(?!%s)" % b"|".join(unwanted) if unwanted else ALWAYS
        if not always:
            expression += b"(?=%s)" % b"|".join(wanted) if wanted else NEVER
        return Pattern(expression, upto)

    def trace(self) -> tuple[float, bytes] | None:
        """The attribute's header before one of the numbers wanted, where these are of one kind."""
        kinds = {one.kind for one in self.wanted}
        if len(kinds) != 1:
            return None
        (kind,) = kinds
        types = set()
        for field in self.fields:
            if kind not in field.sizes or (field.default is not None and field.default in self._wanted[ANY]):
                return None
            types.add(field.paths[kind][-1])
            size = field.sizes[kind]
        numbers = self._wanted[kind]
        expression = numbers.pattern(size, False)
        if expression is None or expression == NEVER:
            return None
        header = _HEADER % (_literal(struct.pack("=H", size + 4)), _class(sorted(types)))
        return numbers.share(size), header + expression


class Words(Condition):
    """A text of the connection is one of those wanted, and none of those unwanted."""

    __slots__ = ("path", "unwanted", "wanted")

    def __init__(self, key: str, path: Path, wanted: Sequence[bytes], unwanted: Sequence[bytes]) -> None:
        super().__init__(key)
        self.path = path
        self.wanted = tuple(wanted)
        self.unwanted = tuple(unwanted)

    def holds(self, body: bytes, start: int, layout: Layout) -> bool:
        """As :class:`Condition` has it."""
        place = layout.places.get(self.path)
        if place is None:
            return not self.wanted
        offset, length = place
        word = body[start + offset : start + offset + length].rstrip(b"\0")
        return word not in self.unwanted and (not self.wanted or word in self.wanted)

    def pattern(self, layout: Layout) -> Pattern | None:
        """As :class:`Condition` has it."""
        place = layout.places.get(self.path)
        if place is None:
            return Pattern(NEVER if self.wanted else ALWAYS, layout.length)
        offset, length = place
        expression = b""
        for words, mark in ((self.unwanted, b"!"), (self.wanted, b"=")):
            if words:
                fitting = [
                    _literal(one.ljust(length, b"\0"))
                    for one in words
                    if len(one) <= length and not one.endswith(b"\0")
                ]
                expression += b"(?%s.{%d}%s)" % (mark, offset, _either(fitting))
        return Pattern(expression, offset - 4)


class Total(Condition):
    """The sum of both directions' packets or bytes."""

    __slots__ = ("paths", "unwanted", "wanted")

    def __init__(
        self, key: str, paths: Sequence[Path], wanted: Sequence[Item], unwanted: Sequence[Item]
    ) -> None:
        super().__init__(key)
        self.paths = tuple(paths)
        self.wanted = Numbers(wanted) if wanted else None
        self.unwanted = Numbers(unwanted)

    def holds(self, body: bytes, start: int, layout: Layout) -> bool:
        """As :class:`Condition` has it."""
        total = 0
        for path in self.paths:
            place = layout.places.get(path)
            if place is None or place[1] != _COUNT.size:
                return self.wanted is None
            total += _COUNT.unpack_from(body, start + place[0])[0]
        return total not in self.unwanted and (self.wanted is None or total in self.wanted)


class Age(Condition):
    """The whole seconds since the connection began, which the kernel notes if told to.

    ``now`` is the time, in nanoseconds since 1970, at which it is asked; None asks at the
    time of each answer, as is right for events.
    """

    __slots__ = ("now", "unwanted", "wanted")

    PATH = (uapi.CTA_TIMESTAMP, uapi.CTA_TIMESTAMP_START)

    def __init__(self, key: str, wanted: Sequence[Item], unwanted: Sequence[Item]) -> None:
        super().__init__(key)
        self.now: int | None = None
        self.wanted = Numbers(wanted) if wanted else None
        self.unwanted = Numbers(unwanted)

    def holds(self, body: bytes, start: int, layout: Layout) -> bool:
        """As :class:`Condition` has it."""
        place = layout.places.get(self.PATH)
        if place is None or place[1] != _COUNT.size:
            return self.wanted is None
        now = time.time_ns() if self.now is None else self.now
        age = max(0, now - _COUNT.unpack_from(body, start + place[0])[0]) // _SECOND
        return age not in self.unwanted and (self.wanted is None or age in self.wanted)


class Translation(Condition):
    """An end of the connection is translated, to one of some addresses where these are given.

    A direction's address or port (of ICMP the id) is not the one that the other direction's has,
    and the kernel has set the translation up (``done``, a bit of the status; a message without
    status is taken at its addresses' word). ``sides`` are those asked about, of which one is enough.
    """

    __slots__ = ("_unwanted", "_wanted", "sides", "unwanted", "wanted")

    def __init__(
        self, key: str, sides: Sequence[Side], wanted: Sequence[Item] | None, unwanted: Sequence[Item] | None
    ) -> None:
        super().__init__(key)
        self.sides = tuple(sides)
        self.wanted = wanted
        self.unwanted = unwanted
        self._wanted = {kind: _numbers(wanted or (), kind) for kind in (4, 6)}
        self._unwanted = {kind: _numbers(unwanted or (), kind) for kind in (4, 6)}

    def holds(self, body: bytes, start: int, layout: Layout) -> bool:
        """As :class:`Condition` has it."""
        met = self._meets(body, start, layout, self.wanted, self._wanted) if self.wanted is not None else True
        return met and not (
            self.unwanted is not None and self._meets(body, start, layout, self.unwanted, self._unwanted)
        )

    def _meets(
        self,
        body: bytes,
        start: int,
        layout: Layout,
        items: Sequence[Item],
        numbers: Mapping[int, Numbers],
    ) -> bool:
        status = layout.places.get((uapi.CTA_STATUS,))
        bits = (
            int.from_bytes(body[start + status[0] : start + status[0] + status[1]], "big") if status else -1
        )
        for side in self.sides:
            if not bits & side.done:
                continue
            kind, before = side.before.value(body, start, layout)
            _kind, after = side.after.value(body, start, layout)
            if items:
                if after is not None and after != before and after in numbers[kind]:
                    return True
                continue
            if before != after:
                return True
            if side.before_port.value(body, start, layout) != side.after_port.value(body, start, layout):
                return True
        return False

    def pattern(self, layout: Layout) -> Pattern | None:
        """The same by comparing bytes of one place with those of another (a back reference)."""
        parts = []
        for items, numbers, mark in (
            (self.unwanted, self._unwanted, b"!"),
            (self.wanted, self._wanted, b"="),
        ):
            if items is None:
                continue
            alternatives = []
            for side in self.sides:
                expression = self._side(layout, side, items, numbers)
                if expression is None:
                    return None
                if expression != NEVER:
                    alternatives.append(expression)
            parts.append(b"(?%s%s)" % (mark, _either(alternatives)))
        return Pattern(b"".join(parts), self._upto(layout))

    def _upto(self, layout: Layout) -> int:
        """The last header that has to be in its place; all of them where one asked about is missing."""
        upto = -1
        for side in self.sides:
            for field in (side.before, side.after, side.before_port, side.after_port):
                _kind, place = field.place(layout)
                if place is None:
                    return layout.length
                upto = max(upto, place[0] - 4)
        status = layout.places.get((uapi.CTA_STATUS,))
        return layout.length if status is None else max(upto, status[0] - 4)

    def _side(
        self, layout: Layout, side: Side, items: Sequence[Item], numbers: Mapping[int, Numbers]
    ) -> bytes | None:
        status = layout.places.get((uapi.CTA_STATUS,))
        done = b""
        if status is not None:
            done = b"(?=.{%d}%s)" % (status[0], _masked(side.done, side.done, status[1], False))
        alternatives = []
        for before, after, is_address in (
            (side.before, side.after, True),
            (side.before_port, side.after_port, False),
        ):
            pair = [
                (kind, layout.places[one], layout.places[two])
                for (kind, one), two in zip(before.paths.items(), after.paths.values())
                if one in layout.places and two in layout.places
            ]
            if not pair and is_address:
                return None
            if not pair or (items and not is_address):
                continue
            kind, (first, size), (second, other) = pair[0]
            if size != other or second < first + size:
                return None
            group = b"g%d" % next(_groups)
            gap = second - first - size
            differs = b"(?!.{%d}(?P<%s>.{%d}).{%d}(?P=%s))" % (first, group, size, gap, group)
            if items:
                expression = numbers[kind].pattern(size, False)
                if expression is None:
                    return None
                differs += b"(?=.{%d}%s)" % (second, expression)
            alternatives.append(differs)
        return done + _either(alternatives)


class Side:
    """Source or destination: what it was, what it is translated to, and the status bit for it."""

    __slots__ = ("after", "after_port", "before", "before_port", "done")

    def __init__(self, before: Field, after: Field, before_port: Field, after_port: Field, done: int) -> None:
        self.before = before
        self.after = after
        self.before_port = before_port
        self.after_port = after_port
        self.done = done


def _numbers(items: Sequence[Item], kind: int) -> Numbers:
    return Numbers([one for one in items if one.kind in (ANY, kind)])


def _either(alternatives: Sequence[bytes]) -> bytes:
    if not alternatives:
        return NEVER
    return alternatives[0] if len(alternatives) == 1 else b"(?:%s)" % b"|".join(alternatives)


def _literal(raw: bytes) -> bytes:
    return b"".join(b"\\x%02x" % one for one in raw)


def _class(members: Sequence[int]) -> bytes:
    """One byte out of some, as few ranges."""
    if len(members) == 256:
        return b"."
    ranges: list[list[int]] = []
    for one in members:
        if ranges and one == ranges[-1][1] + 1:
            ranges[-1][1] = one
        else:
            ranges.append([one, one])
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return b"\\x%02x" % ranges[0][0]
    return b"[%s]" % b"".join(
        b"\\x%02x-\\x%02x" % (low, high) if low != high else b"\\x%02x" % low for low, high in ranges
    )


def _masked(value: int, mask: int, size: int, little: bool) -> bytes:
    """Bytes that are ``value`` under ``mask``."""
    if value & ~mask:
        return NEVER
    values, masks = value.to_bytes(size, "little"), mask.to_bytes(size, "little")
    order = [at ^ (_LONG - 1) if sys.byteorder == "big" else at for at in range(size)]
    if not little:
        order = list(range(size - 1, -1, -1))
    return b"".join(_class([one for one in range(256) if one & masks[at] == values[at]]) for at in order)


def _between(low: bytes, high: bytes) -> bytes:
    """Numbers in network order from ``low`` to ``high``, both included and of one length."""
    size = len(low)
    if size == 0:
        return b""
    if not any(low) and high == b"\xff" * size:
        return b".{%d}" % size
    if low[0] == high[0]:
        return _class([low[0]]) + _between(low[1:], high[1:])
    first, last = low[0], high[0]
    parts = []
    if any(low[1:]):
        parts.append(_class([first]) + _between(low[1:], b"\xff" * (size - 1)))
        first += 1
    below_last = high[1:] != b"\xff" * (size - 1)
    if below_last:
        last -= 1
    if first <= last:
        parts.append(
            _class(list(range(first, last + 1))) + _between(b"\0" * (size - 1), b"\xff" * (size - 1))
        )
    if below_last:
        parts.append(_class([high[0]]) + _between(b"\0" * (size - 1), high[1:]))
    return _either(parts)
