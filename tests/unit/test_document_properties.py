# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever the schema lets pass becomes statements or a DocumentError, never another exception."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rempart.document import hosts
from rempart.document.declared import OBJECTS
from rempart.document.flat import lower
from rempart.document.flat.lowering import NOTHING_KNOWN
from rempart.document.model import FAMILIES, load
from rempart.document.validation import check, read, schema
from rempart.errors import DocumentError, RempartError

from tests.support.declared import declared_table

DEFINITIONS = schema()["$defs"]

WORDS = st.one_of(
    st.sampled_from(
        [
            "192.0.2.1", "!192.0.2.1", "192.0.2.0/24", "10.0.0.0/255.0.0.0", "10.0.0.9-10.0.0.1",
            "10.0.0.1-10.0.0.9", "2001:db8::1", "!2001:db8::/32", "web", "@hosts", "!@", "!", "!!a", ",",
            "a,,b", "eth0", "ppp+", "*", "tcp", "UDP", "!icmp", "tcp,udp", "ssh", "22", "0x16", "1024:",
            ":1023", "1024-5999", "5999-1024", ":", "ftp-data", "a-b-c", "-", "--", "echo-req", "echo",
            "syn", "syn / fin,syn", "/", "none / all", "!syn", "new", "established,related", "1/1",
            "0x10/0xff", "ef", "ce", "root", "10/second", "over 1 mbytes/second",
            "10/minute burst 5 packets", "rate", "/second", "1 2 3/day burst", "1:10", "none", "ct_mark",
            "mark", "minimum-delay", "0x01 0x10", "1 2", "tcp reset", "icmp host-prohibited",
            "icmpx no-route", "icmpv6", "tcp", "10.0.0.1:80", "[2001:db8::1]:80", "[", "[]", "]:",
            "10.0.0.1:", ":80", "10.0.0.1-10.0.0.5:1-5", "00:11:22:33:44:55", "0x88cc", "arp",
            "filter + 10", "10.0.0.1 . 22", "web . 22", " . ", "@four", "@verdicts", "!@pairs", "jump other",
            "goto", "ipv4_addr", "ipv4_addr . inet_service", "interval ipv4_addr", "ip saddr", "ct mark",
            "ip saddr . tcp dport", "tcp option maxseg size", "@nh,0,8", "1h30m", "1s1h", "over 20",
            "over 10 mbytes used 1 kbytes", "10 gbytes", "keep", "verdict", "counter", "ct helper",
            "²", "٣", "\0", "\ud800", "%", "1" * 400,
        ]
    ),
    st.text(min_size=1, max_size=12),
    st.from_regex(r"!?[0-9a-f.:/,@+*-]{1,12}", fullmatch=True),
)  # fmt: skip


def values_for(part: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a part of the schema accepts."""
    if part.get("$ref") == "#/$defs/rule":
        return st.deferred(lambda: RULES)
    if "$ref" in part:
        return values_for(DEFINITIONS[part["$ref"].rpartition("/")[2]])
    if "anyOf" in part:
        return st.one_of([values_for(branch) for branch in part["anyOf"]])
    if "enum" in part:
        return st.sampled_from(part["enum"])
    kind = part.get("type")
    if kind == "boolean":
        return st.booleans()
    if kind == "integer":
        low, high = part.get("minimum", -(1 << 70)), part.get("maximum", 1 << 70)
        return st.one_of(st.integers(low, high), st.sampled_from([low, high]), st.just(float(max(low, 1))))
    if kind == "string":
        return WORDS.map(lambda word: word[: part.get("maxLength", len(word))])
    if kind == "array":
        items = values_for(part.get("items", {"type": "string"}))
        return st.lists(items, min_size=part.get("minItems", 0), max_size=part.get("maxItems", 3))
    if kind == "null":
        return st.none()
    if kind == "object" and isinstance(part.get("additionalProperties"), dict):
        values = values_for(part["additionalProperties"])
        return st.dictionaries(WORDS, values, min_size=part.get("minProperties", 0), max_size=3)
    if kind == "object" and "properties" in part:
        fields = {
            key: values_for(one) for key, one in part["properties"].items() if key not in ("expr", "rules")
        }
        required = {key: fields.pop(key) for key in part.get("required", [])}
        return st.fixed_dictionaries(required, optional=fields).filter(
            lambda one: len(one) >= part.get("minProperties", 0)
        )
    return st.dictionaries(WORDS, st.none(), min_size=1, max_size=1)


KEYS = {key: values_for(one) for key, one in DEFINITIONS["rule"]["properties"].items() if key != "expr"}
SOME_KEYS = st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=6, unique=True)
RULES = SOME_KEYS.flatmap(lambda keys: st.fixed_dictionaries({key: KEYS[key] for key in keys}))
DECLARED = {family: declared_table(family).declared() for family in FAMILIES}
ADDRESSES = {"web": ["192.0.2.1", "192.0.2.2", "2001:db8::1"]}


def statements_are_whole(rows: list[list[dict[str, Any]]]) -> bool:
    return all(isinstance(one, dict) and len(one) == 1 for row in rows for one in row)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RULES, st.sampled_from(FAMILIES), st.booleans())
def test_a_rule_the_schema_accepts_is_lowered_or_refused(
    rule: dict[str, Any], family: str, known: bool
) -> None:
    declared = DECLARED[family] if known else NOTHING_KNOWN
    document = {"tables": [{"name": "t", "family": family, "chains": [{"name": "c", "rules": [rule]}]}]}
    assert check(document) == []
    try:
        rows = lower(rule, family, ADDRESSES, declared)
    except DocumentError as error:
        assert all(one.place == "" or one.place.split(".")[0].split("[")[0] in rule for one in error.problems)
        assert str(error)
    else:
        assert statements_are_whole(rows)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.data())
def test_each_key_by_itself_is_lowered_or_refused(key: str, data: st.DataObject) -> None:
    rule = {key: data.draw(KEYS[key]), "protocol": "tcp"}
    for family in FAMILIES:
        try:
            assert statements_are_whole(lower(rule, family, ADDRESSES, DECLARED[family]))
        except DocumentError as error:
            assert error.problems


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(WORDS | st.sampled_from(sorted(KEYS)), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_a_rule_of_anything_is_lowered_or_refused(value: Any) -> None:
    for rule in (value, {"saddr": value, "verdict": value}, dict.fromkeys(KEYS, value), {"expr": value}):
        try:
            lower(rule, "inet", ADDRESSES, DECLARED["inet"])
        except DocumentError as error:
            assert str(error)


DECLARING = ("sets", "maps", *OBJECTS, "flowtables")
CHAINS = values_for({**DEFINITIONS["chain"]})
TABLES = values_for({**DEFINITIONS["table"], "properties": {**DEFINITIONS["table"]["properties"]}})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TABLES, max_size=3))
def test_tables_the_schema_accepts_are_loaded_or_refused(tables: list[dict[str, Any]]) -> None:
    document = {"tables": tables}
    assert check(document) == []
    try:
        hosts.names(load(document))
    except DocumentError as error:
        assert all(problem.place.startswith("tables[") for problem in error.problems)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_a_document_of_anything_is_checked_and_loaded_or_refused(value: Any) -> None:
    for document in (
        value,
        {"tables": value},
        {"tables": [{"name": value, "chains": value}]},
        {"tables": [{"name": "t", **{key: [value] for key in DECLARING}}]},
        {"tables": [{"name": "t", "sets": [{"name": "s", "type": "ipv4_addr", "elements": [value]}]}]},
        {
            "tables": [
                {"name": "t", "maps": [{"name": "m", "type": "mark", "map": "verdict", "elements": value}]}
            ]
        },
    ):
        problems = check(document)
        try:
            load(document)
        except DocumentError as error:
            assert error.problems
        else:
            assert problems == []


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(), st.binary(), st.from_regex(r"[\[\]{}:,\-&*!|>'\"#%@` a\n]{1,20}", fullmatch=True))
)
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        assert isinstance(read(text), dict)
    except RempartError as error:
        assert str(error)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_example_of_the_schema_is_lowered(family: str) -> None:
    with_ports = {
        "sport", "dport", "lookup", "vmap", "redirect", "masquerade", "snat", "dnat", "synproxy"
    }  # fmt: skip
    lowered = set()
    for key, one in DEFINITIONS["rule"]["properties"].items():
        for example in one["examples"]:
            rule = {key: example}
            if key in with_ports:
                rule["protocol"] = "tcp"
            if key in ("comment", "bidirectional"):
                rule["counter"] = True
            try:
                assert lower(rule, family, {"www.example.org": ["192.0.2.1", "2001:db8::1"]})
                lowered.add(key)
            except DocumentError:
                assert family != "inet" or key in ("skuid", "skgid"), rule
    assert lowered
