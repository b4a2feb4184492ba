# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table that watches connections while it is not known whether the ruleset lets them pass.

It counts their packets where every other chain of input and output has let them go. And it keeps
resets from them: packets that are dropped are sent again, so a ruleset that drops a connection can
be taken back in time, but one that rejects it with a reset would have ended it. Resets that a rule
makes pass the output hook (nf_send_reset() in net/ipv4/netfilter/nf_reject_ipv4.c).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..netlink.attributes import table
from ..netlink.socket import NetlinkSocket
from ..nftables import uapi
from ..ruleset import kernel as state
from .carrier import Carrier, End

NAME = "rempart_session"

_FIRST, _LAST = -(1 << 31), (1 << 31) - 1  # ahead of, and after, every chain that anybody has on the hook
_IN, _OUT = "in_%d", "out_%d"


class Passed:
    """The packets of one connection that came in, and that went out."""

    __slots__ = ("incoming", "outgoing")

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self.outgoing = outgoing


def document(carriers: Sequence[Carrier]) -> dict[str, Any]:
    """The document of the table."""
    resets, going, coming = [], [], []
    for index, one in enumerate(carriers):
        out, back = _packets(one.local, one.remote), _packets(one.remote, one.local)
        # To the other end, and from a chain of output to this one.
        resets += [{**way, "tcp_flags": "rst / rst", "verdict": "drop"} for way in (out, back)]
        going.append({**out, "counter": _OUT % index})
        coming.append({**back, "counter": _IN % index})
    chains = [
        _chain("resets", "output", _FIRST, resets),
        _chain("outgoing", "output", _LAST, going),
        _chain("incoming", "input", _LAST, coming),
    ]
    names = [name % index for index in range(len(carriers)) for name in (_IN, _OUT)]
    return {"tables": [{"name": NAME, "counters": [{"name": one} for one in names], "chains": chains}]}


def passed(kernel: NetlinkSocket) -> list[Passed]:
    """What passed so far, of each connection in their order."""
    counts = {
        name: int.from_bytes(table(one.data)[uapi.NFTA_COUNTER_PACKETS], "big")
        for (_unused, name), one in state.objects(kernel, uapi.NFPROTO_INET, NAME).items()
    }
    return [Passed(counts[_IN % index], counts[_OUT % index]) for index in range(len(counts) // 2)]


def _packets(source: End, target: End) -> dict[str, Any]:
    ends = {"saddr": source[0], "sport": source[1], "daddr": target[0], "dport": target[1]}
    return {"protocol": "tcp", **ends}


def _chain(name: str, hook: str, priority: int, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": name, "type": "filter", "hook": hook, "priority": priority, "rules": rules}
