# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart capture``, ``save`` and ``restore``: files, clashes, questions at a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rempart.errors import HostError
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables.expressions import Opaque
from rempart.nftables.statements.raw import raw_statement
from rempart.ruleset import saved

from tests.support.command import SCRIPT, environment, rempart, rempart_json
from tests.support.namespaces import Namespace
from tests.support.rulesets import content, generation, raw, watched

TABLES = """
table inet edge {
	chain input { type filter hook input priority filter; policy drop; ct state established accept; }
}
table ip home {
	chain post { type nat hook postrouting priority srcnat; oifname "ppp0" masquerade; }
}
table inet quiet {
	chain c { counter packets 5 bytes 300; }
}
"""


@pytest.fixture
def home(make_netns: Callable[[], Namespace]) -> Namespace:
    """A namespace with three tables."""
    where = make_netns()
    where.nft(TABLES)
    return where


@pytest.fixture
def file(home: Namespace, tmp_path: Path) -> Path:
    """These tables in a file."""
    path = tmp_path / "tables.json"
    done = rempart("save", path, "--netns", home.name)
    assert done.stdout == "%s: saved 3 tables, 3 rules\n" % path
    return path


def answering(answers: list[tuple[str, str]], *arguments: object) -> tuple[int, str]:
    """Run the command on a terminal; each answer is given when its question has been seen."""
    master, slave = pty.openpty()
    seen = b""
    with subprocess.Popen(
        [str(SCRIPT), *map(str, arguments)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(NO_COLOR="1"),
        start_new_session=True,
    ) as child:
        os.close(slave)
        waiting = list(answers)
        start = 0
        while select.select([master], [], [], 30)[0]:
            try:
                part = os.read(master, 65536)
            except OSError:  # nobody has the terminal open any more
                break
            seen += part
            if waiting and waiting[0][0].encode() in seen[start:]:
                start = len(seen)
                os.write(master, waiting.pop(0)[1].encode() + b"\n")
        assert not waiting, seen
        code = child.wait(30)
    os.close(master)
    return code, seen.decode().replace("\r\n", "\n")


def test_captured_yaml_is_applied_as_it_is(
    home: Namespace, make_netns: Callable[[], Namespace], tmp_path: Path
) -> None:
    elsewhere = make_netns()
    done = rempart("capture", "--netns", home.name)
    assert done.returncode == 0 and done.stderr == ""
    assert "          - {ct_state: established, verdict: accept}\n" in done.stdout
    path = tmp_path / "d.yml"
    path.write_text(done.stdout)
    assert rempart("check", path, "--netns", home.name).stdout == "in line\n"
    assert rempart("apply", path, "--netns", elsewhere.name).returncode == 0
    assert content(elsewhere) == content(home)
    as_json = rempart("capture", "--json", "--netns", home.name)
    assert json.loads(as_json.stdout) == yaml.safe_load(done.stdout)
    one = rempart("capture", "ip:home", "--netns", home.name)
    assert [table["name"] for table in yaml.safe_load(one.stdout)["tables"]] == ["home"]
    wrong = rempart("capture", "hom", "--netns", home.name)
    assert wrong.returncode == 1 and "did you mean 'home'?" in wrong.stderr


def test_a_saved_file_is_roots_alone_and_says_where_it_comes_from(home: Namespace, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text("older")
    path.chmod(0o666)
    before = os.umask(0)
    try:
        assert rempart("save", path, "--netns", home.name).returncode == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["t.json"]
    held = json.loads(path.read_text())
    assert held["rempart"].keys() == {"format", "version", "saved", "host", "kernel"}
    assert held["rempart"]["host"] == os.uname().nodename
    assert rempart("save", tmp_path / "t.yml", "inet:edge", "--netns", home.name).returncode == 0
    assert [one["name"] for one in yaml.safe_load((tmp_path / "t.yml").read_text())["tables"]] == ["edge"]
    shown = rempart("save", "-", "--netns", home.name)
    assert json.loads(shown.stdout)["tables"] == held["tables"]


def test_what_cannot_be_written_leaves_the_file_as_it_was(home: Namespace, tmp_path: Path) -> None:
    done = rempart("save", tmp_path / "nowhere" / "t.json", "--netns", home.name)
    assert done.returncode == 1 and "cannot write the file: No such file or directory" in done.stderr
    directory = tmp_path / "d"
    directory.mkdir()
    done = rempart("save", directory, "--netns", home.name)
    assert done.returncode == 1 and "cannot write the file" in done.stderr
    assert os.listdir(tmp_path) == ["d"] and os.listdir(directory) == []


def test_tables_come_back_where_they_are_missing(
    file: Path, home: Namespace, make_netns: Callable[[], Namespace]
) -> None:
    elsewhere = make_netns()
    planned = rempart("restore", file, "--dry-run", "--netns", elsewhere.name)
    assert planned.stdout == "inet edge: restored\nip home: restored\ninet quiet: restored\n"
    assert content(elsewhere) == {}
    done = rempart("restore", file, "--netns", elsewhere.name)
    assert (done.returncode, done.stdout) == (0, planned.stdout)
    assert content(elsewhere) == content(home)
    code, again = rempart_json("restore", file, "--netns", elsewhere.name)
    assert code == 0 and not again["changed"]
    assert {one["result"] for one in again["tables"]} == {"same"}


def test_only_the_tables_named_come_back(file: Path, make_netns: Callable[[], Namespace]) -> None:
    elsewhere = make_netns()
    done = rempart("restore", file, "home", "--netns", elsewhere.name)
    assert done.stdout == "ip home: restored\n"
    assert list(content(elsewhere)) == [("ip", "home")]
    wrong = rempart("restore", file, "ip:edge", "--netns", elsewhere.name)
    assert wrong.returncode == 1 and "no such table in the file" in wrong.stderr


def change(where: Namespace) -> None:
    """Make two of the three tables differ."""
    where.nft("add rule inet edge input accept\nadd chain ip home more")


def test_without_a_terminal_a_clash_is_an_error_that_changes_nothing(file: Path, home: Namespace) -> None:
    change(home)
    home.nft("delete table inet quiet")
    before = raw(home)
    done = rempart("restore", file, "--netns", home.name)
    assert done.returncode == 1 and done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and all("--on-clash skip or --on-clash replace" in line for line in lines)
    assert "table inet edge is there already" in lines[0] and "table ip home" in lines[1]
    assert raw(home) == before
    code, result = rempart_json("restore", file, "--netns", home.name)
    assert code == 1 and len(result["errors"]) == 2 and result["tables"] == []


def test_skip_and_replace_go_by_table(file: Path, home: Namespace) -> None:
    wanted = content(home)
    change(home)
    home.nft("delete table inet quiet")
    done = rempart("restore", file, "--on-clash", "skip", "--netns", home.name)
    assert done.stdout == "inet edge: skipped\nip home: skipped\ninet quiet: restored\n"
    assert content(home)["inet", "quiet"] == wanted["inet", "quiet"]
    assert content(home)["inet", "edge"] != wanted["inet", "edge"]
    done = rempart("restore", file, "ip:home", "--on-clash", "replace", "--netns", home.name)
    assert done.stdout == "ip home: replaced\n"
    done = rempart("restore", file, "--on-clash", "replace", "--netns", home.name)
    assert done.stdout == "inet edge: replaced\nip home: same\ninet quiet: same\n"
    assert content(home) == wanted


def test_tables_of_other_names_stay(file: Path, home: Namespace) -> None:
    home.nft("table inet foreign {\n\tchain c { accept; }\n}")
    change(home)
    foreign = content(home)["inet", "foreign"]
    rempart("restore", file, "--on-clash", "replace", "--netns", home.name)
    assert content(home)["inet", "foreign"] == foreign


def test_at_a_terminal_each_table_is_asked_about(file: Path, home: Namespace) -> None:
    wanted = content(home)
    change(home)
    code, shown = answering(
        [("replace all", "what"), ("replace all", "diff"), ("replace all", "r"), ("table ip home", "skip")],
        "restore",
        file,
        "--netns",
        home.name,
    )
    assert code == 0
    assert "table inet edge is there already, and differs: 1 rule to remove" in shown
    assert "-\t\taccept" in shown
    assert shown.endswith("inet edge: replaced\nip home: skipped\ninet quiet: same\n")
    assert content(home)["inet", "edge"] == wanted["inet", "edge"]
    assert content(home)["ip", "home"] != wanted["ip", "home"]


def test_all_answers_for_the_rest(file: Path, home: Namespace) -> None:
    wanted = content(home)
    change(home)
    code, shown = answering([("replace all", "replace all")], "restore", file, "--netns", home.name)
    assert code == 0 and shown.count("is there already") == 1
    assert content(home) == wanted


def test_an_end_of_input_at_the_question_changes_nothing(file: Path, home: Namespace) -> None:
    change(home)
    before = raw(home)
    code, shown = answering([("replace all", "\x04")], "restore", file, "--netns", home.name)
    assert code == 130 and "nothing was changed" in shown
    assert raw(home) == before


def test_all_tables_come_back_in_one_transaction(file: Path, make_netns: Callable[[], Namespace]) -> None:
    elsewhere = make_netns()
    before = generation(elsewhere)
    with watched() as traffic:
        saved.restore(saved.parse(file.read_bytes()), saved.refuse(""), elsewhere.name)
    assert len(traffic.batches) == 1
    assert generation(elsewhere) == before + 1


def test_a_table_that_appears_meanwhile_is_decided_on(
    file: Path, make_netns: Callable[[], Namespace]
) -> None:
    elsewhere = make_netns()
    asked: list[str] = []

    def decide(tables: list[Any]) -> dict[tuple[str, str], str]:
        asked.extend(table.name for table in tables)
        return saved.always("skip")(tables)

    with watched() as traffic:
        traffic.before_commit.append(lambda: elsewhere.nft("table inet edge {\n\tchain mine { }\n}"))
        done = saved.restore(saved.parse(file.read_bytes()), decide, elsewhere.name)
    assert asked == ["edge"]
    assert done.tables == [
        ("inet", "edge", "skipped"),
        ("ip", "home", "restored"),
        ("inet", "quiet", "restored"),
    ]


def test_counts_come_back_when_they_were_saved(
    home: Namespace, make_netns: Callable[[], Namespace], tmp_path: Path
) -> None:
    path = tmp_path / "t.json"
    for arguments, listed in ((["--counts"], "packets 5 bytes 300"), ([], "packets 0 bytes 0")):
        elsewhere = make_netns()
        assert rempart("save", path, *arguments, "--netns", home.name).returncode == 0
        assert rempart("restore", path, "--netns", elsewhere.name).returncode == 0
        assert listed in elsewhere.run("nft", "list", "table", "inet", "quiet").stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"tables": []}', "not a file that rempart saved"),
        (
            '{"rempart": {"format": 2, "version": "9.9"}, "tables": []}',
            "a format that this version does not know",
        ),
        ('{"rempart": {"format": 1}, "tables": [{"name": "t", "chain": []}]}', "did you mean 'chains'?"),
        ('{"rempart": {"format": 1}, "tables": [', "no JSON"),
        ("", "empty"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, message: str, netns: Namespace, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(text)
    done = rempart("restore", path, "--netns", netns.name)
    assert done.returncode == 1 and message in done.stderr
    assert content(netns) == {}


def test_a_refused_table_leaves_none(netns: Namespace, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    rule = {"expr": [raw_statement(Opaque("nosuch", None).encode())]}
    tables = [{"name": "good"}, {"name": "bad", "chains": [{"name": "c", "rules": [rule]}]}]
    path.write_text(json.dumps({"rempart": {"format": 1}, "tables": tables}))
    done = rempart("restore", path, "--netns", netns.name)
    assert done.returncode == 1 and "tables[1].chains[0].rules[0]: the kernel refused" in done.stderr
    assert content(netns) == {}


def test_the_decision_is_asked_of_no_one_without_need(file: Path, home: Namespace) -> None:
    done = saved.restore(saved.parse(file.read_bytes()), saved.refuse("cure"), home.name)
    assert not done.changed
    change(home)
    with pytest.raises(HostError) as caught:
        saved.restore(saved.parse(file.read_bytes()), saved.refuse("cure"), home.name)
    assert [problem.cure for problem in caught.value.problems] == ["cure", "cure"]
    with NetlinkSocket(home.name) as kernel:
        assert saved.take(kernel).names() == [("inet", "edge"), ("ip", "home"), ("inet", "quiet")]
