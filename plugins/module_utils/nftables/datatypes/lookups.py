# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names whose numbers only the host knows: users, services, marks, interfaces.

Two things must be known of such lookups. Where a document is checked on another
machine, a name that only the host has is no mistake. And where "unchanged" is told
without compiling, every name must still mean the number that it meant then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: above what people number their users, marks and devices with
_PLACEHOLDERS = 0x40000000

_recorded: dict[tuple[str, str], int] | None = None
#: what stands for the numbers of names that another machine will look up; None where they are looked up here
_elsewhere: dict[tuple[str, str], int] | None = None
_given: Mapping[tuple[str, str], int] = {}


def looked_up(kind: str, word: str, number: int | None, checked_here: bool = False) -> int | None:
    """Pass on what a lookup found, noting it; ``kind`` is the data type's name.

    A name that is not found counts as known while :func:`elsewhere` is in force,
    unless ``checked_here``: a mistyped service is worth finding early.
    """
    number = _given.get((kind, word), number)
    if number is None:
        known = word[:1].isalpha() or word[:1] == "_" or (kind == "iface_index" and not word.isdecimal())
        if _elsewhere is None or not known or checked_here:
            return None
        # one of its own for each: two users are two elements of a set
        return _elsewhere.setdefault((kind, word), _PLACEHOLDERS + len(_elsewhere))
    if _recorded is not None:
        _recorded[kind, word] = number
    return number


@contextmanager
def recording() -> Iterator[dict[tuple[str, str], int]]:
    """Collect what is looked up inside the block: (data type, name) to number."""
    global _recorded
    before, _recorded = _recorded, {}
    try:
        yield _recorded
    finally:
        _recorded = before


@contextmanager
def elsewhere() -> Iterator[None]:
    """Inside the block, names that only another machine can know are taken for known."""
    global _elsewhere
    before, _elsewhere = _elsewhere, {}
    try:
        yield
    finally:
        _elsewhere = before


@contextmanager
def given(numbers: Mapping[tuple[str, str], int]) -> Iterator[None]:
    """Inside the block, these names have these numbers, whatever the host says of them by now."""
    global _given
    before, _given = _given, numbers
    try:
        yield
    finally:
        _given = before
