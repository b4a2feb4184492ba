# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The matrix's cells, their page, and which Pythons it finds; nothing is installed here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.compatibility import cells, interpreters, report
from tests.compatibility.cells import Cell, NotRun, Table
from tests.compatibility.probe import complaints


def right() -> None:
    pass


def wrong() -> None:
    raise AssertionError("ruleset, step 2: changed is False")


def absent() -> None:
    raise NotRun("no Python 3.14 here")


def broken() -> None:
    raise RuntimeError("pip install: exit 1")


def page() -> list[str]:
    table = Table(
        "host",
        "The hosts",
        "A paragraph.",
        "corner",
        [
            Cell("Python 3.9", "old", right),
            Cell("Python 3.9", "new", wrong),
            Cell("Python 3.14", "old", absent),
            Cell("Python 3.15", "new", broken),
        ],
        "not supported by it",
    )
    outcomes = {cell: cells.outcome(cell) for cell in table.cells}
    promised = {"ansible": "2.19.0", "python": "3.9", "pyroute2": "0.7.2"}
    return report.markdown([table], outcomes, promised, [("kernel", "Linux 6.12")]).splitlines()


def test_the_page_has_what_each_cell_gave() -> None:
    lines = page()
    start = lines.index("| corner | old | new |")
    assert lines[start + 2 : start + 5] == [
        "| Python 3.9 | passed | **failed** |",
        "| Python 3.14 | not run: no Python 3.14 here | not supported by it |",
        "| Python 3.15 | not supported by it | **failed** |",
    ]
    assert "A paragraph." in lines and "| kernel | Linux 6.12 |" in lines
    assert "Of 4 combinations 1 passed, 2 failed and 1 were not run." in lines


def test_the_page_says_what_failed() -> None:
    lines = page()
    start = lines.index("The hosts, Python 3.9, new:")
    assert lines[start + 2 : start + 5] == ["```text", "ruleset, step 2: changed is False", "```"]
    assert "RuntimeError: pip install: exit 1" in lines
    assert lines.index("## What failed") < start


def test_warnings_of_ansible_are_complaints() -> None:
    output = "ok: [host]\n[WARNING]: old\n[DEPRECATION WARNING]: older\n[WARNING]: old\nchanged: [host]\n"
    assert complaints(output) == ["[WARNING]: old", "[DEPRECATION WARNING]: older"]
    assert complaints("TASK [WARNING]\nok: [host]\n") == []


def test_pythons_are_found_by_running_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "python3.41": "echo 3.41.2",
        "python3.42": "exit 127",
        "python3.43": "echo 3.43.0rc1",
        "python3.44": "echo 3.44.1; exit 1",
        "python3.41-config": "echo 3.41.9",
    }.items():
        (tmp_path / name).write_text("#!/bin/sh\n%s\n" % text)
        (tmp_path / name).chmod(0o755)
    later = tmp_path / "later"
    later.mkdir()
    (later / "python3.41").write_text("#!/bin/sh\necho 3.41.10\n")
    (later / "python3.41").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), str(later))))
    found = interpreters.find()
    assert {series: (one.version, one.path) for series, one in found.items()} == {
        "3.41": ("3.41.10", str(later / "python3.41"))
    }


def test_a_real_python_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = "%d.%d" % sys.version_info[:2]
    monkeypatch.setenv("PATH", os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    assert interpreters.order(interpreters.find()[ours].version) >= sys.version_info[:3]


def test_series_are_in_the_order_of_their_numbers() -> None:
    assert interpreters.series("3.9", "3.11") == ["3.9", "3.10", "3.11"]
    assert interpreters.minor("2.19.0") == "2.19"
    assert interpreters.order("0.9.10") > interpreters.order("0.9.9")
