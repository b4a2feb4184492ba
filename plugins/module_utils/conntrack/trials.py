# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What trials of filters have shown of the running kernel, each tried once in a boot.

All namespaces share one hash table of connections: to list or delete in the empty one of a trial
the kernel walks past those of all others, which takes some tenths of a second where there are a
million. So what was found is kept in a file. It holds for as long as the kernel is the one that it
was found of: this boot, with the same modules and the same live patches. Whatever is wrong with the
file it counts as absent: the price is one more trial.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Callable

from ..host import private_files
from ..netlink import namespace
from . import probing

PATH = private_files.DIRECTORY + "/conntrack-filters.json"

_FORMAT = 1  # to be raised whenever a trial asks for more than it did
_MOST_BYTES = 256 * 1024  # a file beyond this is nothing that was written here
_MODULES = ("nf_conntrack", "nf_conntrack_netlink")

_Try = Callable[[probing.Trial, "frozenset[str]", int, int], bool]

_known: dict[str, bool] | None = None  # what the file has and was found since; None until it is read
_doubtful: dict[str, bool] = {}  # what might be otherwise at another time: for this process alone


class Trials:
    """Answers by what is known, and tries where nothing is. ``with Trials() as trials: ...``

    A namespace is made only where there is something to try; what was found is kept at the end.
    """

    __slots__ = ("_found", "_trial")

    def __init__(self) -> None:
        self._trial: probing.Trial | None = None
        self._found: dict[str, bool] = {}

    def __enter__(self) -> Trials:
        return self

    def __exit__(self, *error: object) -> None:
        if self._trial is None:
            return
        self._trial.__exit__()
        if self._trial.certain:
            _keep(self._found)
        else:
            _doubtful.update(self._found)

    def lists(self, asked: frozenset[str], family: int, protocol: int) -> bool:
        """As :meth:`probing.Trial.lists`."""
        return self._answer("list", probing.Trial.lists, asked, family, protocol)

    def deletes(self, asked: frozenset[str], family: int, protocol: int) -> bool:
        """As :meth:`probing.Trial.deletes`."""
        return self._answer("delete", probing.Trial.deletes, asked, family, protocol)

    def _answer(self, what: str, tried: _Try, asked: frozenset[str], family: int, protocol: int) -> bool:
        key = "%s %s family=%d protocol=%d" % (what, "+".join(sorted(asked)), family, protocol)
        for answers in (_remembered(), _doubtful, self._found):
            if key in answers:
                return answers[key]
        if self._trial is None:
            self._trial = probing.Trial()
        self._found[key] = tried(self._trial, asked, family, protocol)
        return self._found[key]


def _remembered() -> dict[str, bool]:
    """What is known, for the caller to add to."""
    global _known
    if _known is None:
        _known = _read()
    return _known


def _read() -> dict[str, bool]:
    try:
        content = json.loads(private_files.read(PATH, _MOST_BYTES))
        if content["format"] != _FORMAT or content["kernel"] != _kernel():
            return {}
        known = content["known"]
        if all(isinstance(key, str) and isinstance(value, bool) for key, value in known.items()):
            return dict(known)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return {}


def _keep(found: dict[str, bool]) -> None:
    """Add to the file, where that can be; it has what another process found meanwhile as well."""
    known = _remembered()
    known.update(found)
    with contextlib.suppress(OSError):
        content = {"format": _FORMAT, "kernel": _kernel(), "known": {**_read(), **known}}
        private_files.prepare(os.path.dirname(PATH))
        private_files.write(PATH, json.dumps(content).encode("ascii"))


def _kernel() -> list[str]:
    """What is another kernel where it differs. Raises OSError where the boot cannot be told."""
    system = os.uname()
    found = [namespace.boot_id(), system.release, system.version]
    for module in _MODULES:
        with contextlib.suppress(OSError), open("/sys/module/%s/srcversion" % module) as file:
            found.append("%s %s" % (module, file.read().strip()))
    with contextlib.suppress(OSError):
        found += ["patch " + name for name in sorted(os.listdir("/sys/kernel/livepatch"))]
    return found
