# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The molecule scenarios, run as a user runs them. They need no network.

Of the fleet only some hosts: all of them are "make fleet".
"""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.molecule import NAMESPACES, molecule


def report(directory: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """The tasks of the last report, each as "[host] play: task", and those that failed with their message."""
    last = max((directory / "reports").glob("audit-*.xml"), key=lambda one: one.stat().st_mtime_ns)
    cases = list(ElementTree.parse(last).getroot().iter("testcase"))
    failed = [
        (case.get("name", ""), found.get("message", ""))
        for case in cases
        for found in (*case.findall("failure"), *case.findall("error"))
    ]
    return [case.get("name", "") for case in cases], failed


@pytest.fixture
def gone(tmp_path: Path) -> Iterator[None]:
    """Whatever happens, the namespaces of the scenario go."""
    yield
    molecule(tmp_path, "destroy", "-s", "compliance")
    assert list(NAMESPACES.glob("molecule-compliance-*")) == []


@pytest.mark.parametrize("scenario", ["default", "conntrack"])
def test_scenario(tmp_path: Path, scenario: str) -> None:
    done = molecule(tmp_path, "test", "-s", scenario)
    assert done.returncode == 0, done.stdout
    assert "actions=7  successful=7  disabled=0  skipped=0  missing=0  failed=0" in done.stdout
    assert "galaxy" not in done.stdout
    assert "WARNING" not in done.stdout
    assert list(NAMESPACES.glob("molecule-%s-*" % scenario)) == []


def test_compliance_is_an_audit(tmp_path: Path, gone: None) -> None:
    done = molecule(tmp_path, "test", "-s", "compliance", "--destroy", "never")
    assert done.returncode == 0, done.stdout
    tasks, failed = report(tmp_path)
    assert failed == []
    assert len([name for name in tasks if name.endswith("The kernel holds what is declared")]) == 2
    in_line = {"state": "in line", "kernel": [], "boot": []}
    assert json.loads((tmp_path / "reports/audit.json").read_text()) == {"first": in_line, "second": in_line}

    second = ["ip", "netns", "exec", "molecule-compliance-second"]
    drift = "nft add rule inet edge input udp dport 53 accept"
    subprocess.run([*second, *drift.split()], check=True)
    done = molecule(tmp_path, "converge", "-s", "compliance")
    assert done.returncode != 0
    assert re.search(r"-\s+udp dport 53 accept", done.stdout)
    ((task, message),) = report(tmp_path)[1]
    assert task == "[second] Judge: The kernel holds what is declared"
    assert "udp dport 53 accept" in message
    stands = json.loads((tmp_path / "reports/audit.json").read_text())
    assert stands["first"] == in_line
    assert stands["second"]["state"] == "drifted"
    (found,) = stands["second"]["kernel"]
    assert (found["action"], found["rule"]) == ("remove", drift.split("input ")[1])
    # An audit changes nothing.
    listed = subprocess.run([*second, "nft", "list", "ruleset"], check=True, capture_output=True, text=True)
    assert "udp dport 53 accept" in listed.stdout


def test_fleet(tmp_path: Path) -> None:
    done = molecule(tmp_path, "test", "-s", "fleet", FLEET="006")
    assert done.returncode == 0, done.stdout
    assert "actions=7  successful=7  disabled=0  skipped=0  missing=0  failed=0" in done.stdout
    said = " ".join(done.stdout.split())
    assert re.search(r"6 hosts: the role firewall [\d.]+ s, a task .* [\d.]+ s: [\d.]+ times as long", said)
    assert list(NAMESPACES.glob("molecule-fleet-*")) == []
