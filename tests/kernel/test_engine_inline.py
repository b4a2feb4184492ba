# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inline chains, ``jump { … }``, which another program left in a table: they go with their rule."""

from __future__ import annotations

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply

DOCUMENT = {
    "tables": [{"name": "t", "chains": [{"name": "input", "hook": "input", "rules": [{"counter": True}]}]}]
}
INLINE = "add rule inet t input tcp dport 22 jump { ip saddr 10.0.0.1 accept; drop; }\n"


def test_a_rule_with_an_inline_chain_is_put_right(netns: Namespace) -> None:
    apply(DOCUMENT, netns)
    before = netns.nft_text()
    netns.nft(INLINE)
    assert "jump {" in netns.nft_text()
    assert apply(DOCUMENT, netns, check=True).changed
    outcome = apply(DOCUMENT, netns)
    assert [(one["action"], one["kind"]) for one in outcome.changes()] == [("remove", "rule")]
    assert netns.nft_text() == before
    assert not apply(DOCUMENT, netns, full=True).changed
