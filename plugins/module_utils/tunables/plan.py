# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way from settings to a kernel that has them: read, compare, set what differs, keep it for boot.

Everything is read and tried out before anything is set. If a step fails all the same, those before
it are taken back.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Union

from ..errors import DocumentError, HostError, Problem, RempartError
from ..netlink.namespace import Entered
from ..netlink.socket import NetlinkSocket
from . import cttimeout, persist, proc, sizes
from .persist import FileChange
from .settings import Declared, Row, Setting
from .timeouts import State


class Compared:
    """A setting, the number that the kernel has for it, and the one that it shall have."""

    __slots__ = ("after", "before", "setting")

    def __init__(self, setting: Setting, before: int, after: int) -> None:
        self.setting = setting
        self.before = before
        self.after = after

    @property
    def changed(self) -> bool:
        """Whether the two differ."""
        return self.before != self.after


class KeyStep:
    """One key that is set."""

    __slots__ = ("change",)

    def __init__(self, change: Compared) -> None:
        self.change = change

    @property
    def place(self) -> str:
        """Where the setting was said."""
        return self.change.setting.place

    @property
    def name(self) -> str:
        """What an error calls it."""
        return self.change.setting.name

    def probe(self) -> None:
        """Raise HostError where it cannot be set; sets nothing."""
        proc.probe(self.change.setting.row.key)

    def do(self) -> None:
        """Set it."""
        proc.write(self.change.setting.row.key, self.change.after)

    def undo(self) -> None:
        """Set it to what it was."""
        proc.write(self.change.setting.row.key, self.change.before)


class TimeoutStep:
    """Timeouts of one protocol that are set in one message, in the network namespace given."""

    __slots__ = ("changes", "protocol")

    def __init__(self, protocol: int, changes: list[Compared]) -> None:
        self.protocol = protocol
        self.changes = changes

    @property
    def place(self) -> str:
        """Where the first of them was said."""
        return self.changes[0].setting.place

    @property
    def name(self) -> str:
        """What an error calls them."""
        return ", ".join(one.setting.name for one in self.changes)

    def probe(self) -> None:
        """That they could be read means that they can be set: both take the same capability."""

    def do(self) -> None:
        """Set them."""
        self._set({_attribute(one): one.after for one in self.changes})

    def undo(self) -> None:
        """Set them to what they were."""
        self._set({_attribute(one): one.before for one in self.changes})

    def _set(self, timeouts: dict[int, int]) -> None:
        with NetlinkSocket() as kernel:
            cttimeout.write(kernel, self.protocol, timeouts)


class FileStep:
    """One file that is written, or goes."""

    __slots__ = ("change",)

    #: its errors name the file themselves
    place = ""

    def __init__(self, change: FileChange) -> None:
        self.change = change

    @property
    def name(self) -> str:
        """What an error calls it."""
        return self.change.path

    def probe(self) -> None:
        """Raise HostError where it cannot be written; changes nothing."""
        self.change.probe()

    def do(self) -> None:
        """Write it."""
        self.change.do()

    def undo(self) -> None:
        """Have it as it was."""
        self.change.undo()


Step = Union[KeyStep, TimeoutStep, FileStep]


class Plan:
    """What is to be done. ``compared`` has every setting that was named, ``files`` those that change."""

    __slots__ = ("compared", "files", "netns", "steps", "warnings")

    def __init__(
        self,
        compared: list[Compared],
        files: list[FileChange],
        steps: list[Step],
        warnings: list[str],
        netns: str | None = None,
    ) -> None:
        self.compared = compared
        self.files = files
        self.steps = steps
        self.warnings = warnings
        self.netns = netns

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    def apply(self) -> None:
        """Do it; all of it, or where that fails nothing. Raises KernelError, HostError."""
        if not self.steps:
            return
        with Entered(self.netns):
            for number, step in enumerate(self.steps):
                try:
                    step.do()
                except RempartError as error:
                    raise _explained(error.at(step.place), self.steps[:number]) from None
                except BaseException:  # Ctrl-C: this step may be done or not
                    _take_back(self.steps[: number + 1])
                    raise


def persists(persist: bool | None, netns: str | None = None) -> bool:
    """Whether what is set in a namespace is kept over a reboot; ``persist`` is the document's, None not said.

    Raises HostError where it cannot be kept.
    """
    with Entered(netns):
        proc.ensure()
        return _kept(persist)


def _kept(persist: bool | None) -> bool:
    if persist is None:
        return proc.initial()
    if persist and not proc.initial():
        raise HostError(
            "the settings of a network namespace end with it",
            "persist",
            True,
            cure="leave persist out, or give the root of an image",
        )
    return persist


def plan(
    declared: Declared, netns: str | None = None, keep: bool | None = None, root: str | None = None
) -> Plan:
    """Compare what is declared with what the kernel has.

    ``netns`` is a namespace's name or path, None for the caller's own. ``keep`` says whether the
    settings are kept over a reboot, as ``persist`` in the document does; None means yes, but not those
    of a namespace other than the first, which ends with the host at the latest. ``root`` is a directory
    whose files are written instead of this host's, for an image of another: the kernel is left alone
    then. Raises DocumentError, HostError, KernelError.
    """
    if keep is None:
        keep = declared.persist
    if root is not None:
        return _plan_image(declared.settings, keep, root)
    if not declared.settings:
        return Plan([], [], [], [])
    with Entered(netns):
        proc.ensure()
        keep = _kept(keep)
        reading = _Reading(declared.settings)
        known = [one for one in declared.settings if one.name in reading.numbers]
        compared, warnings = _compare(known, reading)
        files = _files(compared, "/", warnings) if keep else []
        steps = _steps([one for one in compared if one.changed], reading)
        steps += [FileStep(one) for one in files]
        _probe(steps, reading.problems)
    return Plan(compared, files, steps, warnings, netns)


def missing(declared: Declared, netns: str | None = None) -> list[Problem]:
    """Settings that the kernel does not have, for who knows already that others are wrong.

    Nothing is told of a kernel that cannot be asked.
    """
    try:
        with Entered(netns):
            proc.ensure()
            return _Reading(declared.settings).problems
    except RempartError:
        return []


def plan_removal(root: str | None = None) -> Plan:
    """Keep nothing for boot any more; what the kernel has stays. Raises HostError."""
    files = persist.forget(root or "/")
    steps: list[Step] = [FileStep(one) for one in files]
    _probe(steps, [])
    return Plan([], files, steps, [])


def _plan_image(settings: list[Setting], keep: bool | None, root: str) -> Plan:
    problems = [
        Problem(
            "auto is worked out on the host that it is for",
            one.place,
            "auto",
            cure="give a number for an image",
        )
        for one in settings
        if one.value is None
    ]
    if problems:
        raise DocumentError.of(problems)
    compared = [Compared(one, one.value or 0, one.value or 0) for one in settings]
    warnings: list[str] = []
    files = _files(compared, root, warnings) if keep is not False else []
    steps: list[Step] = [FileStep(one) for one in files]
    _probe(steps, [])
    return Plan([], files, steps, warnings)


def _files(compared: list[Compared], root: str, warnings: list[str]) -> list[FileChange]:
    values = {one.setting.row.key: one.after for one in compared if one.setting.row.key}
    warnings += [
        "%s: has no sysctl key, so it is not kept over a reboot" % one.setting.place
        for one in compared
        if not one.setting.row.key
    ]
    warnings += persist.overridden(values, root)
    return persist.keep(values, root)


class _Reading:
    """What the kernel has: ``numbers`` by setting, and ``problems`` with those that it does not have."""

    def __init__(self, settings: list[Setting]) -> None:
        self.numbers: dict[str, int] = {}
        self._protocols: dict[int, dict[int, int] | None] = {}
        self.problems: list[Problem] = []
        with ExitStack() as stack:
            if any(_has_attribute(one.row) for one in settings):
                kernel = stack.enter_context(NetlinkSocket())
                for one in settings:
                    if isinstance(one.row, State) and _has_attribute(one.row):
                        self._ask(kernel, one.row.number)
            for one in settings:
                try:
                    number = self._number(one.row)
                except RempartError as error:
                    self.problems += error.at(one.place).problems
                    continue
                if number is None:
                    self.problems.append(_missing(one))
                else:
                    self.numbers[one.name] = number

    def over_netlink(self, row: Row) -> bool:
        """Whether netlink gives this timeout and sets it."""
        return self._over_netlink(row) is not None

    def _ask(self, kernel: NetlinkSocket, protocol: int) -> None:
        if protocol not in self._protocols:
            self._protocols[protocol] = cttimeout.read(kernel, protocol)

    def _number(self, row: Row) -> int | None:
        """None where the kernel does not have it. A key says that; cttimeout names states that are gone."""
        if row.key and not proc.has(row.key):
            return None
        found = self._over_netlink(row)
        return found if found is not None or not row.key else proc.read(row.key)

    def _over_netlink(self, row: Row) -> int | None:
        if not isinstance(row, State) or not row.attribute:
            return None
        return (self._protocols.get(row.number) or {}).get(row.attribute)


def _has_attribute(row: Row) -> bool:
    return isinstance(row, State) and row.attribute != 0


def _attribute(one: Compared) -> int:
    row = one.setting.row
    return row.attribute if isinstance(row, State) else 0


def _missing(setting: Setting) -> Problem:
    """A setting that this kernel does not have: since when there is one, or until when there was."""
    row = setting.row
    release = os.uname().release.split("-")[0]
    allowed = ""
    cure = row.cure or ("it takes %s" % row.needs if row.needs else "")
    if row.since:
        allowed = "since Linux %s" % row.since
        cure = "" if _version(release) < _version(row.since) else cure
    elif row.until:
        allowed = "up to Linux %s" % row.until
        cure = row.cure if _version(release) > _version(row.until) else cure
    return Problem("this kernel has no such setting (Linux %s)" % release, setting.place, None, allowed, cure)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())


def _compare(settings: list[Setting], reading: _Reading) -> tuple[list[Compared], list[str]]:
    said = {one.name: one for one in settings}
    values = {one.name: one.value for one in settings}
    warnings: list[str] = []
    if "buckets" in said or "max" in said:
        present = {key: proc.read("nf_conntrack_" + key) for key in ("buckets", "max", "count")}
        buckets, most = sizes.resolve(
            values.get("buckets"),
            values.get("max"),
            "buckets" in said and values["buckets"] is None,
            "max" in said and values["max"] is None,
            present["buckets"],
        )
        values.update(buckets=buckets, max=most)
        after = present["max"] if most is None else most
        warnings = sizes.warnings(
            present["buckets"] if buckets is None else buckets,
            after,
            after != present["max"],
            present["count"],
        )
    if any(one.name.startswith("timeouts.udplite.") for one in settings):
        warnings.append("timeouts.udplite: the kernel has one timeout for UDP-Lite and UDP, this sets both")
    compared = [Compared(one, reading.numbers[one.name], values[one.name] or 0) for one in settings]
    _check_fragments({one.setting.name: one for one in compared})
    return compared, warnings


def _check_fragments(compared: dict[str, Compared]) -> None:
    """The memory for fragments: the kernel refuses a low bound above the high one."""
    low, high = compared.get("frag6_low_thresh"), compared.get("frag6_high_thresh")
    if low and not high:
        bound = proc.read("nf_conntrack_frag6_high_thresh")
        if low.after > bound:
            raise HostError(
                "more than frag6_high_thresh, which is %d" % bound,
                low.setting.place,
                low.after,
                cure="name both",
            )
    if high and not low:
        bound = proc.read("nf_conntrack_frag6_low_thresh")
        if high.after < bound:
            raise HostError(
                "less than frag6_low_thresh, which is %d" % bound,
                high.setting.place,
                high.after,
                cure="name both",
            )


def _steps(changes: list[Compared], reading: _Reading) -> list[Step]:
    """Keys first, one by one; then the timeouts that netlink sets, those of a protocol together."""
    keys: list[Compared] = []
    protocols: dict[int, list[Compared]] = {}
    for one in changes:
        row = one.setting.row
        if isinstance(row, State) and reading.over_netlink(row):
            protocols.setdefault(row.number, []).append(one)
        else:
            keys.append(one)
    keys.sort(key=_rank)
    return [
        *(KeyStep(one) for one in keys),
        *(TimeoutStep(protocol, some) for protocol, some in protocols.items()),
    ]


def _rank(change: Compared) -> int:
    """Buckets before max, and what frees room between the two bounds for fragments before what takes it."""
    first = {"buckets": 0, "max": 1}
    name = change.setting.name
    if name in ("frag6_low_thresh", "frag6_high_thresh"):
        grows = change.after > change.before
        return 3 if grows == (name == "frag6_high_thresh") else 4
    return first.get(name, 2)


def _probe(steps: list[Step], problems: list[Problem]) -> None:
    """Raise HostError with these problems and those of steps that could not be done."""
    for step in steps:
        try:
            step.probe()
        except RempartError as error:
            problems += error.at(step.place).problems
    if problems:
        raise HostError.of(problems)


def _explained(error: RempartError, done: list[Step]) -> RempartError:
    """The error, with what became of the steps before it, which are taken back here."""
    stuck = _take_back(done)
    said = "nothing else was changed"
    if stuck:
        said = "these could not be put back as they were: %s" % ", ".join(stuck)
    elif done:
        said = "what was set before it has been put back"
    for problem in error.problems:
        problem.cure = "%s; %s" % (problem.cure, said) if problem.cure else said
    return error


def _take_back(done: list[Step]) -> list[str]:
    """Undo steps, the last one first; the names of those that could not be."""
    stuck = []
    for step in reversed(done):
        try:
            step.undo()
        except RempartError:
            stuck.append(step.name)
    return stuck
