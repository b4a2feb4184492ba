# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interfaces of another namespace, by ``--netns``: the names and indexes there, not those of the caller.

The caller's namespace has devices of the same two names, with each other's index: whoever looks
in the wrong place finds the wrong device. What a command run inside says is what it shall say.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rempart.errors import DocumentError
from rempart.links import interfaces
from rempart.ruleset import inventory
from rempart.ruleset.reconcile import Source, reconcile

from tests.support.command import SCRIPT, rempart
from tests.support.namespaces import Namespace, namespaces
from tests.support.rulesets import content

HELD = """
table inet t {
	set s { type iface_index; elements = { "one", "two" }; }
	set pairs { type ipv4_addr . iface_index; elements = { 10.0.0.1 . "two" }; }
	map verdicts { type iface_index : verdict; elements = { "one" : accept, "two" : drop }; }
	chain c {
		iif "one" accept
		iif != "two" oif "one" drop
		iif { "one", "lo" } counter
		iif vmap { "one" : accept, "two" : drop }
		fib saddr . iif oif "one" accept
		iif @s accept
	}
}
table netdev n {
	chain c {
		type filter hook ingress device "one" priority 0;
		meta mark 1 dup to "two"
		meta mark 2 fwd to "two"
		fwd to meta mark map { 1 : "one", 2 : "two" }
	}
}
"""

RULES = [
    {"iifname": "lo", "verdict": "accept"},
    {"expr": [{"match": {"op": "==", "left": {"meta": {"key": "iif"}}, "right": "two"}}, {"drop": None}]},
    {"iif": {"not": ["lo", "two"]}, "oif": "one", "counter": True},
    {"vmap": {"key": ["iif", "oif"], "data": {"one . two": "drop"}}},
]
TABLE = {
    "name": "t",
    "sets": [{"name": "s", "type": "iface_index", "elements": ["two"]}],
    "chains": [{"name": "c", "rules": RULES}],
}


class Two:
    """The namespace that a command runs in, and the one that it works in."""

    def __init__(self, home: Namespace, target: Namespace) -> None:
        self.home = home
        self.target = target

    def both(self, *arguments: object) -> tuple[Any, Any]:
        """What a command says with ``--netns``, and what it says inside."""
        words = [str(SCRIPT), *map(str, arguments)]
        done = [
            self.home.run(*words, "--netns", self.target.name, check=False),
            self.target.run(*words, check=False),
        ]
        return tuple((one.returncode, one.stdout, one.stderr) for one in done)  # type: ignore[return-value]

    def from_home(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A command with ``--netns``."""
        return self.home.run(str(SCRIPT), *map(str, arguments), "--netns", self.target.name, check=False)


@pytest.fixture
def two() -> Iterator[Two]:
    with namespaces(2) as (home, target):
        for where, names in ((home, ("two", "one")), (target, ("one", "two"))):
            for index, name in zip((10, 20), names):
                peer = ["peer", "name", name + "-peer", "index", str(index + 1)]
                link = ["link", "add", name, "index", str(index), "type", "veth", *peer]
                where.run("ip", *link)
        target.run("ip", "link", "add", "only-here", "index", "30", "type", "bridge")
        target.nft(HELD)
        yield Two(home, target)


def document(directory: Path, *tables: Any) -> Path:
    path = directory / "document.json"
    path.write_text(json.dumps({"tables": tables}))
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("show", "--json"),
        ("capture",),
        ("capture", "--json"),
        ("elements", "show", "t", "s"),
        ("elements", "show", "t", "pairs"),
        ("elements", "show", "t", "verdicts", "--json"),
        ("elements", "add", "t", "s", "only-here", "--dry-run"),
        ("elements", "delete", "t", "s", "two", "--dry-run", "--json"),
        ("elements", "add", "t", "s", "absent"),
        ("save", "-"),
    ],
    ids=" ".join,
)
def test_what_is_shown_is_what_is_shown_inside(two: Two, words: tuple[str, ...]) -> None:
    outside, inside = two.both(*words)
    if words[0] == "save":
        outside, inside = ((code, json.loads(text)["tables"], said) for code, text, said in (outside, inside))
    assert outside == inside
    if "absent" in words:
        assert outside[0] == 1 and "no such interface; found 'absent'" in outside[2]


@pytest.mark.parametrize("words", [("--diff",), ("--json",)])
@pytest.mark.parametrize("subcommand", ["plan", "check"])
def test_both_sides_of_a_difference(
    two: Two, subcommand: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    path = document(tmp_path, TABLE, {"name": "n", "family": "netdev"})
    outside, inside = two.both(subcommand, path, *words)
    assert outside == inside and outside[0] == 2
    if "--json" not in words:
        shown = [" ".join(line.split()) for line in outside[1].splitlines()]
        for line in ('- iif "one" accept', '- meta mark 0x00000001 dup to "two"', '+ iif "two" drop'):
            assert line in shown


def test_what_is_applied(two: Two, tmp_path: Path) -> None:
    path = document(tmp_path, TABLE)
    done = two.from_home("apply", path, "--json")
    assert done.returncode == 0
    assert 'iif "one" accept' in [one["rule"] for one in json.loads(done.stdout)["changes"] if "rule" in one]
    text = two.target.nft_text("table", "inet", "t")
    assert 'iif "two" drop' in text
    assert 'iif != { "lo", "two" } oif "one" counter' in text
    assert 'iif . oif vmap { "one" . "two" : drop }' in text
    assert two.from_home("apply", path).stdout == "nothing to do\n"
    assert two.from_home("check", path, "--full").returncode == 0


@pytest.mark.parametrize(
    "rule",
    [
        {"expr": [{"match": {"op": "==", "left": {"meta": {"key": "iif"}}, "right": "only-hare"}}]},
        {"oif": "only-hare"},
    ],
    ids=["expr", "flat"],
)
def test_an_interface_that_is_not_there(two: Two, tmp_path: Path, rule: dict[str, Any]) -> None:
    """The nearest name is one of the namespace's."""
    two.home.run("ip", "link", "add", "only-hare", "type", "bridge")
    rules = [rule]
    path = document(tmp_path, {"name": "t", "chains": [{"name": "c", "rules": rules}]})
    before = content(two.target)
    for subcommand in ("plan", "apply", "check"):
        done = two.from_home(subcommand, path)
        assert done.returncode == 1
        assert "no such interface; found 'only-hare'" in done.stderr
        assert "did you mean 'only-here'?" in done.stderr
    assert content(two.target) == before


def test_captured_rules_name_the_interfaces_of_the_namespace(two: Two, tmp_path: Path) -> None:
    two.target.run("ip", "link", "delete", "only-here")
    path = tmp_path / "captured.json"
    path.write_text(two.from_home("capture", "--json", "t").stdout)
    rules = json.loads(path.read_text())["tables"][0]["chains"][0]["rules"]
    assert rules[:4] == [
        {"iif": "one", "verdict": "accept"},
        {"iif": "!two", "oif": "one", "verdict": "drop"},
        {"iif": ["lo", "one"], "counter": True},
        {"vmap": {"key": "iif", "data": {"one": "accept", "two": "drop"}}},
    ]
    assert two.from_home("check", path, "--full").returncode == 0


def test_a_refused_rule_is_shown_with_its_device(two: Two, tmp_path: Path) -> None:
    """Of rates the kernel takes none that overflows its arithmetic."""
    wrong = [{"match": {"op": "==", "left": {"meta": {"key": "iif"}}, "right": "only-here"}}]
    wrong += [{"limit": {"rate": 3000, "rate_unit": "mbytes", "per": "week"}}]
    chain = {"name": "c", "type": "filter", "hook": "input", "rules": [{"expr": wrong}]}
    path = document(tmp_path, {"name": "t", "chains": [chain]})
    outside, inside = two.both("apply", path)
    assert outside == inside
    assert outside[0] == 1 and 'iif "only-here" limit rate 3000 mbytes/week' in outside[2]


def test_there_and_back(two: Two, tmp_path: Path) -> None:
    """A file saved from outside is restored inside, and one saved inside from outside."""
    wanted, text = content(two.target), two.target.nft_text()
    for saver, restorer in ((two.from_home, two.target.run), (two.target.run, two.from_home)):
        path = tmp_path / "saved.json"
        for run, words in ((saver, ("save", path)), (restorer, ("restore", path))):
            script = () if run == two.from_home else (str(SCRIPT),)
            done = run(*script, *map(str, words))
            assert done.returncode == 0, done.stderr
            if words[0] == "save":
                two.target.nft("flush ruleset")
        assert content(two.target) == wanted
        assert two.target.nft_text() == text
    done = two.from_home("restore", path)
    assert done.stdout == "inet t: same\nnetdev n: same\n"


def test_part_of_a_file_needs_only_its_own_interfaces(two: Two, tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    assert two.from_home("save", path).returncode == 0
    two.target.nft("flush ruleset\ntable inet u { }")
    two.target.run("ip", "link", "delete", "one")
    two.target.run("ip", "link", "add", "one", "type", "bridge")
    two.target.run("ip", "link", "delete", "two")
    done = two.from_home("restore", path, "t")
    assert done.returncode == 1 and "no such interface; found 'two'" in done.stderr
    two.target.run("ip", "link", "add", "two", "type", "bridge")
    assert two.from_home("restore", path, "t").stdout == "inet t: restored\n"
    assert two.from_home("show", "t").stdout.count('iif "one" accept') == 1


def test_the_engine_by_itself(two: Two) -> None:
    """Without a command around it, and after the run."""

    def run() -> tuple[Any, Any, Any]:
        outcome = reconcile(Source.of_mapping({"tables": [TABLE]}), two.target.name, check=True)
        return outcome.changes(), outcome.diff(), inventory.tables(two.target.name, [("inet", "t")])

    changes, diff, tables = two.home.call(run)
    assert 'iif "one" accept' in [one.get("rule") for one in changes]
    assert 'iif "one" accept' in diff[0]["before"] and 'iif "two" drop' in diff[0]["after"]
    assert tables[0]["chains"][0]["rules"][0]["rule"] == 'iif "one" accept'


def test_names_that_no_interface_can_have(two: Two) -> None:
    with interfaces.of(two.target.name):
        assert interfaces.index_of("one") == 10 and interfaces.name_of(10) == "one"
        assert sorted(interfaces.names()) == ["lo", "one", "one-peer", "only-here", "two", "two-peer"]
        for name in ("", "x" * 16, "one\0", "one-per", "\ud800"):
            assert interfaces.index_of(name) is None
        for index in (0, 99, -1, 1 << 31, 1 << 32):
            assert interfaces.name_of(index) is None
        with interfaces.of(None):
            assert interfaces.name_of(1) == "lo" and interfaces.index_of("only-here") is None
        two.target.run("ip", "link", "set", "one", "name", "anew")
        assert interfaces.name_of(10) == "anew" and interfaces.index_of("one") is None


def test_missing_namespace_is_told_once() -> None:
    done = rempart("capture", "--netns", "rempart-none")
    assert done.returncode == 1 and done.stderr.count("no such network namespace") == 1


def test_document_error_inside_elements(two: Two) -> None:
    wrong = {**TABLE, "sets": [{"name": "s", "type": "iface_index", "elements": ["two", "absent"]}]}
    with pytest.raises(DocumentError, match="no such interface") as caught:
        two.home.call(reconcile, Source.of_mapping({"tables": [wrong]}), two.target.name)
    (problem,) = caught.value.problems
    assert problem.place == "tables[0].sets[0].elements[1]"
