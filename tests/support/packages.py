# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is published, built from this tree: the wheel of the command and the tarball of the collection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.playbooks import ROOT, settings

_SOURCES = ("plugins", "command", "setup.py", "pyproject.toml", "README.md", "LICENSES")


def wheel(directory: Path) -> Path:
    """The wheel, built without the network below a directory."""
    source, wheels = directory / "source", directory / "wheels"
    source.mkdir()
    for name in _SOURCES:
        subprocess.run(["cp", "-r", "--no-target-directory", ROOT / name, source / name], check=True)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", wheels, source], check=True, timeout=120)
    (made,) = wheels.iterdir()
    return made


def collection(directory: Path) -> Path:
    """The collection's tarball, built below a directory."""
    made = directory / "tarball"
    galaxy = str(Path(sys.executable).with_name("ansible-galaxy"))
    subprocess.run(
        [galaxy, "collection", "build", "--output-path", str(made), str(ROOT)],
        env={**os.environ, **settings(directory)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    (found,) = made.iterdir()
    return found
