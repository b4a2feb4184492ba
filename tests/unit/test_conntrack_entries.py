# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to dictionaries and back, and whatever bytes there may be."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.conntrack import entries, expectations, labels, tuples, uapi
from rempart.conntrack.decoding import Decoder
from rempart.conntrack.names import PROTOCOLS, STATES, STATUS
from rempart.errors import DocumentError
from rempart.netlink.attributes import attribute, nested

PORT = st.integers(0, 0xFFFF)
BYTE = st.integers(0, 0xFF)
WORD = st.integers(0, 0xFFFFFFFF)


def body(attributes: bytes, family: int = socket.AF_INET) -> bytes:
    return bytes((family, 0, 0, 0)) + attributes


@st.composite
def tuples_of(draw: st.DrawFn, family: str, protonum: int) -> dict[str, Any]:
    number = tuples.FAMILIES[family]
    size = 4 if family == "ip" else 16
    found: dict[str, Any] = {
        key: socket.inet_ntop(number, draw(st.binary(min_size=size, max_size=size)))
        for key in ("saddr", "daddr")
    }
    for key in tuples.keys_of(protonum):
        found[key] = draw(BYTE if key in ("icmp_type", "icmp_code") else PORT)
    return found


def some(words: Any) -> st.SearchStrategy[list[str]]:
    """Some of the words, in their order."""
    return st.sets(st.sampled_from(list(words))).map(lambda found: [word for word in words if word in found])


@st.composite
def connections(draw: st.DrawFn) -> dict[str, Any]:
    family = draw(st.sampled_from(["ip", "ip6"]))
    protonum = draw(st.one_of(st.sampled_from(sorted(PROTOCOLS.values())), BYTE))
    entry: dict[str, Any] = {
        "family": family,
        "protocol": tuples.PROTOCOL_NAMES.get(protonum, "unknown"),
        "protonum": protonum,
        "original": draw(tuples_of(family, protonum)),
        "reply": draw(tuples_of(family, protonum)),
    }
    if draw(st.booleans()):
        entry["original"]["zone"] = draw(PORT)
    optional = {
        "timeout": WORD,
        "mark": WORD,
        "zone": PORT,
        "helper": st.text("abcdefghijklmnopqrstuvwxyz-_0123456789", min_size=1, max_size=15),
        "labels": st.sets(st.integers(0, labels.COUNT - 1)).map(sorted),
        "status": some(STATUS).map(lambda found: [word for word in STATUS if word in {*found, "confirmed"}]),
    }
    for key, values in optional.items():
        if draw(st.booleans()):
            entry[key] = draw(values)
    if protonum in STATES and (protonum == 132 or draw(st.booleans())):
        entry["state"] = draw(st.sampled_from(STATES[protonum]))
        for side in (entry["original"], entry["reply"]):
            if protonum == 6 and draw(st.booleans()):
                side.update(wscale=draw(BYTE), tcp_flags=draw(some(entries.TCP_FLAGS)))
            elif protonum == 132:
                side["vtag"] = draw(WORD)
        if protonum == 33:
            entry["role"] = draw(st.sampled_from(entries.DCCP_ROLES))
            entry["handshake_seq"] = draw(st.integers(0, 2**64 - 1))
    return entry


@given(connections())
def test_what_is_encoded_is_decoded(entry: dict[str, Any]) -> None:
    found = entries.decode(body(entries.encode(entry), tuples.FAMILIES[entry["family"]]))
    assert found.pop("nat") == entries.translations(entry) or "status" in entry
    if "status" in entry:
        assert found.pop("unreplied") == ("seen_reply" not in entry["status"])
        assert found.pop("assured") == ("assured" in entry["status"])
    assert found == entry


@given(connections())
def test_what_can_be_left_out_is_made_up(entry: dict[str, Any]) -> None:
    """The family from the addresses, the number from the name, the reply as the opposite."""
    whole = dict(entry, reply=tuples.opposite(entry["original"], entry["protonum"]))
    if entry["protonum"] == 132:
        whole["reply"]["vtag"] = 0
    less = {key: value for key, value in entry.items() if key not in ("family", "reply")}
    if entry["protocol"] != "unknown":
        del less["protonum"]
    assert entries.encode(less) == entries.encode(whole)
    assert entries.family(less) == entry["family"]


@given(connections())
def test_the_opposite_of_the_opposite(entry: dict[str, Any]) -> None:
    original = {
        key: value for key, value in entry["original"].items() if key in tuples.KEYS and key != "zone"
    }
    twice = tuples.opposite(tuples.opposite(original, entry["protonum"]), entry["protonum"])
    assert twice == original
    untranslated = {**entry, "original": original, "reply": tuples.opposite(original, entry["protonum"])}
    assert entries.translations({**untranslated, "status": ["snat_done", "dnat_done"]}) == []


MANY = ["seen_reply", "assured", "confirmed", "dnat", "snat_done", "dnat_done", "0x80000000"]
# Every attribute that there is, in one message: what no connection has all at once.
EVERYTHING = b"".join(
    (
        entries.encode(
            {
                "protocol": "tcp",
                "original": {
                    **{"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 1, "dport": 2, "zone": 9},
                    **{"wscale": 7, "tcp_flags": ["window_scale", "be_liberal"]},
                },
                "reply": {
                    **{"saddr": "10.0.0.3", "daddr": "10.0.0.1", "sport": 4, "dport": 1},
                    **{"wscale": 14, "tcp_flags": ["sack_perm"]},
                },
                "status": [
                    "seen_reply",
                    "assured",
                    "confirmed",
                    "dnat",
                    "snat_done",
                    "dnat_done",
                    "0x80000000",
                ],
                "state": "CLOSE_WAIT",
                "timeout": 5,
                "mark": 6,
                "labels": [0, 127],
                "helper": "sip",
            }
        ),
        nested(
            uapi.CTA_COUNTERS_ORIG,
            attribute(uapi.CTA_COUNTERS_PACKETS, struct.pack(">Q", 7)),
            attribute(uapi.CTA_COUNTERS_BYTES, struct.pack(">Q", 2**63)),
        ),
        nested(
            uapi.CTA_COUNTERS_REPLY,
            attribute(uapi.CTA_COUNTERS_PACKETS, struct.pack(">Q", 8)),
            attribute(uapi.CTA_COUNTERS_BYTES, struct.pack(">Q", 800)),
        ),
        nested(
            uapi.CTA_SEQ_ADJ_ORIG,
            attribute(uapi.CTA_SEQADJ_CORRECTION_POS, struct.pack(">I", 2**32 - 1)),
            attribute(uapi.CTA_SEQADJ_OFFSET_BEFORE, struct.pack(">i", -5)),
            attribute(uapi.CTA_SEQADJ_OFFSET_AFTER, struct.pack(">i", 3)),
        ),
        nested(
            uapi.CTA_SYNPROXY,
            attribute(uapi.CTA_SYNPROXY_ISN, struct.pack(">I", 1)),
            attribute(uapi.CTA_SYNPROXY_ITS, struct.pack(">I", 2)),
            attribute(uapi.CTA_SYNPROXY_TSOFF, struct.pack(">I", 3)),
        ),
        nested(
            uapi.CTA_TIMESTAMP,
            attribute(uapi.CTA_TIMESTAMP_START, struct.pack(">Q", 1_700_000_000_999_999_999)),
            attribute(uapi.CTA_TIMESTAMP_STOP, struct.pack(">Q", 1_700_000_009_000_000_000)),
        ),
        nested(uapi.CTA_SECCTX, attribute(uapi.CTA_SECCTX_NAME, b"system_u:object_r:x\0")),
        tuples.encode(
            uapi.CTA_TUPLE_MASTER,
            {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 8, "dport": 21},
            socket.AF_INET,
            6,
            [],
        ),
        attribute(uapi.CTA_ID, struct.pack(">I", 99)),
        attribute(uapi.CTA_USE, struct.pack(">I", 2)),
        attribute(uapi.CTA_TIMESTAMP_EVENT, struct.pack(">Q", 12)),
        attribute(200, b"of a kernel to come"),
    )
)


def test_all_that_the_kernel_can_say() -> None:
    found = entries.decode(body(EVERYTHING))
    assert found == {
        "family": "ip",
        "protocol": "tcp",
        "protonum": 6,
        "timeout": 5,
        "state": "CLOSE_WAIT",
        "original": {
            **{"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 1, "dport": 2, "zone": 9},
            **{"packets": 7, "bytes": 2**63, "wscale": 7, "tcp_flags": ["window_scale", "be_liberal"]},
            "seq_adj": {"correction_pos": 2**32 - 1, "offset_before": -5, "offset_after": 3},
        },
        "reply": {
            **{"saddr": "10.0.0.3", "daddr": "10.0.0.1", "sport": 4, "dport": 1},
            **{"packets": 8, "bytes": 800, "wscale": 14, "tcp_flags": ["sack_perm"]},
        },
        "status": MANY,
        "unreplied": False,
        "assured": True,
        "nat": ["dnat"],
        "mark": 6,
        "helper": "sip",
        "labels": [0, 127],
        "secctx": "system_u:object_r:x",
        "start": 1_700_000_000_999_999_999,
        "stop": 1_700_000_009_000_000_000,
        "event_time": 12,
        "master": {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "protonum": 6, "sport": 8, "dport": 21},
        "synproxy": {"isn": 1, "its": 2, "tsoff": 3},
        "use": 2,
        "id": 99,
    }
    assert list(found)[:7] == ["family", "protocol", "protonum", "timeout", "state", "original", "reply"]
    assert entries.delta_time(found, 0) == 9
    assert entries.delta_time({"start": 1_700_000_000_999_999_999}, 1_700_000_002.5) == 2
    assert entries.delta_time({}, 0) is None


@pytest.mark.parametrize(
    ("status", "reply", "nat"),
    [
        (["snat_done", "dnat_done"], {"daddr": "10.0.0.9"}, ["snat"]),
        (["snat_done", "dnat_done"], {"dport": 9}, ["snat"]),
        (["snat_done", "dnat_done"], {"saddr": "10.0.0.9", "daddr": "10.0.0.9"}, ["snat", "dnat"]),
        (["snat_done", "dnat_done"], {"sport": 9}, ["dnat"]),
        (["snat_done", "dnat_done"], {}, []),
        (["dnat_done"], {"daddr": "10.0.0.9"}, []),
        (["dnat_done"], {"saddr": "10.0.0.9", "daddr": "10.0.0.9"}, ["dnat"]),
        (["snat_done"], {"saddr": "10.0.0.9", "daddr": "10.0.0.9"}, ["snat"]),
        ([], {"daddr": "10.0.0.9", "saddr": "10.0.0.9"}, []),
    ],
)
def test_translations(status: list[str], reply: dict[str, Any], nat: list[str]) -> None:
    original = {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 1, "dport": 2}
    entry = {
        "protocol": "udp",
        "original": original,
        "reply": {**tuples.opposite(original, 17), **reply},
        "status": status,
    }
    assert entries.decode(body(entries.encode(entry)))["nat"] == nat


def test_two_bodies_of_one_layout_share_nothing() -> None:
    first, second = (entries.decode(body(EVERYTHING)) for _ in range(2))
    for key in ("status", "labels", "nat"):
        first[key].append("changed")
    first["original"]["seq_adj"]["offset_after"] = first["original"]["saddr"] = "changed"
    first["master"]["saddr"] = first["synproxy"]["isn"] = "changed"
    assert second == entries.decode(body(EVERYTHING)) != first


def decoded(decoder: Any, data: bytes) -> Any:
    """What a decoder makes of bytes: a value that JSON can carry, or that it refuses them."""
    try:
        found = decoder(data)
    except ValueError as error:
        return str(error)
    json.dumps(found)
    return found


ATTRIBUTES = st.recursive(
    st.lists(st.tuples(st.integers(0, 30), st.binary(max_size=20)), max_size=6).map(
        lambda found: b"".join(attribute(kind, payload) for kind, payload in found)
    ),
    lambda inner: st.lists(st.tuples(st.integers(0, 30), inner), max_size=6).map(
        lambda found: b"".join(nested(kind, payload) for kind, payload in found)
    ),
    max_leaves=12,
)
FAMILY = st.sampled_from([2, 10, 0, 7])


@given(st.one_of(st.binary(max_size=300), st.builds(body, ATTRIBUTES, FAMILY)))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    for decoder in (entries.decode, expectations.decode):
        decoded(decoder, data)


def expectation() -> bytes:
    one = {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 1, "dport": 2}
    return b"".join(
        (
            *(tuples.encode(kind, one, socket.AF_INET, 17, []) for kind in (1, 2, 3)),
            attribute(uapi.CTA_EXPECT_TIMEOUT, b"\0\0\1\0"),
            attribute(uapi.CTA_EXPECT_ID, b"\1\2\3\4"),
            attribute(uapi.CTA_EXPECT_HELP_NAME, b"tftp\0"),
            attribute(uapi.CTA_EXPECT_ZONE, b"\0\5"),
            attribute(uapi.CTA_EXPECT_FLAGS, b"\0\0\0\x0d"),
            attribute(uapi.CTA_EXPECT_CLASS, b"\0\0\0\1"),
            attribute(uapi.CTA_EXPECT_FN, b"nat-follow-master\0"),
            nested(
                uapi.CTA_EXPECT_NAT,
                attribute(uapi.CTA_EXPECT_NAT_DIR, b"\0\0\0\1"),
                tuples.encode(uapi.CTA_EXPECT_NAT_TUPLE, one, socket.AF_INET, 17, []),
            ),
        )
    )


def test_all_that_is_said_of_an_expectation() -> None:
    one = {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 1, "dport": 2}
    assert expectations.decode(body(expectation())) == {
        "family": "ip",
        "protocol": "udp",
        "protonum": 17,
        "timeout": 256,
        "expected": one,
        "mask": one,
        "master": {**one, "protonum": 17},
        "zone": 5,
        "flags": ["permanent", "userspace", "0x8"],
        "class": 1,
        "helper": "tftp",
        "function": "nat-follow-master",
        "nat": {"direction": "reply", "tuple": {**one, "protonum": 17}},
        "id": 0x01020304,
    }


@given(
    st.sampled_from(
        [
            (entries, "_FIELDS _arrange _finish", body(EVERYTHING)),
            (expectations, "_FIELDS _arrange", body(expectation())),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 10_000), BYTE), max_size=4),
    st.integers(0, 40),
)
def test_damage_is_noticed_whatever_was_seen_before(
    case: tuple[Any, str, bytes], changes: list[tuple[int, int]], cut: int
) -> None:
    """A decoder that knows the undamaged layout says of a damaged body what a new one says."""
    module, parts, whole = case
    damaged = bytearray(whole)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    if cut < 20:
        del damaged[len(damaged) - cut :]
    module.decode(whole)
    fresh = Decoder(*(getattr(module, part) for part in parts.split()))
    assert decoded(module.decode, bytes(damaged)) == decoded(fresh.decode, bytes(damaged))


def test_a_decoder_keeps_a_bounded_number_of_layouts() -> None:
    entry = {"protocol": "udp", "original": {"saddr": "1.1.1.1", "daddr": "2.2.2.2", "sport": 1, "dport": 2}}
    plain = entries.encode(entry)
    decoder = Decoder(entries._FIELDS, entries._arrange, entries._finish)
    for size in range(1000):
        found = decoder.decode(body(plain + attribute(uapi.CTA_SECCTX | 0x40, b"x" * size)))
        assert found["original"] == entry["original"]
    assert sum(map(len, decoder._known.values())) == 256


TUPLE = {"saddr": "10.0.0.1", "daddr": "10.0.0.2", "sport": 1, "dport": 2}


@pytest.mark.parametrize(
    ("entry", "place", "words"),
    [
        ({"protocol": "tcq"}, "protocol", "no such protocol; found 'tcq'"),
        ({"marc": 5}, "marc", "did you mean 'mark'"),
        ({"protocol": None}, "protocol", "allowed: icmp, tcp, udp"),
        ({"protonum": 256}, "protonum", "0 to 255"),
        ({"family": "ipv4"}, "family", "allowed: ip, ip6"),
        ({"original": None}, "original", "needs the tuple of its original direction"),
        (
            {"original": {**TUPLE, "saddr": "fd00::1"}, "family": "ip"},
            "original.saddr",
            "not an IPv4 address",
        ),
        ({"original": {**TUPLE, "sport": 65536}}, "original.sport", "0 to 65535"),
        ({"original": {**TUPLE, "sport": True}}, "original.sport", "0 to 65535"),
        ({"original": {**TUPLE, "dprt": 1}}, "original.dprt", "did you mean 'dport'"),
        ({"original": {"saddr": "1.1.1.1", "daddr": "2.2.2.2"}}, "original.sport", "0 to 65535"),
        ({"original": {**TUPLE, "zone": -1}}, "original.zone", "0 to 65535"),
        (
            {"original": {**TUPLE, "tcp_flags": ["sack"]}, "state": "CLOSE"},
            "original.tcp_flags[0]",
            "sack_perm",
        ),
        ({"original": {**TUPLE, "wscale": 256}, "state": "CLOSE"}, "original.wscale", "0 to 255"),
        ({"reply": "none"}, "reply", "not a tuple"),
        ({"status": ["asured"]}, "status[0]", "did you mean 'assured'"),
        ({"status": "assured"}, "status", "not a list"),
        ({"status": ["0xzz"]}, "status[0]", "no such word"),
        ({"state": "ESTABLISHT"}, "state", "did you mean 'ESTABLISHED'"),
        ({"protocol": "udp", "state": "ESTABLISHED"}, "state", "have no state"),
        ({"timeout": -1}, "timeout", "0 to 4294967295"),
        ({"mark": 2**32}, "mark", "0 to 4294967295"),
        ({"zone": "1"}, "zone", "0 to 65535"),
        ({"helper": "a-name-too-long-"}, "helper", "1 to 15 bytes"),
        ({"labels": [128]}, "labels[0]", "0 to 127"),
        ({"labels": 1}, "labels", "a list of bit numbers"),
        ({"protocol": "dccp", "state": "OPEN", "role": "srver"}, "role", "did you mean 'server'"),
    ],
)
def test_mistakes_are_named(entry: dict[str, Any], place: str, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        entries.encode({"protocol": "tcp", "original": TUPLE, **entry})
    assert place in [problem.place for problem in caught.value.problems]
    assert words in str(caught.value)


def test_all_mistakes_at_once() -> None:
    with pytest.raises(DocumentError) as caught:
        entries.encode(
            {
                "protocol": "tcp",
                "original": {**TUPLE, "sport": -1},
                "mark": -1,
                "labels": [5, "x"],
                "status": [1],
            }
        )
    places = [problem.place for problem in caught.value.problems]
    assert places == ["original.sport", "status[0]", "mark", "labels[1]"]


def test_names_of_labels(tmp_path: Any) -> None:
    """tests/kernel/test_conntrack_labels.py has conntrack(8) read the same kind of lines."""
    path = tmp_path / "connlabel.conf"
    path.write_text("# names\n0 zero\n  1\tone \n1 again\n2 one\n128 beyond\nx y\n5\n127 last\n7 #no\n")
    assert labels.names(str(path)) == {0: "zero", 1: "one", 127: "last"}
    assert labels.names(str(tmp_path / "none")) == {}


def test_names_beside_labels() -> None:
    entry: dict[str, Any] = {"labels": [1, 5, 9]}
    labels.add_names(entry, {9: "nine", 1: "one"})
    assert entry == {"labels": [1, 5, 9], "label_names": ["one", "nine"]}
    without: dict[str, Any] = {}
    labels.add_names(without, {9: "nine"})
    assert without == {}


def test_a_protocol_that_the_kernel_does_not_track() -> None:
    """DCCP of Linux 6.18: the number is all that it says."""
    pair = {"saddr": "10.0.0.1", "daddr": "10.0.0.2"}
    mirrored = {"saddr": "10.0.0.2", "daddr": "10.0.0.1"}
    bare = b"".join(
        tuples.encode(kind, one, socket.AF_INET, 99, []).replace(b"\5\0\1\0\x63", b"\5\0\1\0\x21")
        for kind, one in ((uapi.CTA_TUPLE_ORIG, pair), (uapi.CTA_TUPLE_REPLY, mirrored))
    )
    found = entries.decode(body(bare))
    assert (found["protocol"], found["original"], found["reply"]) == ("dccp", pair, mirrored)


def test_labels_of_a_big_endian_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a label's bit 0 is in the last byte of the first long."""
    monkeypatch.setattr(labels, "_SWAP", True)
    payload = bytes(7) + b"\1" + b"\x80" + bytes(7)
    assert labels.bits(payload) == [0, 127]
    assert labels.pack([0, 127], []) == payload
