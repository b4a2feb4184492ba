# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes of the modules for connection tracking."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.flows import Tcp
from tests.support.namespaces import Namespace
from tests.support.routed import CLIENT

from .probe import Probe, Step, cycle

TRACKED = (
    "table inet probe_tracked { chain c { type filter hook forward priority 0; ct state new accept; }; }"
)


def conntrack(host: Namespace) -> Probe:
    """A switch and a timeout."""
    keys = ("nf_conntrack_tcp_loose", "nf_conntrack_udp_timeout_stream")

    def state() -> list[int]:
        directory = Path("/proc/sys/net/netfilter")
        return host.call(lambda: [int((directory / key).read_text()) for key in keys])

    def options(loose: bool, stream: Any) -> dict[str, Any]:
        return {"tcp_loose": loose, "timeouts": {"udp": {"stream": stream}}}

    before = state()
    steps = cycle(
        options(False, "3m"),
        options(True, 250),
        options(bool(before[0]), before[1]),
        (before, [0, 180], [1, 250]),
    )
    return Probe("conntrack", state, steps)


def conntrack_entry(host: Namespace) -> Probe:
    """A connection made, marked and deleted."""

    def state() -> list[str]:
        printed = host.run("conntrack", "-L", "-p", "udp", "--orig-src", "192.0.2.10").stdout
        return re.findall(r"dport=(\d+) .* mark=(\d+)", printed)

    named = {
        "protocol": "udp",
        "saddr": "192.0.2.10",
        "sport": 5060,
        "daddr": "203.0.113.5",
        "dport": "domain",
    }
    steps = cycle(
        {**named, "timeout": "1h", "mark": 1},
        {**named, "timeout": "1h", "mark": "0x20/0xf0", "create": False},
        {**named, "state": "absent"},
        ([], [("53", "1")], [("53", "33")]),
    )
    return Probe("conntrack_entry", state, steps)


def conntrack_flush(host: Namespace, flows: list[Tcp]) -> Probe:
    """Two TCP connections of three killed, one after the other."""

    def state() -> list[bool]:
        return [flow.exchange() for flow in flows]

    def options(flow: Tcp) -> dict[str, Any]:
        return {"protocol": "tcp", "saddr": CLIENT[4] + "/24", "sport": flow.sport}

    one, two, _ = flows
    return Probe(
        "conntrack_flush",
        state,
        [
            Step(options(one), True, [True, True, True], check=True, returns={"count": 1}),
            Step(options(one), True, [False, True, True], returns={"count": 1}),
            Step(options(one), False, [False, True, True], returns={"count": 0}),
            Step(options(two), True, [False, False, True], returns={"count": 1}),
        ],
    )


def conntrack_info(host: Namespace, flow: Tcp) -> Probe:
    """A connection's counters, read and zeroed."""

    def state() -> bool:
        """Whether packets are counted."""
        printed = host.run("conntrack", "-L", "-p", "tcp", "--sport", str(flow.sport)).stdout
        (line,) = printed.splitlines()
        return " packets=0 " not in line

    named = {"protocol": "tcp", "sport": flow.sport}
    zero = {**named, "zero": True}
    return Probe(
        "conntrack_info",
        state,
        [
            Step({**named, "line": True, "xml": True}, False, True, returns={"count": 1}),
            Step(zero, True, True, check=True),
            Step(zero, True, False),
            Step(zero, False, False),
        ],
    )


def conntrack_helper(host: Namespace) -> Probe:
    """A helper attached to ports."""
    state = _lines(host, r'.*ct helper set "ftp"')
    given = {"persistent": False}
    steps = cycle(
        {**given, "helpers": ["ftp"]},
        {**given, "helpers": [{"name": "ftp", "ports": [21, 2121]}]},
        {**given, "helpers": ["ftp"], "state": "absent"},
        ([], ['tcp dport 21 ct helper set "ftp"'], ['tcp dport { 21, 2121 } ct helper set "ftp"']),
    )
    return Probe("conntrack_helper", state, steps)


def conntrack_timeout(host: Namespace) -> Probe:
    """A policy and the traffic that has it."""
    state = _lines(host, r"policy = \{.*\}|.*ct timeout set .*")
    named = {"name": "patient", "protocol": "tcp"}
    rule = 'tcp dport %s ct timeout set "patient"'
    steps = cycle(
        {**named, "policy": {"established": "7d"}, "traffic": [{"dport": "ssh"}]},
        {**named, "policy": {"established": "1h", "close": 5}, "traffic": [{"dport": 2222}]},
        {"name": "patient", "state": "absent"},
        (
            [],
            ["policy = { established : 604800 }", rule % 22],
            ["policy = { established : 3600, close : 5 }", rule % 2222],
        ),
    )
    return Probe("conntrack_timeout", state, steps)


def _lines(host: Namespace, pattern: str) -> Callable[[], list[str]]:
    def state() -> list[str]:
        lines = (line.strip() for line in host.nft_text().splitlines())
        return [line for line in lines if re.fullmatch(pattern, line)]

    return state
