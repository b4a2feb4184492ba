# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running the Makefile's checks, and programs of the environment that they have (.build/lint)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.playbooks import ROOT

BIN = ROOT / ".build/lint/bin"


def make(target: str) -> str:
    """What a target of the Makefile printed. Raises AssertionError where it fails."""
    # Not the variables of the make that these tests may run under.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    return _run(["make", "--silent", target], ROOT, environment)


def checker(program: str, *arguments: str, cwd: Path = ROOT, **variables: str) -> str:
    """What a program printed. Raises AssertionError where it fails."""
    path = "%s:%s" % (BIN, os.environ.get("PATH", os.defpath))
    return _run([str(BIN / program), *arguments], cwd, {**os.environ, "PATH": path, **variables})


def _run(command: list[str], cwd: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise AssertionError("%s: exit %d\n%s" % (" ".join(command), done.returncode, done.stdout))
    return done.stdout
