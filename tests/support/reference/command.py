# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/reference/command.md: every subcommand with its options, from click's own declarations."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import click

from tests.support.reference.markdown import HEAD, cell, code, table

session = import_module("rempart.command.session")
group: click.Group = import_module("rempart.command.cli").group

CODES = {
    "EXIT_DONE": "done, or nothing to do",
    "EXIT_ERROR": "an error, a wrong option or argument too; nothing was changed",
    "EXIT_DIFFERENT": "`plan`, `check`: the kernel is not as the document says",
    "EXIT_INTERRUPTED": "interrupted (Ctrl-C)",
}

INTRO = """
# Every subcommand and option

What they do, with examples, is in [The command](../command.md), [Tracked connections](../connections.md)
and [Killing connections](../killing.md). `rempart SUBCOMMAND --help` says the same as this page.
"""


def subcommands(one: click.Command, name: str, above: click.Context | None = None) -> Iterator[click.Context]:
    """Each command that does something, in the order of the help."""
    context = click.Context(one, info_name=name, parent=above)
    if isinstance(one, click.Group):
        for inner in one.list_commands(context):
            found = one.get_command(context, inner)
            assert found is not None
            yield from subcommands(found, inner, context)
    else:
        yield context


def page() -> str:
    """The whole page."""
    parts = [HEAD % "the command's own declarations", INTRO.lstrip("\n")]
    for context in subcommands(group, "rempart"):
        one = context.command
        parts.append("## %s\n" % context.command_path)
        parts.append(" ".join((one.help or "").split("\n\n")[0].split()) + "\n")
        usage = " ".join([context.command_path, *one.collect_usage_pieces(context)])
        parts.append("`%s`\n" % usage)
        lines = [line for param in one.get_params(context) for line in option(param, context)]
        parts.append(table(("option", "default", ""), lines))
    parts += ["## Exit codes\n", table(("code", ""), codes())]
    return "\n".join(parts)


def option(param: click.Parameter, context: click.Context) -> Iterator[tuple[str, ...]]:
    """An option's line; an argument has none, the usage shows it."""
    if not isinstance(param, click.Option) or param.hidden or "--help" in param.opts:
        return
    names = ", ".join([*param.opts, *param.secondary_opts])
    if not param.is_flag:
        names += " " + param.make_metavar(context)
    info = param.get_help_extra(context)
    help_ = param.help or ""
    default = info.get("default", "")
    note = "; may be repeated" if param.multiple else ""
    yield code(names), code(default) if default else "", cell(help_.rstrip(".") + note + ".")


def codes() -> list[tuple[str, str]]:
    """The exit codes, each with what it means."""
    found = {name: getattr(session, name) for name in vars(session) if name.startswith("EXIT_")}
    assert set(found) == set(CODES)
    return [(str(number), CODES[name]) for name, number in sorted(found.items(), key=lambda one: one[1])]
