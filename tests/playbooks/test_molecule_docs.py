# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/molecule.md is done as it says, in a fresh project, with the collection as it is published."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.molecule import BIN, NAMESPACES, environment
from tests.support.playbooks import ROOT

PAGE = (ROOT / "docs/molecule.md").read_text()


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as ansible-galaxy builds it."""
    directory = tmp_path_factory.mktemp("tarball")
    command = [str(BIN / "ansible-galaxy"), "collection", "build", "--output-path", str(directory), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, env=environment(directory))
    (built,) = directory.glob("*.tar.gz")
    return built


def commands(text: str, tarball: Path) -> str:
    """The commands of the page, in order, with the collection of the tarball: there is no server to ask."""
    lines = [
        line[2:]
        for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    script = "\n".join(["set -e", *lines])
    return script.replace("install rempart.netfilter ", "install --offline %s " % tarball)


def write_files(text: str, project: Path) -> None:
    """The files of the page, each of which says its name."""
    for name, content in re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, re.DOTALL):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)


def shell(script: str, project: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    own = {key: value for key, value in environment(directory).items() if key != "ANSIBLE_COLLECTIONS_PATH"}
    return subprocess.run(
        ["sh", "-c", script],
        cwd=project,
        env=own,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


def test_project(tmp_path: Path, tarball: Path) -> None:
    steps = PAGE.split("## In your project")[1].split("\n### ")[0]
    project = tmp_path / "project"
    project.mkdir()
    script = commands(steps, tarball)
    *preparing, test = script.splitlines()
    assert test == "molecule test -s edge"
    done = shell("\n".join(preparing), project, tmp_path)
    assert done.returncode == 0, done.stdout
    write_files(steps, project)
    exported = next(line for line in preparing if line.startswith("export "))
    done = shell("%s\n%s" % (exported, test), project, tmp_path)
    assert done.returncode == 0, done.stdout
    assert "actions=7  successful=7  disabled=0  skipped=0  missing=0  failed=0" in done.stdout
    assert "WARNING" not in done.stdout
    assert list(NAMESPACES.glob("molecule-edge-*")) == []

    # The scenario tests the project's own firewall.
    variables = project / "group_vars/firewalls.yml"
    variables.write_text(variables.read_text().replace("dport: http,", "dport: https,"))
    done = shell("%s\n%s" % (exported, test), project, tmp_path)
    assert done.returncode != 0
    assert re.search(r"edge > verify.*Failed", done.stdout), done.stdout
    assert list(NAMESPACES.glob("molecule-edge-*")) == []
