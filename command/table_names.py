# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument ``[FAMILY:]TABLE``: read, and completed by the shell."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The tables of the namespace that begin so; with a family only where one was typed."""
    from rempart.errors import RempartError
    from rempart.ruleset.inventory import names

    try:
        known = names(ctx.params.get("netns"))
    except RempartError:
        return []
    shown = ["%s:%s" % one for one in known] if ":" in incomplete else [name for _, name in known]
    return [CompletionItem(one) for one in dict.fromkeys(shown) if one.startswith(incomplete)]


def table_name(argument: str) -> tuple[str, str]:
    """Family, empty where none is given, and name. Raises click.BadParameter."""
    from rempart.ruleset.desired import FAMILIES

    family, colon, name = argument.partition(":")
    if not colon:
        return "", argument
    if family not in FAMILIES:
        raise click.BadParameter("no family %r: one of %s" % (family, ", ".join(FAMILIES)))
    return family, name
