# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``conntrack_timeout``: a connection of one service outlives the others."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace
from tests.support.playbooks import play
from tests.support.traffic import echo_server

MakeNetns = Callable[[], Namespace]


def task(title: str, **keys: Any) -> dict[str, Any]:
    """A task; ``check_mode`` and its like are the task's, the rest the module's."""
    own = {key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors") if key in keys}
    return {"name": title, "rempart.netfilter.conntrack_timeout": keys, **own}


def left(netns: Namespace, port: int) -> int:
    """The seconds that a connection to the port has left once it stands."""
    with netns.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        client.connect(("127.0.0.1", port))
        (line,) = netns.run("conntrack", "-L", "-p", "tcp", "--dport", str(port)).stdout.splitlines()
        return int(line.split()[2])


def test_a_policy_from_coming_to_going(tmp_path: Path, make_netns: MakeNetns) -> None:
    netns = make_netns().up()
    with (
        echo_server(netns, "127.0.0.1", protocols=("tcp",)) as patient,
        echo_server(netns, "127.0.0.1", protocols=("tcp",)) as other,
    ):
        keys = {
            "name": "patient",
            "protocol": "tcp",
            "policy": {"established": "7d", "close": 5},
            "traffic": [{"daddr": "127.0.0.0/8", "dport": patient.port}],
        }
        tasks = [
            task("would", **keys, check_mode=True, diff=True),
            task("first", **keys, diff=True),
            task("second", **{**keys, "policy": {"established": 604800, "close": "5s"}}, diff=True),
            task("beside", name="names", protocol="udp", policy={"replied": 9}, traffic=[{"dport": 53}]),
        ]
        done = play(tmp_path, {netns.name: {}}, tasks)
        assert done.statuses()[netns.name] == ["changed", "changed", "ok", "changed"]
        would, first, second = (done.of(name) for name in ("would", "first", "second"))
        assert (would["changes"], would["diff"]) == (first["changes"], first["diff"])
        assert (second["changes"], second["diff"]) == ([], [])
        policy = "\t\tpolicy = { established : 604800, close : 5 }\n"
        assert policy in first["diff"][0]["after"] and first["diff"][0]["before"] == ""
        assert [
            one["place"] for one in first["changes"] if one.get("chain") == "patient" and "rule" in one
        ] == ["traffic[0]"]
        assert 604000 < left(netns, patient.port) <= 604800
        assert 431000 < left(netns, other.port) <= 432000

        tasks = [
            task("shorter", **{**keys, "policy": {"established": "1h"}}, diff=True),
            task("would go", name="patient", state="absent", check_mode=True),
        ]
        done = play(tmp_path, {netns.name: {}}, tasks)
        assert done.statuses()[netns.name] == ["changed", "changed"]
        assert {
            "action": "change",
            "kind": "ct timeout",
            "family": "inet",
            "name": "patient",
        }.items() <= next(one for one in done.of("shorter")["changes"] if one["kind"] == "ct timeout").items()
        netns.run("conntrack", "-F")
        assert 3590 < left(netns, patient.port) <= 3600

        tasks = [task("go", name="patient", state="absent"), task("gone", name="patient", state="absent")]
        done = play(tmp_path, {netns.name: {}}, tasks)
        assert done.statuses()[netns.name] == ["changed", "ok"]
        assert "patient" not in netns.nft_text() and "ct timeout names" in netns.nft_text()


def test_what_is_wrong_is_said_by_the_controller_all_at_once(tmp_path: Path, make_netns: MakeNetns) -> None:
    netns = make_netns()
    keys = {"name": "patient", "protocol": "tcp", "traffic": [{"dport": 70000}, {"dprot": 22}]}
    tasks = [
        task("wrong", **keys, policy={"establised": "2h", "close": 0}, ignore_errors=True),
        task("protocol", **{**keys, "protocol": "icmp", "traffic": [{}]}, policy={}, ignore_errors=True),
        task("long", **{**keys, "traffic": [{}]}, policy={"established": "60d"}, ignore_errors=True),
    ]
    # No module gets as far as this interpreter
    done = play(tmp_path, {netns.name: {"ansible_python_interpreter": "/bin/false"}}, tasks)
    assert done.statuses()[netns.name] == ["failed"] * 3
    assert {one["place"] for one in done.of("wrong")["errors"]} >= {
        "policy.establised",
        "policy.close",
        "traffic[0].dport",
        "traffic[1].dprot",
    }
    assert "tcp, udp" in done.of("protocol")["msg"]
    assert "24 days" in done.of("long")["msg"]

    done = play(
        tmp_path, {netns.name: {}}, [task("short", name="patient", protocol="tcp", ignore_errors=True)]
    )
    assert done.statuses()[netns.name] == ["failed"]
    assert {one["place"] for one in done.of("short")["errors"]} == {"", "traffic"}
    assert "'policy' is missing" in done.of("short")["msg"]
    assert netns.nft_text() == ""
