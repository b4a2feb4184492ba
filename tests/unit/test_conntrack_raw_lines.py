# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lines of raw messages are those of their entries, whatever messages came before."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.command.session import visible
from rempart.conntrack import entries, line, raw_lines
from rempart.conntrack.filters import Filter
from rempart.conntrack.matching import Matcher
from rempart.conntrack.raw_lines import Lines

from tests.support.connection_tables import GRE, TCP, UDP, Entry, Side, connection
from tests.unit.test_conntrack_matching import NOW, buffer_of
from tests.unit.test_conntrack_matching import entries as made

TIME = NOW / 1e9 + 0.5
OPTIONS: list[dict[str, Any]] = [
    {"extended": extended, "id": id} for extended, id in itertools.product((False, True), repeat=2)
]
TEXTS = (
    *("ftp", "sip", "fifteen letters", "", "1000000000000000001", "100%", "%d %(x)s"),
    *("a\x1b[2Jb", "\u202eevil", "é\n", "ends in a space "),
)


def expected(bodies: list[bytes], **options: bool) -> list[str]:
    """The lines by way of the entries."""
    return [visible(line.connection(entries.decode(body), now=TIME, **options)) for body in bodies]


def whole(data: bytes) -> list[tuple[int, int]]:
    """Where the bodies of a buffer are."""
    return list(Matcher(Filter()).find(data))


@st.composite
def tables(draw: st.DrawFn) -> list[Entry]:
    """Connections, some of them of one layout with other values."""
    table = draw(st.lists(made(), min_size=1, max_size=6))
    for one in list(table):
        number = st.integers(0, 2**32 - 1)
        changed: dict[str, Any] = {}
        if one.mark is not None:
            changed["mark"] = draw(number)
        if one.timeout is not None:
            changed["timeout"] = draw(number)
        if one.counters is not None:
            changed["counters"] = tuple(draw(st.integers(0, 2**64 - 1)) for _ in range(4))
        if one.start is not None:
            changed["start"] = draw(st.integers(0, 2**64 - 1))
        if one.status is not None:
            changed["status"] = draw(number)
        if one.state is not None:
            changed["state"] = draw(st.integers(0, 255))
        for key in ("helper", "secctx"):
            if getattr(one, key) is not None:
                changed[key] = draw(st.sampled_from(TEXTS))
        table.insert(draw(st.integers(0, len(table))), replace(one, **changed))
    return table


@settings(max_examples=600, deadline=None)
@given(st.lists(tables(), min_size=1, max_size=3), st.sampled_from(OPTIONS))
def test_they_are_those_of_the_entries(buffers: list[list[Entry]], options: dict[str, bool]) -> None:
    lines = Lines(now=TIME, escape=visible, **options)
    for table in [*buffers, buffers[0]]:
        data = buffer_of(table)
        assert lines.of(data, whole(data)) == expected([one.body() for one in table], **options)


@settings(max_examples=600, deadline=None)
@given(
    made(),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=3),
)
def test_damage_is_noticed_as_by_the_entries(entry: Entry, changes: list[tuple[int, int]]) -> None:
    body = entry.body()
    damaged = bytearray(body)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    lines = Lines(now=TIME, escape=visible)
    lines.of(body, [(0, len(body))])
    try:
        right = expected([bytes(damaged)])
    except ValueError as error:
        with pytest.raises(ValueError) as found:
            lines.of(bytes(damaged), [(0, len(damaged))])
        assert str(found.value) == str(error)
        return
    assert lines.of(bytes(damaged), [(0, len(damaged))]) == right


def test_the_chosen_places_alone_are_read() -> None:
    table = [connection("10.0.0.%d" % number, "10.0.1.1", 1000 + number, 80) for number in range(9)]
    data = buffer_of(table)
    places = whole(data)[1::3]
    assert Lines(now=TIME).of(data, places) == expected([one.body() for one in table[1::3]])
    assert Lines(now=TIME).of(data, []) == []


def test_most_connections_are_written_without_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The swift way is taken, for all but keys of GRE."""
    table = [
        connection("10.0.0.1", "10.0.1.1", 1000, 80, TCP, state=3, counters=(1, 2, 3, 4), start=NOW, use=1),
        connection("fd00::1", "fd00::2", 1000, 80, UDP, helper="sip", secctx="a:b", zone=3, use=1),
        Entry(Side("10.0.0.1", "10.0.1.1", zone=5), Side("10.0.1.1", "10.0.0.1"), 50),
    ]
    data = buffer_of(table)
    right = expected([one.body() for one in table])
    gre = connection("10.0.0.1", "10.0.1.1", 7, 8, GRE).body()
    (slow,) = expected([gre])
    assert "srckey=0x7 dstkey=0x8" in slow

    def decode(body: bytes) -> Any:
        raise AssertionError("an entry was made")

    with monkeypatch.context() as patched:
        patched.setattr(entries, "decode", decode)
        assert Lines(now=TIME).of(data, whole(data)) == right
        with pytest.raises(AssertionError, match="an entry was made"):
            Lines(now=TIME).of(gre, [(0, len(gre))])
    assert Lines(now=TIME).of(gre, [(0, len(gre))]) == [slow]


def test_more_layouts_than_are_remembered_are_written_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_lines, "_MOST", 3)
    table = [
        connection("10.0.0.%d" % number, "10.0.1.1", 1000, 80, TCP, state=number % 9, timeout=number)
        for number in range(40)
    ]
    data = buffer_of(table)
    lines = Lines(now=TIME)
    for _ in range(2):
        assert lines.of(data, whole(data)) == expected([one.body() for one in table])
    assert lines._count == 3
