# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the command starts: only what it needs is imported; help, version and completion."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import environment, rempart
from tests.support.namespaces import Namespace

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"yaml", "jinja2", "rich", "jsonschema", "jsonschema_rs", "pyroute2", "ansible", "asyncio"}
DOCUMENT = {"tables": [{"name": "edge", "chains": [{"name": "input", "rules": [{"verdict": "accept"}]}]}]}

#: a file each
SUBCOMMANDS = sorted(
    path.stem
    for path in (ROOT / "command/subcommands").iterdir()
    if path.suffix == ".py" or (path / "__init__.py").exists()
    if path.stem != "__init__"
)


def imported(*arguments: object) -> set[str]:
    """The top-level packages that a run imports, as Python itself reports them."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rempart.command.main", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode in (0, 2), done.stderr
    names = re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE)
    return {name.partition(".")[0] for name in names}


def test_a_json_document_takes_nothing_but_click_and_the_engine(tmp_path: Path, netns: Namespace) -> None:
    path = tmp_path / "fw.json"
    path.write_text(json.dumps(DOCUMENT))
    for command in ("plan", "apply", "apply", "check"):
        found = imported(command, path, "--netns", netns.name)
        assert "click" in found
        assert found & HEAVY == set()


def test_the_guard_sees_what_is_imported(tmp_path: Path, netns: Namespace) -> None:
    path = tmp_path / "fw.yml"
    path.write_text("tables: [{name: {{ name }}}]\n")
    found = imported("plan", path, "-e", "name=edge", "--netns", netns.name)
    assert {"yaml", "jinja2"} <= found


def test_the_help_names_every_subcommand() -> None:
    done = rempart("--help")
    assert (done.returncode, done.stderr) == (0, "")
    commands = re.findall(r"^  (\w+)  +\w.*\.$", done.stdout.partition("Commands:")[2], re.MULTILINE)
    assert sorted(commands) == SUBCOMMANDS
    for command in commands:
        own = rempart(command, "-h")
        assert own.returncode == 0
        assert own.stdout.startswith("Usage: rempart %s [OPTIONS]" % command)


def test_the_version() -> None:
    from rempart.version import VERSION

    assert rempart("--version").stdout == "rempart %s\n" % VERSION


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rempart ", SUBCOMMANDS),
        ("rempart ch", ["check"]),
        ("rempart plan --n", ["--netns", "--no-diff"]),
    ],
)
def test_a_shell_completes_the_line(line: str, words: list[str]) -> None:
    assert completed(line) == words


def completed(line: str) -> list[str]:
    parts = line.split(" ")
    env = environment(_REMPART_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(parts) - 1))
    done = rempart(env=env)
    assert done.stderr == ""
    return sorted(line.partition(",")[2] for line in done.stdout.splitlines())


def test_a_shell_completes_namespaces_and_tables(netns: Namespace) -> None:
    netns.nft("table ip edge { }\ntable inet edge { }\ntable ip other { }")
    assert completed("rempart plan --netns " + netns.name[:-1]).count(netns.name) == 1
    line = "rempart show --netns %s " % netns.name
    assert completed(line) == ["edge", "other"]
    assert completed(line + "ip:") == ["ip:edge", "ip:other"]
