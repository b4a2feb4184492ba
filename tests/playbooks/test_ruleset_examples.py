# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in the documentation of the modules run, and a second time they change nothing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import ROOT, play

MODULES = ("ruleset", "chain", "tos", "ruleset_info")


def examples(module: str) -> list[dict[str, Any]]:
    """The tasks of a module's EXAMPLES."""
    tree = ast.parse((ROOT / "plugins/modules" / (module + ".py")).read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES":
            tasks: list[dict[str, Any]] = yaml.safe_load(ast.literal_eval(node.value))
            return tasks
    raise AssertionError("no EXAMPLES in %s" % module)


def declares(task: dict[str, Any]) -> bool:
    """Whether a task's second run must change nothing."""
    return not any(isinstance(value, dict) and value.get("zero") for value in task.values())


def test_the_examples_run(tmp_path: Path, make_netns: Callable[[], Namespace]) -> None:
    host = make_netns().up()
    veth(host, make_netns(), name_a="dummy0")
    tasks = []
    for module in MODULES:
        for task in examples(module):
            tasks.append(task)
            if declares(task):
                again = {**task, "name": "again: " + task["name"]}
                again.pop("register", None)
                tasks.append(again)
    done = play(tmp_path, {host.name: {"ansible_python_interpreter": sys.executable}}, tasks, "--diff")
    assert done.status == 0
    run = {one["task"] for one in done.results}
    assert {task["name"] for task in tasks} - run == set(), done.output
    for one in done.results:
        if one["task"].startswith("again: ") and not one["task"].startswith("again: Look "):
            assert one["status"] != "changed", one["task"]
    assert [one["table"]["name"] for one in host.nft_json() if "table" in one] == ["edge"]
