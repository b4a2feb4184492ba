# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart kill`` as a person runs it: shown, asked, killed, and told."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest
from rempart.conntrack import expectations
from rempart.killing.cut_table import CutTable
from rempart.netlink.socket import NetlinkSocket

from tests.kernel.test_command_errors import UNPRIVILEGED
from tests.kernel.test_conntrack_expectations import expect
from tests.support.command import SCRIPT, environment, rempart, rempart_json
from tests.support.connections import inject, listed, udp
from tests.support.flows import Tcp, Udp
from tests.support.namespaces import Namespace
from tests.support.routed import CLIENT, LAN, SERVER, Routed, forget

TRACKING = """
table inet t {
    chain forward { type filter hook forward priority 0; ct state established accept; }
}
"""


@pytest.fixture
def hosts(hosts: Routed) -> Iterator[Routed]:
    hosts.router.nft("flush ruleset\n" + TRACKING)
    yield hosts
    forget(hosts.router)


class Conversation:
    """A terminal with the command on it: what it wrote, its exit code, and what is typed to it."""

    def __init__(self, *arguments: object) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self._child = subprocess.Popen(
            [str(SCRIPT), *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(),
            start_new_session=True,
            # pytest-xdist's workers ignore it, and so would their children
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        os.close(slave)
        self.text = ""

    def until(self, words: str) -> None:
        """Read until these words were written."""
        end = time.monotonic() + 20
        while words not in self.text:
            assert time.monotonic() < end and self._read(), self.text

    def answer(self, words: str) -> int:
        """Type these words, and read to the end; the exit code."""
        os.write(self._master, words.encode())
        return self._finish()

    def interrupt(self) -> int:
        """What Ctrl-C sends, and the exit code."""
        end = time.monotonic() + 10
        while self._child.poll() is None and time.monotonic() < end:
            self._child.send_signal(signal.SIGINT)  # again, should it come before the question is read
            time.sleep(0.2)
        return self._finish()

    def _finish(self) -> int:
        while self._read():
            pass
        code = self._child.wait(20)
        os.close(self._master)
        return code

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], 20)
        part = b""
        with contextlib.suppress(OSError):
            part = os.read(self._master, 65536) if ready else b""
        self.text += part.decode().replace("\r\n", "\n")
        return bool(part)


def test_it_shows_asks_kills_and_tells(hosts: Routed) -> None:
    router = hosts.router.name
    with (
        Tcp(hosts.client, hosts.server, SERVER[4], 5000) as flow,
        Tcp(hosts.client, hosts.server, SERVER[4], 5001) as beside,
    ):
        arguments = ("kill", "daddr=%s" % SERVER[4], "dport=5000", "--netns", router)
        terminal = Conversation(*arguments)
        terminal.until("[y/N]: ")
        assert "src=%s dst=%s sport=%d" % (CLIENT[4], SERVER[4], flow.sport) in terminal.text
        assert "Cut 1 connection (daddr %s, dport 5000)" % SERVER[4] in terminal.text
        assert flow.exchange()
        assert terminal.answer("n\n") == 1 and "nothing was killed" in terminal.text
        assert flow.exchange()

        terminal = Conversation(*arguments)
        terminal.until("[y/N]: ")
        # What comes while the question stands was not shown, and stays.
        with Tcp(hosts.client, hosts.server, SERVER[4], 5000) as late:
            assert terminal.answer("y\n") == 0
            assert all(flow.ended()) and late.exchange() and beside.exchange()
        told = terminal.text.partition("[y/N]: ")[2].splitlines()
        first = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+, namespace %s: cut daddr %s, dport 5000$"
        assert any(re.match(first % (router, re.escape(SERVER[4])), one) for one in told)
        assert "1 connection: 1 reset at both ends" in told
        assert any(one.startswith("reset        tcp 6 ") and "sport=%d" % flow.sport in one for one in told)


def test_ctrl_c_at_the_question_kills_nothing(hosts: Routed) -> None:
    with Tcp(hosts.client, hosts.server, SERVER[4], 5000) as flow:
        terminal = Conversation("kill", "dport=5000", "--netns", hosts.router.name)
        terminal.until("[y/N]: ")
        assert terminal.interrupt() == 130 and "nothing was changed" in terminal.text
        assert flow.exchange()


def test_without_a_terminal_only_with_yes(hosts: Routed) -> None:
    router = hosts.router.name
    with Tcp(hosts.client, hosts.server, SERVER[4], 5000) as flow:
        done = rempart("kill", "dport=5000", "--netns", router)
        assert done.returncode == 1 and "look with --dry-run, then say --yes" in done.stderr
        assert flow.exchange()
        done = rempart("kill", "dport=5000", "--netns", router, "--dry-run")
        assert done.returncode == 0 and "1 connection would be killed" in done.stdout
        assert flow.exchange()
        code, told = rempart_json("kill", "dport=5000", "--netns", router, "--yes")
        assert (code, told["count"], told["reset"], told["changed"]) == (0, 1, 1, True)
        assert told["filter"] == "dport 5000" and told["killed"][0]["outcome"] == "reset"
        assert told["errors"] == [] and all(flow.ended())
        code, told = rempart_json("kill", "dport=5000", "--netns", router, "--yes")
        assert (code, told["count"], told["changed"], told["killed"]) == (0, 0, False, [])
        done = rempart("kill", "dport=5000", "--netns", router)
        assert done.returncode == 0 and "nothing to kill" in done.stdout


def test_blocks_forgetting_and_the_ceiling(hosts: Routed) -> None:
    router = hosts.router.name
    with (
        Udp(hosts.client, hosts.server, SERVER[4], 5000, 5000) as flow,
        Udp(hosts.client, hosts.server, SERVER[4], 5001, 5001) as other,
    ):
        done = rempart("kill", "protocol=udp", "--netns", router, "--max", 1, "--yes")
        assert done.returncode == 1
        assert "--max: more connections match than may be killed; none is; found 2" in done.stderr
        assert flow.there() and other.there()
        done = rempart("kill", "dport=5000", "dport=22", "--netns", router, "--how", "forget", "--yes")
        assert "1 connection: 1 only deleted\n" in done.stdout
        assert flow.there()
        done = rempart("kill", "dport=5000", "--netns", router, "--block-for", "40s", "--yes")
        assert re.search(r"1 connection: 1 blocked until \S+Z\n", done.stdout)
        assert not flow.there(0.1) and other.there()
        done = rempart("kill", "dport=5000", "--netns", router, "--yes")
        assert "nothing to kill\n1 connection cut before, and still blocked\n" in done.stdout
        done = rempart("kill", "--everything", "--netns", router, "--yes", "--block-for", "0")
        assert "1 connection: 1 only deleted\n" in done.stdout and other.there()
    with NetlinkSocket(router) as kernel:
        table = CutTable(kernel)
        table.release(table.held())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (),
            "which connections are to be killed; allowed: KEY=VALUE of the filter, or --everything",
        ),
        ((), "to kill every connection say so: --everything"),
        (("--expectations",), "for expected ones alone: --only-expectations"),
        (("--only-expectations",), "nothing says which expected connections are to be killed"),
        (("dport",), "rempart: no key and value; found 'dport'"),
        (("protcol=tcp",), "protcol: unknown key; found 'tcp'"),
        (("saddr=10.0.0.1", "family=ip6"), "saddr: an address of the other IP version"),
        (("dport=22", "protocol=icmp"), "dport: protocol icmp has no ports"),
        (("dport=22,!22",), "dport: what is asked for is negated as well"),
        (("dport=22", "--everything"), "--everything: everything is to be killed, and something else"),
        (("dport=22", "--block-for", "soon"), "--block-for: no time to block for; found 'soon'"),
        (("dport=22", "--netns", "nonesuch-rempart"), "rempart: no such network namespace"),
    ],
)
def test_mistakes_are_told_and_nothing_is_killed(
    hosts: Routed, arguments: tuple[str, ...], message: str
) -> None:
    with Tcp(hosts.client, hosts.server, SERVER[4], 22) as flow:
        where = () if "--netns" in arguments else ("--netns", hosts.router.name)
        done = rempart("kill", *arguments, *where, "--yes")
        assert done.returncode == 1 and message in done.stderr and done.stdout == ""
        assert flow.exchange()


def test_without_the_privilege() -> None:
    done = subprocess.run(
        [*UNPRIVILEGED, str(SCRIPT), "kill", "dport=22", "--yes"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "not allowed to speak to netfilter; run as root" in done.stderr


SESSION = """
import socket, subprocess, sys
server = socket.create_server(("0.0.0.0", 5022))
print("listening", flush=True)
session, _ = server.accept()
subprocess.run([sys.argv[1], "kill", "--everything", "--yes"], stdin=session, stdout=session, stderr=session)
session.sendall(b"end")
"""


def test_the_session_that_kills_is_spared(hosts: Routed) -> None:
    server = hosts.router.popen(sys.executable, "-c", SESSION, str(SCRIPT), stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline() == b"listening\n"
    with (
        Tcp(hosts.client, hosts.server, SERVER[4], 5000) as other,
        hosts.client.socket(socket.AF_INET, socket.SOCK_STREAM) as session,
    ):
        session.settimeout(20)
        session.connect((LAN[4], 5022))
        told = b""
        while not told.endswith(b"end"):
            told += session.recv(65536)
        assert b"1 connection spared, by which this is being done" in told
        assert b"1 connection: 1 reset at both ends" in told
        assert all(other.ended())
    server.wait(20)


def test_the_table_goes_when_the_block_has_ended(hosts: Routed) -> None:
    with Udp(hosts.client, hosts.server, SERVER[4], 5000, 5000) as flow:
        rempart("kill", "protocol=udp", "--netns", hosts.router.name, "--block-for", "1s", "--yes")
        assert not flow.there(0.05)
        end = time.monotonic() + 15
        while "rempart_cut" in hosts.router.nft_text():
            assert time.monotonic() < end
            time.sleep(0.1)
        assert flow.there()


def test_forgetting_does_not_end_a_block(hosts: Routed) -> None:
    where = ("--netns", hosts.router.name, "--yes")
    with Udp(hosts.client, hosts.server, SERVER[4], 5000, 5000) as flow:
        rempart("kill", "protocol=udp", "--block-for", "40s", *where)
        assert not flow.there(0.1)
        for what in ("protocol=udp", "--everything"):
            done = rempart("kill", what, "--how", "forget", *where)
            assert done.returncode == 0
            assert "nothing to kill\n1 connection cut before, and still blocked\n" in done.stdout
            assert not flow.there(0.1) and not flow.back(0.1)
        inject(hosts.router, [udp("10.0.1.9", "10.0.2.9")])
        code, told = rempart_json("kill", "--everything", "--how", "forget", *where)
        assert (code, told["count"], told["deleted"], told["already_cut"]) == (0, 1, 1, 1)
        assert not flow.there(0.1)
        (left,) = listed(hosts.router)
        assert left["original"]["daddr"] == SERVER[4]
    with NetlinkSocket(hosts.router.name) as kernel:
        table = CutTable(kernel)
        table.release(table.held())


def test_expected_connections_alone(netns: Namespace) -> None:
    where = ("--netns", netns.name)
    with NetlinkSocket(netns.name) as kernel:
        for number in (1, 2, 3, 4):
            expect(netns, kernel, number, port=7000 + number)
    code, told = rempart_json("kill", "--only-expectations", "dport=7002", "--yes", *where)
    assert (code, told["count"], told["expectations"], told["changed"]) == (0, 0, 1, True)
    done = rempart("kill", "--only-expectations", "--everything", "--max", 2, "--yes", *where)
    assert done.returncode == 1
    assert "--max: more expected connections match than may be killed; none is; found 3" in done.stderr
    done = rempart("kill", "--only-expectations", "--everything", "--dry-run", *where)
    assert (
        "delete expected connections only: everything\n3 expected connections would be killed\n"
        in done.stdout
    )
    assert done.stdout.count("\nexpected: ") == 3 and "dport=7003" in done.stdout
    done = rempart("kill", "--only-expectations", "--everything", "--yes", *where)
    assert "\n3 expected connections: 3 expectations deleted\n" in done.stdout
    with NetlinkSocket(netns.name) as kernel:
        assert list(expectations.read(kernel)) == [] and len(listed(netns)) == 4
