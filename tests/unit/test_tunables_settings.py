# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of connection tracking as the document writes them: words, values, times, and what is wrong."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from rempart.document.validation import check as check_schema
from rempart.document.validation import schema
from rempart.errors import DocumentError
from rempart.tunables.settings import KEYS, MASQUERADE, check, load
from rempart.tunables.table import TUNABLES
from rempart.tunables.timeouts import TIMEOUTS, understood

ROOT = Path(__file__).parents[2]


def numbers(section: dict[str, Any]) -> dict[str, int | None]:
    return {one.name: one.value for one in load(section).settings}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"max": 262144, "buckets": "auto"}, {"max": 262144, "buckets": None}),
        ({"max": 0}, {"max": 0}),
        ({"acct": True, "tcp_loose": False}, {"acct": 1, "tcp_loose": 0}),
        ({"events": "auto"}, {"events": 2}),
        ({"events": False}, {"events": 0}),
        ({"log_invalid": "TCP"}, {"log_invalid": 6}),
        ({"log_invalid": "all"}, {"log_invalid": 255}),
        ({"log_invalid": "none"}, {"log_invalid": 0}),
        ({"log_invalid": 17}, {"log_invalid": 17}),
        ({"frag6_timeout": "1m30s"}, {"frag6_timeout": 90}),
        (
            {"timeouts": {"tcp": {"established": "5d", "syn_sent2": 3}}},
            {"timeouts.tcp.established": 432000, "timeouts.tcp.syn_sent2": 3},
        ),
        (
            {"timeouts": {"udp": {"stream": "3m"}, "tcp": {"max_retrans": 7, "unacknowledged": 8}}},
            {"timeouts.udp.replied": 180, "timeouts.tcp.retrans": 7, "timeouts.tcp.unack": 8},
        ),
        ({"timeouts": {"icmp": 10, "icmpv6": {"timeout": "20s"}, "generic": "10m"}},
         {"timeouts.icmp": 10, "timeouts.icmpv6": 20, "timeouts.generic": 600}),
        (
            {"masquerade_timeouts": [7200, 10, 160]},
            {
                "timeouts.tcp.established": 7200,
                "timeouts.tcp.fin_wait": 10,
                "timeouts.udp.unreplied": 160,
                "timeouts.udp.replied": 160,
            },
        ),
        ({"masquerade_timeouts": [0, 0, 0]}, {}),
        ({"masquerade_timeouts": {"tcp_fin": "1m"}}, {"timeouts.tcp.fin_wait": 60}),
        (
            {"masquerade_timeouts": [7200, 0, 0], "timeouts": {"tcp": {"established": "2h"}}},
            {"timeouts.tcp.established": 7200},
        ),
        ({}, {}),
    ],
)  # fmt: skip
def test_what_is_said_becomes_the_kernels_number(section: dict[str, Any], expected: dict[str, Any]) -> None:
    assert numbers(section) == expected
    assert check_schema({"conntrack": section}) == []


BAD = [
    ({"mx": 1}, "mx", "unknown setting", "did you mean 'max'?"),
    ({"nf_conntrack_max": 1}, "nf_conntrack_max", "unknown setting", "here it is max"),
    (
        {"net.netfilter.nf_conntrack_tcp_timeout_close": 1},
        "net.netfilter.nf_conntrack_tcp_timeout_close",
        "unknown setting",
        "here it is timeouts.tcp.close",
    ),
    ({"max": -1}, "max", "a number out of range", "0 to 2147483647, or auto"),
    ({"max": 1 << 31}, "max", "a number out of range", ""),
    ({"max": "atuo"}, "max", "no whole number", "did you mean 'auto'?"),
    ({"max": True}, "max", "no whole number", ""),
    ({"max": 1.5}, "max", "no whole number", ""),
    ({"buckets": 0}, "buckets", "a number out of range", "from 1"),
    ({"expect_max": "auto"}, "expect_max", "no whole number", ""),
    ({"expect_max": 0}, "expect_max", "a number out of range", ""),
    ({"acct": "yes"}, "acct", "no truth value", "true or false"),
    ({"acct": 1}, "acct", "no truth value", ""),
    ({"acct": None}, "acct", "no truth value", ""),
    ({"events": "no"}, "events", "neither a truth value nor auto", ""),
    ({"log_invalid": "tpc"}, "log_invalid", "no protocol", "did you mean 'tcp'?"),
    ({"log_invalid": 256}, "log_invalid", "a number out of range", ""),
    ({"tcp_max_retrans": 256}, "tcp_max_retrans", "a number out of range", "packets from 0 to 255"),
    ({"frag6_timeout": "500ms"}, "frag6_timeout", "a part of a second", "whole seconds"),
    (
        {"frag6_low_thresh": 2000, "frag6_high_thresh": 1000},
        "frag6_low_thresh",
        "more than frag6_high_thresh",
        "at most 1000",
    ),
    ({"timeouts": 5}, "timeouts", "no mapping", ""),
    ({"timeouts": {"tpc": {}}}, "timeouts.tpc", "no timeouts of this protocol", "did you mean 'tcp'?"),
    ({"timeouts": {"esp": 5}}, "timeouts.esp", "no timeouts of this protocol", "the timeout generic"),
    ({"timeouts": {"tcp": 5}}, "timeouts.tcp", "no mapping", "states to times"),
    ({"timeouts": {"tcp": {"syn_snet": 5}}}, "timeouts.tcp.syn_snet", "no state of tcp", "'syn_sent'"),
    ({"timeouts": {"tcp": {"replied": 5}}}, "timeouts.tcp.replied", "no state of tcp", "syn_sent"),
    ({"timeouts": {"icmp": {"stream": 5}}}, "timeouts.icmp.stream", "no state of icmp", "timeout"),
    ({"timeouts": {"tcp": {"close": -5}}}, "timeouts.tcp.close", "a time out of range", "from 1 to 2147483"),
    ({"timeouts": {"tcp": {"close": 0}}}, "timeouts.tcp.close", "a time out of range", ""),
    ({"timeouts": {"tcp": {"close": "-5m"}}}, "timeouts.tcp.close", "no time", ""),
    ({"timeouts": {"tcp": {"close": True}}}, "timeouts.tcp.close", "no time", ""),
    ({"timeouts": {"tcp": {"close": 2147484}}}, "timeouts.tcp.close", "a time out of range", ""),
    ({"timeouts": {"tcp": {"close": "999999d"}}}, "timeouts.tcp.close", "a time out of range", ""),
    ({"timeouts": {"tcp": {"close": "1500ms"}}}, "timeouts.tcp.close", "a part of a second", ""),
    ({"timeouts": {"udp": {"stream": 5, "replied": 6}}}, "timeouts.udp.replied", "the same time", "stream"),
    ({"timeouts": {"udp": {"replied": 5}, "udplite": {"replied": 6}}}, "timeouts.udplite.replied",
     "the same timeout as timeouts.udp.replied", ""),
    ({"masquerade_timeouts": [1, 2]}, "masquerade_timeouts", "not three timeouts", "0 keeps what is"),
    ({"masquerade_timeouts": 7200}, "masquerade_timeouts", "not three timeouts", ""),
    ({"masquerade_timeouts": [1, -2, 0]}, "masquerade_timeouts[1]", "a time out of range", ""),
    ({"masquerade_timeouts": [False, 0, 0]}, "masquerade_timeouts[0]", "no time", ""),
    ({"masquerade_timeouts": {"fin": 1}}, "masquerade_timeouts.fin", "unknown key", "tcp_fin"),
    (
        {"timeouts": {"tcp": {"established": "1h"}}, "masquerade_timeouts": [7200, 0, 0]},
        "masquerade_timeouts[0]",
        "the same timeout as timeouts.tcp.established",
        "",
    ),
    ({"persist": "no"}, "persist", "no truth value", ""),
]  # fmt: skip


@pytest.mark.parametrize(("section", "place", "message", "rest"), BAD)
def test_what_is_wrong_is_named(section: dict[str, Any], place: str, message: str, rest: str) -> None:
    problems = check(section)
    assert [one.place for one in problems] == [place], [str(one) for one in problems]
    assert problems[0].message.startswith(message)
    assert rest in str(problems[0])


def test_everything_wrong_is_named_at_once() -> None:
    wrong = {"maks": 1, "acct": "on", "timeouts": {"tcp": {"close": 0, "opne": 1}, "upd": 3}}
    with pytest.raises(DocumentError) as caught:
        load(wrong)
    assert [one.place for one in caught.value.problems] == [
        "maks",
        "acct",
        "timeouts.tcp.close",
        "timeouts.tcp.opne",
        "timeouts.upd",
    ]


@pytest.mark.parametrize("section", [None, [], "max", 5])
def test_no_mapping_is_no_section(section: Any) -> None:
    assert [one.message for one in check(section)] == ["no mapping"]
    assert check_schema({"conntrack": section})


@pytest.mark.parametrize("persist", [True, False, None])
def test_whether_to_keep_is_no_setting(persist: bool | None) -> None:
    declared = load({"acct": True, **({} if persist is None else {"persist": persist})})
    assert declared.persist is persist
    assert len(declared.settings) == 1


def test_the_schema_knows_the_settings_that_the_engine_knows() -> None:
    parts = schema()["$defs"]["conntrack"]["properties"]
    assert set(parts) == set(KEYS)
    protocols = parts["timeouts"]["properties"]
    assert set(protocols) == set(TIMEOUTS)
    for name, one in protocols.items():
        mapping = one if "properties" in one else one["anyOf"][-1]
        assert set(mapping["properties"]) == set(understood(name))
    assert set(parts["masquerade_timeouts"]["anyOf"][1]["properties"]) == set(MASQUERADE)


def test_the_schema_describes_each_setting_and_its_examples_are_right() -> None:
    whole = schema()
    for key, one in whole["$defs"]["conntrack"]["properties"].items():
        assert one["description"].endswith("."), key
        for example in one["examples"]:
            jsonschema.Draft202012Validator({"$defs": whole["$defs"], **one}).validate(example)
            assert check({key: example}) == [], key


def test_the_module_has_an_option_for_each_setting() -> None:
    tree = ast.parse((ROOT / "plugins/modules/conntrack.py").read_text())
    texts = {node.targets[0].id: ast.literal_eval(node.value) for node in tree.body
             if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)}  # fmt: skip
    options = yaml.safe_load(texts["DOCUMENTATION"])["options"]
    assert set(options) == {*KEYS, "root", "state", "_document"} - {"helpers", "policies"}
    said = " ".join(options["timeouts"]["description"])
    for protocol, states in TIMEOUTS.items():
        assert "C(%s)" % protocol in said
        assert all("C(%s)" % word in said for word in states if len(states) > 1), protocol


def test_no_key_and_no_word_stands_twice() -> None:
    keys = [one.key for one in TUNABLES.values()]
    keys += [
        one.key for name, some in TIMEOUTS.items() for one in some.values() if name != "udplite" and one.key
    ]
    assert len(keys) == len(set(keys))
    for name in TIMEOUTS:
        words = understood(name)
        assert len(words) >= len(TIMEOUTS[name])
        attributes = [one.attribute for one in TIMEOUTS[name].values() if one.attribute]
        assert len(attributes) == len(set(attributes))


PAGE = (ROOT / "docs/tunables.md").read_text()


def test_the_page_names_every_setting_and_every_state() -> None:
    rows = dict(re.findall(r"^\| (`.*?`) \| (.*?) \|", PAGE, re.MULTILINE))
    assert {one.strip("`") for one in rows if "," not in one} >= set(KEYS)
    for protocol, states in TIMEOUTS.items():
        if len(states) > 1:
            assert set(re.findall(r"`(\w+)`", rows["`%s`" % protocol])) == set(states)
    for setting in TUNABLES.values():
        line = next(line for line in PAGE.splitlines() if line.startswith("| `%s` |" % setting.name))
        assert setting.since in line and setting.until in line


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_every_document_of_the_page_is_right(text: str) -> None:
    document = yaml.safe_load(text)
    assert check_schema(document) == []
    assert check(document["conntrack"]) == []
