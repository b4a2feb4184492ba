# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``conntrack_entry``: one connection, by playbook and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.connections import inject, listed, tcp
from tests.support.namespaces import Namespace
from tests.support.playbooks import play

WEB: dict[str, Any] = {
    "protocol": "tcp",
    "saddr": "10.0.0.1",
    "daddr": "10.9.0.1",
    "sport": 1024,
    "dport": "https",
}


def task(title: str, **keys: Any) -> dict[str, Any]:
    """A task on one connection; ``check_mode`` and its like are the task's, the rest the module's."""
    own = {key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors") if key in keys}
    return {"name": title, "rempart.netfilter.conntrack_entry": keys, **own}


def test_it_is_changed_made_and_deleted(tmp_path: Path, netns: Namespace) -> None:
    inject(netns, [tcp(mark=1, timeout=600)])
    change = {**WEB, "mark": "0x10/0xf0", "timeout": "1h", "create": False}
    made = {**WEB, "sport": 1025, "mark": 3}
    tasks = [
        task("would change", **change, check_mode=True, diff=True),
        task("change", **change, diff=True),
        task("again", **change, diff=True),
        task("not there", **{**change, "sport": 1026}),
        task("would make", **made, check_mode=True),
        task("make", **made, diff=True),
        task("made", **made),
        task("would go", **WEB, state="absent", check_mode=True, diff=True),
        task("go", **WEB, state="absent", diff=True),
        task("gone", **WEB, state="absent"),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == [
        *("changed", "changed", "ok", "ok"),
        *("changed", "changed", "ok"),
        *("changed", "changed", "ok"),
    ]
    (left,) = listed(netns)
    assert (left["original"]["sport"], left["mark"], left["state"]) == (1025, 3, "ESTABLISHED")

    for title in ("would change", "change"):
        found = done.of(title)
        names = {one["name"]: (one["before"], one["after"]) for one in found["changes"]}
        assert names["mark"] == (1, 17) and names["timeout"][1] == 3600
        assert (found["action"], found["connection"]["mark"]) == ("change", 17)
        (shown,) = found["diff"]
        assert " mark=1\n" in shown["before"] and " mark=17\n" in shown["after"]
        assert shown["before"].startswith("tcp      6 ") and "dport=443" in shown["before"]
    assert (done.of("again")["action"], done.of("again")["diff"]) == ("none", [])
    assert done.of("not there")["connection"] == {}
    assert done.of("make")["diff"][0]["before"] == "" and done.of("make")["connection"]["id"]
    assert done.of("go")["diff"][0]["after"] == "" == done.of("would go")["diff"][0]["after"]
    assert "\n-tcp      6 " in done.output


def test_what_is_wrong_is_said_and_nothing_changes(tmp_path: Path, netns: Namespace) -> None:
    inject(netns, [tcp(mark=1)])
    tasks = [
        task("options", **{**WEB, "saddr": "10.0.0.300", "dport": "htps"}, mark="x", ignore_errors=True),
        task("refused", **WEB, labels=3, mark=2, helper="ftp", ignore_errors=True),
        task("check", **WEB, helper="ftp", check_mode=True, ignore_errors=True),
        task("no such namespace", **WEB, netns="rempart-absent", ignore_errors=True),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == ["failed"] * 4
    assert [one["place"] for one in done.of("options")["errors"]] == ["saddr", "dport", "mark"]
    for title in ("refused", "check"):
        assert [one["place"] for one in done.of(title)["errors"]] == ["helper"]
    assert "no such network namespace" in done.of("no such namespace")["msg"]
    assert [one["mark"] for one in listed(netns)] == [1]


def test_facts_name_it(tmp_path: Path, netns: Namespace) -> None:
    inject(netns, [tcp("10.0.0.%d" % host, dport=8443) for host in (1, 2, 3)])
    name = {key: "{{ item.original.%s }}" % key for key in ("saddr", "daddr", "sport", "dport")}
    tasks = [
        {
            "name": "find",
            "rempart.netfilter.conntrack_info": {"saddr": "10.0.0.2-10.0.0.3"},
            "register": "found",
        },
        {
            "name": "mark",
            "rempart.netfilter.conntrack_entry": {"protocol": "{{ item.protocol }}", **name, "mark": "7"},
            "loop": "{{ found.connections }}",
        },
    ]
    play(tmp_path, {netns.name: {}}, tasks)
    marks = {one["original"]["saddr"]: one["mark"] for one in listed(netns)}
    assert marks == {"10.0.0.1": 0, "10.0.0.2": 7, "10.0.0.3": 7}
