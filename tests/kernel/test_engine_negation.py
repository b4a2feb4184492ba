# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two negated neighbours in a header are two conditions.

nft 1.0.6 makes one comparison of both, which holds where only one of them
differs. The engine does not, and so the two roads part here; packets decide.
"""

from __future__ import annotations

import socket

import pytest
from rempart.nftables.expressions import decode_list

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, table_of
from tests.support.traffic import family_of


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("protocol", ["udp", ["udp", "tcp"]])
def test_ports_that_are_both_negated(address: str, protocol: object, netns: Namespace) -> None:
    rule = {"protocol": protocol, "sport": "!4000", "dport": "!5000", "counter": True}
    apply({"tables": [{"name": "t", "chains": [{"name": "c", "hook": "output", "rules": [rule]}]}]}, netns)

    def counted() -> int:
        [found] = table_of(netns).chains["c"].rules
        [counter] = [one for one in decode_list(found.expressions) if one.name == "counter"]
        return int(counter.packets)

    matched = []
    for source in (4000, 4001):
        with netns.socket(family_of(address), socket.SOCK_DGRAM) as sender:
            sender.bind((address, source))
            for target in (5000, 5001):
                before = counted()
                sender.sendto(b"x", (address, target))  # to nobody: only an ICMP error comes back
                if counted() > before:
                    matched.append((source, target))
    assert matched == [(4001, 5001)]
