# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role ``conntrack`` on a host with systemd: timers, the munin node, rules at boot, the command."""

from __future__ import annotations

import shlex
import stat
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import SCRIPT
from tests.support.conntrack_role import changed, run
from tests.support.namespaces import Namespace
from tests.support.packages import wheel
from tests.support.playbooks import Played
from tests.support.private_host import PrivateHost
from tests.support.rulesets import content
from tests.support.systemctl import AS_SYSTEMD, Systemctl

UNITS = "/etc/systemd/system/"
BOOT = "rempart-conntrack.service"
SERVICE = "rempart-conntrack-export.service"
TIMER = "rempart-conntrack-export.timer"
SAVED = "/var/lib/rempart/conntrack.json"


class Host:
    """A host with its own files and systemd, whose network is a namespace."""

    def __init__(self, directory: Path, netns: Namespace) -> None:
        self.directory = directory
        self.netns = netns
        self.files = PrivateHost(
            directory / "host",
            UNITS[1:],
            "etc/munin/plugins",
            "etc/munin/plugin-conf.d",
            "var/lib/prometheus/node-exporter",
        )
        self.systemctl = Systemctl(directory)

    def run(self, *arguments: str, **variables: Any) -> Played:
        """Run the role."""
        variables.setdefault("conntrack_command", str(SCRIPT))
        return run(
            self.directory,
            self.files,
            self.netns,
            *arguments,
            before=[AS_SYSTEMD],
            environment=self.systemctl.environment(),
            **variables,
        )


@pytest.fixture
def host(tmp_path: Path, netns: Namespace) -> Host:
    """A host that systemd manages."""
    return Host(tmp_path, netns)


def test_the_timer_and_the_munin_node(host: Host) -> None:
    (host.files.root / (UNITS[1:] + "munin-node.service")).write_text("[Service]\nExecStart=/bin/true\n")
    host.systemctl.started("munin-node.service")
    wanted = {
        "conntrack_prometheus_textfile": "/var/lib/prometheus/node-exporter/conntrack.prom",
        "conntrack_munin": True,
    }
    before = host.files.files()
    host.run("--check", **wanted)
    assert host.systemctl.calls() == [] and host.files.files() == before
    host.run(**wanted)
    assert host.systemctl.calls() == [
        "daemon-reload",
        "enable " + TIMER,
        "start " + TIMER,
        "daemon-reload",
        "restart " + TIMER,
        "start " + SERVICE,
        "restart munin-node",
    ]
    assert host.systemctl.enabled() == {TIMER} and TIMER in host.systemctl.active()
    assert changed(host.run(**wanted)) == [] and host.systemctl.calls() == []

    done = host.run(**wanted, conntrack_prometheus_interval="1min")
    assert changed(done)[0] == "Write the units of the figures"
    assert "restart " + TIMER in host.systemctl.calls()

    host.run("--check")
    assert host.systemctl.calls() == [] and UNITS + TIMER in host.files.files()
    host.run()
    assert host.systemctl.calls() == [
        "disable " + TIMER,
        "stop " + TIMER,
        "daemon-reload",
        "restart munin-node",
    ]
    assert host.files.files() == before and not {TIMER, SERVICE} & host.systemctl.known()
    assert changed(host.run()) == [] and host.systemctl.calls() == []


def test_rules_are_restored_at_boot(host: Host) -> None:
    wanted = {
        "conntrack_boot": True,
        "conntrack_notrack": True,
        "conntrack_tracked_ports": [{"protocol": "tcp", "ports": ["ftp"]}],
        "conntrack_helpers": ["ftp"],
    }
    host.netns.nft("table inet edge { chain input { type filter hook input priority filter; accept; }; }")
    host.run("--check", **wanted)
    assert host.files.text(SAVED) is None and host.systemctl.calls() == []
    host.run(**wanted)
    assert host.systemctl.calls() == ["daemon-reload", "enable " + BOOT]
    assert changed(host.run(**wanted)) == [] and host.systemctl.calls() == []
    saved = host.files.root / SAVED[1:]
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    before = content(host.netns)

    # A boot: no table is there, but what nftables.service loads.
    host.netns.nft("flush ruleset")
    host.netns.nft("table inet edge { chain input { type filter hook input priority filter; accept; }; }")
    (line,) = [
        one[len("ExecStart=") :]
        for one in str(host.files.text(UNITS + BOOT)).splitlines()
        if one.startswith("ExecStart=")
    ]
    command = [*host.files.prefix(), *shlex.split(line)]
    host.netns.run(*command)
    assert content(host.netns) == before
    host.netns.run(*command)  # there already
    assert content(host.netns) == before
    assert changed(host.run(**wanted)) == []

    # What is declared now is what the next boot restores.
    del wanted["conntrack_helpers"]
    done = host.run(**wanted, conntrack_helpers=[])
    assert changed(done) == ["Assign no other helper", "Save the tables"]
    assert "rempart_helpers" not in str(host.files.text(SAVED))
    host.run(**wanted, conntrack_state="absent")
    assert host.systemctl.calls() == ["disable " + BOOT, "daemon-reload"]
    assert host.files.text(SAVED) is None and host.files.text(UNITS + BOOT) is None
    assert changed(host.run()) == []


def test_the_command_is_installed_where_it_is_told_how(host: Host, tmp_path: Path) -> None:
    wanted = {
        "conntrack_command": str(tmp_path / "tool/bin/rempart"),
        "conntrack_command_package": str(wheel(tmp_path)),
        "conntrack_command_virtualenv": str(tmp_path / "tool"),
        "conntrack_command_pip_arguments": "--no-index --no-deps",
        "conntrack_prometheus_textfile": "/var/lib/prometheus/node-exporter/conntrack.prom",
    }
    done = host.run("--check", **wanted)
    assert "Install the command" in changed(done) and not (tmp_path / "tool").exists()
    done = host.run(**wanted)
    assert "Install the command" in changed(done)
    assert changed(host.run(**wanted)) == []
    # Its requirements are those of this run.
    done_by_hand = subprocess.run(
        [wanted["conntrack_command"], "--version"],
        env={"PYTHONPATH": sysconfig.get_path("purelib"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done_by_hand.stdout.startswith("rempart "), done_by_hand.stderr
