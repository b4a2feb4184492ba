# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture of a packet's way is right: real packets, seen at every hook and priority of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from rempart.assignments import helpers, request, timeouts
from rempart.document.model import load
from rempart.document.priorities import NAMES, priority_of
from rempart.killing import cut_table
from rempart.session import guard
from rempart.session.carrier import Carrier

from tests.support import fates
from tests.support.fates import Host
from tests.support.namespaces import Namespace, veth
from tests.support.nflog import log_group
from tests.support.reference.packet_way import BRIDGE, BRIDGE_WAYS, FIRST, HOOKS, LAST, WAYS
from tests.support.traffic import capture, echo_server, udp_send

GROUP = 10
FORWARD = {"way": "forward", "protocol": "udp", "saddr": "192.168.1.1", "daddr": "1.2.3.4", "dport": 7}
PACKETS: dict[str, dict[str, Any]] = {
    "forward": FORWARD,
    "in": {**FORWARD, "way": "in", "daddr": "192.168.1.2"},
    "out": {**FORWARD, "way": "out", "saddr": "172.31.1.1"},
}
DEVICES = {"ingress": "eth0", "egress": "ppp0"}


@pytest.fixture
def host() -> Iterator[Host]:
    with fates.host() as made:
        yield made


def chain(hook: str, priority: int, *rules: str, kind: str = "filter") -> str:
    """A chain in nft's syntax; of the device that packets of the test pass, where the hook has one."""
    device = " device %s" % DEVICES[hook] if hook in DEVICES else ""
    name = "%s_%d" % (hook, priority & 0xFFFFFFFF)
    head = "type %s hook %s%s priority %d; policy accept" % (kind, hook, device, priority)
    return "chain %s {\n%s\n}\n" % (name, "\n".join([head, *rules]))


def table(*chains: str, family: str = "inet") -> str:
    return "table %s way {\n%s}\n" % (family, "".join(chains))


def seen(hook: str, priority: int) -> str:
    return 'ip id 1 log prefix "%s %d" group %d queue-threshold 1' % (hook, priority, GROUP)


def priorities(hook: str) -> list[int]:
    """Every priority of the picture, and those beside it."""
    found = {one.priority + step for one in HOOKS[hook] for step in (-1, 0, 1)}
    return sorted(one for one in found if FIRST <= one <= LAST)


@pytest.mark.parametrize("way", WAYS)
def test_hooks_and_priorities_come_in_the_order_of_the_picture(host: Host, way: str) -> None:
    chains: dict[str, list[str]] = {"netdev": [], "inet": []}
    for hook in HOOKS:
        family = "netdev" if hook in DEVICES else "inet"
        chains[family] += [chain(hook, one, seen(hook, one)) for one in priorities(hook)]
    for family, found in chains.items():
        host.host.nft(table(*found, family=family))
    with log_group(host.host, GROUP) as log:
        assert host.fates([PACKETS[way]])[0].verdict == "accept"
        logged = [one.prefix for one in log.read(200, timeout=0.1)]
    assert logged == ["%s %d" % (hook, one) for hook in WAYS[way] for one in priorities(hook)]


def counted(host: Host, rule: str, hook: str, places: tuple[int, int], *others: str) -> list[int]:
    """How many packets a rule sees right before and right after a priority, beside ``others``."""

    def count(packet: Mapping[str, Any]) -> list[int]:
        name = "way" if hook not in DEVICES else "dev"
        chains = [chain(hook, one, "ip id 1 %s counter" % rule) for one in places]
        host.host.nft(table(*chains, *others).replace(" way ", " %s " % name))
        host.fates([packet])
        counts = [
            one["rule"]["expr"][-1]["counter"]["packets"]
            for one in host.host.nft_json("table", "inet", name)
            if "rule" in one and "counter" in one["rule"]["expr"][-1]
        ]
        host.host.nft("delete table inet %s" % name)
        return counts

    way = "out" if hook == "output" else "in" if hook == "input" else "forward"
    return count(PACKETS[way])


ASKING = chain("forward", 7, "ct state new")
ASKING_OUT = chain("postrouting", 7, "ct state new")


@pytest.mark.parametrize("way", ["forward", "out"])
def test_fragments_are_put_together_at_minus_400(host: Host, way: str) -> None:
    hook = {"forward": "prerouting", "out": "output"}[way]
    rule = "ip frag-off & 0x1fff != 0 counter"
    asking = chain("postrouting", 7, "ct state new")
    for others, expected in (([], [1, 1]), ([asking], [1, 0])):
        host.host.nft(table(chain(hook, -401, rule), chain(hook, -399, rule), *others))
        host.fates([{**PACKETS[way], "fragment": 2}])
        found = [
            one["rule"]["expr"][-1]["counter"]["packets"]
            for one in host.host.nft_json("table", "inet", "way")
            if "rule" in one and "counter" in one["rule"]["expr"][-1]
        ]
        host.host.nft("delete table inet way")
        assert found == expected


@pytest.mark.parametrize("hook", ["prerouting", "output"])
def test_connections_are_tracked_at_minus_200(host: Host, hook: str) -> None:
    assert counted(host, "ct state new", hook, (-201, -199)) == [0, 1]


@pytest.mark.parametrize(
    ("hook", "places", "nat", "rule"),
    [
        ("prerouting", (-101, -99), "udp dport 7 redirect to :9", "udp dport 9"),
        ("output", (-101, -99), "udp dport 7 dnat ip to 1.2.3.5", "ip daddr 1.2.3.5"),
        ("postrouting", (99, 101), "udp dport 7 snat ip to 10.9.9.9", "ip saddr 10.9.9.9"),
        ("input", (99, 101), "udp dport 7 snat ip to 10.9.9.9", "ip saddr 10.9.9.9"),
    ],
)
def test_addresses_are_translated_at_minus_100_and_100(
    host: Host, hook: str, places: tuple[int, int], nat: str, rule: str
) -> None:
    assert counted(host, rule, hook, places, chain(hook, sum(places) // 2, nat, kind="nat")) == [0, 1]


@pytest.mark.parametrize("hook", ["input", "postrouting"])
def test_connections_are_kept_at_the_end(host: Host, hook: str) -> None:
    """And the session guard, which is as late, comes after that."""
    assert counted(host, "ct status confirmed", hook, (LAST - 1, LAST), ASKING) == [0, 1]


def test_what_is_dropped_before_was_never_there(host: Host) -> None:
    for hook, family, expected in (("postrouting", "inet", 0), ("egress", "netdev", 1)):
        host.host.run("conntrack", "-F")
        host.host.nft(table(ASKING))
        host.host.nft("table %s last {\n%s}\n" % (family, chain(hook, 500, "ip id 1 drop")))
        host.fates([PACKETS["forward"]])
        listed = host.host.run("conntrack", "-L", "-d", "1.2.3.4").stdout.splitlines()
        host.host.nft("delete table inet way; delete table %s last;" % family)
        assert len(listed) == expected


@pytest.mark.parametrize(("kind", "device"), [("route", "eth0"), ("filter", "ppp0")])
def test_a_chain_of_type_route_routes_anew(host: Host, kind: str, device: str) -> None:
    host.host.run("ip", "route", "add", "default", "via", "172.31.0.2", "dev", "eth0", "table", "9")
    host.host.run("ip", "rule", "add", "fwmark", "9", "lookup", "9")
    last = chain("postrouting", 0, 'ip id 1 oifname "%s" counter' % device)
    host.host.nft(table(chain("output", -150, "ip id 1 meta mark set 9", kind=kind), last))
    host.fates([PACKETS["out"]])
    assert "counter packets 1 " in host.host.run("nft", "list", "ruleset").stdout


def test_local_packets_are_whole_at_input(host: Host) -> None:
    rule = "ip frag-off & 0x1fff != 0 counter"
    host.host.nft(table(chain("prerouting", -450, rule), chain("input", FIRST, rule)))
    host.fates([{**PACKETS["in"], "fragment": 2}])
    found = host.host.run("nft", "list", "table", "inet", "way").stdout
    assert [line.split("packets ")[1].split()[0] for line in found.splitlines() if "packets" in line] == [
        "1",
        "0",
    ]


def test_packets_of_this_host_are_cut_after_postrouting(host: Host) -> None:
    large = "ip saddr 172.31.1.1 udp dport 7 meta length > 2900 counter"
    pieces = "ip saddr 172.31.1.1 ip frag-off & 0x3fff != 0 counter"
    host.host.nft(table(chain("postrouting", LAST, large, pieces)))
    host.host.nft(table(chain("egress", 0, large, pieces), family="netdev"))
    udp_send(host.host, "1.2.3.4", 7, b"x" * 2900, timeout=0.01, source=("172.31.1.1", 4007))
    found = host.host.run("nft", "list", "ruleset").stdout
    assert [line.split("packets ")[1].split()[0] for line in found.splitlines() if "packets" in line] == [
        *("1", "0"),
        *("0", "2"),
    ]


def test_translation_is_decided_once(host: Host) -> None:
    host.host.nft(table(chain("prerouting", -100, "udp dport 7 counter redirect to :9", kind="nat")))
    sent = {**PACKETS["in"], "sport": 4001}
    assert [one.dport for one in host.fates([sent, sent])] == [9, 9]
    assert "counter packets 1 " in host.host.run("nft", "list", "ruleset").stdout


@pytest.mark.parametrize(("hook", "device"), [("prerouting", "eth0"), ("forward", "ppp0")])
def test_a_mark_chooses_the_route_before_the_routing(host: Host, hook: str, device: str) -> None:
    host.host.run("ip", "route", "add", "default", "via", "172.31.0.2", "dev", "eth0", "table", "9")
    host.host.run("ip", "rule", "add", "fwmark", "9", "lookup", "9")
    last = chain("postrouting", 0, 'ip id 1 oifname "%s" counter' % device)
    host.host.nft(table(chain(hook, 0, "ip id 1 meta mark set 9"), last))
    host.fates([PACKETS["forward"]])
    assert "counter packets 1 " in host.host.run("nft", "list", "ruleset").stdout


@pytest.mark.parametrize(("hook", "captured"), [("ingress", 1), ("egress", 0)])
def test_captures_come_before_ingress_and_after_egress(host: Host, hook: str, captured: int) -> None:
    host.host.nft("table netdev last {\n%s}\n" % chain(hook, 0, "ip id 1 drop"))
    with capture(host.host, DEVICES[hook], outgoing=hook == "egress") as taken:
        assert host.fates([PACKETS["forward"]])[0].verdict == ("drop" if hook == "ingress" else "accept")
        assert len(taken.packets(1, 0.1, lambda packet: packet[4:6] == b"\0\1")) == captured


def test_the_picture_has_what_is_proven_here() -> None:
    """The kernel's own steps are those of the tests above, and names stand for the priorities beside them."""
    kernel = {(hook, one.priority) for hook, steps in HOOKS.items() for one in steps if one.by == "kernel"}
    assert kernel == {
        *(("prerouting", one) for one in (-400, -200, -100)),
        *(("output", one) for one in (-400, -200, -100)),
        *(("input", one) for one in (100, LAST)),
        *(("postrouting", one) for one in (100, LAST)),
    }
    for family, hooks in (("inet", HOOKS), ("bridge", BRIDGE)):
        for steps in hooks.values():
            assert [one.priority for one in steps] == sorted(one.priority for one in steps)
            for one in steps:
                name = one.what.partition(";")[0].partition(":")[0]
                if name in NAMES[family]:
                    assert one.priority == NAMES[family][name]


# rempart's own tables


def own(name: str) -> set[tuple[str, int]]:
    """Where the picture has one of rempart's tables."""
    return {
        (hook, one.priority)
        for hook, steps in HOOKS.items()
        for one in steps
        if one.by == "rempart" and one.what.startswith(name)
    }


def chains_of(document: Mapping[str, Any], name: str) -> set[tuple[str, int]]:
    (found,) = [one for one in load(document) if one.name == name]
    return {(one.hook, one.priority) for one in found.chains if one.is_base}


def test_tables_of_our_own_are_where_the_picture_has_them() -> None:
    assert chains_of(cut_table.DOCUMENT, cut_table.NAME) == own(cut_table.NAME)
    with socket.socket() as any_socket:
        carrier = Carrier(("192.0.2.1", 22), ("192.0.2.2", 4000), any_socket)
        assert chains_of(guard.document([carrier]), guard.NAME) == own(guard.NAME)
    mangle = priority_of(request.PRIORITY, "inet")
    assert {(hook, mangle) for hook in request.HOOKS} == own(helpers.TABLE)
    assert helpers.TABLE == "rempart_helpers" and timeouts.TABLE == "rempart_timeouts"
    raw = priority_of("raw", "inet")
    assert {("prerouting", raw), ("output", raw)} == own("rempart_notrack")
    assert {("postrouting", mangle)} == own("rempart_tos")


# Bridges


@pytest.mark.parametrize("called", [0, 1])
@pytest.mark.parametrize("way", BRIDGE_WAYS)
def test_frames_pass_a_bridge_in_the_order_of_the_picture(
    make_netns: Callable[[], Namespace], way: str, called: int
) -> None:
    one, bridge, other = make_netns(), make_netns(), make_netns()
    for near, address in ((one, "192.0.2.1"), (other, "192.0.2.2")):
        port = "port" + address[-1]
        veth(near, bridge, address + "/24", name_b=port)
    bridge.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    for device in ("port1", "port2"):
        bridge.run("ip", "link", "set", device, "master", "br0")
    bridge.run("ip", "address", "add", "192.0.2.3/24", "dev", "br0")
    bridge.run("ip", "link", "set", "br0", "up")
    bridge.sysctl("net.bridge.bridge-nf-call-iptables", called)
    source, target, address = {
        "forward": (one, other, "192.0.2.2"),
        "in": (one, bridge, "192.0.2.3"),
        "out": (bridge, other, "192.0.2.2"),
    }[way]
    wanted = 'udp dport 4007 log prefix "%s %d" group 10 queue-threshold 1'
    with echo_server(target, address, 4007, ("udp",)):
        assert udp_send(source, address, 4007, timeout=2) == b"rempart"
        both = {
            family: [
                chain(hook, step.priority, wanted % (family + " " + hook, step.priority))
                for hook, steps in hooks.items()
                if hook not in DEVICES
                for step in {step.priority: step for step in steps}.values()
                if family == "bridge" or step.priority == 0
            ]
            for family, hooks in (("bridge", BRIDGE), ("inet", HOOKS))
        }
        for family, chains in both.items():
            bridge.nft(table(*chains, family=family))
        with log_group(bridge, GROUP) as log:
            assert udp_send(source, address, 4007, timeout=2) == b"rempart"
            logged = [found.prefix for found in log.read(50, timeout=0.1)]
    below = ["bridge %s %d" % (hook, step.priority) for hook in BRIDGE_WAYS[way] for step in BRIDGE[hook]]
    above = {"forward": [], "in": ["prerouting", "input"], "out": ["output", "postrouting"]}[way]
    if called:  # IP's chains are asked about frames of the bridge too, each once
        above = list(WAYS[way]) if way == "forward" else above
        above = [hook for hook in above if hook not in DEVICES]
        assert sorted(logged) == sorted([*below, *("inet %s 0" % hook for hook in above)])
        return
    ip = ["inet %s 0" % hook for hook in above]
    assert logged == (ip + below if way == "out" else below + ip)
