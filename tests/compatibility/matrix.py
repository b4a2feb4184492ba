# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is put together with what: the tables of the matrix."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any, Callable

from tests.support.command import environment

from . import collection, command, environments, index, interpreters, promises
from .cells import Cell, NotRun, Table
from .interpreters import Interpreter

ROOT = Path(__file__).parents[2]
PAGE_TEST = "tests/unit/test_compatibility_page.py"  # of the page that is only written at the end
UNIT_PACKAGES = ("pytest", "hypothesis")

CONTROLLER = """\
The newest release of each series of ansible-core, on every Python that it says it supports. A cell runs one
playbook of %d modules: each is asked to look (check mode), to apply, to apply again, to change and to take
away, and after each of these tasks the kernel is asked what it holds. The same with the role `firewall`,
twice. A task that reports a change where there is none, a state other than the one declared, and any
warning of Ansible's make a cell fail. The host's Python is the oldest one here, %s.\
"""
FLOOR = """\
What `requires_ansible` in meta/runtime.yml says: the very first release that it allows passes the same
playbook. The series before it is refused where `collections_on_ansible_version_mismatch` is `error`. By
default Ansible warns that the collection does not support it and goes on, and a task on tables still works;
nothing is promised of that.\
"""
HOST = """\
The same playbook with this Python on the host, which has no package installed, under the newest
ansible-core.\
"""
PYROUTE2 = """\
The module `tos` with `queue_length`, the one thing that needs a package on the host: set, changed and set
back, in check mode too.\
"""
COMMAND = """\
`pip install` from the source tree into a fresh virtual environment; then `validate` (a good document and a
bad one), `plan`, `apply`, a second `apply` that changes nothing, `show`, `conntrack list` and `kill`, on a
router with real connections. The lowest packages are those that pyproject.toml promises:
%s.
Where one of them has no wheel for a Python, that is said.\
"""
UNIT = """\
The engine's own tests (tests/unit) with the installed command, on the oldest and the newest Python here.\
"""


class Here:
    """What this run has to do with: the machine's Pythons, and the releases of the index."""

    def __init__(self) -> None:
        self.found = interpreters.find()
        self.floor = promises.ansible()
        self.ansible = _newest_of_series(self.floor)
        self.supported = {one: index.pythons("ansible-core", one) for one in self.ansible}
        said = [python for pythons in self.supported.values() for python in pythons]
        self.pythons = interpreters.series(promises.python(), max(said, key=interpreters.order))

    def interpreter(self, python: str) -> Interpreter:
        """The Python of this minor version. Raises NotRun where there is none."""
        if python not in self.found:
            raise NotRun("no Python %s here" % python)
        return self.found[python]

    def oldest(self) -> Interpreter:
        """The oldest Python here that hosts may have."""
        return next(self.found[python] for python in self.pythons if python in self.found)

    def host(self, python: str = "") -> str:
        """A Python for the host, the oldest unless said, that has no package beside its own."""
        found = environments.kept(self.interpreter(python) if python else self.oldest())
        collection.bare(str(found))
        return str(found)

    def controller(self, release: str, python: str = "") -> Path:
        """The Python of an environment with this ansible-core, on the newest Python here unless said."""
        if not python:
            python = [one for one in self.supported[release] if one in self.found][-1]
        requirements = ("ansible-core==" + release, "jsonschema")
        return environments.kept(self.interpreter(python), *requirements)


def tables(here: Here) -> list[Table]:
    """The whole matrix."""
    return [_controllers(here), _floor(here), _hosts(here), _pyroute2(here), _commands(here), _units(here)]


def _controllers(here: Here) -> Table:
    def work(release: str, python: str) -> None:
        collection.every_module(here.controller(release, python), here.host())

    rows = sorted({python for one in here.ansible for python in here.supported[one]}, key=interpreters.order)
    cells = [
        _cell("Python " + python, "ansible-core " + release, work, release, python)
        for python in rows
        for release in here.ansible
        if python in here.supported[release]
    ]
    text = CONTROLLER % (len(collection.MODULES), here.oldest().version)
    return Table("controller", "The controller", text, "", cells, "not supported by it")


def _floor(here: Here) -> Table:
    first = here.floor
    before = _newest_of_series("2.0", first)[-1]
    python = index.pythons("ansible-core", first)[0]

    def passes() -> None:
        collection.every_module(here.controller(first, python), here.host())

    def refuses() -> None:
        collection.refused(here.controller(before, python))

    cells = [
        Cell("ansible-core " + first, "the first release promised: it works", passes),
        Cell("ansible-core " + before, "the series before: it is refused", refuses),
    ]
    return Table("floor", "The oldest ansible-core", FLOOR, "", cells)


def _hosts(here: Here) -> Table:
    newest = here.ansible[-1]

    def work(python: str) -> None:
        collection.every_module(here.controller(newest), here.host(python))

    cells = [_cell("Python " + python, "ansible-core " + newest, work, python) for python in here.pythons]
    return Table("host", "The hosts", HOST, "", cells)


def _pyroute2(here: Here) -> Table:
    def work(version: str, python: str) -> None:
        host = environments.kept(here.interpreter(python), "pyroute2==" + version)
        collection.queue_lengths(here.controller(here.ansible[-1]), str(host))

    versions = (promises.packages()["pyroute2"], index.releases("pyroute2")[0])
    cells = [
        _cell("Python " + python, "pyroute2 " + version, work, version, python)
        for python in here.pythons
        for version in versions
    ]
    return Table("pyroute2", "Queue lengths", PYROUTE2, "", cells)


def _commands(here: Here) -> Table:
    def newest(python: str) -> None:
        command.works(command.installed(here.interpreter(python), "newest"))

    def lowest(python: str) -> None:
        interpreter = here.interpreter(python)
        try:
            installed = command.installed(interpreter, "lowest", command.lowest())
        except environments.Unavailable as error:
            # On the oldest Python the oldest packages must be there, or the promise is none
            assert python != here.pythons[0], str(error)
            raise NotRun(str(error)) from None
        command.works(installed)

    cells = []
    for python in here.pythons:
        cells.append(_cell("Python " + python, "newest packages", newest, python))
        cells.append(_cell("Python " + python, "lowest packages", lowest, python))
    promised = ", ".join("%s %s" % one for one in promises.packages().items())
    return Table("command", "The command", COMMAND % promised, "", cells)


def _units(here: Here) -> Table:
    def work(python: str) -> None:
        installed = command.installed(here.interpreter(python), "unit", UNIT_PACKAGES)
        done = subprocess.run(
            [str(installed.python), "-m", "pytest", "tests/unit", "--ignore=" + PAGE_TEST],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env={**environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr

    there = [python for python in here.pythons if python in here.found]
    cells = [_cell("Python " + python, "tests/unit", work, python) for python in (there[0], there[-1])]
    return Table("unit", "The engine", UNIT, "", cells)


def _cell(row: str, column: str, work: Callable[..., None], *arguments: Any) -> Cell:
    return Cell(row, column, functools.partial(work, *arguments))


def _newest_of_series(first: str, before: str = "99.0") -> list[str]:
    """The newest ansible-core of each series from one release on and before another, the oldest first."""
    newest: dict[str, str] = {}
    for one in index.releases("ansible-core"):
        if interpreters.order(first) <= interpreters.order(one) < interpreters.order(before):
            newest.setdefault(interpreters.minor(one), one)
    return list(reversed(newest.values()))
