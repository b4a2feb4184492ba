# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The matrix's probes, on the Ansible and the Python that are here: they pass, and tell what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility import collection, table_probes
from tests.compatibility.probe import Probe, Step, run
from tests.support.namespaces import Namespace
from tests.support.playbooks import HOST_VARS

BIN = Path(sys.executable).parent


def test_probes_that_are_right_pass(tmp_path: Path, netns: Namespace) -> None:
    probes = [table_probes.set_elements(netns), table_probes.type_of_service(netns)]
    run(tmp_path, netns, probes, BIN, HOST_VARS)


def test_each_probe_that_fails_is_told_with_its_step(tmp_path: Path, netns: Namespace) -> None:
    def elements() -> int:
        return netns.nft_text().count("192.0.2.")

    def add(number: int) -> dict[str, Any]:
        return {"table": "t", "set": "s", "elements": "192.0.2.%d" % number}

    netns.nft("table inet t { set s { type ipv4_addr; }; }")
    good = [Step(add(1), True, 0, check=True), Step(add(1), True, 1)]
    chain = {"table": "t", "name": "c"}
    probes = [
        Probe("set_elements", elements, [*good, Step(add(2), True, 1), Step(add(2), True, 2)]),
        Probe("chain", elements, [Step(chain, False, 2)]),
        Probe("ruleset_info", elements, [Step({}, False, 2, returns={"tables": []})]),
        Probe("snapshot", elements, [Step({"path": "/no/such/file"}, False, 2)]),
    ]
    with pytest.raises(AssertionError) as raised:
        run(tmp_path, netns, probes, BIN, HOST_VARS)
    told = str(raised.value).split("\n")
    assert told[0] == "set_elements, step 3: the state is 2, not 1"
    assert told[1] == "chain, step 1: changed is True"
    assert told[2].startswith("ruleset_info, step 1: tables is [{") and told[2].endswith("not []")
    assert told[3].startswith("snapshot, step 1: failed: ")
    assert len(told) == 4


def test_a_python_of_the_host_that_does_not_start_fails(tmp_path: Path, netns: Namespace) -> None:
    with pytest.raises(AssertionError, match="set_elements, step 1: "):
        variables = {"ansible_python_interpreter": "/bin/false"}
        run(tmp_path, netns, [table_probes.set_elements(netns)], BIN, variables)


def test_a_python_with_packages_is_not_bare() -> None:
    with pytest.raises(AssertionError, match="the host's Python has packages"):
        collection.bare(sys.executable)
