# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can be asked of a kill, and every mistake in it, all of them at once."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.conntrack import entries, uapi
from rempart.errors import DocumentError
from rempart.killing import report
from rempart.killing.given import Given
from rempart.killing.kill import Found
from rempart.killing.probes import ACK, SYN, mark_of, packet, zone_of
from rempart.killing.sighting import Sighting
from rempart.killing.wanted import MAX_KILLS, Wanted
from rempart.netlink.attributes import attribute

ENTRY: dict[str, Any] = {
    "family": "ip",
    "protocol": "tcp",
    "protonum": 6,
    "original": {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 1, "dport": 2},
    "id": 7,
}
WITHOUT = {key: value for key, value in ENTRY.items() if key not in ("id", "original", "protonum")}


def body(status: int = 0, **more: Any) -> bytes:
    """The message of a connection, as a dump has it."""
    parts = entries.encode({**ENTRY, **more})
    parts += attribute(uapi.CTA_STATUS, status.to_bytes(4, "big"))
    return b"\x02\0\0\0" + parts + attribute(uapi.CTA_ID, b"\0\0\0\7")


def places(**arguments: Any) -> list[str]:
    """The places and messages of what is wrong."""
    filter = arguments.pop("filter", {"dport": 22})
    with pytest.raises(DocumentError) as caught:
        Wanted(filter, **arguments)
    return ["%s: %s" % (one.place, one.message) for one in caught.value.problems]


def test_what_is_asked_for_in_words() -> None:
    one = Wanted({"dport": "22", "saddr": ["10.0.0.0/8", "!10.1.0.0/16"]})
    assert (one.how, one.block_for, one.max_kills) == ("cut", 30.0, MAX_KILLS)
    assert one.describe() == "saddr 10.0.0.0/8 but not 10.1.0.0/16, dport 22"
    assert Wanted({}, everything=True).max_kills is None
    assert Wanted({}, everything=True, max_kills="5").max_kills == 5
    assert Wanted({}, everything=True).describe() == "everything"
    assert Wanted({}, [ENTRY]).describe() == "1 connection given"
    assert Wanted({"dport": 22}, [ENTRY, ENTRY]).describe() == "of 2 connections given: dport 22"
    assert Wanted({}, []).describe() == "0 connections given"
    for text, seconds in (
        ("1m30s", 90.0),
        (5, 5.0),
        ("0", 0.0),
        (0.5, 0.5),
        ("24h", 86400.0),
        ("250ms", 0.25),
    ):
        assert Wanted({"dport": 22}, block_for=text).block_for == seconds


def test_nothing_is_no_filter() -> None:
    assert places(filter={}) == [": nothing says which connections are to be killed"]
    assert places(filter={"saddr": None}) == ["saddr: null, which says nothing"]
    assert places(filter={"saddr": None, "dport": 22}) == ["saddr: null, which says nothing"]
    # what cannot be read is not an empty filter
    assert places(filter={"sadr": "10.0.0.1"}) == ["sadr: unknown key"]
    assert places(filter={"saddr": []}) == ["saddr: an empty list, which no connection can match"]


def test_everything_goes_alone() -> None:
    both = ["everything: everything is to be killed, and something else says what is"]
    assert places(everything=True) == both
    assert places(filter={}, connections=[ENTRY], everything=True) == both
    assert places(filter={}, connections=[], everything=True) == both


def test_all_mistakes_are_told_at_once() -> None:
    found = places(
        filter={"protcol": "tcp", "saddr": "10.0.0.300"},
        connections=["x", WITHOUT],
        how="cute",
        block_for="soon",
        max_kills=0,
    )
    assert found == [
        "protcol: unknown key",
        "saddr: no address",
        "connections[0]: not a connection",
        "connections[1].original: the tuple of the original direction is missing",
        "connections[1].id: not a number for id",
        "block_for: no time to block for",
        "max_kills: no ceiling",
        "how: no way to kill a connection",
    ]
    with pytest.raises(DocumentError, match="did you mean 'protocol'"):
        Wanted({"protcol": "tcp"})
    with pytest.raises(DocumentError, match="did you mean 'cut'"):
        Wanted({"dport": 22}, how="cute")


@pytest.mark.parametrize("value", [-1, "-1s", "25h", True, None, [], {}, 86401])
def test_no_time(value: Any) -> None:
    assert places(block_for=value) == ["block_for: no time to block for"]


@pytest.mark.parametrize("value", [-1, 0, "many", True, 1.5])
def test_no_ceiling(value: Any) -> None:
    assert places(max_kills=value) == ["max_kills: no ceiling"]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({**ENTRY, "family": "ipv4"}, ["family: no such family"]),
        ({**ENTRY, "family": []}, ["family: no such family"]),
        ({**ENTRY, "id": "7"}, ["id: not a number for id"]),
        ({**ENTRY, "id": 1 << 32}, ["id: not a number for id"]),
        ({**ENTRY, "zone": -1}, ["zone: not a number for zone"]),
        ({**WITHOUT, "id": 1, "original": {}, "protocol": "tpc"}, ["protocol: no such protocol"]),
        (
            {**ENTRY, "original": {"saddr": "fe80::1", "daddr": "10.0.0.2", "sport": 1}},
            ["original.saddr: not an IPv4 address", "original.dport: not a number for dport"],
        ),
    ],
)
def test_what_is_no_connection(entry: Any, expected: list[str]) -> None:
    with pytest.raises(DocumentError) as caught:
        Given(entry)
    assert ["%s: %s" % (one.place, one.message) for one in caught.value.problems] == expected


def test_connections_must_be_a_list() -> None:
    assert places(filter={}, connections="10.0.0.1") == ["connections: no list of connections"]
    assert len(Wanted({}, ENTRY).connections or ()) == 1


def checksum_ok(data: bytes) -> bool:
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def test_packets_have_right_checksums() -> None:
    four = packet("192.0.2.1", 80, "198.51.100.7", 40000, SYN | ACK, 0x01020304, 0xFFFFFFFF)
    assert len(four) == 40 and four[9] == 6 and four[33] == 0x12
    assert checksum_ok(four[12:20] + b"\0\6\0\x14" + four[20:])
    six = packet("2001:db8::1", 80, "2001:db8::7", 40000, SYN, 1)
    assert len(six) == 60 and six[6] == 6 and six[53] == 0x02
    assert checksum_ok(six[8:40] + b"\0\0\0\x14\0\0\0\6" + six[40:])


def test_zones_and_marks_of_forged_packets() -> None:
    one = {"original": {"zone": 3}, "reply": {}, "mark": 9}
    assert (zone_of(one, 0), zone_of(one, 1), mark_of(one)) == (3, 0, 9)
    both = {"original": {}, "reply": {}, "zone": 4, "mark": 9}
    assert (zone_of(both, 0), zone_of(both, 1), mark_of(both)) == (4, 4, 9)
    none = {"original": {}, "reply": {}, "mark": 9}
    assert (zone_of(none, 0), mark_of(none)) == (0, 0)


def test_what_a_flowtable_carries_is_no_success() -> None:
    look = Sighting()
    for bit in (uapi.IPS_OFFLOAD, uapi.IPS_HW_OFFLOAD):
        assert look.of(body(bit)).is_offloaded
    assert not look.of(body(uapi.IPS_ASSURED)).is_offloaded
    found = Found()
    assert report.offloaded(found) is None
    found.offloaded = 1
    assert "a connection was not killed, since a flowtable carries its" in str(report.offloaded(found))
    found.offloaded = 2
    assert "2 connections were not killed, since a flowtable carries their" in str(report.offloaded(found))


def test_the_difference_names_no_more_than_asked_for() -> None:
    found = Found()
    assert report.difference(found, 10) == []
    found.bodies, found.count = [body(), body()], 5
    before = report.difference(found, 1)[0]["before"].splitlines()
    assert len(before) == 2 and "src=10.0.0.1" in before[0] and before[1] == "and 4 more"
    result = report.result(found, None, 1)
    assert (result["count"], len(result["killed"]), result["truncated"]) == (5, 1, True)
