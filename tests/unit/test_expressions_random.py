# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random bytes given to the expressions' decoders: a value that packs the same, or ValueError."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.netlink.attributes import attribute
from rempart.nftables import uapi
from rempart.nftables.expressions import TABLE, Opaque, Slot, Trace, decode_list, encode_list
from rempart.nftables.expressions.base import Slotted
from rempart.nftables.expressions.registers import Cmp

fast = settings(max_examples=400, deadline=None, database=None)


def element(name: str, data: bytes) -> bytes:
    label = attribute(uapi.NFTA_EXPR_NAME, name.encode() + b"\0")
    return attribute(uapi.NFTA_LIST_ELEM, label + attribute(uapi.NFTA_EXPR_DATA, data))


@fast
@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    try:
        decode_list(data)
    except ValueError:
        return


@fast
@given(
    st.sampled_from([*sorted(TABLE), "nosuch", ""]),
    st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=20)), max_size=6),
)
def test_any_attributes_of_a_known_name(name: str, attributes: list[tuple[int, bytes]]) -> None:
    packed = element(name, b"".join(attribute(kind, data) for kind, data in attributes))
    [found] = decode_list(packed)
    if isinstance(found, Opaque):
        # what cannot be decoded is carried through byte for byte
        assert found.encode() == packed
    else:
        again = encode_list([found])
        assert decode_list(again) == [found]
        repr(found)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_bit_errors_in_well_formed_expressions(name: str) -> None:
    kind = TABLE[name]
    chance = random.Random(name)
    for _ in range(60):
        data = b"".join(
            attribute(one.kind, chance.choice((b"\0\0\0\1", b"\1", b"\0" * 8, b"x\0", b"")))
            for one in kind.attributes
        )
        packed = bytearray(element(name, data))
        if packed:
            packed[chance.randrange(len(packed))] ^= 1 << chance.randrange(8)
        try:
            found = decode_list(bytes(packed))
        except ValueError:
            continue
        assert decode_list(encode_list(found)) == found


def test_slots_keep_their_places_when_joined() -> None:
    first, second = Slot(b"\x00\x05", "sport"), Slot(b"\x00\x06", "dport")
    joined = Slotted.of(b"\xaa", Slotted.of(first, second), b"\xbb")
    assert bytes(joined) == b"\xaa\x00\x05\x00\x06\xbb"
    assert joined.slots == [(1, first), (3, second)]
    trace = Trace()
    encoded = encode_list([Cmp(sreg=1, op=0, data=joined)], trace)
    assert [(encoded[at : at + len(slot)], slot.source) for at, slot in trace.slots] == [
        (b"\x00\x05", "sport"),
        (b"\x00\x06", "dport"),
    ]
