# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection filter of a command line: ``saddr=10.0.0.0/8 dport=22,80 'state!=ESTABLISHED'``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from rempart.conntrack.filters import Filter

Function = Callable[..., Any]


def argument(function: Function) -> Function:
    """``FILTER...``, any number of them."""
    return click.argument("filters", nargs=-1, metavar="[FILTER]...", shell_complete=_keys)(function)


def filter_of(words: tuple[str, ...]) -> Filter:
    """The filter that the words make; a key that stands twice has several values.

    Raises DocumentError with everything wrong, BadParameter for a word that is no key and value.
    """
    from rempart.conntrack.filters import Filter

    given: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        negated = key.endswith("!")
        if not equals or not key.rstrip("!"):
            raise click.BadParameter("%s: a filter is a key and a value, such as saddr=10.0.0.0/8" % word)
        key = key.rstrip("!").strip()
        value = "!" + value if negated else value
        given[key] = [*given[key], value] if key in given else [value]
    return Filter({key: values[0] if len(values) == 1 else values for key, values in given.items()})


def _keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem
    from rempart.conntrack.filters import KEYS

    if "=" in incomplete:
        return []
    return [CompletionItem(key + "=") for key in KEYS if key.startswith(incomplete)]
