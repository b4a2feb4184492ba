# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nft makes of unusual words: captured, it changes nothing at home and makes the same tables elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rempart.command import listing
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset import inventory
from rempart.ruleset.capture import Captured, capture

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, watched

#: what stands in a table inet, by what is unusual about it
SHAPES = {
    # nft 1.0.6 swaps the one byte of meta l4proto, which later versions leave alone
    "one byte in a concatenation with intervals": """
        set open { type inet_proto . inet_service; flags interval; elements = { tcp . 60-70 } }
        chain c {
            meta l4proto . th dport @open accept
            meta l4proto . th dport { tcp . 22-23, udp . 53 } accept
            ct direction . tcp dport { original . 22-23 } accept
            meta l4proto . ct direction . meta mark { 6-17 . reply . 1-5 } counter packets 3 bytes 4 drop
            meta l4proto . th dport vmap { tcp . 22-23 : drop }
            meta mark set meta l4proto . th dport map { tcp . 22-23 : 5 }
        }
    """,
    "sets whose elements count and are limited": """
        set talkers {
            type ipv4_addr; flags dynamic,timeout; timeout 1m; limit rate over 10/minute counter
        }
        set movers { type ipv4_addr; flags dynamic; quota over 10 mbytes counter
        }
    """,
}


def captured(where: Namespace) -> Captured:
    with NetlinkSocket(where.name) as kernel:
        return capture(kernel, counts=True)


def rules_of(found: Captured) -> Iterator[dict[str, Any]]:
    for table in found.document["tables"]:
        for chain in table["chains"]:
            yield from chain.get("rules", ())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_unusual_shape_is_read_and_made_again(shape: str, make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere, shown = make_netns(), make_netns(), make_netns()
    home.nft("table inet t {\n%s\n}\n" % shape)
    wanted, listed = content(home), home.nft_text()
    found = captured(home)
    assert found.notes == []
    assert not [rule for rule in rules_of(found) if "raw" in str(rule)]
    with watched() as traffic:
        assert not apply(found.document, home, full=True).changed
    assert traffic.batches == []
    apply(found.document, elsewhere)
    assert content(elsewhere) == wanted
    assert elsewhere.nft_text() == listed
    shown.nft(listing.text(inventory.tables(home.name, []), exact=True))
    assert content(shown) == wanted
    assert shown.nft_text() == listed
