# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything in the corpus captured: it changes nothing at home, and makes the same tables elsewhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rempart.command.yaml_text import document_text
from rempart.document import validation
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset.capture import Captured, capture

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, watched

CORPUS = Path(__file__).parent.parent / "data" / "nft_corpus"
FILES = sorted(path.stem for path in CORPUS.glob("*.nft"))

#: what nft's listing takes from elsewhere than the ruleset
LISTED_OTHERWISE = {
    '"vlan", "field": "id"': "what nft noted beside the set tells it where a bit field stands",
    '"ip", "field": "hdrlength"': "the same",
    '{"set": [{"|": ["syn", "ack"]}, "syn"]}': "flags with one lowest bit stand in the order of a hash table",
}


def captured(where: Namespace, counts: bool = False) -> Captured:
    with NetlinkSocket(where.name) as kernel:
        return capture(kernel, counts=counts)


def with_links(where: Namespace) -> Namespace:
    where.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    return where


def rules_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for table in document["tables"]:
        for chain in table["chains"]:
            yield from chain.get("rules", ())


def kind_of(rule: dict[str, Any]) -> str:
    if "expr" not in rule:
        return "flat"
    return "raw" if "raw" in rule["expr"][0] else "expr"


def listing(where: Namespace) -> dict[str, list[dict[str, Any]]]:
    """What nft lists, by kind and in its order, without handles."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in where.nft_json():
        ((kind, body),) = one.items()
        if kind != "metainfo":
            body.pop("handle", None)
            found.setdefault(kind, []).append(body)
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_captured_document_is_one_and_changes_nothing_at_home(name: str, netns: Namespace) -> None:
    with_links(netns).nft((CORPUS / (name + ".nft")).read_text())
    for counts in (False, True):
        found = captured(netns, counts)
        assert not [note for note in found.notes if "kept as the kernel's bytes" not in str(note)]
        assert validation.check(found.document) == []
        assert validation.read(document_text(found.document), "d.yml") == found.document
        with watched() as traffic:
            outcome = apply(found.document, netns, full=True)
        assert not outcome.changed, outcome.changes()
        assert traffic.batches == []


@pytest.mark.parametrize("name", FILES)
def test_a_captured_document_makes_the_same_tables_elsewhere(
    name: str, make_netns: Callable[[], Namespace]
) -> None:
    home, elsewhere = with_links(make_netns()), with_links(make_netns())
    home.nft((CORPUS / (name + ".nft")).read_text())
    apply(captured(home, counts=True).document, elsewhere)
    wanted, found = listing(home), listing(elsewhere)
    assert wanted.keys() == found.keys()
    for kind, bodies in wanted.items():
        different = [(one, other) for one, other in zip(bodies, found[kind]) if one != other]
        assert len(bodies) == len(found[kind])
        assert not [
            pair for pair in different if not any(hint in json.dumps(pair) for hint in LISTED_OTHERWISE)
        ]


def test_most_rules_are_flat_and_few_are_bytes(make_netns: Callable[[], Namespace]) -> None:
    kinds: Counter[str] = Counter()
    for name in FILES:
        where = with_links(make_netns())
        where.nft((CORPUS / (name + ".nft")).read_text())
        kinds.update(kind_of(rule) for rule in rules_of(captured(where).document))
    # the corpus is made of the unusual
    assert kinds["flat"] >= 0.45 * sum(kinds.values())
    assert kinds["raw"] <= 10
