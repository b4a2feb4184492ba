# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A group of subcommands of which each is a file of its own, imported when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click


class Subcommands(click.Group):
    """``names`` are the subcommands in the order in which one uses them, files of ``package``."""

    def __init__(self, *arguments: Any, package: str, names: Sequence[str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.package = package
        self.names = names

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name, None where there is none."""
        if cmd_name not in self.names:
            return None
        found: click.Command = import_module("%s.%s" % (self.package, cmd_name)).command
        return found
