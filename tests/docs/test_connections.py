# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/connections.md: what a router with these connections shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
import yaml

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.docs.synopsis import synopsis
from tests.support import conntrack_sizes
from tests.support.flows import Tcp, Udp
from tests.support.machines import Machine
from tests.support.namespaces import veth
from tests.support.pages import pattern

ROUTER = """
table inet t {
  chain incoming {
    type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.7 tcp dport 8443 dnat ip to 203.0.113.80:443
  }
  chain outgoing { type nat hook postrouting priority srcnat; oifname wan0 meta nfproto ipv4 masquerade; }
  chain forward { type filter hook forward priority filter; tcp dport 443 ct mark set 0x10; }
}
"""
COUNTS = r"\d+ +[\d.]+[KMG]?"
VARIES = {
    **dict.fromkeys(("25   7.42K", "103    205K", "557   16.0M", "159    320K", "833   24.3M"), COUNTS),
    "54074": r"\d+",
    "49128": r"\d+",
    "4d23h": r"\w+",
    "5d": r"\w+",
    "28s": r"\d+s",
}


@pytest.fixture
def router(make_machines: Callable[..., dict[str, Machine]]) -> Iterator[dict[str, Machine]]:
    """A router, over which the connections of the page's lists are open."""
    made = make_machines("", "client", "server")
    here, client, server = (made[name].namespace for name in ("", "client", "server"))
    for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.netfilter.nf_conntrack_acct"):
        here.sysctl(key, 1)
    inside, lan = (["192.168.1.%d/24" % host, "2001:db8:1::%d/64" % host] for host in (10, 1))
    wan = ["203.0.113.7/24", "2001:db8:2::7/64"]
    veth(client, here, inside, lan, name_b="lan0")
    veth(here, server, wan, ["203.0.113.80/24", "203.0.113.81/24", "2001:db8:2::80/64"], name_a="wan0")
    client.run("ip", "route", "add", "default", "via", "192.168.1.1")
    client.run("ip", "-6", "route", "add", "default", "via", "2001:db8:1::1")
    server.run("ip", "-6", "route", "add", "default", "via", "2001:db8:2::7")
    server.nft("table inet t { chain c { type filter hook input priority 0; udp dport 123 drop; }; }")
    here.nft(ROUTER)
    with (
        Tcp(client, server, "2001:db8:2::80", 22, sport=32860),
        Tcp(client, server, "203.0.113.7", 8443, listen_on=443, sport=37252),
        Tcp(client, server, "203.0.113.80", 443, sport=36004),
        Udp(client, server, "203.0.113.80", 53, 53),
    ):
        client.run("bash", "-c", "printf rempart > /dev/udp/203.0.113.81/123")
        yield made


def test_connections(router: dict[str, Machine]) -> None:
    here = router[""]
    itself(here, "routers")

    def listed(text: str) -> None:
        """Rows come in any order, as the kernel has them."""
        command, *shown = filter(None, text.split("\n"))
        found = [line.rstrip() for line in here.type(command[2:]).split("\n") if line.strip()]
        assert len(found) == len(shown), "\n".join(found)
        for line in shown:
            wanted = pattern([line], VARIES)
            assert any(wanted.fullmatch(one + "\n") for one in found), (line, "\n".join(found))

    def counted(text: str) -> None:
        """Every line but those of a second processor, which there may not be, with any figures."""
        command, *shown = text.rstrip("\n").split("\n")
        found = here.type(command[2:])
        for line in shown:
            if line and not line.startswith("   1 "):
                wanted = re.sub(r"\d+", r"\\d+", re.sub("([ ─])\\1+", r"\1+", line))
                wanted = wanted.replace("(", r"\(").replace(")", r"\)")
                assert re.search("^%s *$" % wanted, found, re.MULTILINE), (line, found)
        assert found.startswith("ok: 5 connections of ")

    def play(text: str) -> None:
        tasks = yaml.safe_load(text)
        content = yaml.safe_dump([{"hosts": "routers", "gather_facts": False, "tasks": tasks}])
        (here.directory / "play.yml").write_text(content)
        shown = here.type("ansible-playbook -i inventory play.yml")
        assert here.code == 0, shown

    by_hand = {
        "rempart conntrack list [FILTER]...     the connections": synopsis(here),
        "# rempart conntrack list": listed,
        "# rempart conntrack list protocol=tcp snat=true": listed,
        "# rempart conntrack stats": counted,
        "- rempart.netfilter.conntrack_info:": play,
    }
    # How full the table is depends on its size, which is the whole machine's.
    with (
        conntrack_sizes.kept(),
        reading("docs/connections.md", router, {"431998": r"4319\d\d"}, by_hand=by_hand),
    ):
        pass
