# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packing and splitting netlink messages, and reading kernel records, without a kernel."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.errors import DocumentError
from rempart.netlink import messages, socket
from rempart.netlink.attributes import BE32, BE64, attribute, walk
from rempart.nftables import uapi
from rempart.ruleset import kernel
from rempart.ruleset import messages as changes

OLD_REQUEST = messages.message(0x0A07, 1, 2, attribute(1, b"table\0"), sequence=7)


def nlmsg(kind: int, body: bytes, flags: int = 0, sequence: int = 7) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def test_a_message_is_padded_and_split_again() -> None:
    one = messages.message(0x0A06, 0x401, 2, b"abcde", sequence=3)
    two = messages.message(0x10, 1, 0, b"", resource=10)
    assert len(one) == 28
    assert two[18:20] == b"\0\x0a"
    found = list(messages.split(one + two))
    assert [each[:3] for each in found] == [(0x0A06, 0x401, 3), (0x10, 1, 0)]
    _, _, _, start, stop = found[0]
    assert (one + two)[start:stop] == b"\2\0\0\0abcde"


@pytest.mark.parametrize(
    "data", [b"\x0f" + bytes(15), nlmsg(3, b"")[:-1], nlmsg(3, b"") + b"\0", b"\xff" * 16]
)
def test_a_buffer_with_a_wrong_length_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        list(messages.split(data))


@pytest.mark.parametrize("capped", [True, False])
def test_an_extended_acknowledgement_is_read(capped: bool) -> None:
    request = OLD_REQUEST[:16] if capped else OLD_REQUEST
    tail = attribute(1, b"no such thing\0") + attribute(2, struct.pack("=I", 20))
    flags = messages.NLM_F_ACK_TLVS | (messages.NLM_F_CAPPED if capped else 0)
    found = messages.answer(2, flags, 7, struct.pack("=i", -2) + request + tail)
    assert (found.code, found.text, found.offset, found.sequence) == (2, "no such thing", 20, 7)


def test_an_answer_without_extension_is_read() -> None:
    assert messages.answer(2, 0, 7, struct.pack("=i", -17) + OLD_REQUEST).code == 17
    assert messages.answer(3, 0, 7, b"").code == 0
    assert messages.answer(3, messages.NLM_F_ACK_TLVS, 7, bytes(4) + attribute(1, b"x\0")).text == "x"


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_the_end_of_a_dump_is_found_where_it_is(extended: bool, alone: bool) -> None:
    before = b"" if alone else OLD_REQUEST * 100
    flags = messages.NLM_F_MULTI | (messages.NLM_F_ACK_TLVS if extended else 0)
    done = nlmsg(3, bytes(4) + (attribute(1, b"why" * 300 + b"\0") if extended else b""), flags)
    assert socket._end_of_dump(OLD_REQUEST * 100, 7) is None
    found = socket._end_of_dump(before + done, 7)
    assert found is not None
    assert found.text == ("why" * 300 if extended else "")


def test_bytes_that_look_like_the_end_of_a_dump_are_not_taken_for_it() -> None:
    fake = struct.pack("=HHI", 3, messages.NLM_F_MULTI, 7)
    assert socket._end_of_dump(nlmsg(0x0A06, bytes(4) + fake * 4), 7) is None


PARSERS: list[Callable[[bytes], Any]] = [
    lambda data: list(messages.split(data)),
    lambda data: messages.answer(2, 0, 0, data),
    lambda data: messages.answer(2, messages.NLM_F_ACK_TLVS, 0, data),
    lambda data: messages.answer(2, messages.NLM_F_ACK_TLVS | messages.NLM_F_CAPPED, 0, data),
    lambda data: messages.answer(3, messages.NLM_F_ACK_TLVS, 0, data),
    lambda data: kernel._group_rules([(data, 0, len(data))] * 2, None),
    lambda data: kernel._group_rules([(data * 2, 0, len(data)), (data * 2, len(data), 2 * len(data))], None),
    lambda data: kernel.add_counters(data, data),
    kernel.parse_table,
    kernel.parse_chain,
    kernel.parse_rule,
    kernel.parse_set,
    kernel.parse_object,
    kernel.parse_flowtable,
]

ATTRIBUTES = st.recursive(
    st.binary(max_size=20),
    lambda inner: st.lists(st.builds(attribute, st.integers(0, 25), inner), max_size=6).map(b"".join),
    max_leaves=12,
)
RECORDS = st.one_of(
    st.binary(max_size=200),
    ATTRIBUTES,
    ATTRIBUTES.map(lambda data: b"\2\0\0\0" + data),
    st.tuples(ATTRIBUTES, st.integers(0, 30)).map(lambda pair: b"\2\0\0\0" + pair[0][: pair[1]]),
)


@pytest.mark.parametrize("parser", PARSERS)
@given(data=RECORDS)
def test_any_bytes_give_a_value_or_a_value_error(parser: Callable[[bytes], Any], data: bytes) -> None:
    try:
        parser(data)
    except ValueError:
        return


def test_a_rule_is_read_in_whatever_order_its_attributes_come() -> None:
    place = attribute(uapi.NFTA_RULE_TABLE, b"t\0") + attribute(uapi.NFTA_RULE_CHAIN, b"c\0")
    parts = [
        attribute(uapi.NFTA_RULE_HANDLE, BE64.pack(8)),
        attribute(uapi.NFTA_RULE_POSITION, BE64.pack(5)),
        attribute(uapi.NFTA_RULE_EXPRESSIONS, b"expr"),
        attribute(uapi.NFTA_RULE_USERDATA, b"user"),
        attribute(uapi.NFTA_RULE_PAD, b""),
    ]
    for order in (parts, parts[::-1], [parts[4], *parts[:4]], [parts[0], parts[2], parts[1], parts[3]]):
        rule = kernel.parse_rule(b"\2\0\0\0" + place + b"".join(order))
        assert (rule.chain, rule.handle) == ("c", 8)
        assert (rule.expressions, rule.userdata) == (b"expr", b"user")


def test_counters_of_two_readings_add_up() -> None:
    def reading(packets: int, size: int, used: int) -> bytes:
        counter = attribute(uapi.NFTA_COUNTER_BYTES, BE64.pack(size)) + attribute(
            uapi.NFTA_COUNTER_PACKETS, BE64.pack(packets)
        )
        quota = attribute(uapi.NFTA_QUOTA_BYTES, BE64.pack(1000)) + attribute(
            uapi.NFTA_QUOTA_CONSUMED, BE64.pack(used)
        )
        found = b""
        for name, data in ((b"counter\0", counter), (b"quota\0", quota), (b"cmp\0", b"")):
            expression = attribute(uapi.NFTA_EXPR_NAME, name) + attribute(uapi.NFTA_EXPR_DATA, data)
            found += attribute(uapi.NFTA_LIST_ELEM, expression)
        return found

    assert kernel.add_counters(reading(2, 100, 30), reading(3, 7, 4)) == reading(5, 107, 34)


def test_elements_are_split_so_that_each_list_fits() -> None:
    elements = [changes.element(BE32.pack(number)) for number in range(20_000)]
    found = changes.new_elements(2, "t", "s", elements)
    assert len(found) > 1
    seen = []
    for one in found:
        for kind, payload in walk(one, 20):
            if kind == uapi.NFTA_SET_ELEM_LIST_ELEMENTS:
                assert len(payload) + 4 <= 0xFFFF
                seen += [element for _, element in walk(payload)]
    assert seen == elements


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 256, "é" * 128])
def test_a_name_that_the_kernel_would_cut_is_refused(name: str) -> None:
    with pytest.raises(DocumentError):
        changes.new_table(2, name)
    with pytest.raises(DocumentError):
        changes.delete_rule(2, "t", name, 4)


def test_a_rule_is_not_deleted_without_a_handle() -> None:
    with pytest.raises(ValueError):
        changes.delete_rule(2, "t", "c", 0)


def test_a_rule_over_the_size_of_an_attribute_is_refused() -> None:
    with pytest.raises(DocumentError):
        changes.new_rule(2, "t", "c", bytes(0x10000))


def test_a_batch_is_numbered_and_acknowledged_once() -> None:
    batch = [changes.new_table(2, "a"), changes.new_chain(2, "a", "c"), changes.new_table(2, "b")]
    found = list(messages.split(socket._enclose(batch, 5, 10, 40)))
    assert [kind for kind, *_ in found] == [0x10, 0x0A00, 0x0A03, 0x0A00, 0x11]
    assert [sequence for _, _, sequence, _, _ in found] == [40, 41, 42, 43, 44]
    assert [bool(flags & messages.NLM_F_ACK) for _, flags, *_ in found] == [False, False, False, True, False]
