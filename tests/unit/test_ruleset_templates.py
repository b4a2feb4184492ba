# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both ways to a rule give the same: filling a template, and lowering and compiling in full."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest
from rempart.document.flat import lower
from rempart.errors import DocumentError
from rempart.netlink.attributes import attribute
from rempart.nftables import uapi
from rempart.nftables.expressions import Trace, encode_list
from rempart.nftables.sets import SetContent
from rempart.nftables.statements import compile_rule
from rempart.ruleset import messages, rule_bytes, rules
from rempart.ruleset.rules import DesiredRule, RuleCompiler
from rempart.ruleset.userdata import comment_userdata

FAMILIES = ("inet", "ip", "ip6", "bridge", "netdev", "arp")

ADDRESSES: list[Any] = [
    "192.0.2.1",
    "10.0.0.0/8",
    "10.1.2.3/8",
    "10.1.2.3/12",
    "10.1.2.3/31",
    "192.0.2.1/32",
    "0.0.0.0/0",
    "10.0.0.0/33",
    "10.0.0.0/255.255.0.0",
    "10.0.0.1-10.0.0.9",
    "255.255.255.255",
    "2001:db8::1",
    "2001:DB8:0:0::1",
    "2001:db8::/32",
    "2001:db8:ffff::/33",
    "2001:db8::1/128",
    "::ffff:192.0.2.1",
    "::/0",
    "fe80::1%lo",
    "010.0.0.1",
    "10.0.0",
    " 10.0.0.1",
    "10.0.0.1 ",
    "10.0.0.0/ 8",
    "10.0.0.0/+8",
    "10.0.0.0/٨",
    "!10.0.0.1",
    "!2001:db8::/64",
    "@set",
    "",
    5,
    None,
    True,
    ["10.0.0.1", "10.0.0.2"],
    ["10.0.0.1"],
]
PORTS: list[Any] = [
    1,
    22,
    65535,
    65536,
    -1,
    0,
    "22",
    "ssh",
    "1:5",
    "!22",
    True,
    None,
    2.5,
    [22],
    ["22", "80"],
]
MARKS: list[Any] = [0, 1, 0xFFFFFFFF, 1 << 32, -1, "0x10", "16", "0x10/0xff", "!5", True, [1, 2], "1-5"]
INTERFACES: list[Any] = [
    "lo",
    "eth0",
    "ppp+",
    "ppp*",
    "abcdefghijklmno",
    "abcdefghijklmnop",
    "!eth0",
    "@set",
    "",
    ".",
    "..",
    "a/b",
    "a:b",
    "a b",
    "a\\*",
    "ä",
    "a,b",
    "a!b",
    "{a}",
    'a"b',
    ["lo", "eth0"],
    5,
    None,
]
COMMENTS: list[Any] = [
    "plain",
    "päö",
    "",
    'a "quoted" one',
    "a\nb",
    "x" * 127,
    "x" * 128,
    "x" * 129,
    "ä" * 64,
    "ä" * 65,
    5,
    None,
    "tab\there",
    "\x7f",
]
OTHERS: list[dict[str, Any]] = [
    {},
    {"protocol": "tcp"},
    {"protocol": "udp"},
    {"protocol": ["tcp", "udp"]},
    {"counter": True},
    {"counter": False},
    {"counter": 1},
    {"verdict": "accept"},
    {"verdict": "reject"},
    {"log": "prefix "},
    {"limit": "5/second"},
    {"ct_state": ["established", "related"]},
    {"ether_saddr": "00:11:22:33:44:55"},
    {"bidirectional": True},
    {"jump": "other"},
    {"set": {"mark": 5}},
    {"tos": "minimum-delay"},
    {"syn": True},
    {"nfproto": "ipv4"},
    {"fragment": True},
    {"nosuchkey": 1},
]
VALUES: dict[str, list[Any]] = {
    "saddr": ADDRESSES,
    "daddr": ADDRESSES,
    "sport": PORTS,
    "dport": PORTS,
    "mark": MARKS,
    "ct_mark": MARKS,
    "iifname": INTERFACES,
    "oifname": INTERFACES,
    "comment": COMMENTS,
}


def random_rule(chance: random.Random) -> dict[str, Any]:
    parts: list[tuple[str, Any]] = []
    for key, values in VALUES.items():
        if chance.random() < 0.3:
            # mostly values that are sound, or nearly no rule would be
            sound = chance.random() < 0.9
            parts.append((key, chance.choice(values[:6] if sound else values)))
    for other in chance.sample(OTHERS[:-1], 2) + ([OTHERS[-1]] if chance.random() < 0.02 else []):
        parts += other.items()
    chance.shuffle(parts)
    return dict(parts)


def filled(compiler: RuleCompiler, rule: dict[str, Any]) -> Any:
    """What the compiler makes of a rule, most often from a template; places of errors."""
    made, wrong = compiler.compile([rule])
    return sorted(one.place for one in wrong[0].problems) if wrong else list(map(content, made))


def content(one: DesiredRule) -> tuple[Any, ...]:
    form = one.form
    return one.attributes, one.index, one.part, form.state, form.set_ids, sets_of(form.sets)


def in_full(family: str, rule: dict[str, Any], index: int = 0) -> Any:
    """The same by lowering and compiling."""
    made = []
    userdata = comment_userdata(str(rule.get("comment") or ""))
    try:
        for part, statements in enumerate(lower(rule, family)):
            compiled = compile_rule(statements, family)
            trace = Trace()
            encoded = encode_list(compiled.expressions, trace)
            attributes = attribute(uapi.NFTA_RULE_EXPRESSIONS, encoded)
            if userdata:
                attributes += attribute(uapi.NFTA_RULE_USERDATA, userdata)
            state = tuple((start + 4, end + 4) for start, end in trace.state)
            made.append((attributes, index, part, state, tuple(trace.set_ids), sets_of(compiled.sets)))
    except DocumentError as error:
        return sorted(one.place for one in error.problems)
    return made


def sets_of(sets: Iterable[SetContent]) -> list[Any]:
    return [one.identity() for one in sets]


@pytest.mark.parametrize("family", FAMILIES)
def test_thousands_of_rules(family: str) -> None:
    chance = random.Random("templates of %s" % family)
    warm = RuleCompiler(family)
    sound = 0
    for _ in range(2500):
        rule = random_rule(chance)
        wanted = in_full(family, rule)
        # the first of its kind makes the template, the second is filled into it
        assert filled(warm, rule) == wanted, rule
        assert filled(warm, rule) == wanted, rule
        sound += bool(wanted) and not isinstance(wanted[0], str)
    assert 100 < sound < 2400


@pytest.mark.parametrize("family", FAMILIES)
def test_a_chain_of_all_kinds(family: str) -> None:
    """Rules of many kinds one after the other stay in order, and each wrong one is named by its index."""
    chance = random.Random("a chain of %s" % family)
    chain = [random_rule(chance) for _ in range(1500)]
    chain += [{**rule, "mark": chance.randrange(1 << 33)} for rule in chain[:500]]
    wanted, mistakes = [], {}
    for index, rule in enumerate(chain):
        one = in_full(family, rule, index)
        if one and isinstance(one[0], str):
            mistakes[index] = one
        else:
            wanted += one
    made, wrong = RuleCompiler(family).compile(chain)
    assert list(map(content, made)) == wanted
    assert {index: sorted(one.place for one in wrong[index].problems) for index in wrong} == mistakes
    assert list(wrong) == sorted(wrong)


@pytest.mark.parametrize("odd", [5, None, "rule", [], {}, {"expr": [{"accept": None}]}, {"expr": 5}, {1: 2}])
def test_what_is_no_flat_rule_stands_among_them(odd: Any) -> None:
    plain = [{"saddr": "192.0.2.%d" % number, "verdict": "drop"} for number in range(4)]
    compiler = RuleCompiler("inet")
    alone, mistakes = compiler.compile([odd])
    made, wrong = compiler.compile([*plain[:2], odd, *plain[2:]])
    assert list(wrong) == [2] * len(mistakes)
    assert [one.index for one in made] == [0, 1, *[2] * len(alone), 3, 4]


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in VALUES for value in VALUES[key]])
def test_a_template_takes_no_value_that_it_should_not(key: str, value: Any) -> None:
    """After a template was made for a sound rule of the kind, every odd value still finds its way."""
    plain = [one for one in VALUES[key] if type(one) in (str, int)]
    for family in ("inet", "ip6", "arp"):
        base = {"protocol": "tcp", "counter": True} if family != "arp" else {"counter": True}
        warm = RuleCompiler(family)
        for one in plain:
            filled(warm, {**base, key: one})
        assert filled(warm, {**base, key: value}) == in_full(family, {**base, key: value})


@pytest.mark.parametrize("rule", [{"dport": 22}, {"saddr": "192.0.2.1", "mark": 5}, {"counter": True}])
def test_a_rule_of_values_alone_or_without_any(rule: dict[str, Any]) -> None:
    for one in (rule, {**rule, "comment": "plain"}):
        assert filled(RuleCompiler("ip"), one) == in_full("ip", one)


def test_a_rule_that_only_has_a_comment_is_wrong() -> None:
    assert filled(RuleCompiler("ip"), {"comment": "plain"}) == [""]


def test_a_rule_too_long_for_the_kernel_is_one_mistake_of_the_document() -> None:
    long = {"expr": [{"counter": None}] * 1500}
    made, wrong = RuleCompiler("inet").compile([{"counter": True}, long, {"counter": True}])
    assert [one.index for one in made] == [0, 2]
    assert list(wrong) == [1]
    assert "too long for the kernel" in str(wrong[1])


def test_a_template_too_long_for_the_kernel_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_bytes, "MOST_BYTES", 40)
    made, wrong = RuleCompiler("inet").compile([{"mark": number} for number in range(3)])
    assert not made
    assert list(wrong) == [0, 1, 2]


def test_what_is_sent_as_it_is_dumped_is_what_any_rule_is_sent_as() -> None:
    chance = random.Random("messages")
    made, _unused = RuleCompiler("inet").compile([random_rule(chance) for _ in range(1000)])
    plain = [one for one in made if one.form.as_dumped]
    assert 100 < len(plain) < len(made)
    for one in plain:
        for before in (0, 5):
            made_so = messages.new_rules_as_dumped(1, "t", "c", before)(one.attributes)
            assert made_so == messages.new_rule(1, "t", "c", one.expressions, one.userdata, before=before)


def test_rules_of_one_kind_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    def counted(*arguments: Any) -> Any:
        compiled.append(arguments)
        return compile_rule(*arguments)

    monkeypatch.setattr(rules, "compile_rule", counted)
    chain = [
        {"saddr": "10.0.%d.%d" % divmod(number, 256), "protocol": "tcp", "sport": 5 + number, "dport": number}
        for number in range(1000)
    ]
    compiler = RuleCompiler("inet")
    assert len(compiler.compile(chain)[0]) == 1000
    assert len(compiler.compile(chain[::-1])[0]) == 1000
    assert len(compiled) == 1
