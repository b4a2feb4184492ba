# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What deletes a connection has its tuple, zone and id as they were dumped, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.conntrack import heads, requests, uapi
from rempart.conntrack.echo import Echoes
from rempart.netlink import messages
from rempart.netlink.attributes import NESTED, attribute, table

from tests.support.connection_tables import Entry, connection
from tests.unit.test_conntrack_matching import entries

KEPT = (uapi.CTA_TUPLE_ORIG, uapi.CTA_ZONE, uapi.CTA_ID)


def expected(body: bytes) -> bytes:
    """The message, its attributes taken out of a table of all."""
    found = table(body, messages.ATTRIBUTES)
    parts = [
        attribute(kind | (NESTED if kind == uapi.CTA_TUPLE_ORIG else 0), found[kind])
        for kind in KEPT
        if kind in found
    ]
    return messages.message(requests.DELETE, messages.NLM_F_REQUEST, body[0], b"".join(parts))


@settings(max_examples=400, deadline=None)
@given(st.lists(entries(), min_size=1, max_size=12))
def test_it_has_what_finds_the_connection(dumped: list[Entry]) -> None:
    echoes = Echoes()
    for entry in [*dumped, *dumped]:
        assert echoes.of(entry.body()) == expected(entry.body())


def test_one_of_the_same_length_and_another_layout_is_told_apart() -> None:
    plain = connection("10.0.0.1", "10.0.1.1", 1000, 80, mark=7, id=1).body()
    zoned = connection("10.0.0.1", "10.0.1.1", 1000, 80, mark=None, zone=7, id=1).body()
    assert len(plain) == len(zoned)
    echoes = Echoes()
    for body in (plain, zoned, plain):
        assert echoes.of(body) == expected(body)
    assert len(echoes.of(zoned)) > len(echoes.of(plain))


@given(entries(), st.integers(0, 400), st.integers(0, 255))
def test_damage_is_noticed_whatever_was_seen_before(entry: Entry, place: int, value: int) -> None:
    whole = entry.body()
    damaged = bytearray(whole)
    damaged[place % len(damaged)] = value
    seen = Echoes()
    seen.of(whole)
    try:
        right = Echoes().of(bytes(damaged))
    except ValueError as error:
        with pytest.raises(ValueError) as found:
            seen.of(bytes(damaged))
        assert str(found.value) == str(error)
        return
    assert seen.of(bytes(damaged)) == right


def test_more_layouts_than_are_remembered_are_right_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_MOST", 0)
    body = connection("10.0.0.1", "10.0.1.1", 1000, 80, id=9).body()
    echoes = Echoes()
    assert echoes.of(body) == echoes.of(body) == expected(body)
    with pytest.raises(ValueError, match="a message body of 2 bytes"):
        echoes.of(body[:2])
