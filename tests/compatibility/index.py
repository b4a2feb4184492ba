# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the package index has, asked through pip."""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from . import interpreters

ANY = "3.99"
"""A Python that no release excludes as too old."""

_PYTHON = re.compile(r"Programming Language :: Python :: (3\.\d+)")


def releases(package: str, python: str = ANY) -> list[str]:
    """Every release for this Python that has numbers alone in its version, the newest first."""
    printed = _pip("index", "versions", package, "--python-version", python)
    found = re.search(r"^Available versions: (.*)$", printed, re.M)
    if found is None:
        raise RuntimeError("pip index versions %s told nothing:\n%s" % (package, printed))
    versions = [one for one in found.group(1).split(", ") if re.fullmatch(r"[\d.]+", one)]
    return sorted(versions, key=interpreters.order, reverse=True)


def pythons(package: str, version: str) -> list[str]:
    """The Pythons that a release says it supports, by its classifiers, the oldest first."""
    with tempfile.TemporaryDirectory() as directory:
        wanted = "%s==%s" % (package, version)
        options = ["--no-deps", "--only-binary=:all:", "--python-version", ANY, "--dest", directory]
        _pip("download", *options, wanted)
        (wheel,) = Path(directory).iterdir()
        with zipfile.ZipFile(wheel) as files:
            (name,) = [one for one in files.namelist() if one.endswith(".dist-info/METADATA")]
            metadata = email.message_from_string(files.read(name).decode())
    said = (_PYTHON.fullmatch(one) for one in metadata.get_all("Classifier", []))
    return sorted((one.group(1) for one in said if one), key=interpreters.order)


def _pip(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("pip %s: exit %d\n%s" % (arguments[0], done.returncode, done.stderr))
    return done.stdout
