# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``ansible-doc`` shows every plugin and role, with all that a user looks for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.playbooks import ROOT

KINDS = {"module": "modules", "connection": "connection", "filter": "filter"}
NAMES = {
    kind: sorted(
        "rempart.netfilter." + path.stem for path in (ROOT / "plugins" / directory).glob("[a-z]*.py")
    )
    for kind, directory in KINDS.items()
}
NAMES["role"] = sorted("rempart.netfilter." + path.name for path in (ROOT / "roles").iterdir())


def ansible_doc(installed: Path, *arguments: str) -> str:
    """What ansible-doc shows of the installed collection, which must be all it says."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-doc"), *arguments],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(installed),
            "ANSIBLE_NOCOLOR": "1",
            "PAGER": "cat",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def shown(installed: Path) -> dict[str, dict[str, Any]]:
    """What is documented, by kind and name."""
    return {
        kind: json.loads(ansible_doc(installed, "-t", kind, "--json", *names))
        for kind, names in NAMES.items()
    }


@pytest.mark.parametrize("kind", NAMES)
def test_every_one_is_shown(installed: Path, kind: str) -> None:
    text = ansible_doc(installed, "-t", kind, *NAMES[kind])
    listed = ansible_doc(installed, "-t", kind, "--list", "rempart.netfilter")
    for name in NAMES[kind]:
        assert name in text
        assert name in listed


def options_in(options: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every option with its place, the inner ones too."""
    for name, option in options.items():
        yield place + name, option
        inner = option.get("suboptions") or option.get("options") or option.get("contains") or {}
        yield from options_in(inner, "%s%s." % (place, name))


def test_plugins_say_what_users_ask(shown: dict[str, dict[str, Any]]) -> None:
    for kind in KINDS:
        for name, told in shown[kind].items():
            documented = told["doc"]
            assert documented["version_added"], name
            assert documented["description"] and documented["seealso"], name
            check_options(name, documented["options"])
            assert yaml.safe_load(told["examples"]), name
            if kind == "connection":
                continue
            for place, value in options_in(told["return"]):
                assert value["description"] and value["type"], (name, place)
            for place, value in told["return"].items():
                assert "sample" in value or kind == "filter", (name, place)


def test_modules_say_what_they_support(shown: dict[str, dict[str, Any]]) -> None:
    for name, told in shown["module"].items():
        attributes = told["doc"]["attributes"]
        assert {"check_mode", "diff_mode", "idempotent", "platform", "action_group"} <= set(attributes), name
        for attribute, said in attributes.items():
            assert said["support"] in ("full", "none") or said["details"], (name, attribute)
        assert told["doc"]["requirements"], name


def test_roles_say_what_users_ask(shown: dict[str, dict[str, Any]]) -> None:
    for name, told in shown["role"].items():
        for point in told["entry_points"].values():
            assert point["description"] and point["short_description"], name
            check_options(name, point["options"])


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Options have a description of sentences, and a type."""
    for place, option in options_in(options):
        texts = option["description"]
        assert texts and option["type"], (name, place)
        for text in [texts] if isinstance(texts, str) else texts:
            assert text[0] not in "abcdefghijklmnopqrstuvwxyz" and text[-1] in ".:", (name, place, text)
