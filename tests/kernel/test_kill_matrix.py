# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What forgetting and cutting do to flows of every kind, through every kind of firewall.

The measured table stands in ``docs/killing.md``: ``python -m tests.kernel.test_kill_matrix`` writes it anew.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rempart.killing.kill import Killed, find, kill
from rempart.killing.wanted import Wanted
from rempart.netlink.socket import NetlinkSocket

from tests.support.flows import PATIENCE, Beats, Echo, Pump, Tcp, Udp
from tests.support.namespaces import Namespace
from tests.support.routed import LAN, SERVER, Routed, routed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "killing.md"
BEGIN, END = "<!-- measured -->\n", "<!-- end of measured -->\n"

PORT, ECHO_ID = 5000, 77

FIREWALLS = {
    "no ruleset": "",
    "accepts all": """
table inet fw {
    chain forward { type filter hook forward priority 0; policy accept; ct state established accept; }
}
""",
    "drops all but": """
table inet fw {
    chain known {
        ct state established,related accept
        ct state invalid drop
        tcp dport 5000 accept
        udp dport 5000 accept
        icmp type echo-request accept
        icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert } accept
    }
    chain input { type filter hook input priority 0; policy drop; jump known; }
    chain forward { type filter hook forward priority 0; policy drop; jump known; }
    chain output { type filter hook output priority 0; policy drop; jump known; }
}
""",
}
TRANSLATIONS = {
    "snat": """
table inet nat {
    chain source { type nat hook postrouting priority 100; oifname "ppp0" masquerade; }
}
""",
    "dnat": """
table inet nat {
    chain target {
        type nat hook prerouting priority -100;
        iifname "lan0" meta l4proto { tcp, udp } th dport 5000 dnat ip to 10.0.2.1:5000
        iifname "lan0" meta l4proto { tcp, udp } th dport 5000 dnat ip6 to [2001:db8:2::1]:5000
    }
}
""",
    "redirect": """
table inet nat {
    chain target { type nat hook prerouting priority -100; iifname "lan0" tcp dport 5000 redirect; }
}
""",
}
TCP_KINDS = {
    "forwarded TCP": "",
    "forwarded TCP, source translated": "snat",
    "forwarded TCP, destination translated": "dnat",
    "TCP to the host": "",
    "TCP redirected to the host": "redirect",
    "TCP of the host": "",
}
OTHER_KINDS = {
    "forwarded UDP": "",
    "forwarded UDP, source translated": "snat",
    "UDP of the host": "",
    "forwarded ICMP echo": "",
}
CASES = [
    (kind, firewall, loose)
    for kind, translation in {**TCP_KINDS, **OTHER_KINDS}.items()
    for firewall in FIREWALLS
    for loose in ((False, True) if kind in TCP_KINDS else (None,))
    if not (translation and firewall == "no ruleset")  # there is no translation without a rule
]


def ends_of(kind: str, hosts: Routed, version: int) -> tuple[Namespace, Namespace, str]:
    """Who begins a flow of a kind, who is at its other end, and the address that is asked for."""
    if kind == "TCP redirected to the host":
        return hosts.client, hosts.router, SERVER[version]
    if kind.endswith("to the host"):
        return hosts.client, hosts.router, LAN[version]
    if kind.endswith("of the host"):
        return hosts.router, hosts.server, SERVER[version]
    if kind.endswith("destination translated"):
        return hosts.client, hosts.server, LAN[version]
    return hosts.client, hosts.server, SERVER[version]


def prepare(hosts: Routed, kind: str, firewall: str, loose: bool | None) -> None:
    """The router's ruleset. Without one, tracking is on until :func:`bare`."""
    translation = {**TCP_KINDS, **OTHER_KINDS}[kind]
    hosts.router.nft(
        "flush ruleset\n"
        + (FIREWALLS[firewall] or FIREWALLS["accepts all"])
        + TRANSLATIONS.get(translation, "")
    )
    hosts.router.sysctl("net.netfilter.nf_conntrack_tcp_loose", int(loose is not False))


def bare(hosts: Routed, firewall: str) -> None:
    """Take the ruleset away where there shall be none."""
    if not FIREWALLS[firewall]:
        hosts.router.nft("flush ruleset")


def killed(hosts: Routed, how: str, **arguments: Any) -> Killed:
    """Kill what is meant on the router, and nothing else."""
    wanted = Wanted(arguments, how=how)
    with NetlinkSocket(hosts.router.name) as kernel:
        found = find(kernel, hosts.router.name, wanted)
        assert found.count == 1
        return kill(kernel, hosts.router.name, wanted, found)


def tidy(hosts: Routed) -> None:
    """No ruleset, no connection, and none that is blocked."""
    hosts.router.nft("flush ruleset")
    with NetlinkSocket(hosts.router.name) as kernel:
        wanted = Wanted({}, everything=True, how="forget")
        kill(kernel, hosts.router.name, wanted, find(kernel, hosts.router.name, wanted))


def forget_tcp(hosts: Routed, kind: str, firewall: str, version: int) -> tuple[str, str]:
    """What a TCP connection's ends see of being forgotten, while it is idle, and when they go on."""
    client, server, address = ends_of(kind, hosts, version)
    with Tcp(client, server, address, PORT) as flow:
        bare(hosts, firewall)
        done = killed(hosts, "forget", protocol="tcp", sport=flow.sport, dport=PORT)
        assert (done.deleted, done.outcomes) == (1, ["deleted"])
        errors = flow.ended(0.05)
        idle = "nobody notices" if errors == ["", ""] else "noticed"
        if flow.exchange():
            return idle, "flows on"
        errors = flow.ended(PATIENCE)
        return idle, "hangs" if "" in errors else "reset"


def cut_tcp(hosts: Routed, kind: str, firewall: str, version: int, busy: bool) -> str:
    """What they see of being cut; another connection between the same hosts goes on."""
    client, server, address = ends_of(kind, hosts, version)
    with Tcp(client, server, address, PORT) as flow, Tcp(client, server, address, PORT) as bystander:
        bare(hosts, firewall)
        if busy:
            with Pump(flow) as pump, Pump(bystander) as beside:
                done = killed(hosts, "cut", protocol="tcp", sport=flow.sport, dport=PORT)
                received = list(pump.received)
                errors = pump.ended()
                assert pump.received == received, "bytes came through after the cut"
                assert beside.flowing() and beside.errors == ["", ""]
        else:
            done = killed(hosts, "cut", protocol="tcp", sport=flow.sport, dport=PORT)
            errors = flow.ended()
            assert bystander.exchange()
        assert done.outcomes == ["reset"] and done.deleted == 1
        # A socket that sends meanwhile may be reset first.
        assert done.sockets_closed == kind.endswith("the host") or (busy and done.sockets_closed == 0)
        assert "rempart_cut" not in hosts.router.nft_text()
    return "both ends end" if all(errors) else "lives at %s" % errors


def flow_of(hosts: Routed, kind: str, version: int) -> Udp | Echo:
    """A flow that is not TCP."""
    client, server, address = ends_of(kind, hosts, version)
    return Echo(client, address, ECHO_ID) if "ICMP" in kind else Udp(client, server, address, PORT, PORT)


def which(kind: str, flow: Udp | Echo) -> dict[str, Any]:
    """The filter that means a flow alone."""
    return {"icmp_id": flow.id} if isinstance(flow, Echo) else {"protocol": "udp", "sport": flow.sport}


def lives(flow: Udp | Echo) -> bool:
    """Whether a packet comes through, of UDP either way."""
    if isinstance(flow, Echo):
        return flow.answered(0.1)
    there, back = flow.there(0.1), flow.back(0.1)
    return there or back


def forget_other(hosts: Routed, kind: str, firewall: str, version: int) -> tuple[str, str]:
    """What the ends of a flow without connections see of being forgotten, idle, and when they go on."""
    with flow_of(hosts, kind, version) as flow:
        bare(hosts, firewall)
        done = killed(hosts, "forget", **which(kind, flow))
        assert (done.deleted, done.outcomes) == (1, ["deleted"])
        idle = "noticed" if flow.disturbed(0.05) else "nobody notices"
        return idle, "flows on" if lives(flow) else "stops"


def cut_other(hosts: Routed, kind: str, firewall: str, version: int, busy: bool) -> str:
    """What becomes of it when it is cut; a TCP connection, and other echoes, of the same hosts go on."""
    client, server, address = ends_of(kind, hosts, version)
    with contextlib.ExitStack() as stack:
        flow = stack.enter_context(flow_of(hosts, kind, version))
        beside = stack.enter_context(
            Echo(client, address, ECHO_ID + 1) if "ICMP" in kind else Tcp(client, server, address, PORT)
        )
        bare(hosts, firewall)
        if busy:
            with Beats(flow) as beats:
                done = killed(hosts, "cut", **which(kind, flow))
                over = time.monotonic()
                assert not beats.flowing() and beats.last < over, "a packet came through after the cut"
            alive = False
        else:
            done = killed(hosts, "cut", **which(kind, flow))
            alive = lives(flow)
        assert beside.exchange() if isinstance(beside, Tcp) else beside.answered()
    assert done.outcomes == ["blocked"]
    if alive:
        return "lives"
    return "socket closed, blocked" if done.sockets_closed else "blocked"


def measure(hosts: Routed, kind: str, firewall: str, loose: bool | None) -> dict[str, str]:
    """One row of the table, over IPv4."""
    prepare(hosts, kind, firewall, loose)
    row = {
        "flow": kind,
        "firewall": firewall,
        "tcp_loose": "" if loose is None else str(int(loose)),
    }
    try:
        if kind in TCP_KINDS:
            idle, busy = forget_tcp(hosts, kind, firewall, 4)
            prepare(hosts, kind, firewall, loose)
            row["forget, idle"], row["forget, next data"] = idle, busy
            row["cut, idle"] = cut_tcp(hosts, kind, firewall, 4, False)
            prepare(hosts, kind, firewall, loose)
            row["cut, busy"] = cut_tcp(hosts, kind, firewall, 4, True)
        else:
            idle, busy = forget_other(hosts, kind, firewall, 4)
            row["forget, idle"], row["forget, next data"] = idle, busy
            for column in ("cut, idle", "cut, busy"):
                tidy(hosts)
                prepare(hosts, kind, firewall, loose)
                row[column] = cut_other(hosts, kind, firewall, 4, column == "cut, busy")
    finally:
        tidy(hosts)
    return row


COLUMNS = (
    "flow",
    "firewall",
    "tcp_loose",
    "forget, idle",
    "forget, next data",
    "cut, idle",
    "cut, busy",
)


def text_of(row: dict[str, str]) -> str:
    return "| %s |" % " | ".join(row[one] for one in COLUMNS)


@pytest.mark.parametrize(("kind", "firewall", "loose"), CASES, ids=["%s-%s-%s" % case for case in CASES])
def test_the_page_says_what_happens(hosts: Routed, kind: str, firewall: str, loose: bool | None) -> None:
    row = measure(hosts, kind, firewall, loose)
    if kind in TCP_KINDS:
        assert row["cut, idle"] == row["cut, busy"] == "both ends end"
    else:
        assert "blocked" in row["cut, idle"] and "blocked" in row["cut, busy"]
    assert text_of(row) in PAGE.read_text()


@pytest.mark.parametrize("kind", TCP_KINDS)
def test_ipv6_connections_end_as_well(hosts: Routed, kind: str) -> None:
    for loose in (False, True):
        prepare(hosts, kind, "drops all but", loose)
        for busy in (False, True):
            assert cut_tcp(hosts, kind, "drops all but", 6, busy) == "both ends end"
    tidy(hosts)


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_ipv6_flows_are_blocked_as_well(hosts: Routed, kind: str) -> None:
    for busy in (False, True):
        prepare(hosts, kind, "drops all but", None)
        assert "blocked" in cut_other(hosts, kind, "drops all but", 6, busy)
        tidy(hosts)


def main() -> None:
    """Measure, and write the table into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    lines = ["| %s |" % " | ".join(COLUMNS), "|%s" % ("---|" * len(COLUMNS))]
    with routed() as made:
        for case in CASES:
            row = measure(made, *case)
            sys.stderr.write(text_of(row) + "\n")
            lines.append(text_of(row))
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(lines) + "\n\n" + END + after)


if __name__ == "__main__":
    main()
