# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``ruleset`` in real playbooks: what it changes, what it leaves alone, what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rempart.ansible import failure

from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import ROOT, Played, play
from tests.support.traffic import echo_server, tcp_connect

MakeNetns = Callable[[], Namespace]

ACCEPT_SSH = {"protocol": "tcp", "dport": "ssh", "counter": True, "verdict": "accept"}
ACCEPT_WEB = {"protocol": "tcp", "dport": [80, 443], "verdict": "accept"}
OTHERS = 'table ip filter { chain INPUT { type filter hook input priority 10; counter comment "theirs"; }; }'


def edge(*rules: dict[str, Any], policy: str = "drop") -> list[dict[str, Any]]:
    """A table with one base chain."""
    chain = {"name": "input", "hook": "input", "policy": policy, "rules": list(rules)}
    return [{"name": "edge", "chains": [chain]}]


def ruleset(name: str, tables: Any, **keys: Any) -> dict[str, Any]:
    """A task; ``check_mode`` and its like are the task's, the rest the module's."""
    task = {
        key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors", "async", "poll") if key in keys
    }
    return {"name": name, "rempart.netfilter.ruleset": {"tables": tables, **keys}, **task}


def kinds(done: Played, task: str) -> list[tuple[str, str]]:
    """Action and kind of each change that a task tells of."""
    return [(one["action"], one["kind"]) for one in done.of(task)["changes"]]


def test_it_applies_repeats_repairs_and_removes(tmp_path: Path, make_netns: MakeNetns) -> None:
    host, peer = make_netns().up(), make_netns().up()
    veth(host, peer, "192.0.2.1/24", "192.0.2.2/24")
    host.nft(OTHERS)
    theirs = host.nft_text("table", "ip", "filter")
    wanted = edge(ACCEPT_SSH, ACCEPT_WEB)
    drift = ["nft", "add", "rule", "inet", "edge", "input", "tcp dport 23 accept"]
    tasks = [
        ruleset("would", wanted, check_mode=True, diff=True),
        {"name": "nothing yet", "ansible.builtin.command": "nft list ruleset"},
        ruleset("first", wanted, diff=True),
        ruleset("second", wanted, diff=True),
        ruleset("in full", wanted, full=True),
        {"name": "drift", "ansible.builtin.command": {"argv": drift}},
        ruleset("found", wanted, check_mode=True, diff=True),
        ruleset("still found", wanted, check_mode=True),
        ruleset("repaired", wanted),
        ruleset("policy", edge(ACCEPT_SSH, ACCEPT_WEB, policy="accept"), diff=True),
        ruleset("later", wanted, **{"async": 30, "poll": 1}),
        {"name": "held", "ansible.builtin.command": "nft --stateless list table inet edge"},
    ]
    done = play(tmp_path, {host.name: {}}, tasks)
    assert kinds(done, "would") == [("add", "table"), ("add", "chain"), ("add", "rule"), ("add", "rule")]
    assert done.of("nothing yet")["stdout"].split("\n")[0] == "table ip filter {"
    assert "edge" not in done.of("nothing yet")["stdout"]
    assert done.of("would")["changed"] and done.of("first")["changed"]
    shown = done.of("first")["diff"]
    assert [(one["before"], one["after_header"]) for one in shown] == [("", "table inet edge (document)")]
    assert "tcp dport { 80, 443 } accept" in shown[0]["after"]
    assert done.of("would")["diff"] == shown
    second = done.of("second")
    assert (second["changed"], second["changes"], second["diff"]) == (False, [], [])
    assert second["compared"] is False  # told from the kernel's generation alone
    assert (done.of("in full")["changed"], done.of("in full")["compared"]) == (False, True)
    for task in ("found", "still found", "repaired"):
        assert kinds(done, task) == [("remove", "rule")]
        assert done.of(task)["changes"][0]["rule"] == "tcp dport 23 accept"
        assert done.of(task)["changed"] is True
    assert "\t\ttcp dport 23 accept\n" in done.of("found")["diff"][0]["before"]
    assert "dport 23" not in done.of("found")["diff"][0]["after"]
    assert kinds(done, "policy") == [("change", "policy")]
    assert done.of("later")["changed"] is True
    assert "policy drop" in done.of("held")["stdout"]
    assert host.nft_text("table", "ip", "filter") == theirs

    with echo_server(host, "192.0.2.1", 443), echo_server(host, "192.0.2.1", 444):
        assert tcp_connect(peer, "192.0.2.1", 443) == "connected"
        assert tcp_connect(peer, "192.0.2.1", 444, timeout=0.3) == "timeout"

    gone = [{"name": "edge", "chains": "never looked at"}, {"name": "never_there", "family": "ip"}]
    tasks = [
        ruleset("would go", gone, state="absent", check_mode=True),
        ruleset("goes", gone, state="absent", diff=True),
        ruleset("gone", gone, state="absent"),
    ]
    done = play(tmp_path, {host.name: {}}, tasks)
    assert done.statuses()[host.name] == ["changed", "changed", "ok"]
    assert kinds(done, "goes") == [("remove", "table")]
    assert (done.of("goes")["diff"][0]["after"], "dport 22" in done.of("goes")["diff"][0]["before"]) == (
        "",
        True,
    )
    assert [one["table"]["name"] for one in host.nft_json() if "table" in one] == ["filter"]
    assert host.nft_text("table", "ip", "filter") == theirs


def test_a_second_playbook_changes_nothing(tmp_path: Path, make_netns: MakeNetns) -> None:
    hosts = [make_netns().up(), make_netns().up()]
    tables = edge({"saddr": ["192.0.2.0/24", "2001:db8::/32"], "verdict": "accept"}, {"log": "dropped: "})
    inventory: dict[str, dict[str, Any]] = {host.name: {} for host in hosts}
    tasks = [ruleset("firewall", "{{ tables }}")]
    first = play(tmp_path, inventory, tasks, vars={"tables": tables})
    second = play(tmp_path, inventory, tasks, vars={"tables": tables})
    assert [first.of("firewall", host.name)["changed"] for host in hosts] == [True, True]
    for host in hosts:
        assert second.of("firewall", host.name)["changed"] is False
        assert second.of("firewall", host.name)["compared"] is False
    assert second.output.count("changed=0") == 2


def test_what_is_wrong_is_told_before_any_host_is_touched(tmp_path: Path) -> None:
    rules = [
        {"protocol": "tcp", "dprot": 22, "verdict": "accept"},
        ACCEPT_SSH,
        {"saddr": "192.0.2.256", "verdict": "drop"},
        {"protocol": "icmp", "dport": 22},
    ]
    tasks = [
        ruleset("wrong", edge(*rules), ignore_errors=True),
        ruleset("shape", {"name": "edge"}, ignore_errors=True),
        ruleset("loose", [{"name": "edge", "chians": []}], ignore_errors=True),
    ]
    # A host that there is not: had anything been asked of it, it would be unreachable.
    done = play(tmp_path, {"rempart-absent": {}}, tasks)
    assert done.statuses() == {"rempart-absent": ["failed", "failed", "failed"]}
    wrong = done.of("wrong")
    place = "tables[0].chains[0].rules[%d].%s"
    assert {one["place"] for one in wrong["errors"]} >= {
        place % (0, "dprot"),
        place % (2, "saddr"),
        place % (3, "dport"),
    }
    assert "did you mean 'dport'?" in wrong["msg"]
    assert [one["place"] for one in done.of("shape")["errors"]] == ["tables"]
    assert "did you mean 'chains'?" in done.of("loose")["msg"]


def test_the_module_works_without_the_action_plugin(tmp_path: Path, netns: Namespace) -> None:
    collection = tmp_path / "bare/ansible_collections/rempart/netfilter"
    (collection / "plugins").mkdir(parents=True)
    for name in ("galaxy.yml", "meta"):
        (collection / name).symlink_to(ROOT / name)
    for name in ("modules", "module_utils", "doc_fragments", "connection"):
        (collection / "plugins" / name).symlink_to(ROOT / "plugins" / name)
    elsewhere = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "bare")}
    wanted = edge(ACCEPT_SSH, ACCEPT_WEB)
    wanted[0]["chains"][0]["priority"] = "filter - 5"
    tasks = [
        ruleset("first", wanted),
        ruleset("second", wanted),
        ruleset("wrong", edge({"dprot": 1}, {"protocol": "icmp", "dport": 1}), ignore_errors=True),
        ruleset("gone", wanted, state="absent"),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks, environment=elsewhere)
    assert done.statuses()[netns.name] == ["changed", "ok", "failed", "changed"]
    assert done.of("second")["compared"] is False
    assert len(done.of("wrong")["errors"]) == 2
    assert netns.nft_json() == []


def test_namespaces_and_privileges(tmp_path: Path, make_netns: MakeNetns) -> None:
    host, other = make_netns(), make_netns()
    group = {"group/rempart.netfilter.netfilter": {"netns": other.name}}
    tasks = [
        ruleset("by default", edge(ACCEPT_SSH)),
        ruleset("none", edge(ACCEPT_SSH), netns=other.name + "x", ignore_errors=True),
    ]
    done = play(tmp_path, {host.name: {}}, tasks, module_defaults=group)
    assert done.of("by default")["changed"]
    assert host.nft_json() == [] and len(other.nft_json()) == 3
    assert done.of("none")["msg"].startswith("no such network namespace; found '%sx'" % other.name)
    assert "did you mean '%s'?" % other.name in done.of("none")["msg"]

    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    powerless = (setpriv, "--bounding-set", "-net_admin", "--inh-caps", "-net_admin")
    tasks = [ruleset("powerless", edge(ACCEPT_SSH), ignore_errors=True)]
    done = play(tmp_path, {host.name: {}}, tasks, prefix=powerless)
    assert "run as root" in done.of("powerless")["msg"]
    assert host.nft_json() == []


def test_a_python_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(Exception):
        """Stands for the end of the module."""

    class Module:
        """As much of AnsibleModule as a failure takes."""

        def fail_json(self, **result: Any) -> None:
            raise Ended(result["msg"])

    monkeypatch.setattr(failure, "PYTHON", (99, 1))
    told = pytest.raises(Ended, match=r"needs Python 99\.1 or later .* this is Python 3\.\d+ ")
    with told, failure.failing(Module()):
        raise AssertionError("the engine would be imported")
