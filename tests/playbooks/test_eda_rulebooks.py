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

from tests.support.connections import generated, inject
from tests.support.namespaces import Namespace, veth
from tests.support.rulebooks import listeners, rulebook
from tests.support.traffic import tcp_connect

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
ADDRESS, BUSY, QUIET, TRUSTED = "10.0.0.1", "10.0.0.66", "10.0.0.7", "10.0.0.9"
ENOUGH = 50  # connections in ten seconds, as the rulebook has it


# No process that the rulebook descends from: whose connections those are is at work there, and is spared.
SERVER = (
    """
import socket
server = socket.socket()
server.bind(("%s", 80))
server.listen(300)
print("listening", flush=True)
accepted = []
while True:
    accepted.append(server.accept())
"""
    % ADDRESS
)


def open_from(namespace: Namespace, source: str, count: int) -> list[socket.socket]:
    """So many connections to the firewall, all of them left open."""
    found = []
    for _ in range(count):
        one = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.settimeout(5)
        one.bind((source, 0))
        one.connect((ADDRESS, 80))
        found.append(one)
    return found


def established(firewall: Namespace, source: str) -> int:
    """How many of an address's connections the firewall's own sockets know to be alive."""
    shown = firewall.run("ss", "-Htn", "state", "established", "dst", source).stdout
    return len(shown.splitlines())


def banned(firewall: Namespace) -> list[str]:
    (found,) = [one["set"] for one in firewall.nft_json("set", "inet", "edge", "blocked") if "set" in one]
    return [one["elem"]["val"] for one in found.get("elem", [])]


def test_a_busy_address_is_banned_and_cut(tmp_path: Path, make_netns: Callable[[], Namespace]) -> None:
    firewall, clients = make_netns().up(), make_netns().up()
    veth(firewall, clients, ADDRESS + "/24", [one + "/24" for one in (BUSY, QUIET, TRUSTED)])
    firewall.nft(FIREWALL)
    server = firewall.popen(sys.executable, "-c", SERVER, stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline() == b"listening\n"
    variables = {
        "ban_filter": {"protocol": "tcp", "dport": 80, "saddr": "!" + TRUSTED},
        "ban_timeout": "10m",
    }
    sockets: list[socket.socket] = []
    try:
        with rulebook(tmp_path, firewall, "rempart.netfilter.ban_busy_sources", variables) as running:
            running.wait(lambda: listeners(firewall) == 1)
            for source, count in ((QUIET, ENOUGH - 10), (TRUSTED, ENOUGH + 10), (BUSY, ENOUGH + 10)):
                sockets += open_from(clients, source, count)
            running.wait(lambda: bool(banned(firewall)))
            running.wait(lambda: "failed=0" in running.output())
            assert banned(firewall) == [BUSY]
            assert "changed=2" in running.output()
            assert tcp_connect(clients, ADDRESS, 80, source=(BUSY, 0)) == "timeout"
            left = {source: established(firewall, source) for source in (BUSY, QUIET, TRUSTED)}
            assert left == {BUSY: 0, QUIET: ENOUGH - 10, TRUSTED: ENOUGH + 10}
            assert tcp_connect(clients, ADDRESS, 80, source=(QUIET, 0)) == "connected"
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
