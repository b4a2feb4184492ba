# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Netlink bodies to dictionaries, fast where many bodies are laid out alike.

A table of connections holds a hundred thousand bodies and a handful of layouts: the same
attributes with the same lengths, at the same offsets. So a body's attributes are walked only
the first time that a layout shows up. What is learned is one ``struct`` that unpacks every value
at once, and a mask of the bytes that make up the layout, to know it again.

What the attributes mean is said by :class:`Field`, :class:`Fixed` and :class:`Nest`, by attribute
type. All numbers of ctnetlink are in network order.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Union

from ..netlink.attributes import walk
from ..netlink.messages import ATTRIBUTES

_MOST = 256  # layouts kept; a body of yet another one is walked each time

_SIZES = {"B": 1, "b": 1, "H": 2, "h": 2, "I": 4, "i": 4, "Q": 8, "4s": 4, "16s": 16}


class Field:
    """An attribute whose payload is one value.

    ``code`` is its struct code, ``s`` for bytes of any length; ``convert`` makes the value of
    what was unpacked.
    """

    __slots__ = ("code", "convert", "key")

    def __init__(self, key: str, code: str, convert: Callable[[Any], Any] | None = None) -> None:
        self.key = key
        self.code = code
        self.convert = convert


class Fixed(Field):
    """A field whose value belongs to the layout: the same layout with another value is another layout."""

    __slots__ = ()


class Nest:
    """An attribute that holds attributes.

    ``key`` names the dictionary they become; without it they go to the one around them.
    ``fields`` may be a function that gives them for the payload at ``(body, start, stop)``.
    """

    __slots__ = ("fields", "key")

    def __init__(self, key: str, fields: Fields | Callable[[bytes, int, int], Fields]) -> None:
        self.key = key
        self.fields = fields


Fields = Mapping[int, Union[Field, Nest]]


class Slot:
    """Where a value lies in a body."""

    __slots__ = ("code", "convert", "offset")

    def __init__(self, offset: int, code: str, convert: Callable[[Any], Any] | None) -> None:
        self.offset = offset
        self.code = code
        self.convert = convert


Tree = dict[str, Any]
"""What a layout makes: by key a :class:`Slot`, a Tree, or a value that every body of it has."""


class Decoder:
    """Bodies of one kind of message to dictionaries.

    ``arrange`` gets the tree of a new layout and the body's family (NFPROTO_ number), and gives
    the tree wanted; it raises ValueError for what no such message can be. ``finish`` puts into a
    dictionary what follows from several of its values.
    """

    __slots__ = ("_arrange", "_count", "_fields", "_finish", "_known")

    def __init__(
        self,
        fields: Fields,
        arrange: Callable[[Tree, int], Tree],
        finish: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._fields = fields
        self._arrange = arrange
        self._finish = finish
        self._known: dict[int, list[_Layout]] = {}
        self._count = 0

    def decode(self, body: bytes) -> dict[str, Any]:
        """The dictionary that a body (nfgenmsg and attributes) stands for; ValueError if for none."""
        number = int.from_bytes(body, "little")
        for layout in self._known.get(len(body), ()):
            if number & layout.mask == layout.expected:
                break
        else:
            layout = self._learn(body, number)
        made = layout.make(body)
        if self._finish is not None:
            self._finish(made)
        return made

    def arranged(self, body: bytes) -> tuple[Tree, bytearray]:
        """The tree that a body's layout makes, and a mask of the bytes by which the layout is known.

        Raises ValueError as :meth:`decode`.
        """
        if len(body) < ATTRIBUTES:
            raise ValueError("a message body of %d bytes" % len(body))
        mask = bytearray(len(body))
        mask[0] = 0xFF
        return self._arrange(_parse(body, ATTRIBUTES, len(body), self._fields, mask), body[0]), mask

    def _learn(self, body: bytes, number: int) -> _Layout:
        tree, mask = self.arranged(body)
        layout = _Layout(tree, len(body), int.from_bytes(mask, "little"), number)
        if self._count < _MOST:
            self._count += 1
            self._known.setdefault(len(body), []).append(layout)
        return layout


def text(payload: bytes) -> str:
    """What a name's payload, ended by a NUL, says: a conversion for :class:`Field`."""
    return payload.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _parse(body: bytes, start: int, stop: int, fields: Fields, mask: bytearray) -> Tree:
    """The tree of the attributes between two offsets; what is part of the layout is marked in ``mask``."""
    tree: Tree = {}
    for kind, payload in walk(body, start, stop):
        size = len(payload)
        begin, end = start + 4, start + 4 + size
        start = (end + 3) & ~3
        mask[begin - 4 : begin] = b"\xff\xff\xff\xff"
        field = fields.get(kind)
        if field is None:
            continue
        if isinstance(field, Nest):
            inner = field.fields(body, begin, end) if callable(field.fields) else field.fields
            found = _parse(body, begin, end, inner, mask)
            if not field.key:
                tree.update(found)
            elif isinstance(tree.get(field.key), dict):
                tree[field.key].update(found)
            else:
                tree[field.key] = found
            continue
        code = "%ds" % size if field.code == "s" else field.code
        if field.code != "s" and size != _SIZES[code]:
            raise ValueError("%s: %d bytes where %d are due" % (field.key, size, _SIZES[code]))
        if isinstance(field, Fixed):
            mask[begin:end] = b"\xff" * size
            (value,) = struct.unpack(">" + code, payload)
            tree[field.key] = value if field.convert is None else field.convert(value)
        else:
            tree[field.key] = Slot(begin, code, field.convert)
    return tree


class _Layout:
    """One layout: how to know it, and how to make a dictionary of a body that has it."""

    __slots__ = ("_constants", "_converted", "_dictionaries", "_links", "_unpack", "expected", "mask")

    def __init__(self, tree: Tree, length: int, mask: int, number: int) -> None:
        self.mask = mask
        self.expected = number & mask
        slots: list[Slot] = []
        _gather(tree, slots)
        slots.sort(key=lambda slot: slot.offset)
        code, position = ">", 0
        for slot in slots:
            code += "%dx%s" % (slot.offset - position, slot.code)
            position = slot.offset + struct.calcsize(">" + slot.code)
        self._unpack = struct.Struct("%s%dx" % (code, length - position)).unpack
        self._converted = [
            (index, slot.convert) for index, slot in enumerate(slots) if slot.convert is not None
        ]
        self._constants: list[Any] = []
        self._dictionaries: list[tuple[tuple[str, ...], Callable[[Any], Any]]] = []
        self._links: list[tuple[int, str, int]] = []
        self._plan(tree, {id(slot): index for index, slot in enumerate(slots)}, len(slots))

    def _plan(self, tree: Tree, places: dict[int, int], count: int) -> int:
        """Add the dictionary that a tree becomes, before those in it; returns its number."""
        mine = len(self._dictionaries)
        indices = []
        children = []
        for key, value in tree.items():
            if isinstance(value, Slot):
                indices.append(places[id(value)])
                continue
            if isinstance(value, dict):
                children.append((key, value))
                value = None  # its place among the keys; the link fills it in
            indices.append(count + len(self._constants))
            self._constants.append(value)
        self._dictionaries.append((tuple(tree), _picker(indices)))
        for key, inner in children:
            self._links.append((mine, key, self._plan(inner, places, count)))
        return mine

    def make(self, body: bytes) -> dict[str, Any]:
        """The dictionary of a body that has this layout."""
        values = [*self._unpack(body), *self._constants]
        for index, convert in self._converted:
            values[index] = convert(values[index])
        made = [dict(zip(keys, pick(values))) for keys, pick in self._dictionaries]
        for outer, key, inner in self._links:
            made[outer][key] = made[inner]
        return made[0]


def _gather(tree: Tree, slots: list[Slot]) -> None:
    for value in tree.values():
        if isinstance(value, Slot):
            slots.append(value)
        elif isinstance(value, dict):
            _gather(value, slots)


def _picker(indices: list[int]) -> Callable[[Any], Any]:
    """What takes the values at these indices out of a list, as a sequence."""
    if len(indices) > 1:
        return itemgetter(*indices)
    return itemgetter(slice(indices[0], indices[0] + 1) if indices else slice(0, 0))
