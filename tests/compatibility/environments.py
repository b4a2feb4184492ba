# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual environments below .build/matrix, kept from one run to the next as long as nothing changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .interpreters import Interpreter

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / ".build/matrix"
_DONE = "complete"

_locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)


class Unavailable(Exception):
    """A package has no wheel for a Python."""


def kept(interpreter: Interpreter, *requirements: str) -> Path:
    """The Python of an environment with these packages and what they need; without any there is not even pip.

    It is made where the last run has not left it whole. Raises :class:`Unavailable`.
    """
    text = "\n".join([interpreter.version, interpreter.path, *requirements])
    name = "%s-%s" % (interpreter.version, hashlib.sha256(text.encode()).hexdigest()[:12])
    place = DIRECTORY / name
    with _locks[place]:
        if not (place / _DONE).exists():
            make(interpreter, place, pip=bool(requirements))
            if requirements:
                install(place, requirements)
            (place / _DONE).write_text(text + "\n")
    return place / "bin/python"


def make(interpreter: Interpreter, place: Path, pip: bool = True) -> None:
    """An empty environment in this place, whatever was there."""
    shutil.rmtree(place, ignore_errors=True)
    command = [interpreter.path, "-m", "venv", *([] if pip else ["--without-pip"]), str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = done.stdout + done.stderr
        raise RuntimeError("no virtual environment of Python %s:\n%s" % (interpreter.version, said))


def install(place: Path, requirements: Sequence[str]) -> None:
    """Have pip install into the environment, from wheels only. Raises :class:`Unavailable`."""
    pip = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
    done = subprocess.run(
        [*pip, *requirements],
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    if not done.returncode:
        return
    for line in done.stderr.splitlines():
        if line.startswith("ERROR: No matching distribution found for "):
            raise Unavailable("no wheel of " + line.rpartition(" for ")[2])
    raise RuntimeError("pip install: exit %d\n%s" % (done.returncode, done.stderr))
