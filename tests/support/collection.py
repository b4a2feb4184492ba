# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection as Galaxy gets it: built, and installed without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.playbooks import ROOT

#: where an installed collection is, below the path that it is installed into
INSTALLED = Path("ansible_collections/rempart/netfilter")


def build(directory: Path) -> Path:
    """The collection's tarball, made in the directory."""
    _galaxy(directory, "build", str(ROOT), "--output-path", str(directory), "--force")
    (tarball,) = directory.glob("rempart-netfilter-*.tar.gz")
    return tarball


def install(tarball: Path, directory: Path) -> Path:
    """The tarball installed below the directory; where its files are."""
    _galaxy(directory, "install", str(tarball), "-p", str(directory), "--offline", "--force")
    return directory / INSTALLED


def _galaxy(directory: Path, *arguments: str) -> None:
    home = directory / ".ansible"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "ansible.cfg"
    config.touch()
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-galaxy"), "collection", *arguments],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(config),
            "ANSIBLE_COLLECTIONS_PATH": str(directory),
            "ANSIBLE_HOME": str(home),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise AssertionError("ansible-galaxy collection %s\n%s" % (" ".join(arguments), done.stdout))
