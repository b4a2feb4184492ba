# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that several subcommands share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable

import click

from .session import Session

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Function = Callable[..., Any]


def netns(function: Function) -> Function:
    """``--netns NAME``; interfaces are those of that namespace until the command ends."""
    return click.option(
        "--netns",
        metavar="NAME",
        callback=_look_there,
        help="The network namespace to work in: a name of ip-netns(8), or a path.",
        shell_complete=_namespaces,
    )(function)


def _look_there(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not ctx.resilient_parsing:
        from rempart.links import interfaces

        ctx.with_resource(interfaces.of(value))
    return value


def as_json(function: Function) -> Function:
    """``--json``, which the session keeps."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_keep_as_json,
        help="Write one JSON object for programs.",
    )(function)


def _keep_as_json(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    session = ctx.find_object(Session)
    if session is not None:  # there is none while a shell completes a line
        session.as_json = value


def document(function: Function) -> Function:
    """``FILE``, and the variables that it is rendered with."""
    decorators = (
        click.argument("file", type=click.Path(allow_dash=True), metavar="FILE"),
        click.option(
            "--vars",
            "variable_files",
            type=click.Path(),
            multiple=True,
            metavar="FILE",
            help="Variables for the document, as a YAML or JSON mapping; later files win.",
        ),
        click.option(
            "-e",
            "--extra-vars",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            help="A variable, a YAML or JSON mapping of them, or @FILE; wins over --vars.",
        ),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def full(function: Function) -> Function:
    """``--full``."""
    return click.option(
        "--full",
        is_flag=True,
        help="Compare with the kernel's rules even where nothing can have changed since the last run.",
    )(function)


def keep_session(function: Function) -> Function:
    """``--keep-session/--no-keep-session``."""
    return click.option(
        "--keep-session/--no-keep-session",
        default=True,
        show_default=True,
        help="Take the change back if it cuts the connection that this was typed over, such as one of SSH.",
    )(function)


def diff(default: bool) -> Callable[[Function], Function]:
    """``--diff/--no-diff``."""
    return click.option(
        "--diff/--no-diff", "show_diff", default=default, show_default=True, help="Show the difference."
    )


def _namespaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem
    from rempart.netlink.namespace import DIRECTORY

    try:
        known = sorted(os.listdir(DIRECTORY))
    except OSError:
        known = []
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]
