# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which modules are loaded at boot and with which parameters: files of modules-load.d(5) and modprobe.d(5).

Each file is one subject's own. A task changes the lines of the modules that it names; others stay.
"""

from __future__ import annotations

from collections.abc import Mapping

from . import files

_HEAD = "# Kept by rempart.\n"


class BootFile:
    """One such file: its ``path`` as the host sees it, its text ``before`` and ``after``.

    The text is empty where there is no file.
    """

    __slots__ = ("_real", "after", "before", "path")

    def __init__(self, path: str, root: str = "/") -> None:
        self.path = path
        self._real = root.rstrip("/") + path
        self.before = files.read(self._real) or ""
        self.after = self.before

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after

    def keep(self, lines: Mapping[str, str | None], only: bool = False) -> None:
        """Give each module its line; one with None has none. Other lines stay, but for ``only``."""
        held = {}
        for line in map(str.strip, self.before.split("\n")):
            words = line.split()
            if words and not line.startswith(("#", ";")):
                held[words[1] if words[0] == "options" and len(words) > 1 else words[0]] = line
        wanted = {
            **({} if only else held),
            **{module: text for module, text in lines.items() if text is not None},
        }
        for module in [module for module, text in lines.items() if text is None]:
            wanted.pop(module, None)
        if wanted != held:
            body = "".join(wanted[module] + "\n" for module in sorted(wanted))
            self.after = _HEAD + body if body else ""

    def write(self) -> None:
        """Put the text into the file; an empty one goes. Raises HostError."""
        if self.changed:
            files.put(self._real, self.after or None)


def load_file(subject: str, root: str = "/") -> BootFile:
    """The file of modules-load.d(5) of a subject such as ``helpers``."""
    return BootFile("/etc/modules-load.d/rempart-%s.conf" % subject, root)


def options_file(subject: str, root: str = "/") -> BootFile:
    """The file of modprobe.d(5) of a subject."""
    return BootFile("/etc/modprobe.d/rempart-%s.conf" % subject, root)


def options_line(module: str, parameters: Mapping[str, str]) -> str | None:
    """The line of modprobe.d(5) that gives a module parameters; None for none."""
    if not parameters:
        return None
    return " ".join(["options", module, *("%s=%s" % one for one in sorted(parameters.items()))])
