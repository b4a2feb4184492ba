# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules that no statement says, which are carried as bytes, with the sets without a name that are theirs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rempart.errors import RempartError
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.nftables.expressions import Expression, decode_list, encode_list
from rempart.nftables.expressions.registers import Immediate, Lookup
from rempart.nftables.sets.verbatim import told_of
from rempart.nftables.statements.raw import raw_statement
from rempart.ruleset.capture import Captured, capture

from tests.support.command import rempart
from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, table_of

#: rules with a set of their own; in the bytes of each, a constant takes the place of the port
SOURCES = {
    "values": "ip saddr . tcp dport { 10.0.0.1 . 80, 10.0.0.2 . 443 } accept",
    "intervals": "ip saddr . tcp dport { 10.0.0.0/24 . 80-89, 10.0.1.1 . 443 } accept",
    "a map": "meta mark set ip saddr . tcp dport map { 10.0.0.1 . 80 : 7, 10.0.0.2 . 443 : 9 }",
    "verdicts": "ip saddr . tcp dport vmap { 10.0.0.1 . 80 : accept, 10.0.0.2 . 443 : jump other }",
    "objects": 'counter name ip saddr . tcp dport map { 10.0.0.1 . 80 : "web" }',
}
TABLE: dict[str, Any] = {
    "name": "t",
    "family": "ip",
    "counters": [{"name": "web"}],
    "chains": [{"name": "c"}, {"name": "other"}],
}


def captured(where: Namespace) -> Captured:
    with NetlinkSocket(where.name) as kernel:
        return capture(kernel)


def odd(where: Namespace, source: str) -> dict[str, Any]:
    """A document with the rule whose port is a constant: nothing in nft's words."""
    where.nft("table ip t { counter web { }; chain other { }; chain c { %s; }; }" % source)
    table = table_of(where, "ip")
    (rule,) = table.chains["c"].rules
    (one,) = [one for one in table.sets.values() if one.flags & uapi.NFT_SET_ANONYMOUS]
    found: list[Expression] = []
    for expression in decode_list(rule.expressions):
        if expression.name == "payload" and expression.__dict__["base"] == uapi.NFT_PAYLOAD_TRANSPORT_HEADER:
            port = (80).to_bytes(2, "big").ljust(4, b"\0")
            expression = Immediate(dreg=expression.__dict__["dreg"], data=port)
        found.append(expression)
    where.nft("delete table ip t")
    sets = {one.name: told_of(one, one.flags & ~uapi.NFT_SET_EXPR)}
    rules = [{"expr": [raw_statement(encode_list(found), sets)]}, {"verdict": "drop"}]
    return {"tables": [{**TABLE, "chains": [{"name": "c", "rules": rules}, {"name": "other"}]}]}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_the_sets_of_its_own_come_along(
    make_netns: Callable[[], Namespace], tmp_path: Path, source: str
) -> None:
    home, elsewhere, restored = make_netns(), make_netns(), make_netns()
    document = odd(home, source)
    assert apply(document, home).changed
    assert not apply(document, home, full=True).changed
    found = captured(home)
    assert [str(note) for note in found.notes] == [
        "table ip t: 1 rule that has no statements is kept as the kernel's bytes"
    ]
    assert not apply(found.document, home, full=True).changed
    apply(json.loads(json.dumps(found.document)), elsewhere)
    assert content(elsewhere) == content(home)
    file = tmp_path / "saved.json"
    assert rempart("save", file, "--netns", home.name).returncode == 0
    assert rempart("restore", file, "--netns", restored.name).returncode == 0
    assert content(restored) == content(home)
    listings = [one.run("nft", "list", "ruleset").stdout for one in (home, elsewhere, restored)]
    assert listings[0] == listings[1] == listings[2]


def test_a_changed_set_is_a_change(netns: Namespace) -> None:
    document = odd(netns, SOURCES["values"])
    other = odd(netns, SOURCES["values"].replace("443", "444"))
    apply(document, netns)
    assert apply(other, netns).changed
    assert not apply(other, netns, full=True).changed


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"__set0": {"flags": "x"}}, "sets.__set0.flags: not a number that fits"),
        ({"__set0": {"elements": "!"}}, "sets.__set0.elements: no base64 text"),
        ({"__set0": {"elements": "AAAA"}}, "sets.__set0.elements: no elements"),
        ({"__set0": {"colour": 1}}, "sets.__set0.colour: unknown key"),
        ({"__set0": []}, "sets.__set0: not a mapping"),
        ({"__set0": {"fields": 4}}, "sets.__set0.fields: no list"),
        ({"__set0": {"flags": 0}}, "sets.__set0.flags: not a set of the rule alone"),
        ({"blocked": {"flags": 3}}, "sets.blocked: no name of such a set"),
        ({5: {"flags": 3}}, "sets.5: no name of such a set"),
        ([], "sets: not a mapping"),
    ],
)
def test_what_is_no_set_is_told(netns: Namespace, sets: Any, message: str) -> None:
    text = raw_statement(encode_list([Lookup(set="__set0", sreg=1)]))["raw"]["expressions"]
    rule = {"expr": [{"raw": {"expressions": text, "sets": sets}}]}
    with pytest.raises(RempartError) as caught:
        apply({"tables": [{**TABLE, "chains": [{"name": "c", "rules": [rule]}]}]}, netns)
    assert message in str(caught.value)
