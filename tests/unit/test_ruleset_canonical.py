# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules made comparable: what packets change does not count, all else does."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.netlink.attributes import BE64, attribute
from rempart.nftables import uapi
from rempart.nftables.expressions import Expression, decode_list, encode_list
from rempart.nftables.expressions.loads import Payload
from rempart.nftables.expressions.registers import Byteorder, Cmp, Lookup, Range
from rempart.nftables.selectors.program import register_index, wire_register
from rempart.nftables.sets import SetContent
from rempart.ruleset import canonical, rule_bytes
from rempart.ruleset.kernel import parse_rule
from rempart.ruleset.rules import DesiredRule, RuleCompiler

MATCH = {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": 5}}

#: rules with what packets change in them, and the same after packets
STATEFUL: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = [
    ("counter", [{"counter": None}], [{"counter": {"packets": 5, "bytes": 6}}]),
    (
        "two counters",
        [{"counter": None}, MATCH, {"counter": None}],
        [{"counter": {"packets": 1, "bytes": 2}}, MATCH, {"counter": {"packets": 3, "bytes": 4}}],
    ),
    (
        "quota",
        [{"quota": {"val": 1, "val_unit": "mbytes"}}],
        [{"quota": {"val": 1, "val_unit": "mbytes", "used": 7, "used_unit": "bytes"}}],
    ),
]

#: pairs of rules that differ
DIFFERENT: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = [
    ("a counter", [MATCH, {"counter": None}], [MATCH]),
    ("the order", [MATCH, {"counter": None}], [{"counter": None}, MATCH]),
    ("a value", [MATCH], [{"match": {**MATCH["match"], "right": 6}}]),
    ("an operator", [MATCH], [{"match": {**MATCH["match"], "op": "!="}}]),
    (
        "a quota",
        [{"quota": {"val": 1, "val_unit": "mbytes"}}],
        [{"quota": {"val": 2, "val_unit": "mbytes"}}],
    ),
    (
        "a limit",
        [{"limit": {"rate": 5, "per": "second"}}],
        [{"limit": {"rate": 5, "per": "second", "inv": True}}],
    ),
    ("a log prefix", [{"log": {"prefix": "a"}}], [{"log": {"prefix": "b"}}]),
]


def compiled(statements: list[dict[str, Any]]) -> DesiredRule:
    [rule], _unused = RuleCompiler("inet").compile([{"expr": statements}])
    return rule


def dumped(rule: DesiredRule, name: str = "__set3") -> bytes:
    """A rule's expressions as the kernel dumps them: with a name for its set."""
    decoded = decode_list(rule.expressions)
    for one in decoded:
        if one.__dict__.get("set_id"):
            one.set, one.set_id = name, None
    return encode_list(decoded)


def holds(expressions: bytes, desired: DesiredRule, userdata: bytes = b"") -> bool:
    """Whether a rule that the kernel dumps with these bytes is the desired one without a closer look."""
    first = _HEAD + attribute(uapi.NFTA_RULE_HANDLE, BE64.pack(8))
    later = first + attribute(uapi.NFTA_RULE_POSITION, BE64.pack(7))
    answers = {
        parse_rule(head + rule_bytes.pack(expressions, userdata)).holds(
            desired.attributes, desired.form.lasting
        )
        for head in (first, later)
    }
    assert len(answers) == 1
    return answers.pop()


_HEAD = bytes(4) + attribute(uapi.NFTA_RULE_TABLE, b"t\0") + attribute(uapi.NFTA_RULE_CHAIN, b"c\0")


def no_sets(name: str) -> Any:
    raise AssertionError(name)


@pytest.mark.parametrize(("before", "after"), [row[1:] for row in STATEFUL], ids=[row[0] for row in STATEFUL])
def test_what_packets_change_does_not_count(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    wanted, held = compiled(before), compiled(after)
    assert wanted.expressions != held.expressions
    assert canonical.of_kernel(held.expressions, b"", no_sets) == canonical.of_desired(wanted)
    assert holds(held.expressions, wanted)


@pytest.mark.parametrize(("one", "other"), [row[1:] for row in DIFFERENT], ids=[row[0] for row in DIFFERENT])
def test_all_else_counts(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
    first, second = compiled(one), compiled(other)
    assert canonical.of_kernel(first.expressions, b"", no_sets) != canonical.of_desired(second)
    assert not holds(first.expressions, second)


def test_every_byte_of_a_rule_without_state_counts() -> None:
    rule = compiled([MATCH, {"log": {"prefix": "x"}}, {"accept": None}])
    for at in range(len(rule.expressions)):
        changed = bytearray(rule.expressions)
        changed[at] ^= 1
        assert not holds(bytes(changed), rule)


def test_the_bytes_around_a_counter_count() -> None:
    rule = compiled([MATCH, {"counter": None}, {"accept": None}])
    states = [range(start - 4, end - 4) for start, end in rule.form.state]
    assert len(states) == 2
    for at in range(len(rule.expressions)):
        changed = bytearray(rule.expressions)
        changed[at] ^= 1
        assert holds(bytes(changed), rule) == any(at in one for one in states)


def test_a_rule_that_is_dumped_in_another_way_is_looked_at_more_closely() -> None:
    rule = compiled([MATCH, {"counter": None}])
    more = attribute(uapi.NFTA_RULE_HANDLE, BE64.pack(8)) + attribute(uapi.NFTA_RULE_PAD, bytes(16))
    dumped_so = parse_rule(_HEAD + more + rule.attributes)
    assert not dumped_so.holds(rule.attributes, rule.form.lasting)
    assert canonical.equal(dumped_so, rule, no_sets)
    assert not canonical.equal(dumped_so, compiled([MATCH]), no_sets)


def test_a_rule_shorter_than_the_desired_one_is_another() -> None:
    long, short = compiled([MATCH, {"log": {"prefix": "x" * 80}}]), compiled([MATCH])
    assert not holds(short.expressions, long)
    assert not holds(long.expressions, short)


def test_the_comment_counts() -> None:
    rule = compiled([MATCH])
    assert not holds(rule.expressions, rule, b"\x00\x02a\x00")
    assert canonical.of_kernel(rule.expressions, b"\x00\x02a\x00", no_sets) != canonical.of_desired(rule)


def in_set(*marks: Any) -> DesiredRule:
    return compiled(
        [{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": {"set": list(marks)}}}]
    )


def identity_of(content: SetContent) -> Any:
    return content.identity()


def test_anonymous_sets_are_what_they_contain_not_what_they_are_called() -> None:
    rule = in_set(1, 2, 3)
    content = rule.form.sets[0]
    for name in ("__set0", "__set17"):
        found = canonical.of_kernel(dumped(rule, name), b"", lambda _: identity_of(content))
        assert found == canonical.of_desired(rule)
    assert not holds(dumped(rule), rule)  # a closer look is needed
    # the order of elements says nothing
    assert canonical.of_desired(in_set(3, 2, 1)) == canonical.of_desired(rule)
    for other in (in_set(1, 2), in_set(1, 2, 3, 4), in_set(1, 2, 4), in_set({"range": [1, 3]})):
        assert canonical.of_desired(other) != canonical.of_desired(rule)


def test_two_sets_of_one_rule_are_not_mixed_up() -> None:
    def both(first: list[int], second: list[int]) -> DesiredRule:
        match = {"op": "==", "left": {"meta": {"key": "mark"}}}
        other = {"op": "==", "left": {"meta": {"key": "priority"}}}
        return compiled(
            [
                {"match": {**match, "right": {"set": first}}},
                {"match": {**other, "right": {"set": second}}},
            ]
        )

    assert canonical.of_desired(both([1, 2], [3, 4])) != canonical.of_desired(both([3, 4], [1, 2]))


def test_what_is_no_expression_list_is_left_as_it_is() -> None:
    for broken in (b"", b"\x01", b"counter\0", b"\x04\x00\x01\x80counter\0", b"\xff\xff\x01\x80counter\0"):
        assert canonical.of_kernel(broken, b"", no_sets)[0] == broken


def in_other_words(rule: DesiredRule, single: bool) -> bytes:
    """The rule's bytes as other versions of nft write them: a range compared at once, a byte swapped."""
    found: list[Expression] = []
    for one in decode_list(rule.expressions):
        if single and isinstance(one, Cmp) and one.op == uapi.NFT_CMP_LTE:
            low = found.pop()
            assert isinstance(low, Cmp)
            one = Range(sreg=one.sreg, op=uapi.NFT_RANGE_EQ, from_data=low.data, to_data=one.data)
        elif not single and isinstance(one, Lookup):
            found.append(Byteorder(sreg=one.sreg, dreg=one.sreg, op=uapi.NFT_BYTEORDER_HTON, len=1, size=2))
        found.append(one)
    return encode_list(found)


PORTS = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 0}}


@pytest.mark.parametrize("single", [True, False])
def test_other_words_of_nft_for_the_same_are_no_difference(single: bool) -> None:
    right = {"range": [22, 80]} if single else "@s"
    statements = [{"match": {**PORTS["match"], "right": right}}, {"counter": None}]
    wanted = compiled(statements)
    held = in_other_words(wanted, single)
    assert held != wanted.expressions
    assert canonical.of_kernel(held, b"", no_sets) == canonical.of_desired(wanted)
    dumped_so = parse_rule(_HEAD + attribute(uapi.NFTA_RULE_EXPRESSIONS, held))
    assert canonical.equal(dumped_so, wanted, no_sets)
    other = compiled([{"match": {**PORTS["match"], "right": {"range": [22, 81]} if single else "@other"}}])
    assert not canonical.equal(dumped_so, other, no_sets)
    assert canonical.of_kernel(held, b"", no_sets) != canonical.of_desired(other)


def into_map(key: list[Any], value: list[Any]) -> list[dict[str, Any]]:
    return [{"map": {"op": "add", "elem": {"concat": key}, "map": "@m", "data": {"concat": value}}}]


def moved(expressions: bytes, far: int) -> bytes:
    """The rule's bytes with what a map is given so many registers nearer to its key."""
    decoded = decode_list(expressions)
    for one in decoded:
        for name in ("dreg", "sreg_data"):
            number = one.__dict__.get(name)
            if number is not None and register_index(number) >= 4:
                setattr(one, name, wire_register(register_index(number) - far))
    return encode_list(decoded)


def test_what_a_map_is_given_may_lie_right_behind_the_key() -> None:
    """nft 1.1.3 has it so, 1.0.6 leaves a whole register to the key."""
    mark, priority = {"meta": {"key": "mark"}}, {"meta": {"key": "priority"}}
    cpu = {"meta": {"key": "cpu"}}
    wanted = compiled(into_map([mark, priority], [cpu, mark]))
    held = moved(wanted.expressions, 2)
    assert held != wanted.expressions
    assert canonical.of_kernel(held, b"", no_sets) == canonical.of_desired(wanted)
    for other in (into_map([mark, priority], [mark, cpu]), into_map([priority, mark], [cpu, mark])):
        assert canonical.of_kernel(held, b"", no_sets) != canonical.of_desired(compiled(other))


def name_of(key: str, right: str) -> DesiredRule:
    return compiled([{"match": {"op": "!=", "left": {"meta": {"key": key}}, "right": right}}, {"drop": None}])


def shortened(rule: DesiredRule, data: bytes) -> bytes:
    """The rule's bytes with others to compare."""
    decoded = decode_list(rule.expressions)
    for one in decoded:
        if isinstance(one, Cmp):
            one.data = data
    return encode_list(decoded)


@pytest.mark.parametrize("key", ["iifname", "oifname", "ibrname", "obrname", "sdifname", "iifkind"])
def test_a_name_up_to_its_end_is_the_whole_name(key: str) -> None:
    """The kernel fills the register up with NUL, so that the bytes behind the first NUL say nothing."""
    wanted = name_of(key, "eth0")
    for data in (b"eth0\0", b"eth0\0\0\0"):
        assert canonical.of_kernel(shortened(wanted, data), b"", no_sets) == canonical.of_desired(wanted)


@pytest.mark.parametrize("data", [b"eth0", b"eth1\0", b"eth\0" + b"0\0", b"eth0\0\0x"])
def test_other_bytes_of_a_name_count(data: bytes) -> None:
    wanted = name_of("iifname", "eth0")
    assert canonical.of_kernel(shortened(wanted, data), b"", no_sets) != canonical.of_desired(wanted)


def test_bytes_that_are_no_name_are_not_filled_up() -> None:
    rule = compiled([{"match": {**MATCH["match"], "op": "!="}}])
    held = shortened(rule, b"\5\0")
    assert canonical.of_kernel(held, b"", no_sets)[0] == held
    moved = decode_list(shortened(name_of("iifname", "eth0"), b"eth0\0"))
    moved[0].dreg = uapi.NFT_REG_2
    assert canonical.of_kernel(encode_list(moved), b"", no_sets)[0] == encode_list(moved)


def with_checksum(rule: DesiredRule, kind: int, offset: int, flags: int) -> bytes:
    """The rule's bytes with another checksum to mend."""
    decoded = decode_list(rule.expressions)
    for one in decoded:
        if isinstance(one, Payload) and one.sreg is not None:
            one.csum_type, one.csum_offset, one.csum_flags = kind, offset, flags
    return encode_list(decoded)


@pytest.mark.parametrize(("protocol", "same"), [("udp", True), ("tcp", False)])
def test_only_udp_has_two_ways_to_its_checksum(protocol: str, same: bool) -> None:
    key = {"payload": {"protocol": protocol, "field": "dport"}}
    wanted = compiled([{"mangle": {"key": key, "value": 53}}])
    held = with_checksum(wanted, uapi.NFT_PAYLOAD_CSUM_INET, 6, 0)
    assert (canonical.of_kernel(held, b"", no_sets) == canonical.of_desired(wanted)) is same
    other = with_checksum(wanted, uapi.NFT_PAYLOAD_CSUM_INET, 8, 0)
    assert canonical.of_kernel(other, b"", no_sets) != canonical.of_desired(wanted)
