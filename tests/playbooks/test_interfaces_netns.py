# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules with ``netns``: what they say of interfaces is what the names are there.

The host has devices of the same two names, with each other's index.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.namespaces import namespaces
from tests.support.playbooks import play

HELD = """
table inet t {
	set s { type iface_index; elements = { "one" }; }
	chain c { iif "one" accept; }
	chain base { type filter hook input priority 0; iif "one" jump c; }
}
"""


def matched(name: str) -> dict[str, Any]:
    return {"expr": [{"match": {"op": "==", "left": {"meta": {"key": "iif"}}, "right": name}}]}


def test_every_module_that_shows_or_takes_interfaces(tmp_path: Path) -> None:
    file = str(tmp_path / "saved.json")
    with namespaces(2) as (home, target):
        for where, names in ((home, ("two", "one")), (target, ("one", "two"))):
            for index, name in zip((10, 20), names):
                peer = ["peer", "name", name + "-peer", "index", str(index + 1)]
                where.run("ip", "link", "add", name, "index", str(index), "type", "veth", *peer)
        target.nft(HELD)

        def task(title: str, **keys: Any) -> dict[str, Any]:
            more = {key: keys.pop(key) for key in ("check_mode", "ignore_errors") if key in keys}
            module = keys.pop("module", title)
            body = {"netns": target.name, **keys}
            return {"name": title, "rempart.netfilter." + module: body, "diff": True, **more}

        table = {"name": "t", "chains": [{"name": "c", "rules": [matched("two")]}]}
        absent = {"name": "t", "chains": [{"name": "c", "rules": [matched("absent")]}]}
        done = play(
            tmp_path,
            {home.name: {}},
            [
                task("ruleset_info", document=True),
                task("save", module="snapshot", state="saved", path=file),
                task("ruleset", tables=[table], check_mode=True),
                task("absent", module="ruleset", tables=[absent], ignore_errors=True),
                task("chain", table="t", name="c", rules=[matched("two")], check_mode=True),
                task("jumped", module="chain", table="t", name="c", state="absent", ignore_errors=True),
                task("set_elements", table="t", set="s", elements=["two"], state="exact"),
                task("restore", module="snapshot", state="restored", path=file, on_clash="replace"),
                task("again", module="snapshot", state="restored", path=file),
            ],
        )
        (shown,) = done.of("ruleset_info")["tables"]
        assert [rule["rule"] for rule in shown["chains"][0]["rules"]] == ['iif "one" accept']
        assert shown["sets"][0]["elem"] == ["one"]
        written = json.loads(Path(file).read_text())["tables"]
        for tables in (done.of("ruleset_info")["document"]["tables"], written):
            assert tables[0]["sets"][0]["elements"] == ["one"]
            assert '"two"' not in json.dumps(tables)
        for name in ("ruleset", "chain"):
            (diff,) = done.of(name)["diff"]
            assert 'iif "one" accept' in diff["before"] and 'iif "two"' in diff["after"]
            rules = [one["rule"] for one in done.of(name)["changes"] if one["kind"] == "rule"]
            assert 'iif "one" accept' in rules and 'iif "two"' in rules
        assert "no such interface; found 'absent'" in done.of("absent")["msg"]
        assert "'iif \"one\" jump c'" in done.of("jumped")["msg"]
        changed = done.of("set_elements")
        assert (changed["added"], changed["removed"]) == (['"two"'], ['"one"'])
        assert changed["diff"][0]["before"] == '"one"\n'
        (diff,) = done.of("restore")["diff"]
        assert '"two"' in diff["before"] and '"one"' in diff["after"]
        assert done.statuses()[home.name][-2:] == ["changed", "ok"]
        assert 'elements = { "one" }' in target.nft_text()
