# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set elements read back: intervals from points, maps, and what an element carries along."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from rempart.netlink.attributes import attribute
from rempart.nftables import uapi
from rempart.nftables.datatypes import TYPES
from rempart.nftables.decode import SetView, decode_elements
from rempart.nftables.expressions import Opaque, Verdict, encode_list
from rempart.nftables.expressions.codecs import DATA
from rempart.nftables.expressions.state import Counter, Limit

IPV4 = TYPES["ipv4_addr"].number
PORT = TYPES["inet_service"].number
MARK = TYPES["mark"].number
END = attribute(uapi.NFTA_SET_ELEM_FLAGS, uapi.NFT_SET_ELEM_INTERVAL_END.to_bytes(4, "big"))
CATCHALL = attribute(uapi.NFTA_SET_ELEM_FLAGS, uapi.NFT_SET_ELEM_CATCHALL.to_bytes(4, "big"))


def key(data: bytes, kind: int = uapi.NFTA_SET_ELEM_KEY) -> bytes:
    return attribute(kind, DATA.pack(data))


def data(value: Any) -> bytes:
    return attribute(uapi.NFTA_SET_ELEM_DATA, DATA.pack(value))


def port(number: int) -> bytes:
    return key(number.to_bytes(2, "big"))


def view(key_type: int, length: int, *elements: bytes, flags: int = 0, **more: Any) -> SetView:
    return SetView("s", flags, key_type, length, elements=list(elements), **more)


def test_plain_elements_are_sorted_by_value() -> None:
    assert decode_elements(view(PORT, 2, port(443), port(22), port(80))) == [22, 80, 443]


def test_host_order_keys_are_read_in_host_order() -> None:
    one = key((5).to_bytes(4, sys.byteorder))
    assert decode_elements(view(MARK, 4, one)) == [5]


def test_points_are_ranges_up_to_the_next_point() -> None:
    points = [port(0) + END, port(22), port(23) + END, port(80), port(90) + END, port(1024)]
    intervals = view(PORT, 2, *reversed(points), flags=uapi.NFT_SET_INTERVAL)
    assert decode_elements(intervals) == [22, {"range": [80, 89]}, {"range": [1024, 65535]}]


def test_neighbours_meet_with_and_without_an_end_between_them() -> None:
    for seam in ([], [port(5) + END]):
        points = [port(0) + data(Verdict("accept")), *seam, port(5) + data(Verdict("drop")), port(10) + END]
        intervals = view(PORT, 2, *points, flags=uapi.NFT_SET_INTERVAL | uapi.NFT_SET_MAP, data_type=1)
        assert decode_elements(intervals) == [
            [{"range": [0, 4]}, {"accept": None}],
            [{"range": [5, 9]}, {"drop": None}],
        ]


@pytest.mark.parametrize(
    ("low", "behind", "shown"),
    [
        ("0a000000", "0b000000", {"prefix": {"addr": "10.0.0.0", "len": 8}}),
        ("0a000000", "0a000001", "10.0.0.0"),
        ("0a000001", "0a000003", {"range": ["10.0.0.1", "10.0.0.2"]}),
        ("00000000", None, {"prefix": {"addr": "0.0.0.0", "len": 0}}),
    ],
)
def test_addresses_are_prefixes_where_they_can_be(low: str, behind: str | None, shown: Any) -> None:
    points = [key(bytes.fromhex(low))]
    if behind:
        points.append(key(bytes.fromhex(behind)) + END)
    assert decode_elements(view(IPV4, 4, *points, flags=uapi.NFT_SET_INTERVAL)) == [shown]


def test_concatenated_intervals_have_both_ends_in_one_element() -> None:
    low, high = bytes.fromhex("0a00000000160000"), bytes.fromhex("0affffff00500000")
    one = key(low) + key(high, uapi.NFTA_SET_ELEM_KEY_END)
    flags = uapi.NFT_SET_INTERVAL | uapi.NFT_SET_CONCAT
    assert decode_elements(view(IPV4 << 6 | PORT, 8, one, flags=flags)) == [
        {"concat": [{"prefix": {"addr": "10.0.0.0", "len": 8}}, {"range": [22, 80]}]}
    ]


def test_an_element_shows_what_it_carries() -> None:
    comment = b"first\0"
    one = b"".join(
        (
            port(22),
            attribute(uapi.NFTA_SET_ELEM_TIMEOUT, (60000).to_bytes(8, "big")),
            attribute(uapi.NFTA_SET_ELEM_EXPIRATION, (59000).to_bytes(8, "big")),
            attribute(uapi.NFTA_SET_ELEM_USERDATA, bytes((0, len(comment))) + comment),
            attribute(
                uapi.NFTA_SET_ELEM_EXPRESSIONS,
                encode_list([Counter(packets=3, bytes=300), Limit(rate=1, unit=13, burst=5, type=0)]),
            ),
        )
    )
    strange = Limit(rate=1, unit=13, burst=5, type=0)
    assert decode_elements(view(PORT, 2, one)) == [
        {
            "elem": {
                "val": 22,
                "timeout": 60,
                "expires": 59,
                "comment": "first",
                "counter": {"packets": 3, "bytes": 300},
                "unknown": {"expression": "limit", "bytes": strange.encode().hex()},
            }
        }
    ]


def test_maps_give_values_verdicts_and_objects() -> None:
    values = view(PORT, 2, port(22) + data(bytes((10, 0, 0, 1))), flags=uapi.NFT_SET_MAP, data_type=IPV4)
    values.data_length = 4
    assert decode_elements(values) == [[22, "10.0.0.1"]]
    jumps = view(PORT, 2, port(22) + data(Verdict("jump", "to")), flags=uapi.NFT_SET_MAP, data_type=1)
    assert decode_elements(jumps) == [[22, {"jump": {"target": "to"}}]]
    named = attribute(uapi.NFTA_SET_ELEM_OBJREF, b"hits\0")
    assert decode_elements(view(PORT, 2, port(22) + named, flags=uapi.NFT_SET_OBJECT)) == [[22, "hits"]]


def test_a_map_of_ranges_gives_ranges() -> None:
    both = bytes((10, 0, 0, 1, 10, 0, 0, 9))
    ranges = view(PORT, 2, port(22) + data(both), flags=uapi.NFT_SET_MAP, data_type=IPV4, data_length=8)
    assert decode_elements(ranges) == [[22, {"range": ["10.0.0.1", "10.0.0.9"]}]]


def test_the_element_for_everything_else_stands_last() -> None:
    elements = [CATCHALL + data(Verdict("drop")), port(22) + data(Verdict("accept"))]
    every = view(PORT, 2, *elements, flags=uapi.NFT_SET_MAP, data_type=1)
    assert decode_elements(every) == [[22, {"accept": None}], ["*", {"drop": None}]]


@pytest.mark.parametrize(
    "broken", [b"", b"\x01", b"\xff\xff\x01\x00", data(b"\0\0"), Opaque("x", b"").encode()]
)
def test_bytes_that_are_no_element_are_an_error(broken: bytes) -> None:
    with pytest.raises(ValueError):
        decode_elements(view(PORT, 2, broken))
