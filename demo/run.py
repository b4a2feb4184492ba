# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration: a home network's firewall on this machine's own kernel.

Three network namespaces, an Ansible run over two of them, the same run again, a
change made by hand found and put right, and real packets that show what the
firewall does. Everything it makes it takes away again, also when interrupted.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from probes import Listener, LogReader, capture, connect, send_spoofed
from rempart.errors import HostError
from rempart.netlink.namespace import Entered
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset import memory
from rich.console import Console
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table

HERE = Path(__file__).resolve().parent
PREFIX = "rempart-demo-%d-" % os.getpid()
OUTSIDE, ROUTER, INSIDE = (PREFIX + name for name in ("outside", "router", "inside"))

SERVER, PROXY, ADVERTS = "203.29.16.1", "203.29.16.80", "199.95.207.5"
LINE, PC = "203.29.16.10", "192.168.1.2"

console = Console(highlight=False)


def run(*command: str) -> str:
    """Run a command that must succeed; what it printed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("%s: %s" % (" ".join(command), done.stderr.strip() or done.stdout.strip()))
    return done.stdout


def inside_of(namespace: str, *command: str) -> str:
    """The same in a namespace."""
    return run("ip", "netns", "exec", namespace, *command)


def build() -> None:
    """Three namespaces: outside =ppp0= router =lan0= inside."""
    for name in (OUTSIDE, ROUTER, INSIDE):
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
    links = ((OUTSIDE, "isp", ROUTER, "ppp0"), (ROUTER, "lan0", INSIDE, "eth0"))
    for left, left_link, right, right_link in links:
        run(
            *("ip", "-n", left, "link", "add", left_link, "type", "veth"),
            *("peer", "name", right_link, "netns", right),
        )
    addresses = (
        (OUTSIDE, "isp", SERVER + "/24"),
        (OUTSIDE, "isp", PROXY + "/24"),
        (OUTSIDE, "lo", ADVERTS + "/32"),
        (ROUTER, "ppp0", LINE + "/24"),
        (ROUTER, "lan0", "192.168.1.1/24"),
        (INSIDE, "eth0", PC + "/24"),
    )
    for name, link, address in addresses:
        run("ip", "-n", name, "address", "add", address, "dev", link)
        run("ip", "-n", name, "link", "set", link, "up")
    run("ip", "-n", ROUTER, "route", "add", "default", "via", SERVER)
    run("ip", "-n", INSIDE, "route", "add", "default", "via", "192.168.1.1")
    with Entered(ROUTER):
        for setting, value in (
            ("ip_forward", "1"),
            ("conf/all/rp_filter", "0"),
            ("conf/ppp0/rp_filter", "0"),
        ):
            Path("/proc/sys/net/ipv4", setting).write_text(value)


def take_away() -> None:
    """Remove the namespaces, with them links, rules and connections, and what rempart remembers of them."""
    for name in (OUTSIDE, ROUTER, INSIDE):
        with contextlib.suppress(HostError), NetlinkSocket(name) as kernel:
            memory.forget(memory.key(kernel))
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def play(title: str, *arguments: str) -> tuple[str, float]:
    """Run the playbook and show what it printed; the output and the seconds it took."""
    console.rule("[bold]%s" % title)
    console.print("[dim]$ ansible-playbook site.yml %s" % " ".join(arguments))
    environment = {
        "ANSIBLE_COLLECTIONS_PATH": str(HERE.parent / ".build"),
        **os.environ,
        "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
        "ANSIBLE_NOCOWS": "1",
    }
    begun = time.monotonic()
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "site.yml",
            "-e",
            "demo_prefix=" + PREFIX,
            *arguments,
        ],
        cwd=HERE,
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds = time.monotonic() - begun
    console.print(Syntax(done.stdout.strip(), "diff", background_color="default", word_wrap=True))
    if done.returncode:
        console.print(done.stderr.strip(), style="red")
        raise SystemExit("the playbook failed")
    return done.stdout, seconds


def changed(output: str) -> int:
    """How many tasks the play's recap calls changed."""
    return sum(int(count) for count in re.findall(r"changed=(\d+)", output))


class Findings:
    """The table of what the packets showed; remembers whether all was as it should be."""

    def __init__(self) -> None:
        self.table = Table("packet", "expected", "found", title="Real packets", title_justify="left")
        self.right = True

    def add(self, packet: str, expected: str, found: str) -> None:
        """One row; it is right if both texts are the same."""
        good = expected == found
        self.right = self.right and good
        self.table.add_row(packet, expected, "[%s]%s" % ("green" if good else "bold red", found))


def send_packets() -> Findings:
    """Let packets meet the firewall, and note what became of them."""
    findings = Findings()
    servers = [Listener(OUTSIDE, "0.0.0.0", port) for port in (80, 8080, 119, 23)]
    servers += [Listener(ROUTER, "0.0.0.0", port) for port in (21, 25)]
    servers += [Listener(INSIDE, "0.0.0.0", port) for port in (22, 8000)]
    log = LogReader(ROUTER, 1)
    try:
        web = servers[0]
        findings.add("inside to a web server outside", "connected", connect(INSIDE, SERVER, 80))
        findings.add("  the server saw it come from", LINE, web.clients[0] if web.clients else "nobody")
        findings.add("outside to the router's ftp", "connected", connect(OUTSIDE, LINE, 21))
        findings.add("outside to the router's smtp", "dropped", connect(OUTSIDE, LINE, 25))
        findings.add("router to inside's ssh", "connected", connect(ROUTER, PC, 22))
        findings.add("router to inside's port 8000", "dropped", connect(ROUTER, PC, 8000))
        findings.add("inside to an advert server", "no route to host", connect(INSIDE, ADVERTS, 80))
        send_spoofed(OUTSIDE, "192.168.1.77", LINE, 53)
        findings.add("inside address from outside, logged as", "spoofed ", (log.prefixes() or ["nothing"])[0])
        for name, address, port, tos in (
            ("web proxy", PROXY, 8080, "0x10"),
            ("telnet", SERVER, 23, "0x10"),
            ("news", SERVER, 119, "0x02"),
            ("web", SERVER, 80, "0x00"),
        ):
            with capture(OUTSIDE, "isp") as packets:
                connect(INSIDE, address, port)
            of_port = [packet for packet in packets if packet.port == port]
            seen = sorted({"0x%02x" % packet.tos for packet in of_port})
            right = bool(of_port) and all(packet.checksum_right for packet in of_port)
            found = "%s, checksums %s" % (" ".join(seen) or "no packet", "right" if right else "wrong")
            findings.add("TOS of %s on the line" % name, "%s, checksums right" % tos, found)
    finally:
        log.close()
        for server in servers:
            server.close()
    return findings


def demonstrate() -> bool:
    """The whole story; whether everything was as it should be."""
    console.print(
        Panel(
            "outside (the provider)  --ppp0--  router (the firewall)  --lan0--  inside (a PC)\n"
            "The home network of the ipchains HOWTO, in today's terms: demo/inventory/host_vars/router.yml",
            title="rempart",
        )
    )
    build()
    problems = []
    first, _ = play("First run: two hosts get their firewalls", "--diff")
    if changed(first) != 2:
        problems.append("the first run should have changed two hosts")
    second, seconds = play("Second run: nothing to do")
    console.print("[bold green]%d changes, %.1f s for the whole play" % (changed(second), seconds))
    if changed(second):
        problems.append("the second run should have changed nothing")
    console.rule("[bold]Somebody opens a port by hand")
    drift = ("nft", "insert", "rule", "inet", "home", "input", "tcp", "dport", "31337", "accept")
    console.print("[dim]router# " + " ".join(drift))
    inside_of(ROUTER, *drift)
    found, _ = play("Check mode finds it", "--check", "--diff")
    if changed(found) != 1 or "31337" not in found:
        problems.append("check mode should have found the change made by hand")
    mended, _ = play("The next run puts it right", "--diff")
    if changed(mended) != 1 or "31337" in inside_of(ROUTER, "nft", "list", "ruleset"):
        problems.append("the change made by hand should be gone")
    console.rule("[bold]What packets meet")
    findings = send_packets()
    console.print(findings.table)
    console.rule("[bold]The router's counters")
    console.print(run(str(Path(sys.executable).with_name("rempart")), "show", "--netns", ROUTER))
    if not findings.right:
        problems.append("packets did not fare as expected")
    for problem in problems:
        console.print("[bold red]" + problem)
    if not problems:
        console.print("[bold green]Everything as it should be.")
    return not problems


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run the demonstration as root; 0 if everything was as it should be."""
    if os.geteuid():
        console.print("The demonstration makes network namespaces: run it as root.", style="red")
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        return 0 if demonstrate() else 1
    except KeyboardInterrupt:
        console.print("interrupted", style="red")
        return 130
    finally:
        take_away()


if __name__ == "__main__":
    sys.exit(main())
