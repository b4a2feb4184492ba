# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role ``conntrack``: settings, helpers and timeout policies in the kernel of a namespace."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.conntrack_role import ROLE, changed, run
from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import play
from tests.support.private_host import PrivateHost
from tests.support.traffic import echo_server

DECLARED: dict[str, Any] = {
    "conntrack_settings": {
        "tcp_loose": False,
        "log_invalid": "tcp",
        "timeouts": {"tcp": {"established": "12h"}, "icmp": 10},
    },
    "conntrack_helpers": ["ftp", {"name": "sip", "ports": [5060, 5062], "protocol": "udp"}],
    "conntrack_timeout_policies": [
        {
            "name": "patient",
            "protocol": "tcp",
            "policy": {"established": "2h"},
            "traffic": [{"daddr": "10.9.0.1", "dport": 2222}],
        },
        {"name": "names", "protocol": "udp", "policy": {"replied": 10}, "traffic": [{"dport": "domain"}]},
    ],
}


@pytest.fixture
def host(tmp_path: Path) -> PrivateHost:
    """A host whose files are the test's."""
    return PrivateHost(tmp_path / "host")


def values(netns: Namespace, *keys: str) -> list[str]:
    directory = Path("/proc/sys/net/netfilter")
    return netns.call(lambda: [(directory / ("nf_conntrack_" + key)).read_text().strip() for key in keys])


def test_what_is_declared_is_in_the_kernel_and_goes_again(
    tmp_path: Path, host: PrivateHost, make_netns: Callable[[], Namespace]
) -> None:
    netns, client = make_netns().up(), make_netns().up()
    veth(netns, client, "10.9.0.1/24", "10.9.0.2/24")
    keys = ("tcp_loose", "log_invalid", "tcp_timeout_established", "icmp_timeout")
    before = values(netns, *keys)

    would = run(tmp_path, host, netns, "--check", **DECLARED)
    assert values(netns, *keys) == before and netns.nft_text() == ""
    first = run(tmp_path, host, netns, **DECLARED)
    assert changed(would) == changed(first) != []
    assert values(netns, *keys) == ["0", "6", "43200", "10"]
    rules = netns.nft_text()
    assert 'tcp dport 21 ct helper set "ftp"' in rules
    assert 'udp dport { 5060, 5062 } ct helper set "sip_udp"' in rules
    assert 'ct timeout set "names"' in rules
    with echo_server(netns, "10.9.0.1", 2222), client.socket(socket.AF_INET, socket.SOCK_STREAM) as patient:
        patient.settimeout(1)
        patient.connect(("10.9.0.1", 2222))
        patient.sendall(b"there")
        assert patient.recv(5) == b"there"
        line = netns.run("conntrack", "-L", "-p", "tcp", "--dport", "2222").stdout
        assert "ESTABLISHED" in line and 7100 < int(line.split()[2]) <= 7200, line  # for others it is 12 h
    assert changed(run(tmp_path, host, netns, **DECLARED)) == []

    # What a list no longer names goes, what is not said at all stays.
    assert changed(run(tmp_path, host, netns)) == []
    fewer = {
        "conntrack_helpers": ["ftp"],
        "conntrack_timeout_policies": DECLARED["conntrack_timeout_policies"][:1],
    }
    assert changed(run(tmp_path, host, netns, **fewer)) == ["Assign no other helper", "Have no other policy"]
    rules = netns.nft_text()
    assert "sip" not in rules and "names" not in rules and '"ftp"' in rules and '"patient"' in rules
    assert values(netns, *keys) == ["0", "6", "43200", "10"]
    empty = {"conntrack_settings": {}, "conntrack_helpers": [], "conntrack_timeout_policies": []}
    assert changed(run(tmp_path, host, netns, **empty)) == ["Assign no other helper", "Have no other policy"]
    assert netns.nft_text() == ""
    assert changed(run(tmp_path, host, netns, **empty)) == []


def test_absent_takes_away_whatever_is_declared(tmp_path: Path, host: PrivateHost, netns: Namespace) -> None:
    everything = {**DECLARED, "conntrack_notrack": True, "conntrack_tracked_interfaces": ["lo"]}
    netns.nft("table inet edge { chain input { type filter hook input priority filter; accept; }; }")
    edge = netns.nft_text()
    run(tmp_path, host, netns, **everything)
    full = netns.nft_text()
    assert full != edge
    gone = {**everything, "conntrack_state": "absent"}
    would = run(tmp_path, host, netns, "--check", **gone)
    assert netns.nft_text() == full
    done = run(tmp_path, host, netns, **gone)
    assert changed(would) == changed(done)
    assert changed(done) == ["Assign no other helper", "Have no other policy", "Track everything"]
    assert netns.nft_text() == edge
    assert changed(run(tmp_path, host, netns, **gone)) == []


def test_what_is_wrong_is_said_before_anything_is_done(
    tmp_path: Path, host: PrivateHost, netns: Namespace
) -> None:
    rest = {"conntrack_timeout_policies": DECLARED["conntrack_timeout_policies"]}
    wrong: dict[str, dict[str, Any]] = {
        "max_expect. Supported parameters include": {
            "conntrack_settings": {"max_expect": 5, "tcp_loose": False},
            **rest,
        },
        "missing required arguments: policy, protocol, traffic": {
            "conntrack_timeout_policies": [{"name": "patient"}]
        },
        "did you mean 'established'?": {
            "conntrack_settings": {"tcp_loose": False, "timeouts": {"tcp": {"estabilshed": 5}}},
            **rest,
        },
        "Name what stays tracked in conntrack_tracked_interfaces": {"conntrack_notrack": True, **rest},
        "give an absolute path that ends in .prom": {"conntrack_prometheus_textfile": "/var/figures.txt"},
        "give a number of seconds": {"conntrack_prometheus_interval": "soon"},
        "give an absolute path of letters": {
            "conntrack_command": "/bin/rempart; reboot",
            "conntrack_munin": True,
        },
        "The command rempart is not at /nowhere/rempart": {
            "conntrack_command": "/nowhere/rempart",
            "conntrack_munin": True,
        },
        "There is no directory /nowhere for conntrack_prometheus_textfile": {
            "conntrack_command": "/bin/sh",
            "conntrack_prometheus_textfile": "/nowhere/conntrack.prom",
        },
        "There is no directory /etc/munin/plugins for conntrack_munin": {
            "conntrack_command": "/bin/sh",
            "conntrack_munin": True,
        },
    }
    hosts = {
        "host%d" % number: {"ansible_netns_name": netns.name, "conntrack_files": True, **variables}
        for number, variables in enumerate(wrong.values())
    }
    done = play(tmp_path, hosts, [], prefix=host.prefix(), check=False, roles=[{"role": ROLE}])
    assert done.status == 2 and changed(done) == []
    for name, words in zip(hosts, wrong):
        (failed,) = [one for one in done.results if one["host"] == name and one["status"] == "failed"]
        assert words in json.dumps(failed["result"]).replace('\\"', '"'), failed["result"]
    assert netns.nft_text() == ""


def test_a_namespace_leaves_the_files_of_its_machine_alone(
    tmp_path: Path, host: PrivateHost, netns: Namespace
) -> None:
    for path in (
        "etc/sysctl.d/70-rempart-conntrack.conf",
        "etc/systemd/system/rempart-conntrack.service",
        "etc/systemd/system/rempart-conntrack-export.service",
        "etc/munin/plugins/rempart_conntrack",
    ):
        (host.root / path).parent.mkdir(parents=True, exist_ok=True)
        (host.root / path).write_text("# the machine's\n")
    before = host.files()
    declared = {**DECLARED, "conntrack_munin": True, "conntrack_prometheus_textfile": "/var/lib/figures.prom"}
    for variables in (declared, {**DECLARED, "conntrack_settings": {}}, {"conntrack_state": "absent"}):
        done = play(tmp_path, {netns.name: variables}, [], prefix=host.prefix(), roles=[{"role": ROLE}])
        assert done.status == 0
        assert host.files() == before
        assert host.files("var/lib") == set()
    assert netns.nft_text() == ""
