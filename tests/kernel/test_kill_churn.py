# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killing by a filter while connections come: what it means goes, nothing else, and the count is exact."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from rempart.killing.cut_table import CutTable
from rempart.killing.kill import find, kill
from rempart.killing.wanted import Wanted
from rempart.netlink.socket import NetlinkSocket

from tests.support.conntrack_tool import events, listing
from tests.support.routed import CLIENT, SERVER, Routed, forget

RATE, COUNT = 2000, 6000  # connections a second, and in all
MEANT, OTHER = 40001, 40002  # source ports

# One packet makes one connection, and none makes it again. The n-th comes when it is due, or at once if late.
SENDER = """
import socket, sys, time
source, target, rate, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
senders = []
for port in (int(sys.argv[5]), int(sys.argv[6])):
    senders.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    senders[-1].bind((source, port))
print("ready", flush=True)
sys.stdin.readline()
began = time.monotonic()
for number in range(count):
    time.sleep(max(0.0, began + number / rate - time.monotonic()))
    senders[number % 2].sendto(b"x", (target, 10000 + number))
print("done", flush=True)
"""
ROUTER = """
table inet t {
    chain track { type filter hook prerouting priority 0; ct state new accept; }
    chain forward { type filter hook forward priority 0; policy drop; udp sport { 40001, 40002 } accept; }
}
"""
SILENT = "table inet t { chain in { type filter hook input priority 0; udp dport 10000-20000 drop; }; }"


@pytest.fixture
def hosts(hosts: Routed) -> Iterator[Routed]:
    hosts.router.nft("flush ruleset\n" + ROUTER)
    hosts.server.nft(SILENT)
    yield hosts
    with NetlinkSocket(hosts.router.name) as kernel:
        table = CutTable(kernel)
        table.release(table.held())
    forget(hosts.router)
    hosts.server.nft("flush ruleset")


@pytest.mark.parametrize("how", ["forget", "cut"])
def test_two_thousand_a_second_come_meanwhile(hosts: Routed, how: str) -> None:
    router = hosts.router.name
    wanted = Wanted(
        {"protocol": "udp", "saddr": CLIENT[4], "sport": MEANT, "dport": "10000-19999"},
        how=how,
        block_for=100,
        max_kills=COUNT,
    )
    numbers = [str(one) for one in (RATE, COUNT, MEANT, OTHER)]
    sender = hosts.client.popen(
        *(sys.executable, "-c", SENDER, CLIENT[4], SERVER[4], *numbers),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert sender.stdin is not None and sender.stdout is not None
    assert sender.stdout.readline() == b"ready\n"
    killed = meanwhile = 0
    options = ("-e", "DESTROY", "-p", "udp", "-b", str(8 << 20))
    with events(hosts.router, *options) as destroyed, NetlinkSocket(router) as kernel:
        sender.stdin.write(b"\n")
        sender.stdin.flush()
        while sender.poll() is None:
            found = find(kernel, router, wanted)
            done = kill(kernel, router, wanted, found)
            assert done.already_gone == 0
            assert found.count == (done.deleted if how == "forget" else done.blocked)
            killed += found.count
            meanwhile += sender.poll() is None and found.count > 0
        assert sender.stdout.read() == b"done\n" and meanwhile >= 3
        if how == "forget":
            destroyed.wait(killed)
        gone = by_port(destroyed.stop())
        held = CutTable(kernel).held()
    left = by_port(listing(hosts.router, "-p", "udp"))
    assert left[OTHER] == COUNT // 2
    if how == "forget":
        assert gone == {MEANT: killed} and held == {}
        assert killed + left[MEANT] == COUNT // 2
    else:
        assert gone == {} and len(held) == killed
        assert left[MEANT] == COUNT // 2
        with NetlinkSocket(router) as kernel:
            last = find(kernel, router, wanted)
        assert (last.already_cut, last.count) == (killed, COUNT // 2 - killed)


def by_port(lines: list[str]) -> dict[int, int]:
    """How many connections there are in lines of conntrack, by their source port."""
    return Counter(int(line.partition("sport=")[2].split()[0]) for line in lines)
