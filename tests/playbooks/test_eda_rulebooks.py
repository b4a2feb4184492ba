# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rulebooks under real ansible-rulebook, over real connections."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.connections import generated, inject
from tests.support.namespaces import Namespace, veth
from tests.support.rulebooks import listeners, rulebook
from tests.support.traffic import family_of, tcp_connect

FIREWALL = """
table inet edge {
    set blocked { type ipv4_addr; flags timeout; }
    set blocked6 { type ipv6_addr; flags timeout; }
    chain input {
        type filter hook input priority filter
        ip saddr @blocked drop
        ip6 saddr @blocked6 drop
        ct state established,related accept
    }
}
"""
HOSTS = {4: "10.0.0.%d", 6: "2001:db8::%d"}
SETS = {4: "blocked", 6: "blocked6"}
OWN, BUSY, QUIET, TRUSTED = 1, 66, 7, 9  # the hosts' numbers
ENOUGH = 50  # connections in ten seconds, as the rulebook has it


# No process that the rulebook descends from: whose connections those are is at work there, and is spared.
SERVER = """
import socket, sys
server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True, backlog=300)
print("listening", flush=True)
accepted = []
while True:
    accepted.append(server.accept())
"""


def open_from(namespace: Namespace, source: str, target: str, count: int) -> list[socket.socket]:
    """So many connections to the firewall, all of them left open."""
    found = []
    for _ in range(count):
        one = namespace.socket(family_of(source), socket.SOCK_STREAM)
        one.settimeout(5)
        one.bind((source, 0))
        one.connect((target, 80))
        found.append(one)
    return found


def established(firewall: Namespace, source: str) -> int:
    """How many of an address's connections the firewall's own sockets know to be alive."""
    # the server's sockets are of IPv6, whichever version a connection is of
    end = "[%s]" % (source if ":" in source else "::ffff:" + source)
    shown = firewall.run("ss", "-Htn", "state", "established", "dst", end).stdout
    return len(shown.splitlines())


def banned(firewall: Namespace, name: str) -> list[str]:
    (found,) = [one["set"] for one in firewall.nft_json("set", "inet", "edge", name) if "set" in one]
    return [one["elem"]["val"] for one in found.get("elem", [])]


@pytest.mark.parametrize("version", [4, 6])
def test_a_busy_address_is_banned_and_cut(
    tmp_path: Path, make_netns: Callable[[], Namespace], version: int
) -> None:
    own, busy, quiet, trusted = (HOSTS[version] % number for number in (OWN, BUSY, QUIET, TRUSTED))
    width = {4: "/24", 6: "/64"}[version]
    firewall, clients = make_netns().up(), make_netns().up()
    veth(firewall, clients, own + width, [one + width for one in (busy, quiet, trusted)])
    firewall.nft(FIREWALL)
    server = firewall.popen(sys.executable, "-c", SERVER, stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline() == b"listening\n"
    variables = {
        "ban_filter": {"protocol": "tcp", "dport": 80, "saddr": "!" + trusted},
        "ban_timeout": "10m",
    }
    sockets: list[socket.socket] = []
    try:
        with rulebook(tmp_path, firewall, "rempart.netfilter.ban_busy_sources", variables) as running:
            running.wait(lambda: listeners(firewall) == 1)
            for source, count in ((quiet, ENOUGH - 10), (trusted, ENOUGH + 10), (busy, ENOUGH + 10)):
                sockets += open_from(clients, source, own, count)
            running.wait(lambda: bool(banned(firewall, SETS[version])))
            running.wait(lambda: "failed=0" in running.output())
            assert banned(firewall, SETS[version]) == [busy]
            assert banned(firewall, SETS[10 - version]) == []
            assert "changed=2" in running.output()
            assert tcp_connect(clients, own, 80, source=(busy, 0)) == "timeout"
            left = {source: established(firewall, source) for source in (busy, quiet, trusted)}
            assert left == {busy: 0, quiet: ENOUGH - 10, trusted: ENOUGH + 10}
            assert tcp_connect(clients, own, 80, source=(quiet, 0)) == "connected"
            assert running.output().count("PLAY RECAP") == 1
            running.stop()
            assert listeners(firewall) == 0
            assert "ERROR" not in running.output()
    finally:
        for one in sockets:
            one.close()


def test_a_filling_table_is_told_and_that_it_has_room_again(tmp_path: Path, netns: Namespace) -> None:
    most = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    inject(netns, generated(200))
    threshold = 100 * 100 / most  # of a hundred connections
    variables = {"warn_threshold": "%.9f" % threshold, "warn_interval": 0.2}
    with rulebook(tmp_path, netns, "rempart.netfilter.warn_filling_table", variables) as running:
        running.wait(lambda: running.output().count("PLAY RECAP") == 1)
        first = running.output()
        assert "of %d connections on firewall" % most in first and "per cent): ok" in first
        assert "fills up: 20" in first  # those of the rules engine are there, too
        netns.run("conntrack", "-F")
        running.wait(lambda: running.output().count("PLAY RECAP") == 2)
        assert "has room again: " in running.output()
        assert running.output().count("failed=0") == 2
        running.stop()


def test_what_is_wrong_with_a_source_is_said(tmp_path: Path, netns: Namespace) -> None:
    variables = {"ban_filter": {"protcol": "tcp", "dport": "htps"}}
    with rulebook(tmp_path, netns, "rempart.netfilter.ban_busy_sources", variables) as running:
        status = running._process.wait(60)
    assert status != 0
    said = running.output()
    assert "filter.protcol: unknown key" in said and "did you mean 'protocol'?" in said
    assert "filter.dport: " in said
    assert json.dumps(variables) == (tmp_path / "vars.yml").read_text()
