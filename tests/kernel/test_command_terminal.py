# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person at a terminal sees, and that a pipe gets none of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.command import environment, on_terminal, rempart
from tests.support.namespaces import Namespace

ESCAPE = "\x1b"
SMALL = {
    "tables": [
        {
            "name": "edge",
            "chains": [
                {"name": "input", "hook": "input", "rules": [{"verdict": "drop", "comment": "last"}]},
                {"name": "more", "rules": [{"counter": True}]},
            ],
        }
    ]
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL))
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    rules = [
        {"saddr": "10.0.%d.%d" % (number >> 8, number & 255), "verdict": "accept"} for number in range(10_000)
    ]
    chain = {"name": "input", "hook": "input", "rules": rules}
    path = tmp_path / "large.json"
    path.write_text(json.dumps({"tables": [{"name": "edge", "chains": [chain]}]}))
    return path


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_diff_is_coloured(small: Path, netns: Namespace) -> None:
    rempart("apply", small, "--netns", netns.name)
    netns.nft("insert rule inet edge input accept")
    netns.nft("flush chain inet edge more")
    piped = rempart("plan", small, "--netns", netns.name).stdout
    shown = on_terminal("plan", small, "--netns", netns.name)
    assert shown.code == 2
    assert "\x1b[31m-\t\taccept\x1b[0m\n" in shown.text
    assert "\x1b[32m+\t\tcounter\x1b[0m\n" in shown.text
    assert "\x1b[1m--- table inet edge (kernel)\x1b[0m\n" in shown.text
    assert "\x1b[36m@@ " in shown.text
    diff = piped.partition("inet edge, chain")[0]
    assert diff.startswith("---")
    assert plain(shown.text).startswith(diff)


def test_what_changes_in_several_places_is_a_table(small: Path, netns: Namespace) -> None:
    shown = on_terminal("apply", small, "--netns", netns.name)
    assert shown.code == 0
    lines = [line.rstrip() for line in plain(shown.text).splitlines() if line.strip()]
    assert [line.split() for line in lines] == [
        ["table", "part", "added", "removed"],
        ["─" * len(line) for line in lines[1].split()],
        ["inet", "edge", "new"],
        ["inet", "edge", "chain", "input", "1", "new"],
        ["inet", "edge", "chain", "more", "1", "new"],
        ["applied:", "1", "table,", "2", "chains,", "2", "rules", "added"],
    ]
    assert ESCAPE in shown.text


def test_a_listing_is_coloured_but_for_its_texts(netns: Namespace) -> None:
    netns.nft('table ip t {\nchain c { accept comment "drop it"; }\n}')
    shown = on_terminal("show", "--netns", netns.name).text
    assert shown == (
        "\x1b[1mtable\x1b[0m ip t {\n"
        "\x1b[1m\tchain\x1b[0m c { \x1b[2m# 0 references\x1b[0m\n"
        '\t\t\x1b[32maccept\x1b[0m comment \x1b[33m"drop it"\x1b[0m\n'
        "\t}\n"
        "}\n"
    )


@pytest.mark.parametrize("variables", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_not_wanted(
    variables: dict[str, str], small: Path, netns: Namespace
) -> None:
    env = environment(**variables)
    for arguments in (("plan", small), ("apply", small), ("show",)):
        shown = on_terminal(*arguments, "--netns", netns.name, env=env)
        assert shown.text
        assert ESCAPE not in shown.text
    wrong = on_terminal("plan", "/no/such/file", env=env)
    assert (wrong.code, ESCAPE in wrong.text) == (1, False)


def test_a_pipe_gets_plain_text(small: Path, large: Path, netns: Namespace) -> None:
    for arguments in (
        ("plan", small),
        ("plan", large),
        ("apply", large, "--diff"),
        ("check", small, "--diff"),
        ("show",),
        ("validate", small),
    ):
        done = (
            rempart(*arguments, "--netns", netns.name) if arguments[0] != "validate" else rempart(*arguments)
        )
        assert done.stdout
        assert done.stderr == ""
        assert ESCAPE not in done.stdout


def test_an_error_is_marked(netns: Namespace) -> None:
    shown = on_terminal("show", "nothing", "--netns", netns.name)
    assert shown.text.startswith("\x1b[31m\x1b[1mrempart:\x1b[0m no such table")


def test_ten_thousand_rules_show_their_progress(large: Path, netns: Namespace) -> None:
    shown = on_terminal("apply", large, "--netns", netns.name)
    assert shown.code == 0
    drawn = shown.text.split("\r\x1b[K")
    stages = [re.sub(r" +[0-9.]+ s$", "", part) for part in drawn[1:]]
    assert list(dict.fromkeys(stages[:-1])) == [
        "reading the document",
        "compiling 10,000 rules",
        "reading the kernel's rules",
        "comparing",
        "sending 10,002 messages in one transaction",
    ]
    # The line is gone in the end; what was done follows.
    assert plain(stages[-1]).rstrip().endswith("applied: 1 table, 1 chain, 10,000 rules added")
    assert len(netns.nft_json("chain", "inet", "edge", "input")) == 10_001


def test_a_small_document_shows_no_progress(small: Path, netns: Namespace) -> None:
    assert "\r\x1b[K" not in on_terminal("apply", small, "--netns", netns.name).text


def test_a_wide_line_is_not_broken(netns: Namespace) -> None:
    ports = ", ".join(str(number) for number in range(1000, 1060))
    netns.nft("table ip t {\nchain c { tcp dport { %s } accept; }\n}" % ports)
    shown = plain(on_terminal("show", "--netns", netns.name, columns=40).text)
    assert "\t\ttcp dport { %s } accept\n" % ports in shown


def test_a_comment_cannot_steer_the_terminal(netns: Namespace) -> None:
    netns.nft('table ip t {\nchain c { accept comment "\x1b[2J\x1b]0;title\x07"; }\n}')
    for text in (
        on_terminal("show", "--netns", netns.name).text,
        rempart("show", "--netns", netns.name).stdout,
    ):
        assert '"\\x1b[2J\\x1b]0;title\\x07"' in text
        assert "\x07" not in text


def test_a_file_s_name_cannot_steer_the_terminal() -> None:
    name = "/no/\x1b[2J\x9bfile"
    for text in (on_terminal("plan", name).text, rempart("plan", name).stderr):
        assert "/no/\\x1b[2J\\x9bfile: cannot read the file" in text
