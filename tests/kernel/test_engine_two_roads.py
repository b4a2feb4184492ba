# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two roads to one ruleset: the engine's bytes, and nft reading the rendered text.

nft has no words for a change of the whole type-of-service byte with its checksum:
those rules are judged by a receiver, in test_engine_traffic_tos.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rempart.document.flat import KEYS

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, text_of

DATA = Path(__file__).parent.parent / "data"

CHAINS: dict[str, dict[str, Any]] = {
    "input": {"hook": "input"},
    "forward": {"hook": "forward"},
    "output": {"hook": "output"},
    "prerouting": {"hook": "prerouting", "priority": -300},
    "route_output": {"type": "route", "hook": "output", "priority": "mangle"},
    "ingress": {"hook": "ingress", "device": "lo"},
    "egress": {"hook": "egress", "device": "lo"},
    "nat_prerouting": {"type": "nat", "hook": "prerouting", "priority": "dstnat"},
    "nat_output": {"type": "nat", "hook": "output", "priority": "dstnat"},
    "nat_input": {"type": "nat", "hook": "input", "priority": "srcnat"},
    "nat_postrouting": {"type": "nat", "hook": "postrouting", "priority": "srcnat"},
}


ROWS: list[dict[str, Any]] = json.loads((DATA / "two_roads" / "rules.json").read_text())
DECLARED: dict[str, Any] = json.loads((DATA / "two_roads" / "declared.json").read_text())
"""What the table has beside its chains where a row says ``declared``."""
FAMILIES = sorted({row["family"] for row in ROWS})


def document_of(family: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    """A table with a chain for each row."""
    chains: list[dict[str, Any]] = [{"name": "other"}]
    for number, row in enumerate(found):
        chains.append({"name": "c%d" % number, **CHAINS[row["chain"]], "rules": [row["rule"]]})
    declared = DECLARED if any(row.get("declared") for row in found) else {}
    return {"tables": [{"name": "t", "family": family, **declared, "chains": chains}]}


NO_NFT = {"tos"}
NO_KERNEL = {"flow"}
"""A kernel may lack flowtables: test_engine_minimal.py has what then happens."""


def test_every_key_takes_both_roads() -> None:
    used = {key for row in ROWS for key in row["rule"]}
    assert set(KEYS) - used == NO_NFT | NO_KERNEL


@pytest.mark.parametrize("family", FAMILIES)
def test_the_engine_and_nft_make_the_same_expressions(
    family: str, make_netns: Callable[[], Namespace]
) -> None:
    found = [row for row in ROWS if row["family"] == family]
    document = document_of(family, found)
    ours, nfts = make_netns(), make_netns()
    apply(document, ours)
    nfts.nft(text_of(document))
    ours_found, nfts_found = content(ours)[family, "t"], content(nfts)[family, "t"]
    assert ours_found["chains"].keys() == nfts_found["chains"].keys()
    different = {
        "c%d %s" % (number, row["rule"]): (ours_found["chains"][name], nfts_found["chains"][name])
        for number, row in enumerate(found)
        for name in ["c%d" % number]
        if ours_found["chains"][name] != nfts_found["chains"][name]
    }
    assert not different
    assert ours_found == nfts_found


@pytest.mark.parametrize("family", FAMILIES)
def test_nft_lists_what_the_engine_made_as_it_lists_its_own(
    family: str, make_netns: Callable[[], Namespace]
) -> None:
    found = [row for row in ROWS if row["family"] == family and not row.get("nft_cannot_list")]
    document = document_of(family, found)
    ours, nfts = make_netns(), make_netns()
    apply(document, ours)
    nfts.nft(text_of(document))
    assert ours.nft_text() == nfts.nft_text()


@pytest.mark.parametrize("family", FAMILIES)
def test_what_nft_loaded_needs_no_change(family: str, netns: Namespace) -> None:
    document = document_of(family, [row for row in ROWS if row["family"] == family])
    netns.nft(text_of(document))
    assert not apply(document, netns, check=True, full=True).changed
