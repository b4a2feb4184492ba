# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules of the host's kernel: what is loaded, built in or to be had, with what parameters.

Facts come from /proc, /sys and /lib/modules; modprobe(8) loads and unloads, since it knows what
a module needs beside itself and how it is packed.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Iterator

from ..errors import HostError

LOADED, BUILTIN, AVAILABLE, MISSING = "loaded", "builtin", "available", "missing"

_TIMEOUT = 60  # seconds for modprobe
_RELEASE = 2  # seconds for what was removed to be destroyed
_PLACES = ("/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe")


class KernelModules:
    """The modules of the kernel whose /proc and /sys lie below ``root``.

    What is in /lib/modules is read once; what is loaded is asked for each time.
    """

    def __init__(self, root: str = "/") -> None:
        self._root = root.rstrip("/")
        self._listed: dict[str, frozenset[str]] = {}
        self._config: frozenset[str] | None = None

    @property
    def loadable(self) -> bool:
        """Whether the kernel has modules at all, and not everything built in."""
        return os.path.exists(self._path("/proc/modules"))

    def state(self, name: str) -> str:
        """``loaded``, ``builtin``, ``available`` (to be loaded) or ``missing`` as far as files tell.

        A kernel without modules does not say in every case what is built into it.
        """
        # Of a module that is built in there is no initstate, and only if it has parameters a directory.
        if os.path.exists(self._module(name, "initstate")):
            return LOADED
        if os.path.isdir(self._module(name)) or name in self._list("modules.builtin"):
            return BUILTIN
        if self.loadable:
            return AVAILABLE if name in self._list("modules.dep") else MISSING
        return BUILTIN if "CONFIG_%s=y" % name.upper() in self._configured() else MISSING

    def uses(self, name: str) -> int:
        """How much keeps a loaded module where it is: other modules, rules, open files."""
        text = self._text(self._module(name, "refcnt"))
        return int(text) if text is not None and text.isdecimal() else 0

    def holders(self, name: str) -> list[str]:
        """The loaded modules that need this one; each is one of its uses."""
        try:
            return sorted(os.listdir(self._module(name, "holders")))
        except OSError:
            return []

    def parameter(self, name: str, parameter: str) -> str | None:
        """The value of a parameter of a module in the kernel; None where there is none to see."""
        return self._text(self._module(name, "parameters", parameter))

    def can_change(self, name: str, parameter: str) -> bool:
        """Whether the parameter can be changed while the module is in use."""
        try:
            return bool(os.stat(self._module(name, "parameters", parameter)).st_mode & 0o200)
        except OSError:
            return False

    def change(self, name: str, parameter: str, value: str) -> None:
        """Change a parameter of a module that is in use. Raises HostError."""
        path = self._module(name, "parameters", parameter)
        try:
            with open(path, "w", encoding="ascii") as file:
                file.write(value)
        except OSError as error:
            raise HostError(
                "cannot set the parameter %s of %s: %s" % (parameter, name, error.strerror), path, value
            ) from None

    def load(self, name: str, parameters: dict[str, str] | None = None) -> None:
        """Load a module with what it needs; one that is loaded already stays as it is. Raises HostError."""
        options = ["%s=%s" % one for one in (parameters or {}).items()]
        self._modprobe(
            [name, *options],
            "cannot load the kernel module %s" % name,
            "install the modules of the running kernel, and see its log (dmesg)",
        )

    def await_release(self, name: str, others: Iterable[str] = ()) -> None:
        """Give what was removed a moment to let go of a module; ``others`` may hold it still.

        nf_tables destroys what a transaction removed only after it has said that it is gone.
        """
        leaving = frozenset(others)
        end = time.monotonic() + _RELEASE
        while time.monotonic() < end:
            if self.uses(name) <= len(leaving.intersection(self.holders(name))):
                return
            time.sleep(0.01)

    def unload(self, names: list[str]) -> None:
        """Unload modules in this order, with those that nothing else needs then. Raises HostError."""
        self._modprobe(
            ["--remove", *names],
            "cannot unload the kernel modules %s" % ", ".join(names),
            "find what uses them (lsmod)",
        )

    def _modprobe(self, arguments: list[str], message: str, cure: str) -> None:
        # The kernel's own notion first, as it loads modules by itself too
        own = self._text(self._path("/proc/sys/kernel/modprobe"))
        paths = [self._path(one) for one in (own or "", *_PLACES) if one.startswith("/")]
        program = next((path for path in paths if os.access(path, os.X_OK)), None)
        if program is None:
            raise HostError(message + ": there is no modprobe", allowed=", ".join(paths), cure="install kmod")
        try:
            done = subprocess.run(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError("%s: %s" % (message, error), found=program) from None
        if done.returncode:
            said = done.stdout.decode("utf-8", "replace").strip()
            raise HostError("%s: %s" % (message, said or "exit %d" % done.returncode), cure=cure)

    def _path(self, path: str) -> str:
        return self._root + path

    def _module(self, name: str, *below: str) -> str:
        return os.path.join(self._path("/sys/module"), name, *below)

    def _text(self, path: str) -> str | None:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return None

    def _release(self) -> str:
        return self._text(self._path("/proc/sys/kernel/osrelease")) or os.uname().release

    def _list(self, file: str) -> frozenset[str]:
        """The modules that a file of depmod(8) lists, by the names the kernel has for them."""
        if file not in self._listed:
            text = self._text(self._path("/lib/modules/%s/%s" % (self._release(), file))) or ""
            self._listed[file] = frozenset(_names(text))
        return self._listed[file]

    def _configured(self) -> frozenset[str]:
        """The lines of the kernel's configuration, as far as it is to be had."""
        if self._config is None:
            text = self._text(self._path("/boot/config-%s" % self._release()))
            if text is None:
                text = self._zipped(self._path("/proc/config.gz"))
            self._config = frozenset(text.split("\n"))
        return self._config

    def _zipped(self, path: str) -> str:
        import gzip

        try:
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
                return file.read()
        except (OSError, EOFError):
            return ""


def _names(text: str) -> Iterator[str]:
    """Of lines such as ``kernel/net/netfilter/nf_conntrack_ftp.ko.xz: …`` the modules' names."""
    for line in text.split("\n"):
        name, dot, _unused = line.partition(":")[0].rpartition("/")[2].partition(".ko")
        if dot:
            yield name.replace("-", "_")
