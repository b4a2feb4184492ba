# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``tos``: real packets of a router, its own and forwarded ones, and the queue of its link."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import play
from tests.support.traffic import capture, ip_protocol, ipv4_checksum_ok, tos, udp_send

MakeNetns = Callable[[], Namespace]

CLASSES = [
    {"protocol": "udp", "dport": 22, "tos": "minimum-delay", "comment": "interactive"},
    {"protocol": "udp", "dport": [22, 20], "tos": "maximum-throughput"},
    {"oifname": "wan", "protocol": "udp", "dport": 25, "tos": "minimum-cost"},
    {"protocol": "udp", "dport": 30, "tos": {"and": 0xE3, "xor": 0x18}},
]
WATCH = """
table inet watch {
    chain late {
        type filter hook postrouting priority 300;
        meta priority 0:6 udp dport 22 counter
        meta priority 0:2 udp dport 20 counter
        meta priority 0:0 udp dport 25 counter
    }
}
"""
UDP = 17


def task(title: str, **keys: Any) -> dict[str, Any]:
    """A task; ``check_mode`` and its like are the task's, the rest the module's."""
    own = {
        key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors", "environment") if key in keys
    }
    return {"name": title, "rempart.netfilter.tos": keys, **own}


def network(make_netns: MakeNetns) -> tuple[Namespace, Namespace, Namespace]:
    """An inside, a router and an outside; the router's device towards the outside is ``wan``."""
    inside, router, outside = make_netns().up(), make_netns().up(), make_netns().up()
    veth(inside, router, ("10.1.0.2/24", "fd00:1::2/64"), ("10.1.0.1/24", "fd00:1::1/64"))
    veth(router, outside, ("10.2.0.1/24", "fd00:2::1/64"), ("10.2.0.2/24", "fd00:2::2/64"), "wan", "wan")
    router.sysctl("net.ipv4.ip_forward", 1)
    router.sysctl("net.ipv6.conf.all.forwarding", 1)
    for host, hops in ((inside, ("10.1.0.1", "fd00:1::1")), (outside, ("10.2.0.1", "fd00:2::1"))):
        for hop in hops:
            host.run("ip", "route", "add", "default", "via", hop)
    return inside, router, outside


def seen(outside: Namespace, source: Namespace, address: str, port: int, value: int = 0) -> tuple[int, bool]:
    """The type of service with which a datagram arrives, and whether its header's checksum is right."""
    with capture(outside, "wan") as taken:
        udp_send(source, address, port, timeout=0.01, tos=value)
        packets = taken.packets(1, 1.0, lambda packet: ip_protocol(packet) == UDP)
    assert packets, "the datagram to %s port %d did not arrive" % (address, port)
    return tos(packets[0]), ":" in address or ipv4_checksum_ok(packets[0])


def test_packets_leave_with_their_type_of_service(tmp_path: Path, make_netns: MakeNetns) -> None:
    inside, router, outside = network(make_netns)
    router.nft(WATCH)
    watch = router.nft_text("table", "inet", "watch")
    tasks = [
        task("would", classes=CLASSES, check_mode=True, diff=True),
        task("first", classes=CLASSES, diff=True),
        task("second", classes=CLASSES),
    ]
    done = play(tmp_path, {router.name: {}}, tasks)
    assert done.statuses()[router.name] == ["changed", "changed", "ok"]
    assert done.of("would")["diff"] == done.of("first")["diff"]
    assert done.of("first")["changes"][2]["place"] == "classes[0]"
    assert 'comment "interactive"' in done.of("first")["changes"][2]["rule"]
    assert done.of("second")["compared"] is False

    for address in ("10.2.0.2", "fd00:2::2"):
        for source in (inside, router):
            assert seen(outside, source, address, 22) == (0x10, True)  # the first class decides
            assert seen(outside, source, address, 20) == (0x08, True)
            assert seen(outside, source, address, 25) == (0x02, True)
            assert seen(outside, source, address, 53, 0x48) == (0x48, True)
        assert seen(outside, inside, address, 30, 0x44) == ((0x44 & 0xE3) ^ 0x18, True)
        # A bit that the AND mask keeps stays.
        assert seen(outside, inside, address, 22, 0xFC) == (0x10, True)
    counted = [one["rule"]["expr"][-1]["counter"]["packets"] for one in router.nft_json() if _watching(one)]
    assert counted == [6, 4, 4]

    tasks = [
        task("plain", classes=CLASSES, queue_priority=False),
        task("fewer", classes=CLASSES[:1]),
        task("would go", state="absent", check_mode=True),
        task("go", state="absent"),
        task("gone", state="absent"),
    ]
    done = play(tmp_path, {router.name: {}}, tasks)
    assert done.statuses()[router.name] == [*["changed"] * 4, "ok"]
    assert all(
        "priority" not in one.get("rule", "") for one in done.of("plain")["changes"] if one["action"] == "add"
    )
    assert {one["action"] for one in done.of("fewer")["changes"]} == {"add", "remove"}
    assert seen(outside, inside, "10.2.0.2", 22) == (0, True)
    assert router.nft_text() == watch


def _watching(one: dict[str, Any]) -> bool:
    return bool("rule" in one and one["rule"]["table"] == "watch")


def test_queue_lengths_and_a_chain_in_anothers_table(tmp_path: Path, make_netns: MakeNetns) -> None:
    router, provider = make_netns(), make_netns()
    veth(router, provider, name_a="ppp0")
    router.nft(WATCH)
    (tmp_path / "none/pyroute2").mkdir(parents=True)
    (tmp_path / "none/pyroute2/__init__.py").write_text("raise ImportError('not today')\n")
    one = {"classes": CLASSES[:1], "table": "watch", "chain": "classes"}
    missing = {"queue_length": {"ppp0": 4, "ppp1": 10}, "ignore_errors": True}
    tasks = [
        task("would", **one, queue_length={"ppp0": 10}, check_mode=True, diff=True),
        task("no device", **one, **missing),
        task("no pyroute2", **one, **missing, environment={"PYTHONPATH": str(tmp_path / "none")}),
        {"name": "untouched", "ansible.builtin.command": "ip -o link show ppp0"},
        task("first", **one, queue_length={"ppp0": 10}, diff=True),
        task("second", **one, queue_length={"ppp0": 10}, diff=True),
        task(
            "wrong",
            classes=[{"dport": 22, "tos": "minimum-dealy"}, {"jump": "x"}],
            queue_length={"ppp0": -1},
            ignore_errors=True,
        ),
    ]
    host = {"ansible_python_interpreter": sys.executable}
    done = play(tmp_path, {router.name: host}, tasks)
    assert done.statuses()[router.name] == [
        "changed",
        "failed",
        "failed",
        "changed",
        "changed",
        "ok",
        "failed",
    ]
    change = {"action": "change", "kind": "queue_length", "interface": "ppp0", "before": 1000, "after": 10}
    for name in ("would", "first"):
        assert done.of(name)["changes"][-1] == change
        assert done.of(name)["diff"][-1]["before"] == "ppp0 qlen 1000\n"
        assert done.of(name)["diff"][-1]["after"] == "ppp0 qlen 10\n"
    refused = done.of("no device")["errors"]
    assert [(one["place"], one["message"]) for one in refused] == [("queue_length.ppp1", "no such device")]
    assert "not today" in done.of("no pyroute2")["msg"]
    assert "install python3-pyroute2" in done.of("no pyroute2")["msg"]
    assert "qlen 1000" in done.of("untouched")["stdout"]
    assert {one["place"] for one in done.of("wrong")["errors"]} == {
        "queue_length.ppp0",
        "classes[0].dport",
        "classes[0].tos",
        "classes[1].jump",
        "classes[1]",
    }
    assert done.of("second")["diff"] == []
    assert "qlen 10\\" in router.run("ip", "-o", "link", "show", "ppp0").stdout
    assert "chain late {" in router.nft_text("table", "inet", "watch")

    tasks = [task("go", table="watch", chain="classes", state="absent", queue_length={"ppp0": 1000})]
    done = play(tmp_path, {router.name: host}, tasks)
    assert [(one["action"], one["kind"]) for one in done.of("go")["changes"]] == [
        ("remove", "chain"),
        ("change", "queue_length"),
    ]
    assert "chain classes" not in router.nft_text() and "chain late {" in router.nft_text()
    assert "qlen 1000" in router.run("ip", "-o", "link", "show", "ppp0").stdout
