# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every subcommand and module that works in another namespace looks interfaces up there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from rempart.command.cli import group as everything
from rempart.links import interfaces

from tests.support.playbooks import ROOT

MODULES = sorted(
    path for path in (ROOT / "plugins/modules").glob("*.py") if '"netns": NETNS' in path.read_text()
)


def namespaces(group: click.Group) -> Iterator[click.Parameter]:
    """The option ``--netns`` of every subcommand that has one."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from namespaces(found)
        else:
            yield from (one for one in found.params if one.name == "netns")


def test_every_subcommand_with_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[Any] = []

    def namespace(name: str) -> SimpleNamespace:
        return SimpleNamespace(name=lambda index: entered.append(name) or name, close=lambda: None)

    monkeypatch.setattr(interfaces, "_Namespace", namespace)
    options = list(namespaces(everything))
    for option in options:
        with click.Context(click.Command("any")) as context:
            assert option.process_value(context, "blue") == "blue"
            assert interfaces.name_of(1) == "blue"
        assert interfaces.name_of(1) == "lo"
    assert entered == ["blue"] * len(options) and len(options) > 12


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_every_module_with_a_namespace(path: Path) -> None:
    """``failing`` says the namespace: from there to the result all is inside its block."""
    main = path.read_text().partition("\ndef main() -> None:\n")[2].partition("\n\n\n")[0]
    _, block, inside = main.partition("\n    with failing(module")
    assert block and "module.exit_json(" in inside
    assert all(not line.strip() or line.startswith(" " * 8) for line in inside.splitlines()[1:])
