# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole collection under one Ansible and one Python of the host, and queue lengths under one pyroute2."""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.support.flows import Tcp
from tests.support.namespaces import Namespace, namespaces, veth
from tests.support.playbooks import play
from tests.support.routed import SERVER, routed

from . import connection_probes, table_probes
from .connection_probes import TRACKED
from .probe import Probe, run

ROOT = Path(__file__).parents[2]
MODULES = sorted(one.stem for one in (ROOT / "plugins/modules").glob("*.py"))
_LENGTH = 10


def every_module(controller: Path, python: str) -> None:
    """Probe each module and the role firewall; AssertionError with all that is wrong.

    ``controller`` is the Python of an environment with ansible-core, ``python`` the host's.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        routed() as hosts,
        namespaces(1) as (booting,),
        contextlib.ExitStack() as stack,
    ):
        directory = Path(name)
        # A router, for connections of this process's own sockets on the host would be spared
        host = hosts.router.up()
        host.nft(TRACKED)
        host.sysctl("net.netfilter.nf_conntrack_acct", 1)
        ports = (5001, 5002, 5003)
        flows = [stack.enter_context(Tcp(hosts.client, hosts.server, SERVER[4], port)) for port in ports]
        probes = [
            table_probes.ruleset(host),
            table_probes.chain(host),
            table_probes.boot(booting, directory, python),
            table_probes.set_elements(host),
            table_probes.snapshot(host, directory),
            table_probes.ruleset_info(host),
            table_probes.type_of_service(host),
            connection_probes.conntrack(host),
            connection_probes.conntrack_entry(host),
            connection_probes.conntrack_flush(host, flows),
            connection_probes.conntrack_info(host, flows[2]),
            connection_probes.conntrack_helper(host),
            connection_probes.conntrack_timeout(host),
        ]
        assert sorted(probe.module for probe in probes) == MODULES, "a module has no probe"
        variables = {"ansible_python_interpreter": python}
        run(directory, host, probes, controller.parent, variables)
        role_firewall(directory, host, controller, variables)


def role_firewall(directory: Path, host: Namespace, controller: Path, variables: dict[str, Any]) -> None:
    """The role, whose filter merges two groups' tables, applied twice and removed."""
    chain = {"name": "c", "hook": "forward", "rules": [{"protocol": "tcp", "dport": 80, "counter": True}]}
    rule = {"protocol": "udp", "dport": 53, "counter": True}
    given = {
        **variables,
        "firewall_tables": [{"name": "role", "chains": [chain]}],
        "firewall_tables_50": [{"name": "role", "chains": [{"name": "c", "rules": [rule]}]}],
        "firewall_boot_root": str(directory / "image"),
    }
    both = ["tcp dport 80 counter", "udp dport 53 counter"]
    role = [{"name": "role", "ansible.builtin.include_role": {"name": "rempart.netfilter.firewall"}}]
    for state, changed, held in (
        ("present", True, both),
        ("present", False, both),
        ("absent", True, None),
    ):
        hosts = {host.name: {**given, "firewall_state": state}}
        done = play(directory, hosts, role, bin=controller.parent)
        statuses = done.statuses()[host.name]
        assert ("changed" in statuses) == changed, "role firewall, %s: %s" % (state, statuses)
        found = table_probes.rules(host, "inet", "role", "c")
        assert found == held, "role firewall, %s: the rules are %r" % (state, found)


def bare(python: str) -> None:
    """AssertionError if the Python has any package that is not its own."""
    code = "import sys; print([one for one in sys.path if one.endswith('-packages')])"
    printed = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    found = [one.name for place in re.findall(r"'(.*?)'", printed) for one in Path(place).glob("*")]
    assert found == [], "the host's Python has packages: %s" % ", ".join(found)


def queue_lengths(controller: Path, python: str) -> None:
    """The module ``tos`` with a device whose queue length pyroute2 reads and sets."""
    with tempfile.TemporaryDirectory() as name, namespaces(2) as (host, other):
        host.up()
        veth(host, other, name_a="ppp0")

        def queue() -> int:
            shown = host.run("ip", "-o", "link", "show", "ppp0").stdout
            return int(shown.partition(" qlen ")[2].split("\\")[0])

        probe: Probe = table_probes.type_of_service(host, "ppp0", queue, (queue(), _LENGTH, 2 * _LENGTH))
        run(Path(name), host, [probe], controller.parent, {"ansible_python_interpreter": python})


def refused(controller: Path) -> None:
    """An ansible-core that meta/runtime.yml does not name is told so, and refused where one asks for that."""
    with tempfile.TemporaryDirectory() as name, namespaces(1) as (host,):
        task = {
            "name": "it",
            "rempart.netfilter.ruleset": {"tables": [table_probes.table("probe", {"counter": True})]},
        }
        said = "Collection rempart.netfilter does not support Ansible version"
        mismatch = "ANSIBLE_COLLECTIONS_ON_ANSIBLE_VERSION_MISMATCH"
        for value, status in (("error", False), ("warning", True)):
            done = play(
                Path(name),
                {host.name: {}},
                [task],
                bin=controller.parent,
                check=False,
                environment={mismatch: value},
            )
            assert said in done.output, done.output
            assert (done.status == 0) == status, done.output
            assert (table_probes.rules(host, "inet", "probe", "c") is not None) == status
