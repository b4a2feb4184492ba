# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random and damaged bytes to the decoder: statements, never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rempart.netlink.attributes import attribute
from rempart.nftables import uapi
from rempart.nftables.decode import SetView, decode_elements, decode_rule
from rempart.nftables.expressions import TABLE, Opaque, Verdict, decode_list, encode_list
from rempart.nftables.expressions.base import Expression
from rempart.nftables.render import render_rule
from rempart.nftables.statements import compile_rule

FAMILIES = ("inet", "ip", "ip6", "arp", "bridge", "netdev")


def field(protocol: str, name: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": name}}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


RULES: list[list[dict[str, Any]]] = [
    [match(field("ip", "saddr"), {"prefix": {"addr": "10.0.0.0", "len": 9}}), {"accept": None}],
    [match(field("tcp", "dport"), {"set": [22, {"range": [80, 90]}]}), {"drop": None}],
    [match({"concat": [field("ip", "saddr"), field("udp", "dport")]}, {"set": [{"concat": ["1.2.3.4", 5]}]})],
    [match({"ct": {"key": "state"}}, ["established", "related"], "in"), {"counter": None}],
    [match({"&": [field("tcp", "flags"), ["syn", "ack"]]}, "syn"), {"log": {"prefix": "x"}}],
    [match(field("icmp", "id"), 5), {"limit": {"rate": 5, "per": "second"}}],
    [match(field("vlan", "id"), {"range": [1, 100]}), match(field("ip6", "saddr"), "::1")],
    [
        {
            "vmap": {
                "key": field("tcp", "dport"),
                "data": {"set": [[22, {"accept": None}], ["*", {"drop": None}]]},
            }
        }
    ],
    [{"mangle": {"key": field("ip", "dscp"), "value": "ef"}}],
    [match({"meta": {"key": "nfproto"}}, "ipv4"), {"tos": {"and": 1, "xor": 8}}],
    [{"dnat": {"family": "ip", "addr": {"map": {"key": field("tcp", "dport"), "data": [[80, "10.0.0.1"]]}}}}],
    [{"snat": {"family": "ip", "addr": {"range": ["10.0.0.1", "10.0.0.9"]}, "port": {"range": [1, 9]}}}],
    [{"set": {"op": "add", "elem": field("ip", "saddr"), "set": "@seen", "stmt": [{"counter": None}]}}],
    [match({"tcp option": {"name": "maxseg", "field": "size"}}, 1400, ">")],
    [match({"jhash": {"mod": 4, "expr": field("ip", "saddr")}}, 3, "<")],
    [{"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"<<": [field("ip6", "dscp"), 26]}, 5]}}}],
    [{"mangle": {"key": field("tcp", "flags"), "value": {"|": [field("tcp", "flags"), "syn"]}}}],
    [match(field("icmpv6", "type"), 135), match(field("icmpv6", "taddr"), "ff02::1")],
]
ENCODED = [
    (encode_list(compiled.expressions), [SetView.of(one) for one in compiled.sets])
    for compiled in (compile_rule(one, "inet") for one in RULES)
]

numbers = st.integers(0, 70) | st.sampled_from([0xFF, 0xFFFF, 0xFFFFFFFF])
data = st.binary(max_size=20) | st.builds(
    Verdict, st.sampled_from(["accept", "jump"]), st.none() | st.just("c")
)


def value_of(attribute_name: str) -> st.SearchStrategy[Any]:
    """Something for an attribute of an expression, fitting or not."""
    if attribute_name in ("data", "from_data", "to_data", "mask", "xor"):
        return data
    if attribute_name in ("set", "table", "prefix", "module", "imm_name"):
        return st.sampled_from(["s", "__set0"])
    if attribute_name in (
        "sreg",
        "dreg",
        "sreg_key",
        "sreg_data",
        "reg_addr_min",
        "reg_proto_min",
        "set_sreg",
    ):
        return st.none() | st.sampled_from([0, 1, 2, 8, 9, 10, 23, 24])
    return st.none() | numbers


@st.composite
def expressions(draw: st.DrawFn) -> Expression:
    """Any expression with any of its attributes."""
    kind = TABLE[draw(st.sampled_from(sorted(set(TABLE) - {"inner"})))]
    if kind.bare:
        return kind()
    values = {}
    for one in kind.attributes:
        if one.name in ("expr", "expressions", "info"):
            continue
        value = draw(value_of(one.name))
        try:
            if value is not None:
                one.codec.pack(value)
        except Exception:
            value = None
        values[one.name] = value
    return kind(**values)


@st.composite
def views(draw: st.DrawFn) -> SetView:
    """A set of any type, with elements that fit or don't."""
    length = draw(st.sampled_from([1, 2, 4, 8, 16, 1 << 30]))
    elements = draw(
        st.lists(
            st.binary(max_size=24)
            | st.binary(min_size=1, max_size=16).map(
                lambda raw: attribute(uapi.NFTA_SET_ELEM_KEY, attribute(uapi.NFTA_DATA_VALUE, raw))
            ),
            max_size=4,
        )
    )
    return SetView(
        "__set0",
        draw(st.integers(0, 0x1FF)),
        draw(st.integers(0, 50) | st.integers(0, 1 << 32)),
        length,
        draw(st.none() | st.integers(0, 1 << 24)),
        draw(st.integers(0, 64)),
        draw(st.integers(0, 12)),
        elements=elements,
        userdata=draw(st.binary(max_size=8)),
    )


def check(found: list[Expression], family: str, view: SetView | None) -> None:
    for written_out in (False, True):
        statements = decode_rule(found, family, lambda name: view, written_out)
        assert all(isinstance(one, dict) and len(one) == 1 for one in statements)
        assert json.loads(json.dumps(statements)) == statements
        assert isinstance(render_rule(statements, None, family), str)


def listed(payload: bytes) -> list[Expression]:
    try:
        return decode_list(payload)
    except ValueError:
        return []


@settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(expressions(), max_size=8), st.sampled_from(FAMILIES), st.none() | views())
def test_any_expressions_give_statements(found: list[Expression], family: str, view: SetView | None) -> None:
    check(found, family, view)


@settings(max_examples=300, deadline=2000)
@given(
    st.sampled_from(range(len(ENCODED))),
    st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), min_size=1, max_size=6),
    st.sampled_from(FAMILIES),
    st.booleans(),
)
def test_damaged_rules_give_statements(
    chosen: int, damage: list[tuple[int, int]], family: str, with_sets: bool
) -> None:
    payload, sets = ENCODED[chosen]
    changed = bytearray(payload)
    for place, byte in damage:
        changed[place % len(changed)] = byte
    check(listed(bytes(changed)), family, sets[0] if sets and with_sets else None)


@settings(max_examples=200, deadline=2000)
@given(st.lists(st.tuples(st.sampled_from([*sorted(TABLE), "x"]), st.binary(max_size=60)), max_size=4))
def test_random_bytes_give_statements(parts: list[tuple[str, bytes]]) -> None:
    payload = b"".join(Opaque(name, raw).encode() for name, raw in parts)
    check(listed(payload), "inet", None)


@settings(max_examples=200, deadline=2000)
@given(views())
def test_random_elements_are_decoded_or_refused(view: SetView) -> None:
    try:
        elements = decode_elements(view)
    except ValueError:
        return
    json.dumps(elements)


@pytest.mark.parametrize("chosen", range(len(RULES)))
def test_the_rules_that_are_damaged_are_decoded_whole(chosen: int) -> None:
    payload, sets = ENCODED[chosen]
    statements = decode_rule(decode_list(payload), "inet", lambda name: sets[0] if sets else None)
    assert not any("unknown" in one for one in statements)
