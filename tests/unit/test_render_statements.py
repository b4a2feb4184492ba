# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rendering what this kernel or this nft cannot load, and what nobody should have written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.nftables.render import render_chain, render_rule, render_set, render_statement, render_table
from rempart.nftables.render.expressions import SELECTORS, VALUES
from rempart.nftables.render.statements import STATEMENTS

SADDR = {"payload": {"protocol": "ip", "field": "saddr"}}
DPORT = {"payload": {"protocol": "tcp", "field": "dport"}}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("queue to 0", {"queue": None}),
    ("queue to 1", {"queue": {"num": 1}}),
    (
        "queue flags bypass,fanout to 1-5",
        {"queue": {"num": {"range": [1, 5]}, "flags": ["bypass", "fanout"]}},
    ),
    ("queue flags bypass to 1", {"queue": {"num": 1, "flags": "bypass"}}),
    (
        "queue to numgen inc mod 3 offset 1",
        {"queue": {"num": {"numgen": {"mode": "inc", "mod": 3, "offset": 1}}}},
    ),
    (
        'queue to oifname map { "eth0" : 0, "ppp0" : 2 }',
        {
            "queue": {
                "num": {
                    "map": {"key": {"meta": {"key": "oifname"}}, "data": {"set": [["eth0", 0], ["ppp0", 2]]}}
                }
            }
        },
    ),
    ("flow add @ft", {"flow": {"op": "add", "flowtable": "@ft"}}),
    ("last used never", {"last": None}),
    ("last used 1m5s", {"last": {"used": 65000}}),
    ("counter", {"counter": None}),
    (
        "add @m { ip saddr timeout 10s : tcp dport }",
        {"map": {"op": "add", "elem": {"elem": {"val": SADDR, "timeout": 10}}, "data": DPORT, "map": "@m"}},
    ),
    ('xt match "comment"', {"xt": {"type": "match", "name": "comment"}}),
    ("xt", {"xt": None}),
    ("tos set tos & 0x01 ^ 0x10", {"tos": {"and": 1, "xor": 16}}),
    ("tos set tos & 0xff ^ 0x08", {"tos": {"xor": 8}}),
    ("reject with icmp port-unreachable", {"reject": {"type": "icmp"}}),
    ("reject", {"reject": None}),
    ("reject with tcp reset", {"reject": {"type": "tcp reset"}}),
    ('meta secmark set "ssh"', {"secmark": "ssh"}),
    ('tunnel name "t"', {"tunnel": "t"}),
    ("reset tcp option mptcp", {"reset": {"tcp option": {"name": "mptcp"}}}),
    (
        "dccp option 43 missing",
        {"match": {"op": "==", "left": {"dccp option": {"type": 43}}, "right": False}},
    ),
    ("tunnel id 5", {"match": {"op": "==", "left": {"tunnel": {"key": "id"}}, "right": 5}}),
    (
        "vxlan ip saddr 10.0.0.1",
        {
            "match": {
                "op": "==",
                "left": {"payload": {"tunnel": "vxlan", "protocol": "ip", "field": "saddr"}},
                "right": "10.0.0.1",
            }
        },
    ),
    (
        'socket cgroupv2 level 1 "system.slice"',
        {"match": {"op": "==", "left": {"socket": {"key": "cgroupv2", "level": 1}}, "right": "system.slice"}},
    ),
    ("meta ibrpvid 1", {"match": {"op": "==", "left": {"meta": {"key": "ibrpvid"}}, "right": 1}}),
    ('meta ibrname "br0"', {"match": {"op": "==", "left": {"meta": {"key": "ibrname"}}, "right": "br0"}}),
    (
        "meta mark set (meta mark | 0x00000001) & 0x000000ff",
        {
            "mangle": {
                "key": {"meta": {"key": "mark"}},
                "value": {"&": [{"|": [{"meta": {"key": "mark"}}, 1]}, 255]},
            }
        },
    ),
    (
        "tcp flags == 0x12",
        {
            "match": {
                "op": "==",
                "left": {"payload": {"protocol": "tcp", "field": "flags"}},
                "right": ["syn", "ack"],
            }
        },
    ),
    ('{"new thing": {"key": 1}}', {"new thing": {"key": 1}}),
    ('{"match": {"op": "=="}}', {"match": {"op": "=="}}),
    ("{}", {}),
]


@pytest.mark.parametrize(("text", "statement"), CASES, ids=[one[0] for one in CASES])
def test_statement(text: str, statement: dict[str, Any]) -> None:
    assert render_statement(statement) == text


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("ip", "reject"),
        ("ip6", "reject with icmp port-unreachable"),
        ("inet", "reject with icmp port-unreachable"),
    ],
)
def test_reject_is_bare_where_nfts_default_is_the_familys(family: str, text: str) -> None:
    assert render_statement({"reject": {"type": "icmp", "expr": "port-unreachable"}}, family) == text


def test_comment_ends_the_rule() -> None:
    assert render_rule([{"accept": None}], "a b") == 'accept comment "a b"'


def test_control_characters_never_reach_a_terminal() -> None:
    assert render_rule([{"log": {"prefix": "a\x1b[2J"}}], "b\nc") == 'log prefix "a\\x1b[2J" comment "b\\nc"'


def test_new_object_is_shown_as_comment() -> None:
    text = render_table({"family": "ip", "name": "t"}, objects=[{"novelty": {"name": "n", "key": 1}}])
    assert text == 'table ip t {\n\tnovelty n {\n\t\t# {"name": "n", "key": 1}\n\t}\n}\n'


def test_flowtable() -> None:
    flowtable = {"flowtable": {"name": "f", "hook": "ingress", "prio": 5, "dev": ["eth0", "eth1"]}}
    assert render_table({"family": "ip", "name": "t"}, flowtables=[flowtable]).split("\n")[1:-2] == [
        "\tflowtable f {",
        "\t\thook ingress priority filter + 5",
        "\t\tdevices = { eth0, eth1 }",
        "\t}",
    ]


def test_offloaded_chain() -> None:
    chain = {"name": "c", "type": "filter", "hook": "ingress", "prio": 0, "dev": "eth0", "flags": "offload"}
    expected = '\t\ttype filter hook ingress device "eth0" priority filter; policy accept; flags offload;'
    assert render_chain(chain, family="netdev")[1] == expected


def test_set_without_elements() -> None:
    assert render_set({"set": {"name": "s", "type": "mark"}}) == ["\tset s {", "\t\ttype mark", "\t}"]


words = st.sampled_from(
    [*STATEMENTS, *SELECTORS, *VALUES, "&", "|", "key", "left", "right", "op", "family", "elem"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | words
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(list(STATEMENTS)) | st.text(max_size=5), values, max_size=2))
def test_anything_renders_to_one_line(statement: dict[str, Any]) -> None:
    text = render_statement(statement)
    assert isinstance(text, str)


def test_deep_nesting_renders() -> None:
    expression: Any = SADDR
    for _ in range(100000):
        expression = {"concat": [expression]}
    assert render_statement({"match": {"op": "==", "left": expression, "right": 1}})
