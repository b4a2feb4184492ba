# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Long lists of attributes, packed and split many at a time, against one at a time."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.netlink import lists
from rempart.netlink.attributes import attribute, nested, walk
from rempart.netlink.lists import has_at, nests, payloads

sizes = st.integers(0, 24)


@st.composite
def inner(draw: st.DrawFn) -> list[bytes]:
    """Payloads of two sizes in turns, with some that are not, and some before and behind."""
    turns = draw(st.tuples(sizes, sizes))
    lengths = [turns[index % 2] for index in range(draw(st.integers(0, 80)))]
    for place, size in draw(st.lists(st.tuples(st.integers(0, 80), sizes), max_size=2)):
        lengths.insert(place, size)
    chance = random.Random(draw(st.integers(0, 99)))
    return [chance.randbytes(length) for length in lengths]


@given(inner(), st.integers(0, 3), st.integers(0, 200))
def test_a_list_is_split_as_attribute_by_attribute(found: list[bytes], kinds: int, cut: int) -> None:
    data = b"".join(attribute(1 + index * kinds % 5, one) for index, one in enumerate(found))
    assert payloads(data) == found
    # a list that ends too early, and one whose last attribute has no padding
    data = data[: len(data) - cut]
    try:
        expected = [payload for _kind, payload in walk(data)]
    except ValueError:
        with pytest.raises(ValueError):
            payloads(data)
    else:
        assert payloads(data) == expected


def test_long_lists_are_split_at_a_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not attribute by attribute: that is what makes it fast."""
    walked: list[int] = []

    def noted(data: bytes, start: int = 0) -> list[tuple[int, bytes]]:
        walked.append(len(data) - start)
        return walk(data, start)

    monkeypatch.setattr(lists, "walk", noted)
    found = [bytes(8 + index % 2 * 5) for index in range(1001)]
    assert payloads(b"".join(attribute(1, one) for one in found)) == found
    assert walked == [12]


@pytest.mark.parametrize("lengths", [(0, 0), (1, 1), (3, 3), (3, 8), (8, 3), (0, 8), (4, 0)])
def test_a_length_that_no_header_fits_is_no_stride(lengths: tuple[int, int]) -> None:
    turns = b"".join(one.to_bytes(4, sys.byteorder) + bytes(max(one - 4, 0)) for one in lengths)
    with pytest.raises(ValueError, match="does not fit"):
        payloads(turns * 200)


@given(st.lists(sizes.map(lambda size: bytes(size * 4)), max_size=60), st.integers(100, 300))
def test_nests_are_cut_where_the_next_has_no_room(found: list[bytes], most: int) -> None:
    pieces: list[bytes] = []
    for one in found:
        packed = nested(5, one)
        if pieces and len(pieces[-1]) + len(packed) <= most:
            pieces[-1] += packed
        else:
            pieces.append(packed)
    assert list(nests(5, found, most)) == pieces


def test_what_is_longer_than_a_piece_is_refused() -> None:
    with pytest.raises(ValueError, match="104 bytes in a piece of 103"):
        list(nests(1, [b"", bytes(100)], 103))
    assert len(list(nests(1, [b"", bytes(100)], 104))) == 2


def test_bytes_at_a_stride() -> None:
    data = b"abcxabdxab"
    assert has_at(data, 4, 0, b"ab")
    assert has_at(data, 4, 3, b"x")
    assert not has_at(data, 4, 0, b"abc")
    assert has_at(data, 4, 0, b"")
