# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``set_elements``: a ban that real packets meet, and its end; by playbook and by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.playbooks.test_ruleset_examples import examples
from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import HOST_VARS, play, settings
from tests.support.traffic import echo_server, udp_send

MakeNetns = Callable[[], Namespace]

TABLE = """
table inet edge {
    set blocked { type ipv4_addr; flags interval,timeout; auto-merge; elements = { 198.51.100.0/24 }; }
    set plain { type ipv4_addr; }
    map ports { type inet_service : verdict; elements = { 22 : accept }; }
    chain input { type filter hook input priority 0; ip saddr @blocked counter drop; }
}
"""


def task(title: str, elements: Any, **keys: Any) -> dict[str, Any]:
    """A task on the set ``blocked`` of the table ``edge``; ``check_mode`` and its like are the task's."""
    own = {key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors") if key in keys}
    options = {"table": "edge", "set": "blocked", "elements": elements, **keys}
    return {"name": title, "rempart.netfilter.set_elements": options, **own}


def answers(client: Namespace) -> bool:
    return udp_send(client, "10.9.0.1", 7, timeout=0.3) == b"rempart"


def test_a_ban_and_its_end(tmp_path: Path, make_netns: MakeNetns) -> None:
    server, client = make_netns().up(), make_netns().up()
    veth(server, client, ("10.9.0.1/24",), ("10.9.0.2/24",))
    server.nft(TABLE)
    with echo_server(server, "10.9.0.1", 7, ("udp",)):
        assert answers(client)
        done = play(tmp_path, {server.name: {}}, [task("ban", "10.9.0.2", timeout="1h", diff=True)])
        assert not answers(client)
        assert done.statuses()[server.name] == ["changed"]
        assert done.of("ban")["added"] == ["10.9.0.2 timeout 1h"]
        assert done.of("ban")["removed"] == []
        (diff,) = done.of("ban")["diff"]
        assert (diff["before"], diff["after"]) == ("", "10.9.0.2 timeout 1h\n")
        assert diff["after_header"] == "set inet edge blocked (changed elements)"

        done = play(
            tmp_path,
            {server.name: {}},
            [
                task("again", ["10.9.0.2"], timeout="1h"),
                task("would let in", "10.9.0.2", state="absent", check_mode=True),
                task("a second", "10.9.0.2", timeout=1),
            ],
        )
        assert done.statuses()[server.name] == ["ok", "changed", "changed"]
        assert [one.partition(" expires")[0] for one in done.of("would let in")["removed"]] == [
            "10.9.0.2 timeout 1h"
        ]
        deadline = time.monotonic() + 5
        while not answers(client):
            assert time.monotonic() < deadline, "the ban does not end"
        play(tmp_path, {server.name: {}}, [task("ban", "10.9.0.0/30")])
        assert not answers(client)
        play(tmp_path, {server.name: {}}, [task("let in", "10.9.0.2", state="absent")])
        assert answers(client)
    assert "10.9.0.0/31, 10.9.0.3, 198.51.100.0/24" in " ".join(server.nft_text().split())


def by_hand(directory: Path, host: str, arguments: str, *options: str) -> tuple[int, dict[str, Any]]:
    """What ``ansible HOST -m rempart.netfilter.set_elements -a ARGUMENTS`` gives."""
    inventory = directory / "inventory.yml"
    inventory.write_text(json.dumps({"all": {"hosts": {host: {}}, "vars": HOST_VARS}}))
    command = [str(Path(sys.executable).parent / "ansible"), host, "-i", str(inventory)]
    done = subprocess.run(
        [*command, "-m", "rempart.netfilter.set_elements", "-a", arguments, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **settings(directory), "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0"},
    )
    result: dict[str, Any] = json.loads(done.stdout.partition(" => ")[2])
    return done.returncode, result


def test_by_hand(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(TABLE)
    ban = "table=edge set=blocked elements=203.0.113.9 timeout=1h"
    code, result = by_hand(tmp_path, netns.name, ban)
    assert (code, result["changed"], result["added"]) == (0, True, ["203.0.113.9 timeout 1h"])
    assert by_hand(tmp_path, netns.name, ban)[1]["changed"] is False
    code, result = by_hand(tmp_path, netns.name, ban + " refresh=yes", "--check")
    assert (code, result["changed"]) == (0, True)
    several = "table=edge set=plain elements=203.0.113.9,203.0.113.10"
    assert by_hand(tmp_path, netns.name, several)[1]["added"] == ["203.0.113.9", "203.0.113.10"]
    pair = "table=edge set=ports elements='80 : drop, 443 : accept'"
    assert by_hand(tmp_path, netns.name, pair)[1]["added"] == ["80 : drop", "443 : accept"]
    code, result = by_hand(tmp_path, netns.name, "table=edge set=blokced elements=203.0.113.9")
    assert code == 2 and "did you mean 'blocked'?" in result["msg"]


def test_the_examples_run(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(
        """table inet edge {
        set blocked { type ipv4_addr; flags interval,timeout; }
        set friends { type ipv4_addr . inet_service; flags timeout; }
        map by_port { type inet_service : verdict; }
        chain web { }
        }"""
    )
    tasks = examples("set_elements")
    again = [{**one, "name": "again: " + one["name"]} for one in tasks[1:]]
    done = play(tmp_path, {netns.name: {}}, [*tasks, *again])
    assert done.statuses()[netns.name] == ["changed"] * len(tasks) + ["ok"] * len(again)


def test_states_and_what_is_wrong(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(TABLE)
    before = netns.nft_text()
    wrong = [
        task("place", ["192.0.2.1", "192.0.2.2", {"elem": "192.0.2.3"}, "web.example"], ignore_errors=True),
        task("family", "192.0.2.1", family="ip", ignore_errors=True),
        task("timeout", ["192.0.2.1"], set="plain", timeout="1h", ignore_errors=True),
        task("state", "192.0.2.1", state="here", ignore_errors=True),
    ]
    done = play(tmp_path, {netns.name: {}}, wrong)
    (problem,) = done.of("place")["errors"]
    assert (problem["place"], problem["found"]) == ("elements[3]", "web.example")
    assert done.of("family")["errors"][0]["cure"] == "there is one of family inet: name that family"
    assert done.of("timeout")["errors"][0]["place"] == "timeout"
    assert "value of state must be one of" in done.of("state")["msg"]
    assert netns.nft_text() == before

    some = ["192.0.2.1", {"elem": "192.0.2.2", "comment": "why"}]
    tasks = [
        task("exact", some, set="plain", state="exact", diff=True),
        task("same", some, set="plain", state="exact"),
        task("map", {22: "drop", "https": "accept"}, set="ports"),
        task("map again", [{"key": 22, "value": "drop"}], set="ports"),
        task("map less", 22, set="ports", state="absent"),
        task("none", [], set="plain", state="exact"),
    ]
    done = play(
        tmp_path,
        {netns.name: {}},
        tasks,
        module_defaults={"group/rempart.netfilter.netfilter": {"netns": netns.name}},
    )
    assert done.statuses()[netns.name] == ["changed", "ok", "changed", "ok", "changed", "changed"]
    assert done.of("exact")["added"] == ["192.0.2.1", '192.0.2.2 comment "why"']
    assert (done.of("map")["removed"], done.of("map")["added"]) == (
        ["22 : accept"],
        ["22 : drop", "443 : accept"],
    )
    assert "elements = { 443 : accept }" in netns.nft_text("map", "inet", "edge", "ports")
    assert "elements" not in netns.nft_text("set", "inet", "edge", "plain")
