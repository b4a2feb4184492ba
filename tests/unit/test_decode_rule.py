# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules read back without a kernel: what is implied, what is not known, what nothing uses."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from rempart.nftables import uapi
from rempart.nftables.decode import SetView, decode_rule
from rempart.nftables.expressions import Expression, Opaque, Verdict
from rempart.nftables.expressions.actions import CompatMatch, CompatTarget, Log, Nat, Queue
from rempart.nftables.expressions.loads import Exthdr, Hash, Inner, Meta, Payload
from rempart.nftables.expressions.registers import Bitwise, Byteorder, Cmp, Immediate, Lookup
from rempart.nftables.expressions.state import Counter, Limit
from rempart.nftables.render import render_rule
from rempart.nftables.statements import compile_rule

META_L4PROTO = 16
META_NFPROTO = 15
META_MARK = 3
MARK: dict[str, Any] = {"meta": {"key": "mark"}}


def decode(*expressions: Expression, family: str = "inet", written_out: bool = False) -> list[dict[str, Any]]:
    return decode_rule(list(expressions), family, lambda name: None, written_out)


def field(protocol: str, name: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": name}}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def unknown(expression: Expression) -> dict[str, Any]:
    return {"unknown": {"expression": expression.name, "bytes": expression.encode().hex()}}


def tcp() -> list[Expression]:
    return [Meta(key=META_L4PROTO, dreg=1), Cmp(sreg=1, op=0, data=b"\x06")]


def dport(number: int = 22) -> list[Expression]:
    return [
        Payload(dreg=1, base=2, offset=2, len=2),
        Cmp(sreg=1, op=0, data=number.to_bytes(2, "big")),
    ]


# -- keys of bridges, which not every kernel has


@pytest.mark.parametrize(
    ("key", "value", "loaded", "text"),
    [
        (
            field("ether", "daddr"),
            {"meta": {"key": "ibrhwaddr"}},
            Meta(key=uapi.NFT_META_BRI_IIFHWADDR, dreg=1),
            "ether daddr set meta ibrhwaddr",
        ),
        ({"meta": {"key": "broute"}}, 1, Immediate(dreg=1, data=b"\1"), "meta broute set 1"),
    ],
)
def test_a_bridge_mends_where_a_frame_goes(key: Any, value: Any, loaded: Expression, text: str) -> None:
    """``meta ibrhwaddr`` since nft 1.1.6 and Linux 6.18, ``meta broute`` since 1.0.8 and 6.4."""
    statements = [{"mangle": {"key": key, "value": value}}]
    made = compile_rule(statements, "bridge").expressions
    assert made[0] == loaded
    assert decode(*made, family="bridge") == statements
    assert render_rule(statements, None, "bridge") == text


def test_the_address_of_a_bridge_is_compared_as_one() -> None:
    statements = [match({"meta": {"key": "ibrhwaddr"}}, "de:ad:00:00:be:ef", "!=")]
    made = compile_rule(statements, "bridge").expressions
    address = bytes.fromhex("dead0000beef")
    assert made == [Meta(key=uapi.NFT_META_BRI_IIFHWADDR, dreg=1), Cmp(sreg=1, op=1, data=address)]
    assert decode(*made, family="bridge") == statements
    assert render_rule(statements, None, "bridge") == "meta ibrhwaddr != de:ad:00:00:be:ef"


# -- implied matches


def test_the_protocol_match_goes_without_saying() -> None:
    assert decode(*tcp(), *dport()) == [match(field("tcp", "dport"), 22)]


def test_written_out_every_match_stays() -> None:
    assert decode(*tcp(), *dport(), written_out=True) == [
        match({"meta": {"key": "l4proto"}}, "tcp"),
        match(field("tcp", "dport"), 22),
    ]


def test_a_match_before_an_action_stays() -> None:
    counter = Counter(packets=1, bytes=2)
    assert decode(*tcp(), counter, *dport()) == [
        match({"meta": {"key": "l4proto"}}, "tcp"),
        {"counter": {"packets": 1, "bytes": 2}},
        match(field("tcp", "dport"), 22),
    ]


def test_a_match_stays_where_what_implies_it_has_no_statement() -> None:
    load = Payload(dreg=1, base=2, offset=2, len=2)
    broken = Cmp(sreg=1, op=9, data=b"\0\x16")
    assert decode(*tcp(), load, broken) == [
        match({"meta": {"key": "l4proto"}}, "tcp"),
        unknown(load),
        unknown(broken),
    ]


def test_a_match_stays_where_the_set_of_what_implies_it_is_damaged() -> None:
    damaged = SetView("__set0", uapi.NFT_SET_ANONYMOUS, 13, 2, elements=[b"\x01"])
    load, lookup = Payload(dreg=1, base=2, offset=2, len=2), Lookup(set="__set0", sreg=1)
    assert decode_rule([*tcp(), load, lookup], "inet", lambda name: damaged) == [
        match({"meta": {"key": "l4proto"}}, "tcp"),
        unknown(load),
        unknown(lookup),
    ]


def test_the_protocol_field_of_one_family_is_not_implied_where_there_are_others() -> None:
    ip_protocol = [Payload(dreg=1, base=1, offset=9, len=1), Cmp(sreg=1, op=0, data=b"\x06")]
    ipv4 = [Meta(key=META_NFPROTO, dreg=1), Cmp(sreg=1, op=0, data=b"\x02")]
    port = match(field("tcp", "dport"), 22)
    assert decode(*ipv4, *ip_protocol, *dport()) == [match(field("ip", "protocol"), "tcp"), port]
    assert decode(*ip_protocol, *dport(), family="ip") == [port]


def test_ports_without_a_protocol_are_raw() -> None:
    assert decode(*dport()) == [match(field("th", "dport"), 22)]


def test_bytes_of_no_known_header_are_raw() -> None:
    load = Payload(dreg=1, base=1, offset=12, len=4)
    assert decode(load, Cmp(sreg=1, op=0, data=b"\x0a\0\0\x01")) == [
        match({"payload": {"base": "nh", "offset": 96, "len": 32}}, 0x0A000001)
    ]


def test_fields_compared_at_once_are_listed_one_by_one() -> None:
    both = [Payload(dreg=1, base=2, offset=0, len=4), Cmp(sreg=1, op=0, data=b"\0\x14\0\x16")]
    assert decode(*tcp(), *both) == [match(field("tcp", "sport"), 20), match(field("tcp", "dport"), 22)]


def test_a_negated_comparison_of_two_fields_is_not_two_negated_ones() -> None:
    both = [Payload(dreg=1, base=2, offset=0, len=4), Cmp(sreg=1, op=1, data=b"\0\x14\0\x16")]
    assert decode(*tcp(), *both)[-1] == match(
        {"payload": {"base": "th", "offset": 0, "len": 32}}, 0x00140016, "!="
    )


def test_a_match_on_another_protocol_is_not_implied_by_a_tcp_option() -> None:
    udp = [Meta(key=META_L4PROTO, dreg=1), Cmp(sreg=1, op=0, data=b"\x11")]
    option = [
        Exthdr(dreg=1, type=2, offset=0, len=1, flags=1, op=1),
        Cmp(sreg=1, op=0, data=b"\x01"),
    ]
    assert decode(*udp, *option)[0] == match({"meta": {"key": "l4proto"}}, "udp")
    assert decode(*tcp(), *option) == [match({"tcp option": {"name": "maxseg"}}, True)]


# -- comparisons


def test_two_comparisons_are_a_range_only_on_one_load() -> None:
    load = Payload(dreg=1, base=2, offset=2, len=2)
    low, high = Cmp(sreg=1, op=5, data=b"\0\x05"), Cmp(sreg=1, op=3, data=b"\0\x09")
    port = field("tcp", "dport")
    assert decode(*tcp(), load, low, high) == [match(port, {"range": [5, 9]})]
    both = [load, Payload(dreg=2, base=2, offset=2, len=2), low, Cmp(sreg=2, op=3, data=b"\0\x09")]
    assert decode(*tcp(), *both) == [match(port, 5, ">="), match(port, 9, "<=")]
    assert decode(*tcp(), load, low, load, high) == [match(port, 5, ">="), match(port, 9, "<=")]


def test_a_range_in_host_order_stands_behind_a_byte_swap() -> None:
    expressions = [
        Meta(key=META_MARK, dreg=1),
        Byteorder(sreg=1, dreg=1, op=1, len=4, size=4),
        Cmp(sreg=1, op=5, data=b"\0\0\0\x01"),
        Cmp(sreg=1, op=3, data=b"\0\0\0\x64"),
    ]
    assert decode(*expressions) == [match(MARK, {"range": [1, 100]})]


@pytest.mark.parametrize(
    ("keep", "flip", "value"),
    [
        (0xFF, 0, {"&": [MARK, 0xFF]}),
        (0xFFFFFFFE, 1, {"|": [MARK, 1]}),
        (0xFFFFFFFF, 1, {"^": [MARK, 1]}),
        (0xF0, 0x11, {"|": [{"^": [{"&": [MARK, 0xF1]}, 0x10]}, 1]}),
        (0xFFFFFFFF, 0, MARK),
    ],
)
def test_masks_are_written_as_operators(keep: int, flip: int, value: Any) -> None:
    mask, xor = keep.to_bytes(4, sys.byteorder), flip.to_bytes(4, sys.byteorder)
    expressions = [
        Meta(key=META_MARK, dreg=1),
        Bitwise(sreg=1, dreg=1, len=4, mask=mask, xor=xor),
        Meta(key=META_MARK, sreg=1),
    ]
    assert decode(*expressions) == [{"mangle": {"key": MARK, "value": value}}]


@pytest.mark.parametrize(
    ("statements", "family"),
    [
        ([{"tos": {"and": 0x01, "xor": 0x08}}], "ip"),
        ([{"tos": {"and": 0x00, "xor": 0x10}}], "ip6"),
        ([{"mangle": {"key": field("ip", "dscp"), "value": "ef"}}], "ip"),
        ([match(field("ip", "dscp"), {"set": ["cs1", "ef"]})], "ip"),
        ([match(field("ip", "saddr"), {"prefix": {"addr": "10.0.0.0", "len": 9}})], "ip"),
        ([match(field("ip6", "daddr"), {"prefix": {"addr": "fe80::", "len": 64}})], "ip6"),
        ([match({"meta": {"key": "iifname"}}, "ppp*")], "inet"),
        ([match({"meta": {"key": "iifname"}}, "a\\*")], "inet"),
        ([match({"ct": {"key": "state"}}, ["established", "related"], "in")], "inet"),
        ([match({"ct": {"key": "status"}}, "dnat", "!")], "inet"),
        ([{"snat": {"addr": {"prefix": {"addr": "10.0.0.0", "len": 24}}}}], "ip"),
        ([{"dnat": {"family": "ip6", "addr": "::1", "port": {"range": [80, 90]}}}], "inet"),
        ([{"redirect": {"port": 8080, "flags": ["random", "persistent"]}}], "inet"),
        ([{"queue": {"num": {"range": [1, 4]}, "flags": ["bypass", "fanout"]}}], "inet"),
        ([{"queue": {"num": 7, "flags": "bypass"}}], "inet"),
        ([{"flow": {"op": "add", "flowtable": "@fast"}}], "inet"),
        ([{"last": None}], "inet"),
        ([{"log": {"prefix": "x", "level": "info", "flags": "all"}}], "inet"),
        ([match({"dccp option": {"type": 7}}, True)], "inet"),
        ([match({"tunnel": {"key": "id"}}, 5)], "inet"),
        ([{"jump": {"target": "chain"}}], "inet"),
    ],
)
def test_what_is_compiled_comes_back(statements: list[dict[str, Any]], family: str) -> None:
    compiled = compile_rule(statements, family)
    sets = {one.name: SetView.of(one) for one in compiled.sets}
    assert decode_rule(compiled.expressions, family, sets.get) == statements


def test_a_write_that_leaves_the_checksum_wrong_has_no_field_name() -> None:
    write = Payload(sreg=1, base=1, offset=12, len=4, csum_type=0, csum_offset=0, csum_flags=0)
    assert decode(Immediate(dreg=1, data=b"\x0a\0\0\x01"), write, family="ip") == [
        {"mangle": {"key": {"payload": {"base": "nh", "offset": 96, "len": 32}}, "value": 0x0A000001}}
    ]


# -- sets


def view(key_length: int) -> SetView:
    return SetView("pairs", 0, 0, key_length)


@pytest.mark.parametrize("known", [True, False])
def test_registers_side_by_side_are_a_concatenation(known: bool) -> None:
    expressions: list[Expression] = [
        *tcp(),
        Payload(dreg=1, base=2, offset=0, len=2),
        Payload(dreg=9, base=2, offset=2, len=2),
        Lookup(set="pairs", sreg=1),
        Immediate(dreg=0, data=Verdict("accept")),
    ]
    decoded = decode_rule(expressions, "inet", lambda name: view(8) if known else None)
    assert decoded == [
        match({"concat": [field("tcp", "sport"), field("tcp", "dport")]}, "@pairs"),
        {"accept": None},
    ]


def test_a_value_left_over_from_another_statement_is_no_part_of_a_key() -> None:
    expressions: list[Expression] = [
        *tcp(),
        Payload(dreg=1, base=2, offset=0, len=2),
        Payload(dreg=9, base=2, offset=2, len=2),
        Lookup(set="pairs", sreg=1),
        Payload(dreg=1, base=2, offset=0, len=2),
        Lookup(set="ports", sreg=1),
    ]
    assert decode(*expressions)[-1] == match(field("tcp", "sport"), "@ports")


def test_a_register_keeps_its_value_for_later_statements() -> None:
    load, first, second = Meta(key=META_MARK, dreg=1), b"\x05\0\0\0", b"\x06\0\0\0"
    if sys.byteorder == "big":
        first, second = first[::-1], second[::-1]
    expressions = [load, Cmp(sreg=1, op=1, data=first), Cmp(sreg=1, op=1, data=second)]
    assert decode(*expressions) == [match(MARK, 5, "!="), match(MARK, 6, "!=")]


# -- what has no statement


def test_iptables_extensions_are_named() -> None:
    assert decode(
        CompatMatch(module="length", revision=0, info=b"\0" * 8),
        CompatTarget(module="LOG", revision=0, info=b""),
    ) == [
        {"xt": {"type": "match", "name": "length"}},
        {"xt": {"type": "target", "name": "LOG"}},
    ]


@pytest.mark.parametrize(
    "expression",
    [
        Opaque("unheard", b"\x08\x00\x01\x00\x00\x00\x00\x01"),
        Opaque("bare", None),
        Inner(num=0, type=1, flags=3, hdrsize=8, expr=Payload(dreg=1, base=4, offset=0, len=4)),
        Meta(key=250, dreg=1),
        Meta(key=META_MARK, sreg=2),
        Cmp(sreg=2, op=0, data=b"\x01"),
        Cmp(sreg=99, op=0, data=b"\x01"),
        Payload(dreg=1, base=1, offset=0, len=1 << 31),
        Payload(dreg=1, base=9, offset=0, len=4),
        Lookup(set="pairs", sreg=2),
        Log(level=99),
        Nat(type=7, family=2),
        Queue(num=1, total=1, flags=0, sreg_qnum=2),
        Limit(rate=1, unit=13, burst=5, type=0),
        Bitwise(sreg=1, dreg=1, len=4, op=4, sreg2=2),
        Hash(sreg=1, dreg=1, len=4, modulus=2, type=0),
    ],
    ids=repr,
)
def test_what_cannot_be_decoded_is_shown_as_it_is(expression: Expression) -> None:
    assert decode(*tcp(), expression, *dport()) == [
        match({"meta": {"key": "l4proto"}}, "tcp"),
        unknown(expression),
        match(field("tcp", "dport"), 22),
    ]


def test_an_unknown_expression_may_have_written_any_register() -> None:
    load, stranger = Meta(key=META_MARK, dreg=1), Opaque("unheard", b"")
    comparison = Cmp(sreg=1, op=0, data=b"\x01\0\0\0")
    assert decode(load, stranger, comparison) == [unknown(load), unknown(stranger), unknown(comparison)]


def test_loads_that_nothing_uses_are_shown() -> None:
    lost, kept = Payload(dreg=1, base=2, offset=9, len=1), Meta(key=META_MARK, dreg=1)
    masked = Bitwise(sreg=1, dreg=1, len=4, mask=b"\1\0\0\0", xor=b"\0\0\0\0")
    assert decode(lost, kept, Cmp(sreg=1, op=0, data=b"\x01\0\0\0"))[0] == unknown(lost)
    assert decode(kept, masked) == [unknown(kept), unknown(masked)]


def test_a_load_longer_than_all_registers_is_not_believed() -> None:
    load, comparison = Payload(dreg=1, base=1, offset=0, len=1 << 28), Cmp(sreg=1, op=4, data=b"\x01")
    assert decode(load, comparison) == [unknown(load), unknown(comparison)]


def test_values_made_of_ever_more_values_end() -> None:
    expressions: list[Expression] = [Meta(key=META_MARK, dreg=8 + one) for one in range(16)]
    for _ in range(50):
        for one in range(16):
            expressions.append(Hash(sreg=8, dreg=8 + one, len=64, modulus=2, type=0))
    expressions.append(Cmp(sreg=8, op=0, data=b"\x01\0\0\0"))
    assert {name for one in decode(*expressions) for name in one} == {"unknown"}


# -- values in a wider register


def bits(width: int, keep: bytes, flip: bytes | None = None) -> Expression:
    return Bitwise(sreg=1, dreg=1, len=width, mask=keep, xor=flip or bytes(width))


def shift(operation: int, width: int, count: int) -> Expression:
    return Bitwise(sreg=1, dreg=1, len=width, op=operation, data=count.to_bytes(4, sys.byteorder))


def test_a_field_is_made_a_number_before_a_mark_is_computed_from_it() -> None:
    """The expressions of nft 1.1.3 for ``meta mark set ip6 dscp << 26 | 0x10``."""
    dscp = field("ip6", "dscp")
    statements = [{"mangle": {"key": MARK, "value": {"|": [{"<<": [dscp, 26]}, 16]}}}]
    order = sys.byteorder
    expressions = [
        Meta(key=META_NFPROTO, dreg=1),
        Cmp(sreg=1, op=0, data=b"\x0a"),
        Payload(dreg=1, base=1, offset=0, len=2),
        bits(2, b"\x0f\xc0"),
        Byteorder(sreg=1, dreg=1, op=uapi.NFT_BYTEORDER_NTOH, len=2, size=2),
        shift(uapi.NFT_BITWISE_RSHIFT, 2, 6),
        shift(uapi.NFT_BITWISE_LSHIFT, 4, 26),
        bits(4, (0xFFFFFFEF).to_bytes(4, order), (0x10).to_bytes(4, order)),
        Meta(key=META_MARK, sreg=1),
    ]
    assert compile_rule(statements, "inet").expressions == expressions
    assert decode(*expressions) == statements


def test_bytes_in_network_order_are_no_number() -> None:
    """Shifted as they lie, they come to something that no words stand for."""
    expressions = [
        Payload(dreg=1, base=1, offset=2, len=2),
        shift(uapi.NFT_BITWISE_LSHIFT, 4, 8),
        Meta(key=META_MARK, sreg=1),
    ]
    assert decode(*expressions, family="ip") == [unknown(one) for one in expressions]
