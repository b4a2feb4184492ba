# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tarball has what users need, nothing else, and works where nothing else is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.collection import INSTALLED
from tests.support.playbooks import ROOT

#: what is in the repository for those who work on it
NOT_SHIPPED = (
    ".ci/",
    ".gitignore",
    "Makefile",
    "command/",
    "demo/",
    "docs/docsite/",
    "galaxy.yml",  # the manifest has what it says
    "pyproject.toml",
    "requirements",
    "setup.py",
    "tests/",
)


def test_the_tarball_is_what_the_repository_has(tarball: Path) -> None:
    """But for what users have no use for; and nothing of what is made or kept beside it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    wanted = {name for name in listed if not name.startswith(NOT_SHIPPED) and (ROOT / name).exists()}
    with tarfile.open(tarball) as archive:
        found = {member.name for member in archive if member.isfile()}
    assert found - wanted == {"MANIFEST.json", "FILES.json"}
    assert wanted - found == set()


def test_the_tarball_has_each_part(installed: Path) -> None:
    for name in (
        "CHANGELOG.rst",
        "LICENSES/GPL-3.0-or-later.txt",
        "README.md",
        "changelogs/config.yaml",
        "docs/document.md",
        "extensions/eda/plugins/event_source/conntrack.py",
        "extensions/eda/rulebooks/ban_busy_sources.yml",
        "meta/execution-environment.yml",
        "meta/runtime.yml",
        "molecule/default/molecule.yml",
        "playbooks/ban_address.yml",
        "plugins/module_utils/document/schema.json",
        "plugins/modules/ruleset.py",
        "roles/firewall/tasks/main.yml",
    ):
        assert (installed / INSTALLED / name).is_file(), name


def test_the_demonstration_runs_with_the_installed_collection(installed: Path) -> None:
    if os.geteuid():
        pytest.skip("needs root for network namespaces")
    done = subprocess.run(
        [sys.executable, str(ROOT / "demo/run.py")],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(installed),
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "0",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    assert "Everything as it should be." in done.stdout
