# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``conntrack_info``: connections by filter, counters read and zeroed, the table's state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace
from tests.support.playbooks import play
from tests.support.traffic import echo_server, udp_send

FTP = """
table inet t {
    ct helper ftp { type "ftp" protocol tcp; }
    chain output { type filter hook output priority -150; tcp dport 21 ct helper set "ftp"; }
}
"""


def info(name: str, **keys: Any) -> dict[str, Any]:
    task = {key: keys.pop(key) for key in ("check_mode", "ignore_errors") if key in keys}
    return {"name": name, "rempart.netfilter.conntrack_info": keys, **task}


def test_it_lists_counts_and_zeroes(tmp_path: Path, netns: Namespace) -> None:
    netns.nft("table inet t { chain c { type filter hook output priority 0; ct state new accept; }; }")
    netns.sysctl("net.netfilter.nf_conntrack_acct", 1)
    with echo_server(netns, "127.0.0.1") as echo, echo_server(netns, "::1") as other:
        for port in (40001, 40002, 40003):
            assert udp_send(netns, "127.0.0.1", echo.port, source=("127.0.0.1", port)) == b"rempart"
        assert udp_send(netns, "::1", other.port, source=("::1", 40001)) == b"rempart"
    mine: dict[str, Any] = {"protocol": "udp", "daddr": "127.0.0.1", "dport": echo.port}
    tasks = [
        info("all"),
        info("some", **mine, sport="40001,40003", line=True, xml=True),
        info("none", **mine, sport="!40001-40003"),
        info("few", protocol="udp", limit=1),
        info("count", connections=False),
        info("count some", connections=False, **mine),
        info("would zero", **mine, sport=40001, zero=True, check_mode=True),
        info("zero", **mine, sport=40001, zero=True),
        info("zeroed", **mine, zero=True),
        info("still", **mine, zero=True),
        info("wrong", protcol="udp", ignore_errors=True),
        info("wrong too", saddr="10.0.0.300", dport="nonesuch", ignore_errors=True),
        info("nothing read", zero=True, connections=False, ignore_errors=True),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == [
        *("ok", "ok", "ok", "ok", "ok", "ok"),
        *("changed", "changed", "changed", "ok"),
        *("failed", "failed", "failed"),
    ]
    everything = done.of("all")
    assert everything["count"] == len(everything["connections"]) == 4
    assert {one["family"] for one in everything["connections"]} == {"ip", "ip6"}
    assert everything["table"]["entries"] == 4 and everything["table"]["max"] > 0
    assert everything["saturation"]["verdict"] == "ok"
    assert not everything["truncated"] and "expectations" not in everything

    some = done.of("some")
    assert sorted(one["original"]["sport"] for one in some["connections"]) == [40001, 40003]
    assert all("src=127.0.0.1 dst=127.0.0.1 sport=4000" in one["line"] for one in some["connections"])
    assert some["xml"].startswith("<?xml") and some["xml"].count("<flow>") == 2
    assert (done.of("none")["count"], done.of("none")["connections"]) == (0, [])
    few = done.of("few")
    assert (few["count"], len(few["connections"]), few["truncated"]) == (4, 1, True)
    assert done.of("count")["count"] == 4 and "connections" not in done.of("count")
    assert done.of("count some")["count"] == 3

    for task in ("would zero", "zero"):
        (one,) = done.of(task)["connections"]
        assert one["original"]["packets"] == 1
    counts = {
        one["original"]["sport"]: one["original"]["packets"] for one in done.of("zeroed")["connections"]
    }
    assert counts == {40001: 0, 40002: 1, 40003: 1}
    assert all(one["reply"]["packets"] == 0 for one in done.of("still")["connections"])

    assert "protcol" in done.of("wrong")["msg"]
    assert [one["place"] for one in done.of("wrong too")["errors"]] == ["saddr", "dport"]
    assert done.of("nothing read")["errors"][0]["place"] == "zero"


def test_expectations(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(FTP)
    server = netns.socket(2, 1)
    server.bind(("127.0.0.1", 21))
    server.listen(1)
    client = netns.socket(2, 1)
    with server, client:
        client.connect(("127.0.0.1", 21))
        peer, _ = server.accept()
        with peer:
            # The helper looks at what comes right after a line that it has seen the end of.
            for command in (b"USER somebody\r\n", b"PORT 127,0,0,1,156,64\r\n"):
                client.sendall(command)
                assert peer.recv(100) == command
            done = play(tmp_path, {netns.name: {}}, [info("it", expectations=True, dport=21)])
    found = done.of("it")
    (expected,) = found["expectations"]
    assert (expected["expected"]["dport"], expected["helper"]) == (40000, "ftp")
    assert [one["helper"] for one in found["connections"]] == ["ftp"]
    assert found["table"]["expectations"] == 1
