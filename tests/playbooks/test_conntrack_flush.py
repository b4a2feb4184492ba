# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``conntrack_flush`` in playbooks, and by hand as at three in the morning."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rempart.killing.cut_table import CutTable
from rempart.netlink.socket import NetlinkSocket

from tests.support.flows import Tcp, Udp
from tests.support.playbooks import HOST_VARS, play, settings
from tests.support.routed import CLIENT, SERVER, Routed, routed

TRACKING = """
table inet t {
    chain forward { type filter hook forward priority 0; ct state established accept; }
}
"""


@pytest.fixture
def hosts() -> Iterator[Routed]:
    with routed() as made:
        made.router.nft(TRACKING)
        made.router.sysctl("net.netfilter.nf_conntrack_acct", 1)
        yield made


def flush(name: str, **keys: Any) -> dict[str, Any]:
    task = {
        key: keys.pop(key)
        for key in ("check_mode", "diff", "ignore_errors", "register", "vars")
        if key in keys
    }
    return {"name": name, "rempart.netfilter.conntrack_flush": keys, **task}


def test_it_cuts_what_is_meant(tmp_path: Path, hosts: Routed) -> None:
    router = hosts.router
    ports = {"first": 5001, "second": 5002, "facts": 5003, "entries": 5004, "stays": 5005}
    flows = {name: Tcp(hosts.client, hosts.server, SERVER[4], port) for name, port in ports.items()}
    six = Tcp(hosts.client, hosts.server, SERVER[6], 5006)
    talk = Udp(hosts.client, hosts.server, SERVER[4], 5007, 5007)
    addresses = ["192.0.2.77", SERVER[4]]
    tasks = [
        flush("would", daddr=SERVER[4], dport=5001, check_mode=True, diff=True),
        flush("first", daddr=SERVER[4], dport=5001, diff=True),
        flush("again", daddr=SERVER[4], dport=5001),
        flush("negated", protocol="tcp", saddr="%s/24" % CLIENT[4], dport=["!5003-5005"]),
        flush(
            "facts",
            daddr="{{ facts.all_ipv4_addresses }}",
            dport=5003,
            vars={"facts": {"all_ipv4_addresses": addresses}},
        ),
        {"name": "info", "rempart.netfilter.conntrack_info": {"protocol": "tcp"}, "register": "known"},
        flush("none", connections="{{ known.connections | selectattr('original.dport', 'eq', 1) }}"),
        flush("entries", connections="{{ known.connections | selectattr('original.dport', 'eq', 5004) }}"),
        flush(
            "entries again", connections="{{ known.connections | selectattr('original.dport', 'eq', 5004) }}"
        ),
        flush("six", daddr="!10.0.0.0/8", limit=0),
        flush("talk", protocol="udp", block_for="1m"),
        flush("talk again", protocol="udp"),
    ]
    done = play(tmp_path, {router.name: {}}, tasks)
    assert done.statuses()[router.name] == [
        *("changed", "changed", "ok", "changed", "changed", "ok"),
        *("ok", "changed", "ok", "changed", "changed", "ok"),
    ]
    would, first = done.of("would"), done.of("first")
    assert (would["count"], would["reset"], len(would["killed"])) == (1, 0, 1)
    # a connection's line, but for the seconds that it has left
    shown, gone = (one["diff"][0]["before"].split() for one in (would, first))
    assert shown[:2] + shown[3:] == gone[:2] + gone[3:] and "dport=5001" in gone
    assert first["diff"][0]["after"] == ""
    assert (first["count"], first["reset"], first["deleted"]) == (1, 1, 1)
    assert first["killed"][0]["original"]["dport"] == 5001
    assert first["killed"][0]["outcome"] == "reset" and "outcome" not in would["killed"][0]
    assert done.of("negated")["count"] == done.of("facts")["count"] == done.of("entries")["count"] == 1
    again = done.of("entries again")
    assert (again["count"], again["already_gone"]) == (0, 1)
    assert (done.of("six")["count"], done.of("six")["killed"], done.of("six")["truncated"]) == (1, [], True)
    talked = done.of("talk")
    assert (talked["blocked"], talked["deleted"]) == (1, 0) and talked["blocked_until"].endswith("Z")
    assert (done.of("talk again")["count"], done.of("talk again")["already_cut"]) == (0, 1)

    stays = flows.pop("stays")
    assert all(all(flow.ended()) for flow in flows.values()) and all(six.ended())
    assert stays.exchange() and not talk.there(0.1)
    for one in (*flows.values(), six, stays, talk):
        one.close()
    with NetlinkSocket(router.name) as kernel:
        table = CutTable(kernel)
        table.release(table.held())


def test_mistakes_kill_nothing(tmp_path: Path, hosts: Routed) -> None:
    flows = [Tcp(hosts.client, hosts.server, SERVER[4], 5001) for _ in range(2)]
    wrong = [
        flush("nothing"),
        flush("empty", saddr=[]),
        flush("unknown", sadr="10.0.0.1", blockfor=5),
        flush("null", saddr=None, dport=5001),
        flush("a fact", saddr="{{ nothing }}", dport=5001, vars={"nothing": None}),
        flush("text", saddr="{{ nothing }}", dport=5001, vars={"nothing": ""}),
        flush("none given", connections=None, dport=5001),
        flush("no ceiling", max_kills=None, everything=True),
        flush("value", saddr="10.0.0.300", dport="nonesuch", block_for="soon", max_kills=0),
        flush("other", saddr="10.0.0.1", family="ip6"),
        flush("both", dport=5001, everything=True),
        flush("ceiling", protocol="tcp", max_kills=1),
        flush("shape", connections=[{"saddr": "10.0.0.1"}]),
    ]
    tasks = [{**one, "ignore_errors": True} for one in wrong]
    tasks.append(flush("left out", saddr="{{ nothing | default(omit) }}", dport=1))
    tasks.append(flush("everything", everything=True, how="forget"))
    done = play(tmp_path, {hosts.router.name: {}}, tasks)
    assert done.statuses()[hosts.router.name] == ["failed"] * 13 + ["ok", "changed"]
    assert "to kill every connection say so: everything" in done.of("nothing")["msg"]
    assert "an empty list" in done.of("empty")["msg"]
    assert {one["place"]: one["cure"] for one in done.of("unknown")["errors"]} == {
        "sadr": "did you mean 'saddr'?",
        "blockfor": "did you mean 'block_for'?",
    }
    for name, place in {
        "null": "saddr",
        "a fact": "saddr",
        "text": "saddr",
        "none given": "connections",
        "no ceiling": "max_kills",
    }.items():
        (error,) = done.of(name)["errors"]
        assert error["place"] == place, error
        assert name == "text" or "null" in error["message"]
    assert [one["place"] for one in done.of("value")["errors"]] == [
        *("saddr", "dport"),
        *("block_for", "max_kills"),
    ]
    assert "the other IP version" in done.of("other")["msg"]
    assert "give one of the two" in done.of("both")["msg"]
    ceiling = done.of("ceiling")["errors"][0]
    assert (ceiling["place"], ceiling["found"], ceiling["allowed"]) == ("max_kills", 2, "up to 1")
    assert done.of("shape")["errors"][0]["place"].startswith("connections[0].")
    assert done.of("everything")["deleted"] == 2
    for one in flows:
        assert one.exchange()
        one.close()


def test_by_hand(tmp_path: Path, hosts: Routed) -> None:
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {hosts.router.name: {}}, "vars": HOST_VARS}}))

    def ansible(arguments: str, *more: str) -> str:
        program = Path(sys.executable).with_name("ansible")
        module = ["-m", "rempart.netfilter.conntrack_flush", "-a", arguments]
        done = subprocess.run(
            [str(program), "all", "-i", str(inventory), *module, *more],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **settings(tmp_path)},
            timeout=60,
        )
        return done.stdout

    with (
        Tcp(hosts.client, hosts.server, SERVER[4], 5001) as flow,
        Tcp(hosts.server, hosts.client, CLIENT[4], 5001) as back,
    ):
        assert "CHANGED" in ansible("saddr=%s dport=5001,5002" % CLIENT[4], "--check") and flow.exchange()
        assert "FAILED" in ansible("saddr=%s max_kills=none" % CLIENT[4]) and flow.exchange()
        shown = ansible("saddr=%s dport=5001,5002" % CLIENT[4])
        assert "CHANGED" in shown and '"reset": 1' in shown
        assert all(flow.ended()) and back.exchange()
        assert "SUCCESS" in ansible("saddr=%s dport=5001,5002" % CLIENT[4])
