# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the settings become at boot: a file for sysctl.d(5), and one for modules-load.d(5).

A key exists only once nf_conntrack is loaded, and boot loads it before it sets keys
(systemd-sysctl.service(8)). The sysctl file holds every setting that was ever named and not
forgotten since: a run replaces the lines of its own settings and leaves the others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ..errors import HostError
from ..host import files
from .table import PREFIX, TUNABLES
from .timeouts import TIMEOUTS

SYSCTL = "etc/sysctl.d/70-rempart-conntrack.conf"
MODULES = "etc/modules-load.d/rempart-conntrack.conf"

_SYSCTL_HEAD = """\
# Written by rempart: settings of connection tracking, set at boot.
# A run of rempart replaces the settings that it names.
"""

_MODULES_TEXT = """\
# Written by rempart: the settings in %s exist once this is loaded.
nf_conntrack
"""

#: sysctl.d(5): of files with one name the one in the first directory counts
_DIRECTORIES = (
    "etc/sysctl.d",
    "run/sysctl.d",
    "usr/local/lib/sysctl.d",
    "usr/lib/sysctl.d",
    "lib/sysctl.d",
)

_ALIASES = {"net.nf_conntrack_max": PREFIX + "nf_conntrack_max"}

_LOW, _HIGH = "nf_conntrack_frag6_low_thresh", "nf_conntrack_frag6_high_thresh"
_DEFAULT_LOW = 3 << 20  # bytes: IPV6_FRAG_LOW_THRESH of include/net/ipv6.h


class FileChange:
    """A file that is to change: its text before and after, None where there is no file."""

    __slots__ = ("after", "before", "path")

    def __init__(self, path: str, before: str | None, after: str | None) -> None:
        self.path = path
        self.before = before
        self.after = after

    def do(self) -> None:
        """Have the file as it shall be. Raises HostError."""
        files.put(self.path, self.after)

    def undo(self) -> None:
        """Have the file as it was. Raises HostError."""
        files.put(self.path, self.before)

    def probe(self) -> None:
        """Raise HostError where the file could not be put there; changes nothing."""
        directory = os.path.dirname(self.path)
        while not os.path.isdir(directory) and os.path.dirname(directory) != directory:
            directory = os.path.dirname(directory)
        if not os.access(directory, os.W_OK):
            raise HostError(
                "cannot write there",
                self.path,
                cure="run as root, on a file system that is not read-only, or with persist: false",
            )


def keep(values: Mapping[str, int], root: str = "/") -> list[FileChange]:
    """What changes in the files below ``root`` so that these keys are set at boot.

    Raises HostError for a root that is none, and for a file that cannot be read.
    """
    if not values:
        return []
    path = _path(root, SYSCTL)
    before = files.read(path)
    kept = {**_parsed(before or ""), **{PREFIX + key: str(value) for key, value in values.items()}}
    found = [
        FileChange(path, before, _written(kept)),
        _change(_path(root, MODULES), _MODULES_TEXT % os.path.basename(SYSCTL)),
    ]
    return [one for one in found if one.before != one.after]


def forget(root: str = "/") -> list[FileChange]:
    """What changes so that nothing is set at boot any more: both files go. Raises HostError."""
    found = [_change(_path(root, name), None) for name in (SYSCTL, MODULES)]
    return [one for one in found if one.before is not None]


def overridden(values: Mapping[str, int], root: str = "/") -> list[str]:
    """A warning for each key that a file read later at boot sets to something else."""
    wanted = {PREFIX + key: str(value) for key, value in values.items()}
    said = []
    for path in _later(root):
        try:
            text = files.read(path) or ""
        except HostError:
            continue
        for key, value in _parsed(text).items():
            if wanted.get(key, value) != value:
                said.append(
                    "%s: %s sets it to %s at boot, after %s" % (key, path, value, os.path.basename(SYSCTL))
                )
    return said


def _written(kept: Mapping[str, str]) -> str:
    lines = ["%s = %s\n" % (key, kept[key]) for key in _ordered(kept)]
    return _SYSCTL_HEAD + "".join(lines)


def _ordered(kept: Mapping[str, str]) -> Iterable[str]:
    """In the order of the tables. The two bounds for fragments never cross on their way from the defaults."""
    known = [one.key for one in TUNABLES.values()]
    known += [one.key for states in TIMEOUTS.values() for one in states.values() if one.key]
    high = kept.get(PREFIX + _HIGH, "")
    if high.isdecimal() and int(high) >= _DEFAULT_LOW:
        known.insert(0, _HIGH)
    order = dict.fromkeys(PREFIX + key for key in known)
    return [*(key for key in order if key in kept), *(key for key in kept if key not in order)]


def _parsed(text: str) -> dict[str, str]:
    """The settings of a sysctl.d(5) file: the last of each key, with dots."""
    found = {}
    for line in text.splitlines():
        key, equals, value = line.strip().lstrip("-").partition("=")
        key = key.strip()
        if equals and key[:1] not in ("#", ";", ""):
            if "/" in key and "." not in key.split("/")[0]:
                key = key.replace("/", ".")
            found[_ALIASES.get(key, key)] = value.strip()
    return found


def _later(root: str) -> list[str]:
    """The files that are read after ours, in their order."""
    own = os.path.basename(SYSCTL)
    by_name: dict[str, str] = {}
    for directory in _DIRECTORIES:
        full = os.path.join(root, directory)
        try:
            names = os.listdir(full)
        except OSError:
            continue
        for name in names:
            if name.endswith(".conf") and name > own:
                by_name.setdefault(name, os.path.join(full, name))
    found = [by_name[name] for name in sorted(by_name)]
    last = os.path.join(root, "etc/sysctl.conf")  # sysctl(8), --system
    if os.path.isfile(last) and not any(os.path.realpath(one) == os.path.realpath(last) for one in found):
        found.append(last)
    return found


def _change(path: str, after: str | None) -> FileChange:
    return FileChange(path, files.read(path), after)


def _path(root: str, name: str) -> str:
    """A file below the root, and nowhere else whatever symbolic links say."""
    top = os.path.realpath(root)
    if not os.path.isabs(root) or not os.path.isdir(top):
        raise HostError("no directory", "root", root, "the absolute path of a directory")
    path = os.path.join(top, name)
    directory = os.path.realpath(os.path.dirname(path))
    if os.path.commonpath([top, directory]) != top:
        raise HostError("leads out of the root, to %s" % directory, path)
    return path
