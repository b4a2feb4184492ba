# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of a packet: verdicts, the answers that a sender sees, and the way through chains."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.packets import ICMP, ICMPV6, TCP, Seen, tcp, udp
from tests.support.routed import ANY, CLIENT, LAN, SERVER, VERSIONS, Routed, counters, reaching, rules
from tests.support.traffic import echo_server, ping, tcp_connect, udp_send


@VERSIONS
@pytest.mark.parametrize("family", ["inet", "own"])
def test_accept_and_drop(hosts: Routed, version: int, family: str) -> None:
    family = {4: "ip", 6: "ip6"}[version] if family == "own" else family
    rules(
        hosts.router,
        {"protocol": "udp", "dport": 7, "verdict": "accept"},
        {"protocol": "udp", "dport": 8, "verdict": "drop"},
        hook="forward",
        family=family,
    )
    sent = [udp(CLIENT[version], SERVER[version], dport=port) for port in (8, 7, 9)]
    arrived = hosts.forwarded(sent, count=3, timeout=0.3)
    assert [Seen(one).dport for one in arrived] == [7, 9]


@VERSIONS
def test_policy(hosts: Routed, version: int) -> None:
    rules(hosts.router, {"protocol": "udp", "dport": 7, "verdict": "accept"}, hook="forward", policy="drop")
    sent = [udp(CLIENT[version], SERVER[version], dport=port) for port in (8, 7)]
    assert [Seen(one).dport for one in hosts.forwarded(sent, count=2, timeout=0.3)] == [7]


@VERSIONS
def test_programs_see_the_verdicts(hosts: Routed, version: int) -> None:
    with echo_server(hosts.server, ANY[version]) as echo:
        only = {"protocol": ["tcp", "udp"], "dport": echo.port}

        def met() -> tuple[str, bytes | str]:
            address = SERVER[version]
            return (
                tcp_connect(hosts.client, address, echo.port, 0.3),
                udp_send(hosts.client, address, echo.port, b"x", 0.3),
            )

        rules(hosts.router, {**only, "verdict": "accept"}, hook="forward", policy="drop")
        # what the server answers is not to this port: the policy has it
        assert met() == ("timeout", "timeout")
        assert {peer[0] for peer in echo.peers} == {"udp"}
        rules(
            hosts.router, {**only, "bidirectional": True, "verdict": "accept"}, hook="forward", policy="drop"
        )
        assert met() == ("connected", b"x")
        rules(hosts.router, {**only, "verdict": "drop"}, hook="forward")
        assert met() == ("timeout", "timeout")
        rules(hosts.router, {**only, "verdict": "reject"}, hook="forward")
        assert met() == ("refused", "refused")
        rules(hosts.router, {"protocol": "tcp", "reject": "tcp reset"}, hook="forward")
        assert met() == ("refused", b"x")


def test_an_output_rule_stops_the_host_itself(hosts: Routed) -> None:
    assert ping(hosts.router, SERVER[4]) and ping(hosts.router, SERVER[6])
    rules(hosts.router, {"icmp_type": "echo-request", "verdict": "drop"}, hook="output")
    assert not ping(hosts.router, SERVER[4], timeout=0.2)
    assert ping(hosts.router, SERVER[6])
    rules(hosts.router, {"oifname": "ppp+", "icmpv6_type": "echo-request", "verdict": "drop"}, hook="output")
    assert ping(hosts.router, SERVER[4])
    assert not ping(hosts.router, SERVER[6], timeout=0.2)
    assert ping(hosts.router, CLIENT[6])


# RFC 792, RFC 1122, RFC 1812; RFC 4443, RFC 8883
UNREACHABLE4, UNREACHABLE6 = 3, 1
REJECTIONS: list[tuple[dict[str, Any], int, tuple[int, int]]] = [
    ({"verdict": "reject"}, 4, (UNREACHABLE4, 3)),
    ({"verdict": "reject"}, 6, (UNREACHABLE6, 4)),
    ({"reject": "icmp net-unreachable"}, 4, (UNREACHABLE4, 0)),
    ({"reject": "icmp host-unreachable"}, 4, (UNREACHABLE4, 1)),
    ({"reject": "icmp prot-unreachable"}, 4, (UNREACHABLE4, 2)),
    ({"reject": "icmp port-unreachable"}, 4, (UNREACHABLE4, 3)),
    ({"reject": "icmp net-prohibited"}, 4, (UNREACHABLE4, 9)),
    ({"reject": "icmp host-prohibited"}, 4, (UNREACHABLE4, 10)),
    ({"reject": "icmp admin-prohibited"}, 4, (UNREACHABLE4, 13)),
    ({"reject": "icmpv6 no-route"}, 6, (UNREACHABLE6, 0)),
    ({"reject": "icmpv6 admin-prohibited"}, 6, (UNREACHABLE6, 1)),
    ({"reject": "icmpv6 addr-unreachable"}, 6, (UNREACHABLE6, 3)),
    ({"reject": "icmpv6 port-unreachable"}, 6, (UNREACHABLE6, 4)),
    ({"reject": "icmpv6 policy-fail"}, 6, (UNREACHABLE6, 5)),
    ({"reject": "icmpv6 reject-route"}, 6, (UNREACHABLE6, 6)),
    ({"reject": "icmpx no-route"}, 4, (UNREACHABLE4, 0)),
    ({"reject": "icmpx no-route"}, 6, (UNREACHABLE6, 0)),
    ({"reject": "icmpx port-unreachable"}, 4, (UNREACHABLE4, 3)),
    ({"reject": "icmpx port-unreachable"}, 6, (UNREACHABLE6, 4)),
    ({"reject": "icmpx host-unreachable"}, 4, (UNREACHABLE4, 1)),
    ({"reject": "icmpx host-unreachable"}, 6, (UNREACHABLE6, 3)),
    ({"reject": "icmpx admin-prohibited", "verdict": "reject"}, 4, (UNREACHABLE4, 13)),
    ({"reject": "icmpx admin-prohibited", "verdict": "reject"}, 6, (UNREACHABLE6, 1)),
]


@pytest.mark.parametrize("hook", ["input", "forward"])
@pytest.mark.parametrize(("rule", "version", "code"), REJECTIONS, ids=str)
def test_the_sender_sees_which_rejection(
    hosts: Routed, rule: dict[str, Any], version: int, code: tuple[int, int], hook: str
) -> None:
    rules(hosts.router, rule, hook=hook)
    target = {"input": LAN, "forward": SERVER}[hook][version]
    sent = udp(CLIENT[version], target, dport=9)
    (answer,) = hosts.answers([sent])
    seen = Seen(answer)
    assert (seen.protocol, seen.code) == ({4: ICMP, 6: ICMPV6}[version], code)
    assert (seen.saddr, seen.daddr) == (LAN[version], CLIENT[version])
    # A forwarded packet is quoted as it is then, with one hop less.
    start = {4: 12, 6: 8}[version]
    assert seen.inner[start:] == sent[start:]


@VERSIONS
@pytest.mark.parametrize("hook", ["input", "forward"])
def test_tcp_reset_answers_in_the_name_of_the_target(hosts: Routed, version: int, hook: str) -> None:
    rules(hosts.router, {"protocol": "tcp", "dport": 113, "reject": "tcp reset"}, hook=hook)
    target = {"input": LAN, "forward": SERVER}[hook][version]
    (answer,) = hosts.answers([tcp(CLIENT[version], target, 4000, 113)])
    seen = Seen(answer)
    assert (seen.protocol, seen.flags) == (TCP, {"rst", "ack"})
    assert (seen.saddr, seen.sport, seen.daddr, seen.dport) == (target, 113, CLIENT[version], 4000)


def test_rules_are_asked_in_their_order(hosts: Routed) -> None:
    first, second = ({"protocol": "udp", "counter": True, "verdict": one} for one in ("accept", "drop"))
    sent = [udp(CLIENT[4], SERVER[4])]
    rules(hosts.router, first, second, hook="forward")
    assert len(hosts.forwarded(sent)) == 1
    assert [one[0] for one in counters(hosts.router)] == [1, 0]
    rules(hosts.router, second, first, hook="forward")
    assert hosts.forwarded(sent, timeout=0.3) == []
    assert [one[0] for one in counters(hosts.router)] == [1, 0]


def test_priorities_are_asked_in_their_order_and_the_last_word_is_a_drop(hosts: Routed) -> None:
    late = {"name": "late", "hook": "forward", "priority": "filter + 1"}
    late["rules"] = [{"protocol": "udp", "counter": True, "verdict": "drop"}]
    rules(
        hosts.router, {"protocol": "udp", "counter": True, "verdict": "accept"}, hook="forward", chains=[late]
    )
    assert hosts.forwarded([udp(CLIENT[4], SERVER[4])], timeout=0.3) == []
    assert counters(hosts.router) == counters(hosts.router, "late") == [(1, 35)]
    late["priority"] = "filter - 1"
    rules(
        hosts.router, {"protocol": "udp", "counter": True, "verdict": "accept"}, hook="forward", chains=[late]
    )
    assert hosts.forwarded([udp(CLIENT[4], SERVER[4])], timeout=0.3) == []
    assert (counters(hosts.router), counters(hosts.router, "late")) == ([(0, 0)], [(1, 35)])


def test_continue_goes_on_with_the_next_rule(hosts: Routed) -> None:
    only = {"protocol": "udp", "counter": True}
    rules(
        hosts.router,
        {**only, "verdict": "continue"},
        only,
        {**only, "verdict": "drop"},
        only,
        hook="forward",
    )
    hosts.send([udp(CLIENT[4], SERVER[4])])
    assert [one[0] for one in _settled(hosts, 2)] == [1, 1, 1, 0]


# what follows the jump or goto in user chain "u", and which counters of the way c0 (c1) u0 u1 c2 go up
WAYS: list[tuple[str, dict[str, Any], bool, list[int], list[int]]] = [
    ("jump", {}, True, [1, 1], [1, 1]),
    ("jump", {"verdict": "continue"}, True, [1, 1], [1, 1]),
    ("jump", {"verdict": "return"}, True, [1, 1], [1, 0]),
    ("jump", {"verdict": "accept"}, True, [1, 0], [1, 0]),
    ("jump", {"verdict": "drop"}, False, [1, 0], [1, 0]),
    # goto: the end of the chain, or return, is the end of the base chain: the policy speaks
    ("goto", {}, False, [1, 0], [1, 1]),
    ("goto", {"verdict": "return"}, False, [1, 0], [1, 0]),
    ("goto", {"verdict": "accept"}, True, [1, 0], [1, 0]),
]


@pytest.mark.parametrize(("way", "inner", "arrives", "base", "user"), WAYS, ids=str)
def test_the_way_through_a_user_chain(
    hosts: Routed, way: str, inner: dict[str, Any], arrives: bool, base: list[int], user: list[int]
) -> None:
    only = {"protocol": "udp", "counter": True}
    rules(
        hosts.router,
        {**only, way: "u"},
        {**only, "verdict": "accept"},
        hook="forward",
        policy="drop",
        chains=[{"name": "u", "rules": [{**only, **inner}, only]}],
    )
    assert len(hosts.forwarded([udp(CLIENT[4], SERVER[4])], timeout=0.2)) == arrives
    assert [one[0] for one in counters(hosts.router)] == base
    assert [one[0] for one in counters(hosts.router, "u")] == user


def test_return_from_a_chain_entered_by_goto_goes_to_the_last_jump(hosts: Routed) -> None:
    only = {"protocol": "udp", "counter": True}
    rules(
        hosts.router,
        {**only, "jump": "outer"},
        only,
        hook="forward",
        chains=[
            {"name": "outer", "rules": [{**only, "goto": "inner"}, only]},
            {"name": "inner", "rules": [{**only, "verdict": "return"}, only]},
        ],
    )
    assert len(hosts.forwarded([udp(CLIENT[4], SERVER[4])])) == 1
    found = {name: [one[0] for one in counters(hosts.router, name)] for name in ("c", "outer", "inner")}
    assert found == {"c": [1, 1], "outer": [1, 0], "inner": [1, 0]}


def test_return_in_a_base_chain_leaves_it_to_the_policy(hosts: Routed) -> None:
    returning = {"protocol": "udp", "dport": 7, "verdict": "return"}
    accepting = {"protocol": "udp", "verdict": "accept"}
    rules(hosts.router, returning, accepting, hook="forward", policy="drop")
    sent = [udp(CLIENT[4], SERVER[4], dport=port) for port in (7, 8)]
    assert [Seen(one).dport for one in hosts.forwarded(sent, 2, 0.3)] == [8]


@VERSIONS
def test_a_rule_that_only_counts_counts_exactly(hosts: Routed, version: int) -> None:
    rules(
        hosts.router,
        {"protocol": "udp", "dport": 7, "counter": True},
        {"protocol": "tcp", "counter": True},
        {"protocol": "udp", "counter": True},
        hook="forward",
    )
    sevens = [udp(CLIENT[version], SERVER[version], dport=7, data=b"x" * size) for size in range(0, 1400, 7)]
    others = [udp(CLIENT[version], SERVER[version], dport=8, data=b"x" * size) for size in range(50)]
    hosts.send(sevens + others)
    seven, tcps, all_udp = reaching(hosts.router, 250)
    assert seven == (200, sum(len(one) for one in sevens))
    assert tcps == (0, 0)
    assert all_udp == (250, seven[1] + sum(len(one) for one in others))


@pytest.mark.parametrize("over", [False, True])
def test_limit_lets_the_burst_by_and_no_more(hosts: Routed, over: bool) -> None:
    limit = "over 2/hour burst 5 packets" if over else "2/hour burst 5 packets"
    only = {"protocol": "udp", "counter": True}
    rules(hosts.router, {**only, "limit": limit}, only, hook="forward")
    hosts.send([udp(CLIENT[4], SERVER[4])] * 20)
    limited, _ = reaching(hosts.router, 20)
    assert limited[0] == (15 if over else 5)


def test_limit_by_bytes(hosts: Routed) -> None:
    only = {"protocol": "udp", "counter": True}
    rules(hosts.router, {**only, "limit": "1 bytes/hour burst 1000 bytes"}, only, hook="forward")
    # 100 bytes each
    hosts.send([udp(CLIENT[4], SERVER[4], data=b"x" * 72)] * 20)
    assert reaching(hosts.router, 20)[0] == (10, 1000)


def test_limit_fills_up_again(hosts: Routed) -> None:
    only = {"protocol": "udp", "counter": True}
    rules(hosts.router, {**only, "limit": "5/second burst 1 packets"}, only, hook="forward")
    hosts.send([udp(CLIENT[4], SERVER[4])] * 5)
    assert reaching(hosts.router, 5)[0][0] == 1
    time.sleep(0.25)
    hosts.send([udp(CLIENT[4], SERVER[4])] * 5)
    assert reaching(hosts.router, 10)[0][0] == 2


def _settled(hosts: Routed, at: int) -> list[tuple[int, int]]:
    """The counters once the one ``at`` this place has seen a packet."""
    end = time.monotonic() + 1
    while time.monotonic() < end:
        found = counters(hosts.router)
        if found[at][0]:
            return found
    raise AssertionError("no packet came to rule %d" % at)
