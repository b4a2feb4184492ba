# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``snapshot``: tables into a file, and back, with check mode and diffs."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from rempart.document.times import milliseconds

from tests.support.namespaces import Namespace
from tests.support.playbooks import play
from tests.support.rulesets import content, raw

TABLES = """
table inet edge {
	chain input { type filter hook input priority filter; policy drop; ct state established accept; }
}
table ip home {
	chain post { type nat hook postrouting priority srcnat; oifname "ppp0" masquerade; }
}
"""


def snapshot(name: str, **keys: Any) -> dict[str, Any]:
    """A task; ``check_mode`` and its like are the task's, the rest the module's."""
    task = {key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors") if key in keys}
    return {"name": name, "rempart.netfilter.snapshot": keys, **task}


def test_it_saves_once(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(TABLES)
    file = tmp_path / "saved" / "t.json"
    file.parent.mkdir()
    where = {"path": str(file), "state": "saved"}
    tasks = [
        snapshot("would save", **where, check_mode=True, diff=True),
        snapshot("save", **where),
        snapshot("saved", **where),
        snapshot("one", **where, tables=[{"name": "home"}]),
        snapshot("missing", **where, tables=[{"name": "hom"}], ignore_errors=True),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == ["changed", "changed", "ok", "changed", "failed"]
    assert '"edge"' in done.of("would save")["diff"][0]["after"]
    assert done.of("save")["tables"] == [
        {"family": "inet", "name": "edge", "result": "saved"},
        {"family": "ip", "name": "home", "result": "saved"},
    ]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [table["name"] for table in json.loads(file.read_text())["tables"]] == ["home"]
    assert "did you mean 'home'?" in done.of("missing")["msg"]


def test_it_restores_by_table(tmp_path: Path, netns: Namespace) -> None:
    netns.nft(TABLES)
    wanted = content(netns)
    file = tmp_path / "t.json"
    assert play(tmp_path, {netns.name: {}}, [snapshot("s", path=str(file), state="saved")]).status == 0
    netns.nft("delete table ip home\nadd rule inet edge input accept")
    changed = raw(netns)
    where = {"path": str(file), "state": "restored"}
    done = play(
        tmp_path,
        {netns.name: {}},
        [
            snapshot("clash", **where, ignore_errors=True),
            snapshot("would replace", **where, on_clash="replace", check_mode=True, diff=True),
        ],
    )
    assert done.statuses()[netns.name] == ["failed", "changed"]
    assert "table inet edge is there already" in done.of("clash")["msg"]
    assert "set on_clash to skip or to replace" in done.of("clash")["errors"][0]["cure"]
    assert [one["before_header"] for one in done.of("would replace")["diff"]] == [
        "table inet edge (kernel)",
        "table ip home (kernel)",
    ]
    assert raw(netns) == changed
    done = play(
        tmp_path,
        {netns.name: {}},
        [
            snapshot("skip", **where, on_clash="skip"),
            snapshot("skip again", **where, on_clash="skip"),
            snapshot("replace", **where, on_clash="replace"),
            snapshot("same", **where),
        ],
    )
    assert done.statuses()[netns.name] == ["changed", "ok", "changed", "ok"]
    assert [one["result"] for one in done.of("skip")["tables"]] == ["skipped", "restored"]
    assert [one["result"] for one in done.of("replace")["tables"]] == ["replaced", "same"]
    assert content(netns) == wanted


def test_a_file_that_is_none_fails(tmp_path: Path, netns: Namespace) -> None:
    (tmp_path / "t.json").write_text('{"tables": []}')
    tasks = [
        snapshot("missing", path=str(tmp_path / "no.json"), state="restored", ignore_errors=True),
        snapshot("another's", path=str(tmp_path / "t.json"), state="restored", ignore_errors=True),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert "cannot read the file: No such file" in done.of("missing")["msg"]
    assert "not a file that rempart saved" in done.of("another's")["msg"]


def test_time_that_runs_is_no_change_of_the_file(tmp_path: Path, netns: Namespace) -> None:
    netns.nft("table inet t { set s { type ipv4_addr; flags timeout; }; }")
    netns.nft("add element inet t s { 1.1.1.1 timeout 1h expires 5m }")
    where = {"path": str(tmp_path / "t.json"), "state": "saved"}
    add = {"table": "t", "set": "s", "elements": [{"elem": "1.1.1.2", "timeout": "1h"}], "family": "inet"}
    tasks = [
        snapshot("save", **where),
        snapshot("again", **where),
        {"name": "add", "rempart.netfilter.set_elements": add},
        snapshot("more", **where),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == ["changed", "ok", "changed", "changed"]
    first, second = json.loads((tmp_path / "t.json").read_text())["tables"][0]["sets"][0]["elements"]
    assert 0 < milliseconds(first["expires"]) <= 300000 and second["timeout"] == 3600
