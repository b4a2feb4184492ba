# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection made, changed and deleted, as the kernel and conntrack(8) see it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from rempart.conntrack import declared, one
from rempart.errors import HostError, KernelError
from rempart.netlink.socket import NetlinkSocket

from tests.support.connections import inject, listed, tcp, udp
from tests.support.conntrack_tool import listing
from tests.support.namespaces import Namespace
from tests.support.traffic import echo_server

WEB: dict[str, Any] = {
    "protocol": "tcp",
    "saddr": "10.0.0.1",
    "daddr": "10.9.0.1",
    "sport": 1024,
    "dport": "https",
}
DNS: dict[str, Any] = {**WEB, "protocol": "udp", "dport": 53}
LABELS = "table inet t { chain c { type filter hook output priority 0; ct label set 1; }; }"
FTP = """table inet t {
    ct helper ftp { type "ftp" protocol tcp; }
    chain c { type filter hook output priority -150; tcp dport 21 ct helper set "ftp"; }
}"""


def run(netns: Namespace, state: str = "present", create: bool = True, **options: Any) -> one.Plan:
    """Plan and carry out; then nothing more is to be done."""
    with NetlinkSocket(netns.name) as kernel:
        wanted = declared.load(options, state)
        planned = one.plan(kernel, wanted, state, create)
        one.carry_out(kernel, planned)
        assert one.plan(kernel, wanted, state, create).action == ""
        return planned


def refused(netns: Namespace, state: str = "present", **options: Any) -> HostError:
    """What a plan or its carrying out is refused with; the table stays as it is."""
    before = still(netns)
    with NetlinkSocket(netns.name) as kernel, pytest.raises(HostError) as caught:
        one.carry_out(kernel, one.plan(kernel, declared.load(options, state), state))
    assert still(netns) == before
    return caught.value


def still(netns: Namespace) -> list[dict[str, Any]]:
    """The table without what moves by itself."""
    moving = ("timeout", "use")
    found = [{key: value for key, value in one.items() if key not in moving} for one in listed(netns)]
    return sorted(found, key=lambda one: str(one["original"]))


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (WEB, "tcp 6 ESTABLISHED src=10.0.0.1 dst=10.9.0.1 sport=1024 dport=443 [UNREPLIED]"),
        (
            {**WEB, "saddr": "fd00:0::1", "daddr": "fd09::1", "tcp_state": "syn-sent"},
            "tcp 6 SYN_SENT src=fd00::1 dst=fd09::1 sport=1024 dport=443 [UNREPLIED]",
        ),
        (DNS, "udp 17 src=10.0.0.1 dst=10.9.0.1 sport=1024 dport=53 [UNREPLIED]"),
        (
            {
                "protocol": "ICMP",
                "saddr": "10.0.0.1",
                "daddr": "10.9.0.1",
                "icmp_type": "echo-request",
                "icmp_id": 7,
            },
            "icmp 1 src=10.0.0.1 dst=10.9.0.1 type=8 code=0 id=7 [UNREPLIED] "
            "src=10.9.0.1 dst=10.0.0.1 type=0 code=0 id=7",
        ),
        (
            {"protocol": 58, "saddr": "fd00::1", "daddr": "fd09::1", "icmp_type": 128, "icmp_id": 7},
            "icmpv6 58 src=fd00::1 dst=fd09::1 type=128 code=0 id=7 [UNREPLIED]",
        ),
        (
            {
                "protocol": "gre",
                "saddr": "10.0.0.1",
                "daddr": "10.9.0.1",
                "srckey": "0x10",
                "dstkey": 0,
            },
            "gre 47 src=10.0.0.1 dst=10.9.0.1 srckey=0x10 dstkey=0x0 [UNREPLIED]",
        ),
        ({**WEB, "protocol": "sctp"}, "sctp 132 NONE src=10.0.0.1 dst=10.9.0.1 sport=1024 dport=443"),
        ({"protocol": "esp", "saddr": "10.0.0.1", "daddr": "10.9.0.1"}, "unknown 50 src=10.0.0.1"),
    ],
    ids=["tcp", "tcp6", "udp", "icmp", "icmpv6", "gre", "sctp", "other"],
)
def test_a_connection_of_each_protocol_comes_and_goes(
    netns: Namespace, options: dict[str, Any], line: str
) -> None:
    family = "ipv6" if ":" in options["saddr"] else "ipv4"
    bystander = {**options, "daddr": "fd09::9" if family == "ipv6" else "10.9.0.9"}
    run(netns, **bystander)
    planned = run(netns, **options, mark=5)
    assert (planned.action, planned.before) == ("add", None)
    shown = [" ".join(one.split()) for one in listing(netns, "-f", family)]
    (found,) = [one for one in shown if "10.9.0.9" not in one and "fd09::9" not in one]
    words = found.split()
    assert " ".join([*words[:2], *words[3:]]).startswith(line)
    assert 0 < int(words[2]) <= one.TIMEOUT
    assert "mark=5" in words
    name = {key: value for key, value in options.items() if key != "tcp_state"}
    assert run(netns, "absent", **name).action == "remove"
    assert len(listing(netns, "-f", family)) == 1
    assert run(netns, "absent", **name).action == ""


def test_only_what_is_declared_is_set(netns: Namespace) -> None:
    netns.nft(LABELS)
    inject(netns, [tcp(mark=0x35, labels=[3, 70], timeout=500), udp(mark=9)])
    (before,) = [one for one in still(netns) if one["protocol"] == "tcp"]
    planned = run(netns, **WEB, mark="0x40/0xf0")
    assert (planned.action, planned.changed) == ("change", ("mark",))
    assert [one for one in still(netns) if one["protocol"] == "tcp"] == [{**before, "mark": 0x45}]
    run(netns, **WEB, labels=["!3", 8, "127"])
    run(netns, **WEB, status="fixed_timeout")
    run(netns, **DNS, timeout="1h", status=["assured"])
    found = {one["protocol"]: one for one in still(netns)}
    assert found["tcp"]["labels"] == [8, 70, 127]
    assert "fixed_timeout" in found["tcp"]["status"] and found["tcp"]["mark"] == 0x45
    assert found["udp"]["assured"] and found["udp"]["mark"] == 9
    timeouts = {one["protocol"]: one["timeout"] for one in listed(netns)}
    assert 3590 <= timeouts["udp"] <= 3600 and timeouts["tcp"] <= 500
    # Everything at once, and nothing of it twice.
    assert run(netns, **DNS, timeout=100, mark=1, labels=5).changed == ("timeout", "mark", "labels")
    assert run(netns, **DNS, timeout=105, mark="0x1/0xff", labels=["5", "!6"]).changed == ()


def test_a_timeout_that_runs_down_is_the_one_wanted(netns: Namespace) -> None:
    inject(netns, [udp(timeout=95)])
    assert run(netns, **DNS, timeout=100).changed == ()
    assert run(netns, **DNS, timeout=50).changed == ("timeout",)
    assert run(netns, **DNS, timeout=3600).changed == ("timeout",)
    assert run(netns, **DNS, timeout=3900).changed == ()


def test_without_create_it_is_only_updated(netns: Namespace) -> None:
    assert run(netns, create=False, **DNS, mark=1).action == ""
    assert listed(netns) == []
    inject(netns, [udp()])
    assert run(netns, create=False, **DNS, mark=1).action == "change"


def test_the_zone_is_a_part_of_the_name(netns: Namespace) -> None:
    inject(netns, [udp(zone=zone) for zone in (0, 1, 2)])
    run(netns, **DNS, zone=1, mark=7)
    run(netns, "absent", **DNS, zone="2")
    assert {one.get("zone", 0): one["mark"] for one in listed(netns)} == {0: 0, 1: 7}
    assert run(netns, **DNS, zone=9).action == "add"
    assert {one.get("zone", 0) for one in listed(netns)} == {0, 1, 9}


def test_the_direction_is_a_part_of_the_name(netns: Namespace) -> None:
    inject(netns, [udp()])
    turned = {**DNS, "saddr": DNS["daddr"], "daddr": DNS["saddr"], "sport": 53, "dport": 1024}
    for state in ("present", "absent"):
        error = refused(netns, state, **turned)
        assert "the addresses of the replies" in str(error) and "src=10.0.0.1" in str(error)


def test_a_real_connection_goes_on_with_its_mark(netns: Namespace) -> None:
    with echo_server(netns, "127.0.0.1") as echo, netns.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        netns.nft("table inet t { chain c { type filter hook output priority 0; ct mark 9 counter; }; }")
        client.connect(("127.0.0.1", echo.port))
        name = {**WEB, "saddr": "127.0.0.1", "daddr": "127.0.0.1", "dport": echo.port}
        name["sport"] = client.getsockname()[1]
        planned = run(netns, **name, mark=9, timeout="2h", create=False)
        assert planned.changed == ("timeout", "mark")
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert "packets 0 " not in netns.run("nft", "list", "chain", "inet", "t", "c").stdout


def test_a_helper_is_taken_and_not_given(netns: Namespace) -> None:
    netns.nft(FTP)
    server = netns.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind(("127.0.0.1", 21))
    server.listen(1)
    with server, netns.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.connect(("127.0.0.1", 21))
        name = {**WEB, "saddr": "127.0.0.1", "daddr": "127.0.0.1", "dport": 21}
        name["sport"] = client.getsockname()[1]
        assert "helper=ftp" in listing(netns)[0]
        assert run(netns, **name, helper="ftp").changed == ()
        error = refused(netns, **name, helper="sip")
        assert "gives a helper to no connection that has begun" in str(error) and "'ftp'" in str(error)
        assert run(netns, **name, helper="").changed == ("helper",)
        assert "helper=" not in listing(netns)[0]
        refused(netns, **name, helper="ftp")


def test_a_connection_that_is_made_can_have_a_helper(netns: Namespace) -> None:
    run(netns, **{**WEB, "dport": 21}, helper="ftp")
    assert "helper=ftp" in listing(netns)[0]
    error = refused(netns, **WEB, helper="nonesuch")
    assert "no such helper" in str(error) and "nf_conntrack_nonesuch" in str(error)


def test_labels_need_room(netns: Namespace) -> None:
    inject(netns, [udp(mark=1)])
    assert "no room for labels" in str(refused(netns, **DNS, labels=3, mark=2))
    assert "no room for labels" in str(refused(netns, **WEB, labels=3))
    netns.nft(LABELS)
    run(netns, **WEB, labels=3)
    assert [one.get("labels") for one in still(netns) if one["protocol"] == "tcp"] == [[3]]


def test_what_is_refused_leaves_everything_as_it_was(netns: Namespace) -> None:
    netns.nft(LABELS)
    inject(netns, [udp(mark=1, timeout=500, labels=[1], status=["assured", "fixed_timeout", "seen_reply"])])
    problems = refused(netns, **DNS, timeout=50, mark=2, labels=4, status="!assured", helper="ftp").problems
    assert [one.place for one in problems] == ["timeout", "status", "helper"]
    assert "never clears them" in problems[1].message
    assert run(netns, **DNS, mark=2, labels=4, status="seen_reply").changed == (
        "mark",
        "labels",
    )


def test_labels_are_put_back_where_the_rest_is_refused(netns: Namespace) -> None:
    """What the plan could not foresee: the connection's timeout was fixed between plan and change."""
    netns.nft(LABELS)
    inject(netns, [udp(timeout=500, labels=[1, 9])])
    with NetlinkSocket(netns.name) as kernel:
        planned = one.plan(kernel, declared.load({**DNS, "timeout": 50, "labels": ["!9", 4]}))
        run(netns, **DNS, status="fixed_timeout")
        before = still(netns)
        with pytest.raises(KernelError, match="timeout: the timeout of this connection has been fixed"):
            one.carry_out(kernel, planned)
    assert still(netns) == before


def test_what_a_packet_did_meanwhile_is_not_undone(netns: Namespace) -> None:
    netns.nft(LABELS)
    inject(netns, [udp(labels=[1])])
    with NetlinkSocket(netns.name) as kernel:
        planned = one.plan(kernel, declared.load({**DNS, "status": "fixed_timeout", "labels": 2}))
        run(netns, **DNS, status="assured")
        before = still(netns)
        with pytest.raises(KernelError, match="the connection has changed meanwhile; run this again"):
            one.carry_out(kernel, planned)
        assert still(netns) == before
        run(netns, "absent", **DNS)
        with pytest.raises(KernelError, match="the connection has ended meanwhile; run this again"):
            one.carry_out(kernel, planned)
    assert still(netns) == []


def test_a_connection_that_took_the_place_of_the_one_planned_stays(netns: Namespace) -> None:
    inject(netns, [udp()])
    with NetlinkSocket(netns.name) as kernel:
        planned = one.plan(kernel, declared.load(DNS, "absent"), "absent")
        run(netns, "absent", **DNS)
        # The first takes the place in memory, of which an id is made.
        inject(netns, [udp(sport=1), udp(mark=4)])
        before = still(netns)
        one.carry_out(kernel, planned)
    assert still(netns) == before
