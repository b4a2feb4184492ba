# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the figures were taken on: the machine, and the versions of what was compared."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from . import interpreter


def facts() -> list[tuple[str, str]]:
    """Name and value of everything that a reader needs to judge the figures."""
    return [
        ("processor", "%s, %d cores" % (_processor(), os.cpu_count() or 0)),
        ("memory", "%.0f GiB" % (os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)),
        ("kernel", "Linux " + platform.release()),
        ("Python of the hosts and the engine", _python(interpreter.hosts_python())),
        ("Python of the command", _python(interpreter.packages_python())),
        ("Python of Ansible and the schema check", _python(sys.executable)),
        ("nft", _first_line("nft", "--version")),
        ("conntrack", _first_line("conntrack", "--version")),
        ("iptables", _first_line("iptables", "--version")),
        ("ansible-core", metadata.version("ansible-core")),
        (
            "jsonschema",
            "%s, jsonschema-rs %s" % (metadata.version("jsonschema"), metadata.version("jsonschema-rs")),
        ),
    ]


def load() -> str:
    """How busy the machine is, as the kernel's one-minute average."""
    return "%.1f" % os.getloadavg()[0]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _python(path: str) -> str:
    """A version, and for the distribution's Python its path: how it was built makes a difference."""
    version = interpreter.version(path)
    return "%s, %s" % (version, path if path == interpreter.DISTRIBUTION else "another build")


def _first_line(*argv: str) -> str:
    printed = subprocess.run(argv, capture_output=True, text=True).stdout
    return printed.splitlines()[0] if printed else "unknown"
