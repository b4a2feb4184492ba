# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections that are older than connection tracking, and rulesets that let in established ones only."""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset.generation import generation as generation_of
from rempart.ruleset.reconcile import Source, reconcile
from rempart.session import carrier, tracked
from rempart.session.keep import reconcile_keeping
from rempart.session.pending import TAKEN_BACK

from tests.support.command import SCRIPT
from tests.support.namespaces import Namespace, veth
from tests.support.ssh import SshServer

MakeNetns = Callable[[], Namespace]
ADDRESSES = {4: ("10.9.0.1", "10.9.0.2"), 6: ("2001:db8:9::1", "2001:db8:9::2")}


def strict(policy: str = "drop", *rules: dict[str, Any]) -> dict[str, Any]:
    """A ruleset that knows established connections, and new ones by their SYN packet alone."""
    established = {"ct_state": ["established", "related"], "verdict": "accept"}
    neighbours = {"icmpv6_type": ["nd-neighbor-solicit", "nd-neighbor-advert"], "verdict": "accept"}
    login = {"protocol": "tcp", "dport": "ssh", "syn": True, "verdict": "accept"}
    return {
        "tables": [
            {
                "name": "edge",
                "chains": [
                    {
                        "name": "input",
                        "hook": "input",
                        "policy": policy,
                        "rules": [*rules, established, neighbours, login],
                    },
                    {
                        "name": "output",
                        "hook": "output",
                        "policy": policy,
                        "rules": [established, neighbours],
                    },
                ],
            }
        ]
    }


class Pair:
    """A client's and a machine's namespace, joined by a link."""

    def __init__(self, make_netns: MakeNetns) -> None:
        self.client, self.machine = make_netns().up(), make_netns().up()
        ends = list(zip(*ADDRESSES.values()))
        client, machine = ([one + ("/64" if ":" in one else "/24") for one in end] for end in ends)
        veth(self.client, self.machine, client, machine)

    def tracked(self) -> str:
        """The machine's table of connections, as conntrack(8) shows it."""
        return "".join(
            self.machine.run("conntrack", "-L", "-f", family).stdout for family in ("ipv4", "ipv6")
        )


@pytest.fixture
def pair(make_netns: MakeNetns) -> Pair:
    return Pair(make_netns)


@pytest.fixture
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="rempart-"))
    yield made
    shutil.rmtree(made)


class Connection:
    """A TCP connection whose server's end a child process on the machine holds, as an SSH server does."""

    def __init__(self, pair: Pair, version: int) -> None:
        client, machine = ADDRESSES[version]
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        listener = pair.machine.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((machine, 2022))
        listener.listen(1)
        self.client = pair.client.socket(family, socket.SOCK_STREAM)
        self.client.settimeout(1.5)
        self.client.connect((machine, 2022))
        self.server, _ = listener.accept()
        self.server.settimeout(1.5)
        self.ends = (machine, 2022), (client, self.client.getsockname()[1])
        listener.close()

    def passes(self, first: socket.socket) -> bool:
        """Whether data arrives from both ends, from ``first`` first."""
        second = self.client if first is self.server else self.server
        try:
            for here, there in ((first, second), (second, first)):
                here.sendall(b"x" * 3000)
                left = 3000
                while left:
                    left -= len(there.recv(left))
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.mark.parametrize("loose", [1, 0])
@pytest.mark.parametrize("speaker", ["client", "server"])
@pytest.mark.parametrize("version", [4, 6])
def test_an_entry_makes_an_old_connection_established(
    pair: Pair, version: int, speaker: str, loose: int
) -> None:
    pair.machine.sysctl("net.netfilter.nf_conntrack_tcp_loose", loose)
    with_entry, without = Connection(pair, version), Connection(pair, version)
    for one in (with_entry, without):
        assert one.passes(one.client)
    assert pair.tracked() == ""
    with NetlinkSocket(pair.machine.path) as kernel:
        held = carrier.Carrier(*with_entry.ends, with_entry.server)
        assert tracked.track(kernel, held)
        assert not tracked.track(kernel, held)  # it is there already
        turned = carrier.Carrier(with_entry.ends[1], with_entry.ends[0], with_entry.server)
        assert not tracked.track(kernel, turned)
    reconcile(Source.of_mapping(strict()), pair.machine.path)
    assert with_entry.passes(getattr(with_entry, speaker))
    assert not without.passes(getattr(without, speaker))
    (entry,) = pair.tracked().splitlines()
    assert "ESTABLISHED" in entry and "[ASSURED]" in entry
    for one in (with_entry, without):
        one.close()


# A run that is carried by SSH

RUN = """
import json, sys
from rempart.errors import RempartError
from rempart.ruleset.reconcile import Source
from rempart.session import carrier
from rempart.session.keep import reconcile_keeping
found = [(one.local, one.remote) for one in carrier.find()]
try:
    wait, confirm = map(float, sys.argv[2:])
    source = Source.of_mapping(json.loads(sys.argv[1]))
    outcome, pending = reconcile_keeping(source, wait=wait, confirm=confirm)
    result = {"pending": pending, "changed": outcome.changed, "generation": outcome.generation}
    print(json.dumps({**result, "carriers": found}))
except RempartError as error:
    print(json.dumps({"error": str(error), "carriers": found}))
"""


@pytest.fixture(params=[4, 6])
def server(pair: Pair, directory: Path, request: pytest.FixtureRequest) -> SshServer:
    return SshServer(pair.machine, ADDRESSES[request.param][1], directory)


def client_of(server: SshServer) -> str:
    return next(client for client, machine in ADDRESSES.values() if machine == server.address)


def apply_over_ssh(
    server: SshServer,
    client: Namespace,
    document: dict[str, Any],
    wait: float = 3,
    *under: str,
    confirm: float = 0,
) -> Any:
    """What a process below the SSH server finds when it applies the document, run ``under`` a command."""
    command = shlex.join([*under, sys.executable, "-c", RUN, json.dumps(document), str(wait), str(confirm)])
    done = server.command(client, command)
    assert done.returncode == 0, done.stderr + server.log()
    return json.loads(done.stdout)


def generation(namespace: Namespace) -> int:
    with NetlinkSocket(namespace.path) as kernel:
        return generation_of(kernel)


def test_naive_change_cuts_an_ssh_session(pair: Pair, server: SshServer) -> None:
    with server.session(pair.client) as session:
        assert session.lives()
        assert pair.tracked() == ""
        reconcile(Source.of_mapping(strict()), pair.machine.path)
        assert not session.lives(1.5)


def test_neither_environment_nor_terminal_matter(pair: Pair, server: SshServer) -> None:
    under = ("env", "-i", "setsid", "--wait", "sh", "-c", '"$0" "$@"; exit')
    found = apply_over_ssh(server, pair.client, strict(), 3, *under)
    assert found["changed"] is True and len(found["carriers"]) == 1


def test_process_that_nobody_carries_changes_at_once(pair: Pair, server: SshServer) -> None:
    with server.session(pair.client) as session:
        assert session.lives()
        outcome, _ = pair.machine.call(reconcile_keeping, Source.of_mapping(strict()))
        assert outcome.changed and outcome.attempts == 1
        assert not session.lives(1.5)


@pytest.mark.parametrize("loose", [1, 0])
def test_change_over_ssh_keeps_its_own_connection(pair: Pair, server: SshServer, loose: int) -> None:
    pair.machine.sysctl("net.netfilter.nf_conntrack_tcp_loose", loose)
    found = apply_over_ssh(server, pair.client, strict())
    ((here, there),) = found["carriers"]
    assert (here, there[0]) == ([server.address, 22], client_of(server))
    assert found["changed"] is True
    assert found["generation"] == generation(pair.machine)
    # New logins are let in, and nothing of the run is left.
    again = apply_over_ssh(server, pair.client, strict())
    assert again["changed"] is False
    assert pair.machine.nft_text("tables") == "table inet edge\n"


@pytest.mark.parametrize("verdict", [{"verdict": "drop"}, {"reject": "tcp reset", "protocol": "tcp"}])
@pytest.mark.parametrize("hook", ["input", "output"])
def test_change_that_would_cut_it_is_taken_back(
    pair: Pair, server: SshServer, hook: str, verdict: dict[str, Any]
) -> None:
    reconcile(Source.of_mapping(strict("accept")), pair.machine.path)
    pair.machine.nft("add table ip other; add rule inet edge input mark 7 counter packets 5 bytes 9")
    before = pair.machine.nft_text()
    port = {"input": "dport", "output": "sport"}[hook]
    document = strict("accept")
    document["tables"][0]["chains"][0 if hook == "input" else 1]["rules"].insert(
        0, {"protocol": "tcp", port: "ssh", **verdict}
    )
    document["tables"].append({"name": "new", "chains": [{"name": "c"}]})
    found = apply_over_ssh(server, pair.client, document, 2.5)
    assert "these tables cut the connection of %s port " % client_of(server) in found["error"]
    assert "They were put back as they were" in found["error"]
    assert pair.machine.nft_text() == before
    assert "counter packets 5 bytes 9" in pair.machine.run("nft", "list", "ruleset").stdout


def test_change_that_nobody_confirms_is_taken_back(pair: Pair, server: SshServer) -> None:
    pair.machine.nft("table inet edge { chain input { counter packets 5 bytes 9; }; }")
    before = pair.machine.run("nft", "list", "ruleset").stdout
    found = apply_over_ssh(server, pair.client, strict(), confirm=2)
    assert found["changed"] is True
    assert "policy drop" in pair.machine.nft_text()
    taken_back = Path(found["pending"] + TAKEN_BACK)
    for _ in range(200):
        if taken_back.exists():
            break
        time.sleep(0.1)
    assert taken_back.read_text() == ""
    taken_back.unlink()
    assert not Path(found["pending"]).exists()
    assert pair.machine.run("nft", "list", "ruleset").stdout == before


def test_change_that_is_confirmed_stays(pair: Pair, server: SshServer) -> None:
    found = apply_over_ssh(server, pair.client, strict(), confirm=2)
    Path(found["pending"]).unlink()
    time.sleep(3)
    assert "policy drop" in pair.machine.nft_text()
    assert not Path(found["pending"] + TAKEN_BACK).exists()
    # Where nothing changes there is nothing to confirm.
    again = apply_over_ssh(server, pair.client, strict(), confirm=2)
    assert (again["changed"], again["pending"]) == (False, None)


def applied_by_hand(
    server: SshServer, client: Namespace, directory: Path, document: dict[str, Any], *options: str
) -> subprocess.CompletedProcess[str]:
    """What ``rempart apply`` says to whoever types it over SSH."""
    file = directory / "firewall.json"
    file.write_text(json.dumps(document))
    return server.command(client, shlex.join([str(SCRIPT), "apply", str(file), *options]))


def test_command_over_ssh_keeps_its_own_connection(pair: Pair, server: SshServer, directory: Path) -> None:
    done = applied_by_hand(server, pair.client, directory, strict())
    assert done.returncode == 0 and "applied" in done.stdout, done.stdout + done.stderr
    assert applied_by_hand(server, pair.client, directory, strict()).stdout == "nothing to do\n"
    assert pair.machine.nft_text("tables") == "table inet edge\n"


def test_command_over_ssh_takes_back_what_would_cut_it(
    pair: Pair, server: SshServer, directory: Path
) -> None:
    closed = strict("accept", {"protocol": "tcp", "dport": "ssh", "verdict": "drop"})
    done = applied_by_hand(server, pair.client, directory, closed)
    assert done.returncode == 1, done.stdout
    assert "these tables cut the connection of %s port " % client_of(server) in done.stderr
    assert "--no-keep-session" in done.stderr
    assert pair.machine.nft_text() == ""


def test_command_over_ssh_can_be_told_to_cut_it(pair: Pair, server: SshServer, directory: Path) -> None:
    closed = strict("accept", {"protocol": "tcp", "dport": "ssh", "verdict": "drop"})
    applied_by_hand(server, pair.client, directory, closed, "--no-keep-session")
    assert pair.machine.nft_text("tables") == "table inet edge\n"
