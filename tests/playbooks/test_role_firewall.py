# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role firewall: tables of several groups as one, held now and kept for boot; its first run over SSH."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import booting
from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import Played, play, settings
from tests.support.ssh import SshServer
from tests.support.traffic import capture, echo_server, ip_protocol, ipv4_checksum_ok, tcp_connect, tos

MakeNetns = Callable[[], Namespace]

KERNEL = "rempart.netfilter.firewall : Hold exactly the tables of the host's variables"
BOOT = "rempart.netfilter.firewall : Have boot hold them before the network is there"
GONE = "rempart.netfilter.firewall : Remove tables that shall be gone"

BASE = [
    {
        "name": "edge",
        "sets": [{"name": "blocked", "type": "ipv4_addr", "elements": ["203.0.113.1"]}],
        "chains": [
            {
                "name": "input",
                "hook": "input",
                "policy": "drop",
                "rules": [
                    {"ct_state": ["established", "related"], "verdict": "accept"},
                    {"saddr": "@blocked", "verdict": "drop"},
                ],
            }
        ],
    }
]
WEB = [
    {
        "name": "edge",
        "family": "inet",
        "sets": [{"name": "blocked", "elements": ["203.0.113.2"]}],
        "chains": [
            {"name": "input", "rules": [{"protocol": "tcp", "dport": 80, "verdict": "accept"}]},
            {
                "name": "tos",
                "type": "route",
                "hook": "output",
                "priority": "mangle",
                "rules": [{"protocol": "tcp", "sport": 80, "tos": {"and": 0x01, "xor": 0x08}}],
            },
        ],
    },
    {"name": "edge", "family": "ip6"},
]
LAST = [{"name": "edge", "chains": [{"name": "input", "rules": [{"counter": True}]}]}]


def run(directory: Path, host: str, variables: Mapping[str, Any], *arguments: str, **options: Any) -> Played:
    """Run the role on one host."""
    tasks = [{"name": "Role", "ansible.builtin.import_role": {"name": "rempart.netfilter.firewall"}}]
    return play(directory, {host: {**variables}}, tasks, *arguments, **options)


@pytest.fixture
def image(directory: Path) -> Path:
    """A directory that looks like a host with systemd."""
    return booting.image(directory)


def test_groups_are_merged_in_the_order_of_names(directory: Path, netns: Namespace) -> None:
    variables = {
        "firewall_tables_99_last": LAST,
        "firewall_tables": BASE,
        "firewall_tables_50_web": WEB,
        "other_firewall_tables": [{"name": "not"}],
    }
    done = run(directory, netns.name, variables)
    assert done.statuses() == {netns.name: ["ok", "changed", "skipped", "skipped"]}
    assert netns.nft_text("chain", "inet", "edge", "input").split("policy drop;")[1].split("\n")[1:-3] == [
        "\t\tct state established,related accept",
        "\t\tip saddr @blocked drop",
        "\t\ttcp dport 80 accept",
        "\t\tcounter",
    ]
    assert "elements = { 203.0.113.1, 203.0.113.2 }" in netns.nft_text("set", "inet", "edge", "blocked")
    assert netns.nft_text("tables").split("\n")[:2] == ["table inet edge", "table ip6 edge"]
    again = run(directory, netns.name, variables)
    assert again.statuses() == {netns.name: ["ok", "ok", "skipped", "skipped"]}
    assert again.of(KERNEL)["compared"] is False


def test_conflicts_name_both_variables(directory: Path, netns: Namespace) -> None:
    other = [
        {
            "name": "edge",
            "comment": "mine",
            "sets": [{"name": "blocked", "type": "ipv6_addr", "elements": "keep"}],
            "chains": [{"name": "input", "policy": "accept", "rules": []}],
        }
    ]
    done = run(directory, netns.name, {"firewall_tables_a": BASE, "firewall_tables_b": other}, check=False)
    message = done.of(KERNEL)["msg"]
    for line in (
        "firewall_tables_b[0].sets[0].type: differs from firewall_tables_a[0].sets[0].type; "
        "found 'ipv6_addr'; allowed: 'ipv4_addr', as there; say it in one of the two",
        "firewall_tables_b[0].sets[0].elements: differs from firewall_tables_a[0].sets[0].elements",
        "firewall_tables_b[0].chains[0].policy: differs from firewall_tables_a[0].chains[0].policy; "
        "found 'accept'; allowed: 'drop', as there; say it in one of the two",
    ):
        assert line in message
    assert "comment" not in message
    assert netns.nft_text() == ""


def test_mistakes_are_shown_where_they_were_written(directory: Path, netns: Namespace) -> None:
    wrong = [
        {"name": "new", "chains": [{"name": "c", "rules": [{"jump": "nowhere"}]}]},
        {"name": "edge", "chains": [{"name": "input", "rules": [{"dprot": 22}], "hok": "input"}]},
    ]
    done = run(directory, netns.name, {"firewall_tables": BASE, "firewall_tables_b": wrong}, check=False)
    message = done.of(KERNEL)["msg"]
    assert (
        "firewall_tables_b[1].chains[0].rules[0].dprot: unknown key; found 22; did you mean 'dport'?"
        in message
    )
    assert "firewall_tables_b[1].chains[0].hok: unknown key" in message
    assert "firewall_tables_b[0].chains[0].rules[0].jump" in message
    assert netns.nft_text() == ""
    none = run(directory, netns.name, {}, check=False)
    assert (
        "set firewall_tables, or variables whose names begin with firewall_tables_" in none.of(KERNEL)["msg"]
    )
    mapping = run(directory, netns.name, {"firewall_tables_x": BASE[0]}, check=False)
    assert "firewall_tables_x: no list of tables" in mapping.of(KERNEL)["msg"]


def test_tables_go_again(directory: Path, netns: Namespace, image: Path) -> None:
    netns.nft("add table inet older; add table inet foreign;")
    variables = {"firewall_tables": BASE, "firewall_boot_root": str(image)}
    gone = {**variables, "firewall_absent": [{"name": "older"}, {"name": "never", "family": "ip"}]}
    done = run(directory, netns.name, gone)
    assert done.statuses() == {netns.name: ["ok", "changed", "changed", "changed"]}
    assert netns.nft_text("tables") == "table inet foreign\ntable inet edge\n"
    done = run(directory, netns.name, gone)
    assert done.statuses() == {netns.name: ["ok"] * 4}
    done = run(directory, netns.name, {**variables, "firewall_boot": False})
    assert done.statuses() == {netns.name: ["ok", "ok", "skipped", "changed"]}
    run(directory, netns.name, variables)
    done = run(directory, netns.name, {**variables, "firewall_state": "absent"})
    assert done.statuses() == {netns.name: ["ok", "changed", "skipped", "changed"]}
    assert netns.nft_text("tables") == "table inet foreign\n"
    assert booting.files(image) == []


def test_check_mode_is_an_audit(directory: Path, netns: Namespace, image: Path) -> None:
    variables = {"firewall_tables": BASE, "firewall_boot_root": str(image)}
    done = run(directory, netns.name, variables, "--check", "--diff")
    assert done.statuses() == {netns.name: ["ok", "changed", "skipped", "changed"]}
    assert netns.nft_text() == ""
    assert booting.files(image) == []
    assert "mode 0600" in done.output
    run(directory, netns.name, variables)
    done = run(directory, netns.name, variables, "--check")
    assert done.statuses() == {netns.name: ["ok", "ok", "skipped", "ok"]}


def test_firewall_stands_after_a_reboot(directory: Path, make_netns: MakeNetns, image: Path) -> None:
    before, after, client = make_netns().up(), make_netns().up(), make_netns().up()
    variables = {"firewall_tables_1": BASE, "firewall_tables_2": WEB, "firewall_boot_root": str(image)}
    done = run(directory, before.name, variables)
    document = image / "etc/rempart/boot/firewall.json"
    assert (document.stat().st_mode & 0o777, document.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert done.of(BOOT)["command"] == booting.command(image)
    started = booting.boot(after, image)
    assert (started.returncode, started.stderr) == (0, ""), started.stderr
    assert after.nft_text() == before.nft_text()
    # Now the network comes.
    veth(after, client, "10.9.2.1/24", "10.9.2.2/24", name_b="lan0")
    with echo_server(after, port=80, protocols=("tcp",)), echo_server(after, port=81, protocols=("tcp",)):
        assert tcp_connect(client, "10.9.2.1", 81) == "timeout"
        with capture(client, "lan0") as taken:
            assert tcp_connect(client, "10.9.2.1", 80) == "connected"
            (packet,) = taken.packets(wanted=lambda one: ip_protocol(one) == socket.IPPROTO_TCP)
    assert tos(packet) == 0x08
    assert ipv4_checksum_ok(packet)


def test_what_boot_could_not_apply_is_not_kept(directory: Path, netns: Namespace, image: Path) -> None:
    variables: dict[str, dict[str, Any]] = {netns.name: {}}
    play(directory, variables, [{"rempart.netfilter.boot": {"tables": BASE, "root": str(image)}}])
    refused = [{"name": "edge", "ct_helpers": [{"name": "h", "type": "no-such", "protocol": "tcp"}]}]
    tasks = [{"name": "boot", "rempart.netfilter.boot": {"tables": refused, "root": str(image)}}]
    before = (image / "etc/rempart/boot/firewall.json").read_text()
    done = play(directory, variables, tasks, check=False)
    assert done.statuses() == {netns.name: ["failed"]}
    assert "boot could not apply this: table inet edge: tables[0].ct_helpers[0]" in done.of("boot")["msg"]
    assert (image / "etc/rempart/boot/firewall.json").read_text() == before


@pytest.mark.parametrize(
    ("kind", "name", "key"),
    [
        ("role", "firewall", "entry_points"),
        ("filter", "merged_tables", "doc"),
        ("module", "boot", "doc"),
        ("module", "ruleset", "doc"),
    ],
)
def test_documentation_is_complete(tmp_path: Path, kind: str, name: str, key: str) -> None:
    # Ansible evaluates the paths of its settings as Python, which warns of one such as /tmp/rempart-88is4ccp.
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-doc"), "--json", "-t", kind, "rempart.netfilter." + name],
        env={**os.environ, **settings(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["rempart.netfilter." + name]
    assert found[key]
    if kind != "role":
        assert found["examples"] and found["return"]


# The first run over SSH

STRICT = [
    {
        "name": "edge",
        "chains": [
            {
                "name": "input",
                "hook": "input",
                "policy": "drop",
                "rules": [
                    {"ct_state": ["established", "related"], "verdict": "accept"},
                    {"protocol": "tcp", "dport": "ssh", "syn": True, "verdict": "accept"},
                ],
            },
            {
                "name": "output",
                "hook": "output",
                "policy": "drop",
                "rules": [{"ct_state": ["established", "related"], "verdict": "accept"}],
            },
        ],
    }
]
WAY = {"ansible.builtin.shell": "echo $SSH_CONNECTION"}


def over_ssh(directory: Path, client: Namespace, server: SshServer, **variables: Any) -> Played:
    """The role between two looks at the connection it goes by."""
    tasks = [
        {"name": "before", **WAY},
        {"name": "Role", "ansible.builtin.import_role": {"name": "rempart.netfilter.firewall"}},
        {"name": "after", **WAY},
    ]
    hosts = {"far": {**server.variables, "firewall_tables": STRICT, **variables}}
    return play(directory, hosts, tasks, prefix=client.argv(), check=False)


def test_naive_first_run_over_ssh_loses_the_host(
    directory: Path, machine: tuple[Namespace, SshServer], image: Path
) -> None:
    client, server = machine
    variables = {"firewall_keep_session": False, "firewall_boot_root": str(image)}
    done = over_ssh(directory, client, server, **variables)
    assert done.statuses() == {"far": ["changed", "ok", "unreachable"]}


def test_first_run_over_ssh_keeps_its_connection(
    directory: Path, machine: tuple[Namespace, SshServer], image: Path
) -> None:
    client, server = machine
    assert server.namespace.run("conntrack", "-C").stdout == "0\n"
    variables = {"firewall_boot_root": str(image)}
    done = over_ssh(directory, client, server, **variables)
    assert done.statuses() == {"far": ["changed", "ok", "changed", "skipped", "changed", "changed"]}, (
        done.output
    )
    # The change was confirmed over a connection of its own, which the rest goes by.
    assert done.of("before")["stdout"] != done.of("after")["stdout"] != ""
    assert "_pending" not in done.of(KERNEL)
    assert server.namespace.nft_text("tables") == "table inet edge\n"
    # Who comes anew is let in, and has nothing to change.
    again = over_ssh(directory, client, server, **variables)
    assert again.statuses() == {"far": ["changed", "ok", "ok", "skipped", "ok", "changed"]}, again.output
    assert again.of(KERNEL)["compared"] is False


def test_first_run_over_ssh_that_forgets_ssh_is_taken_back(
    directory: Path, machine: tuple[Namespace, SshServer], image: Path
) -> None:
    client, server = machine
    closed = [{"name": "edge", "chains": [{"name": "input", "hook": "input", "policy": "drop"}]}]
    done = over_ssh(directory, client, server, firewall_tables=closed, firewall_boot_root=str(image))
    assert done.statuses() == {"far": ["changed", "ok", "failed"]}, done.output
    message = done.of(KERNEL)["msg"]
    assert "these tables cut the connection of 10.9.0.1 port" in message
    assert "accept ct_state established on input and on output" in message
    assert server.namespace.nft_text() == ""
    assert booting.files(image) == []


def test_first_run_over_ssh_that_lets_nobody_in_again_is_taken_back(
    directory: Path, machine: tuple[Namespace, SshServer], image: Path
) -> None:
    client, server = machine
    server.namespace.nft("table inet edge { chain input { counter packets 5 bytes 9; }; }")
    before = server.namespace.run("nft", "list", "ruleset").stdout
    shut = [
        {
            "name": "edge",
            "chains": [
                {
                    "name": "input",
                    "hook": "input",
                    "policy": "drop",
                    "rules": [
                        {"ct_state": ["established", "related"], "verdict": "accept"},
                        {"protocol": "tcp", "saddr": "10.9.0.77", "dport": "ssh", "verdict": "accept"},
                    ],
                }
            ],
        },
        {"name": "other", "chains": [{"name": "c"}]},
    ]
    variables = {"firewall_boot_root": str(image), "ansible_timeout": 2}
    done = over_ssh(directory, client, server, firewall_tables=shut, **variables)
    assert done.statuses() == {"far": ["changed", "ok", "failed"]}, done.output
    result = done.of(KERNEL)
    assert "with these tables no new connection to the host could be made" in result["msg"]
    assert "They were put back as they were; accept new connections" in result["msg"]
    assert result["changed"] is False
    assert server.namespace.run("nft", "list", "ruleset").stdout == before
    assert booting.files(image) == []


def test_task_that_nobody_waits_for_changes_and_tries_nothing(
    directory: Path, machine: tuple[Namespace, SshServer]
) -> None:
    client, server = machine
    tables = [{"name": "edge", "chains": [{"name": "input", "hook": "input", "policy": "accept"}]}]
    task = {"name": "later", "rempart.netfilter.ruleset": {"tables": tables}, "async": 30, "poll": 1}
    tasks = [{"name": "before", **WAY}, task, {"name": "after", **WAY}]
    done = play(directory, {"far": server.variables}, tasks, prefix=client.argv())
    assert done.of("later")["changed"] is True
    assert done.of("before")["stdout"] == done.of("after")["stdout"] != ""
    assert server.namespace.nft_text("tables") == "table inet edge\n"


def test_controller_on_the_host_itself_keeps_the_login_that_it_is_run_from(
    directory: Path, machine: tuple[Namespace, SshServer]
) -> None:
    client, server = machine
    environment = ["%s=%s" % one for one in settings(directory).items()]

    def run_there(*rules: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        chain = {"name": "input", "hook": "input", "policy": "drop", "rules": list(rules)}
        tables = [{"name": "edge", "chains": [chain]}]
        task = {"name": "here", "rempart.netfilter.ruleset": {"tables": tables}}
        playbook = directory / "here.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
        program = [str(Path(sys.executable).parent / "ansible-playbook"), "-c", "local", str(playbook)]
        return server.command(client, shlex.join(["env", *environment, *program]))

    done = run_there({"counter": True})
    assert done.returncode == 2 and "these tables cut the connection of 10.9.0.1" in done.stdout, done.stdout
    assert server.namespace.nft_text() == ""
    done = run_there({"ct_state": "established", "verdict": "accept"})
    assert done.returncode == 0 and "changed=1" in done.stdout, done.stdout + done.stderr
    assert server.namespace.nft_text("tables") == "table inet edge\n"
