# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Pythons this machine has: on PATH, and what pyenv has built."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

_ASK = "import ensurepip, platform, venv; print(platform.python_version())"


class Interpreter:
    """A Python: its full ``version`` and the ``path`` of its program."""

    __slots__ = ("path", "version")

    def __init__(self, version: str, path: str) -> None:
        self.version = version
        self.path = path


def find() -> dict[str, Interpreter]:
    """For each minor version, such as "3.9", the newest that runs and can make virtual environments."""
    found: dict[str, Interpreter] = {}
    for path in _candidates():
        asked = subprocess.run([path, "-c", _ASK], capture_output=True, text=True)
        version = asked.stdout.strip()
        # One of pyenv's shims fails where its version is not chosen.
        if asked.returncode or not re.fullmatch(r"[\d.]+", version):
            continue
        series = minor(version)
        if series not in found or order(version) > order(found[series].version):
            found[series] = Interpreter(version, path)
    return found


def _candidates() -> Iterator[str]:
    for directory in os.get_exec_path():
        yield from map(str, sorted(Path(directory).glob("python3.*[0-9]")))
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True).stdout.strip()
        yield from map(str, sorted(Path(root, "versions").glob("3.*/bin/python")))


def minor(version: str) -> str:
    """The first two numbers of a version."""
    return ".".join(version.split(".")[:2])


def order(version: str) -> tuple[int, ...]:
    """What versions of numbers alone are sorted by."""
    return tuple(map(int, version.split(".")))


def series(first: str, last: str) -> list[str]:
    """Every minor version of Python 3 from one to the other, such as 3.9 to 3.11."""
    return ["3.%d" % number for number in range(order(first)[1], order(last)[1] + 1)]
