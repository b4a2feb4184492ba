# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/compatibility.md is of the versions promised, and the code keeps to the oldest Python's grammar."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.compatibility import promises
from tests.compatibility.cells import FAILED
from tests.compatibility.interpreters import minor, order

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/compatibility.md").read_text()
README = (ROOT / "README.md").read_text()
ON_HOSTS = sorted(
    one
    for place in ("plugins/module_utils", "plugins/modules", "command")
    for one in (ROOT / place).rglob("*.py")
)


def table(title: str) -> tuple[list[str], list[str]]:
    """The names of the rows and the columns of one of the page's tables."""
    lines = [
        line for line in PAGE.split("\n## %s\n" % title)[1].split("\n## ")[0].split("\n") if line[:1] == "|"
    ]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row[0] for row in cells[2:]], cells[0][1:]


def test_the_page_is_of_the_oldest_ansible_core_that_is_promised() -> None:
    rows, _ = table("The oldest ansible-core")
    assert rows[0] == "ansible-core " + promises.ansible()
    _, columns = table("The controller")
    assert minor(columns[0].split()[1]) == minor(promises.ansible())
    assert order(columns[0].split()[1]) >= order(promises.ansible())


def test_the_page_is_of_the_oldest_python_that_is_promised() -> None:
    for title in ("The hosts", "Queue lengths", "The command"):
        rows, _ = table(title)
        assert rows[0] == "Python " + promises.python()


def test_the_page_is_of_the_oldest_packages_that_are_promised() -> None:
    _, columns = table("Queue lengths")
    assert columns[0] == "pyroute2 " + promises.packages()["pyroute2"]
    section = " ".join(PAGE.split("## The command")[1].split("\n## ")[0].split())
    assert ", ".join("%s %s" % one for one in promises.packages().items()) in section


def test_nothing_on_the_page_failed() -> None:
    assert FAILED not in PAGE
    counted = re.search(r"Of (\d+) combinations (\d+) passed, 0 failed and (\d+) were not run\.", PAGE)
    assert counted is not None
    total, passed, left = map(int, counted.groups())
    assert total == passed + left and passed == PAGE.count(" passed |") and left == PAGE.count(" not run: ")


def test_other_files_promise_the_same() -> None:
    python, packages = promises.python(), promises.packages()
    assert "ansible-core %s or newer" % minor(promises.ansible()) in " ".join(README.split())
    assert "Python %s or newer" % python in " ".join(README.split())
    assert 'target-version = "py%s"' % python.replace(".", "") in (ROOT / "pyproject.toml").read_text()
    tos = (ROOT / "plugins/modules/tos.py").read_text()
    assert set(re.findall(r"pyroute2 ([\d.]+) or later", tos)) == {packages["pyroute2"]}
    fragment = (ROOT / "plugins/doc_fragments/host.py").read_text()
    assert re.findall(r"jsonschema-rs ([\d.]+) or later", fragment) == [packages["jsonschema-rs"]]


@pytest.mark.parametrize("path", ON_HOSTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_runs_on_hosts_is_in_the_oldest_pythons_grammar(path: Path) -> None:
    major, number = order(promises.python())
    ast.parse(path.read_text(), str(path), feature_version=(major, number))


def test_a_bound_that_is_no_floor_is_refused() -> None:
    assert promises.floor(">=0.7.2") == "0.7.2"
    for bound in ("==0.7.2", ">=0.7,<0.9", "~=0.7", ""):
        with pytest.raises(ValueError, match="is not of the form"):
            promises.floor(bound)
