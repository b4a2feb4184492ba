# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Counts, limits and counters against the kernel's own words for them and conntrack(8)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rempart.conntrack import statistics, uapi
from rempart.netlink.socket import NetlinkSocket

from tests.support import connections, conntrack_sizes
from tests.support.namespaces import Namespace
from tests.support.packets import tcp
from tests.support.routed import CLIENT, SERVER, routed
from tests.support.traffic import echo_server, udp_send

MAX = Path("/proc/sys/net/netfilter/nf_conntrack_max")


@pytest.fixture
def most() -> Iterator[int]:
    """The machine's limit, and again after the test; no other process changes it meanwhile."""
    with conntrack_sizes.kept() as before:
        yield before["nf_conntrack_max"]


def told(netns: Namespace, *what: str) -> list[dict[str, int]]:
    """The lines of ``conntrack -S`` as :func:`statistics.per_cpu` has them."""
    lines = netns.run("conntrack", "-S", *what).stdout.splitlines()
    return [{word: int(value) for word, value in re.findall(r"(\w+)=(\d+)", one)} for one in lines]


def test_count_without_a_dump(netns: Namespace, most: int) -> None:
    with NetlinkSocket(netns.name) as kernel:
        assert statistics.count(kernel) == {"entries": 0, "max": most}
        connections.inject(netns, connections.packed(1234))
        assert statistics.count(kernel) == {"entries": 1234, "max": most}
    assert netns.run("conntrack", "-C").stdout == "1234\n"


def test_limits(netns: Namespace, most: int) -> None:
    found = statistics.limits(netns.name)
    assert found == {
        word: int(Path("/proc/sys/net/netfilter/nf_conntrack_%s" % word).read_text())
        for word in ("max", "buckets", "expect_max")
    }
    assert found == statistics.limits()
    assert found["max"] == most


def test_counters_of_each_processor() -> None:
    with routed() as hosts:
        router = hosts.router
        router.nft("table ip t { chain c { type filter hook forward priority 0; ct state invalid drop; }; }")
        with NetlinkSocket(router.name) as kernel:
            assert statistics.total(statistics.per_cpu(kernel))["insert_failed"] == 0
            with echo_server(hosts.server, SERVER[4], 9, ("udp",)):
                for port in range(3000, 3010):
                    udp_send(hosts.client, SERVER[4], 9, source=(CLIENT[4], port))
            first = statistics.figures(router.name)
            assert first["entries"] == 10 and first["expectations"] == 0
            assert first["per_cpu"] == told(router)
            assert first["expect_per_cpu"] == told(router, "expect")
            assert len(first["per_cpu"]) >= 1 and first["per_cpu"][-1]["cpu"] == len(first["per_cpu"]) - 1
            # A TCP packet with every flag set begins no connection.
            hosts.send([tcp(CLIENT[4], SERVER[4], flags="syn,fin,rst,ack")] * 3)
            after = statistics.figures(router.name)
            assert after["per_cpu"] == told(router)
            assert after["statistics"]["invalid"] - first["statistics"]["invalid"] == 3


def test_expectations_are_counted(netns: Namespace) -> None:
    pair = {"saddr": "10.7.0.1", "daddr": "10.7.0.2"}
    connections.inject(netns, [connections.tcp(original={**pair, "sport": 1, "dport": 9}, helper="ftp")])
    netns.run(
        *("conntrack", "-I", "expect", "--tuple-src", "10.7.0.1", "--tuple-dst", "10.7.0.2"),
        *("--mask-src", "255.255.255.255", "--mask-dst", "255.255.255.255", "-p", "tcp"),
        *("--sport", "1", "--dport", "9", "--tuple-port-src", "2", "--tuple-port-dst", "7001"),
        *("--mask-port-src", "0", "--mask-port-dst", "65535", "-t", "300"),
        *("-s", "10.7.0.1", "-d", "10.7.0.2"),
    )
    found = statistics.figures(netns.name)
    assert found["expectations"] == 1
    assert found["expect_statistics"]["expect_create"] == 1
    assert found["expect_per_cpu"] == told(netns, "expect")


def test_a_full_table_is_seen_as_it_fills(netns: Namespace, most: int) -> None:
    """With real limits: the machine's own is lowered for a moment, yet not below what other tests fill."""
    lowered = 200_000
    assert lowered <= most
    messages = list(connections.packed(lowered * 19 // 20))
    steps = [lowered * 4 // 5 - 200, lowered * 4 // 5, len(messages)]
    connections.inject(netns, messages[: steps[0]])
    MAX.write_text(str(lowered))
    calm = statistics.figures(netns.name)
    assert (calm["use"], statistics.saturation(calm)["verdict"]) == (79.9, "ok")
    connections.inject(netns, messages[steps[0] : steps[1]])
    filling = statistics.figures(netns.name)
    assert filling["use"] == 80.0
    verdict = statistics.saturation(filling, calm)
    assert verdict["verdict"] == "filling"
    assert [one["about"] for one in verdict["reasons"]] == ["use"]
    connections.inject(netns, messages[steps[1] :])
    full = statistics.figures(netns.name)
    assert statistics.saturation(full, filling)["verdict"] == "full"
    # Beyond the limit: real packets of new connections find no room.
    MAX.write_text(str(steps[1]))
    netns.nft("table ip t { chain c { type filter hook output priority 0; ct state new accept; }; }")
    netns.up()
    for port in range(4000, 4005):
        udp_send(netns, "127.0.0.1", 9, source=("127.0.0.1", port), timeout=0.05)
    refused = statistics.figures(netns.name)
    MAX.write_text(str(most))
    verdict = statistics.saturation(refused, full)
    assert verdict["verdict"] == "full"
    assert {one["about"]: one["verdict"] for one in verdict["reasons"]}["drop"] == "full"
    assert refused["statistics"]["drop"] == 5
    with NetlinkSocket(netns.name) as kernel:
        kernel.request(uapi.NFNL_SUBSYS_CTNETLINK << 8 | uapi.IPCTNL_MSG_CT_DELETE, 0)
    emptied = statistics.figures(netns.name)
    # What was refused is past; without figures from before that is all that is known.
    assert statistics.saturation(emptied)["verdict"] == "filling"
    assert statistics.saturation(emptied, refused)["verdict"] == "ok"
