# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A directory that stands for the root of a host whose kernel loads modules.

What files say there is as Linux has it; ``modprobe`` is a script that does to these files what the
kernel would, and notes how it was called.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

RELEASE = "6.12.0-test"

_MODPROBE = r"""#!/bin/sh
root=%(root)s
echo "$@" >> "$root/called"
if [ "$1" = --remove ]; then
    shift
    for name; do rm -rf "$root/sys/module/$name"; done
    exit 0
fi
name=$1; shift
grep -q "/$name\.ko" "$root/lib/modules/%(release)s/modules.dep" || {
    echo "modprobe: FATAL: Module $name not found in directory /lib/modules/%(release)s" >&2; exit 1; }
mkdir -p "$root/sys/module/$name/parameters" "$root/sys/module/$name/holders"
echo live > "$root/sys/module/$name/initstate"
echo 0 > "$root/sys/module/$name/refcnt"
for one; do echo "${one#*=}" > "$root/sys/module/$name/parameters/${one%%%%=*}"; done
"""


class ModularHost:
    """The host below ``root``: modules to be ``available``, others ``builtin``; none is loaded."""

    def __init__(self, root: Path, available: Sequence[str] = (), builtin: Sequence[str] = ()) -> None:
        self.root = root
        listed = {
            "proc/modules": "",
            "proc/sys/kernel/osrelease": RELEASE + "\n",
            "proc/sys/kernel/modprobe": "/sbin/modprobe\n",
            "lib/modules/%s/modules.dep" % RELEASE: "".join("%s.xz:\n" % _file(name) for name in available),
            "lib/modules/%s/modules.builtin" % RELEASE: "".join("%s\n" % _file(name) for name in builtin),
            "sbin/modprobe": _MODPROBE % {"root": root, "release": RELEASE},
            "called": "",
        }
        for name, text in listed.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / "sbin/modprobe").chmod(0o755)

    def calls(self) -> list[str]:
        """How modprobe was called since this was asked last."""
        path = self.root / "called"
        found = path.read_text().splitlines()
        path.write_text("")
        return found

    def loaded(self, name: str, uses: int = 0, holders: Sequence[str] = (), **parameters: str) -> None:
        """Have a module loaded; parameters can be changed."""
        self._module(name, "initstate").write_text("live\n")
        self._module(name, "refcnt").write_text("%d\n" % uses)
        for holder in holders:
            self._module(name, "holders", holder).write_text("")
        for parameter, value in parameters.items():
            self._module(name, "parameters", parameter).write_text(value + "\n")

    def parameter(self, module: str, name: str) -> str:
        """What is in a parameter's file."""
        return self._module(module, "parameters", name).read_text().strip()

    def fixed(self, module: str, name: str) -> None:
        """Have a parameter that cannot be changed."""
        self._module(module, "parameters", name).chmod(0o400)

    def is_loaded(self, name: str) -> bool:
        """Whether the module is loaded now."""
        return (self.root / "sys/module" / name).exists()

    def boot(self, subject: str = "helpers") -> str:
        """What is in the file of modules that are loaded at boot; empty without one."""
        return self._text("etc/modules-load.d/rempart-%s.conf" % subject)

    def options(self, subject: str = "helpers") -> str:
        """What is in the file of parameters; empty without one."""
        return self._text("etc/modprobe.d/rempart-%s.conf" % subject)

    def _text(self, name: str) -> str:
        path = self.root / name
        return path.read_text() if path.exists() else ""

    def _module(self, *parts: str) -> Path:
        path = self.root.joinpath("sys/module", *parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def _file(name: str) -> str:
    return "kernel/net/netfilter/%s.ko" % name
