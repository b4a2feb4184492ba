# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What boot needs put on the host, and taken away again: one document for each name, the program, the units.

The program and the units are there as long as there is a document. What is to be put there is
tried first, in a network namespace of its own and by the very program: what could not be applied
there would not be at boot.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from ..document.model import load
from ..errors import DocumentError, HostError, Problem, RempartError
from ..host import files
from ..host.placing import Placed, below, put
from . import documents, program, units
from .apply import NOT_REHEARSED, REHEARSE, devices_of
from .documents import DIRECTORY, SUFFIX, Document

PROGRAM = "/usr/local/lib/rempart/boot.pyz"
PYTHON = "/usr/bin/python3"
"""The interpreter that outlasts upgrades of the distribution."""

_OLDEST = (3, 9)
_OWN = "/proc/thread-self/ns/net"
_FIRST = "/proc/1/ns/net"
_RUNNING = "/run/systemd/system"  # sd_booted(3)
_SYSTEMD = (_RUNNING, "/usr/lib/systemd/system", "/lib/systemd/system")
_TIMEOUT = 120  # seconds for the rehearsal
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")

_FLUSHING = {"nftables.service": "sysinit.target", "netfilter-persistent.service": "multi-user.target"}
"""Units that replace the whole ruleset when they start, with the target that wants them."""


class Plan:
    """What is to be put on the host. ``command`` is the line that boot runs, ``warnings`` are for people.

    ``documents`` are all that will be kept, by name.
    """

    __slots__ = ("command", "documents", "placed", "python", "root", "systemd", "warnings")

    def __init__(self, root: str, python: str, kept: Mapping[str, Document], systemd: bool) -> None:
        self.root = root
        self.python = python
        self.documents = kept
        self.systemd = systemd
        self.command = [python, "-I", "-S", PROGRAM, DIRECTORY]
        self.placed: list[Placed] = []
        self.warnings: list[str] = []

    @property
    def changes(self) -> list[Placed]:
        """The files and links that differ."""
        return [one for one in self.placed if one.changed]

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes)

    def rehearse(self) -> None:
        """Have the program apply the documents in a network namespace of its own.

        Raises HostError with what it complains of. A warning where no namespace can be made.
        """
        if not self.documents:
            return
        content = next(one.content for one in self.placed if one.path == PROGRAM) or b""
        folder = tempfile.mkdtemp(prefix="rempart-")  # for its owner alone
        try:
            archive = os.path.join(folder, os.path.basename(PROGRAM))
            files.write(archive, content)
            for name, document in self.documents.items():
                files.write(os.path.join(folder, name + SUFFIX), document.text())
            python = self.python if self.root == "/" else sys.executable
            code, said = _run([python, "-I", "-S", archive, REHEARSE, folder])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if code == NOT_REHEARSED:
            self.warnings.append("not tried out before it is kept: %s" % said)
        elif code:
            raise HostError(
                "boot could not apply this: %s" % (said or "%s ended with %d" % (python, code)),
                cure="nothing was changed; what a table needs must be there when boot begins",
            )

    def apply(self) -> None:
        """Do it; all of it, or where that fails nothing. Raises HostError."""
        put(self.placed)
        if not self.documents:
            _remove_directories(self.root)
        if self.root == "/" and self.systemd and os.path.isdir(_RUNNING):
            _reload()


def plan(name: str, tables: list[Any] | None, root: str = "/", python: str | None = None) -> Plan:
    """Have boot apply these tables, kept under a name; None keeps none under it any more.

    ``root`` is a directory that is an image of a host; ``python`` the interpreter that boot uses,
    by default /usr/bin/python3 or else the one running. Raises DocumentError, HostError.
    """
    _check_name(name)
    found, broken = _kept(root)
    before = found.pop(name, None)
    if tables is not None:
        found[name] = documents.of_tables(tables, before)
        _check_owners(found, name)
    systemd = any(os.path.isdir(os.path.join(root, one.lstrip("/"))) for one in _SYSTEMD)
    made = Plan(root, python or _python(root), found, systemd)
    made.placed = [_document(found.get(name), name, root), _program(root, bool(found)), *_units(made)]
    if root == "/" and made.changed:
        _check_namespace()
    made.warnings = ["%s: %s" % (path, reason) for path, reason in broken if path != _path(name)]
    if found:
        made.warnings += _warnings(made)
    return made


def _document(document: Document | None, name: str, root: str) -> Placed:
    content = None if document is None else document.text().encode()
    return Placed(_path(name), content, 0o600, 0o700, root)


def _program(root: str, wanted: bool) -> Placed:
    placed = Placed(PROGRAM, None, 0o644, 0o755, root)
    if wanted:
        current = isinstance(placed.before, bytes) and program.is_current(placed.before)
        placed.content = placed.before if current else program.build()
    return placed


def _units(made: Plan) -> list[Placed]:
    """Both units and the links that enable them; of links to devices also those that shall be no more."""
    command = " ".join(made.command)
    devices = sorted({one for document in made.documents.values() for one in devices_of(document.tables)})
    wanted = bool(made.documents) and made.systemd
    texts = {
        units.UNIT: units.unit(command, (os.path.dirname(PROGRAM), DIRECTORY)) if wanted else None,
        units.DEVICE_UNIT: units.device_unit(command, devices) if wanted and devices else None,
    }
    placed = [
        Placed("%s/%s" % (units.DIRECTORY, name), None if text is None else text.encode(), root=made.root)
        for name, text in texts.items()
    ]
    targets: dict[str, str | None] = dict.fromkeys([*_enabled(made.root), *units.links(())])
    if wanted:
        targets.update(units.links(devices))
    return placed + [Placed(path, target, root=made.root) for path, target in sorted(targets.items())]


def _enabled(root: str) -> list[str]:
    """The links of the unit for devices that there are."""
    try:
        found = [
            one for one in os.listdir(_directory(root, units.DIRECTORY)) if one.endswith(".device.wants")
        ]
    except OSError:
        return []
    paths = ["%s/%s/%s" % (units.DIRECTORY, one, units.DEVICE_UNIT) for one in sorted(found)]
    return [path for path in paths if os.path.islink(below(root, path))]


def _kept(root: str) -> tuple[dict[str, Document], list[tuple[str, str]]]:
    """The documents that there are by name, and what is wrong with those that cannot be read."""
    found, broken = {}, []
    for file in documents.kept(_directory(root, DIRECTORY)):
        path = "%s/%s" % (DIRECTORY, file)
        try:
            found[file[: -len(SUFFIX)]] = documents.read(below(root, path), path)
        except RempartError as error:
            broken.append((path, error.problems[0].message))
    return found, broken


def _directory(root: str, path: str) -> str:
    return os.path.dirname(below(root, path + "/x"))


def _check_name(name: str) -> None:
    if not name or len(name) > 64 or not _NAME.issuperset(name):
        allowed = "1 to 64 letters, digits, _ and -"
        raise DocumentError("not a name of a document for boot", "name", name, allowed)


def _check_owners(found: Mapping[str, Document], name: str) -> None:
    """A table has one owner."""
    owners = {
        (table.family, table.name): other
        for other, document in found.items()
        if other != name
        for table in load({"tables": document.tables})
    }
    problems = [
        Problem(
            "boot has this table from %s already" % _path(owners[table.family, table.name]),
            table.place,
            table.name,
            cure="keep it there or here",
        )
        for table in (load({"tables": found[name].tables}) if owners else ())
        if (table.family, table.name) in owners
    ]
    if problems:
        raise DocumentError.of(problems)


def _check_namespace() -> None:
    """The network namespace that boot configures is that of the first process."""
    with contextlib.suppress(OSError):
        if os.readlink(_OWN) == os.readlink(_FIRST):
            return
    raise HostError(
        "the tables of a network namespace end with it, so boot cannot apply them",
        cure="keep none for boot (firewall_boot: false), or give the root of an image",
    )


def _python(root: str) -> str:
    """The interpreter for boot: the usual one, or else the one running, outside a virtual environment."""
    own = os.path.realpath(sys.executable)
    if root != "/" or own == os.path.realpath(PYTHON):
        return PYTHON
    if os.path.exists(PYTHON):
        code, said = _run([PYTHON, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"])
        if code == 0 and tuple(int(one) for one in said.split()) >= _OLDEST:
            return PYTHON
    return own


def _warnings(made: Plan) -> list[str]:
    said = []
    if not made.systemd:
        line = " ".join(made.command)
        said.append("this host has no systemd: have its boot run, before the network: %s" % line)
    for unit, target in _FLUSHING.items():
        if os.path.islink(below(made.root, "%s/%s.wants/%s" % (units.DIRECTORY, target, unit))):
            said.append(
                "%s is enabled; where its file says flush ruleset, a restart of it takes away "
                "every table until boot or the next run" % unit
            )
    return said


def _path(name: str) -> str:
    return "%s/%s%s" % (DIRECTORY, name, SUFFIX)


def _remove_directories(root: str) -> None:
    """Take the directories away that nothing is in any more."""
    for path in (DIRECTORY, os.path.dirname(DIRECTORY), os.path.dirname(PROGRAM)):
        with contextlib.suppress(OSError):
            os.rmdir(below(root, path))


def _reload() -> None:
    """Have the running systemd read its units anew. Raises HostError."""
    code, said = _run(["systemctl", "daemon-reload"])
    if code:
        raise HostError("systemd does not read its units anew: %s" % said, cure="systemctl daemon-reload")


def _run(command: list[str]) -> tuple[int, str]:
    """Exit code and output of a program; 127 where there is none, as shells have it."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)
    return done.returncode, done.stdout.decode(errors="replace").strip()
