# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible asks of a collection, by Ansible's own programs: nothing is ignored, nothing is left out."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import yaml

from tests.support.checkers import checker, make
from tests.support.collection import INSTALLED
from tests.support.playbooks import ROOT


def test_ansible_test_sanity() -> None:
    output = make("sanity")
    ran = set(re.findall(r'^Running sanity test "([\w-]+)"', output, re.MULTILINE))
    assert {"ansible-doc", "compile", "import", "pylint", "validate-modules", "yamllint"} <= ran
    assert not list(ROOT.glob("tests/sanity/ignore*"))


def test_lint() -> None:
    make("lint")


def test_a_release_collects_what_is_new(installed: Path, tmp_path: Path) -> None:
    shutil.copytree(installed, tmp_path, dirs_exist_ok=True)
    collection = tmp_path / INSTALLED
    shutil.copyfile(ROOT / "galaxy.yml", collection / "galaxy.yml")
    for command in ("init", "add --all"):
        subprocess.run(["git", *command.split()], cwd=collection, check=True, capture_output=True)
    checker("antsibull-changelog", "release", cwd=collection, ANSIBLE_COLLECTIONS_PATH=str(tmp_path))
    notes = (collection / "CHANGELOG.rst").read_text()
    for directory in ("plugins/modules", "plugins/connection", "plugins/filter", "roles"):
        for path in (ROOT / directory).glob("[a-z]*"):
            assert "\n- rempart.netfilter.%s - " % path.stem in notes
    for fragment in (ROOT / "changelogs/fragments").glob("*.yml"):
        for texts in yaml.safe_load(fragment.read_text()).values():
            for text in [texts] if isinstance(texts, str) else texts:
                assert " ".join(text.split()) in " ".join(notes.split())


def test_an_execution_environment_has_what_the_controller_needs(installed: Path) -> None:
    """The packages that check documents, as the command asks for them."""
    told = checker("ansible-builder", "introspect", str(installed))
    found = yaml.safe_load(told.partition("---")[2])
    assert found["system"] == []
    asked = re.findall(r'"(jsonschema[^"]*)"', (ROOT / "pyproject.toml").read_text())
    assert [line.split("#")[0].strip() for line in found["python"]] == asked != []
