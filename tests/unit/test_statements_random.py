# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever is given as statements compiles or is a clear error; nothing else is raised."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.errors import DocumentError
from rempart.nftables.expressions import decode_list, encode_list
from rempart.nftables.expressions.sending import sendable
from rempart.nftables.statements import STATEMENTS, compile_rule

DATA = Path(__file__).parent.parent / "data"
ROWS: list[dict[str, Any]] = json.loads((DATA / "flat_rules.json").read_text())
FAMILIES = ("inet", "ip", "ip6", "bridge", "netdev", "arp")

WORDS = [
    "match",
    "op",
    "left",
    "right",
    "==",
    "!=",
    "in",
    "<",
    "meta",
    "key",
    "mark",
    "iifname",
    "payload",
    "protocol",
    "tcp",
    "dport",
    "ip",
    "saddr",
    "set",
    "range",
    "prefix",
    "addr",
    "len",
    "ct",
    "state",
    "new",
    "concat",
    "map",
    "data",
    "vmap",
    "jump",
    "target",
    "accept",
    "10.0.0.1",
    "::1",
    "lo",
    "&",
    "|",
    "^",
    "<<",
    "exthdr",
    "name",
    "field",
    "counter",
    "limit",
    "rate",
    "per",
    "second",
    "log",
    "prefix",
    "reject",
    "type",
    "icmp",
    "expr",
    "dnat",
    "port",
    "@x",
    "*",
    "elem",
    "val",
    "mangle",
    "value",
    "fib",
]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 70000),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
anything = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def compiles(statements: Any, family: str) -> None:
    """Compile; the bytes must decode to the same again."""
    try:
        made = compile_rule(statements, family)
    except DocumentError as error:
        assert str(error)
        return
    packed = encode_list(made.expressions)
    assert encode_list(decode_list(packed)) == packed


@settings(max_examples=400, deadline=None, database=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(sorted(STATEMENTS)), anything, min_size=1, max_size=1), max_size=3
    ),
    st.sampled_from(FAMILIES),
)
def test_anything_compiles_or_is_a_document_error(statements: Any, family: str) -> None:
    compiles(statements, family)


def mutated(value: Any, chance: random.Random) -> Any:
    """A copy of a JSON value, changed at one place."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        key = chance.choice(list(value))
        changed = dict(value)
        if chance.random() < 0.1:
            changed[chance.choice(WORDS)] = changed.pop(key)
        else:
            changed[key] = mutated(value[key], chance)
        return changed
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [mutated(one, chance) if index == at else one for index, one in enumerate(value)]
    odd: list[Any] = [None, True, -1, 0, 1 << 40, 1.5, "", "x", "@x", [], {}, ["a", 1], {"set": []}]
    odd += [{"range": [2, 1]}, {"prefix": {"addr": "::", "len": 200}}, *WORDS]
    return copy.deepcopy(chance.choice(odd))


@pytest.mark.parametrize("family", FAMILIES)
def test_sound_statements_changed_at_one_place(family: str) -> None:
    chance = random.Random("mutations of %s" % family)
    for _ in range(1500):
        statements = list(chance.choice(chance.choice(ROWS)["statements"]))
        at = chance.randrange(len(statements))
        statements[at] = mutated(statements[at], chance)
        compiles(statements, family)


TCP_OPTION = {"tcp option": {"name": "maxseg", "field": "size"}}


def test_what_the_kernel_dumps_but_does_not_take_is_left_out_on_the_way() -> None:
    def sent(statement: dict[str, Any]) -> Any:
        expressions = encode_list(compile_rule([statement], "inet").expressions)
        [one] = [one for one in decode_list(sendable(expressions)) if one.name in ("exthdr", "osf")]
        return one

    written = sent({"mangle": {"key": TCP_OPTION, "value": 1400}})
    assert (written.flags, written.offset, written.len, written.sreg) == (None, 2, 2, 1)
    stripped = sent({"reset": {"tcp option": {"name": "mptcp"}}})
    assert (stripped.flags, stripped.offset, stripped.len) == (None, None, None)
    read = sent({"match": {"op": "==", "left": TCP_OPTION, "right": 1400}})
    assert (read.flags, read.offset, read.len, read.dreg) == (0, 2, 2, 1)
    name = sent({"match": {"op": "==", "left": {"osf": {"key": "name"}}, "right": "Linux"}})
    assert name.flags is None
    version = {"match": {"op": "==", "left": {"osf": {"key": "version"}}, "right": "Linux:4"}}
    assert sent(version).flags == 1
    plain = encode_list(compile_rule([{"counter": None}, {"accept": None}], "inet").expressions)
    assert sendable(plain) is plain
