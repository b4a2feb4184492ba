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
    """``KEY=VALUE...``, any number of them."""
    return click.argument("filters", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=_keys)(function)


def filter_of(words: tuple[str, ...]) -> Filter:
    """The filter that the words make. Raises DocumentError with everything wrong."""
    from rempart.conntrack.filters import Filter

    return Filter(arguments_of(words))


def arguments_of(words: tuple[str, ...]) -> dict[str, Any]:
    """The filter's keys with their values; a key that stands twice has all of them.

    Raises DocumentError where a word is no key and value, with whatever else is wrong.
    """
    from rempart.conntrack.filters import KEYS, Filter

    return pairs_of(words, KEYS, Filter)


def pairs_of(
    words: tuple[str, ...], keys: tuple[str, ...], check: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    """Words KEY=VALUE as a mapping; a key that stands twice has a list.

    Where a word is none, raises DocumentError with that and with all that ``check`` has against the others.
    """
    from rempart.errors import DocumentError, Problem, nearest

    problems: list[Problem] = []
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            cure = nearest(key, keys) if key not in keys else "say what it shall be: %s=..." % key
            message = "no key and value"
            problems.append(Problem(message, "", word, "KEY=VALUE with one of " + ", ".join(keys), cure))
            continue
        if key.endswith("!"):
            key, value = key[:-1], "!" + value
        if key in found:
            before = found[key] if isinstance(found[key], list) else [found[key]]
            found[key] = [*before, value]
        else:
            found[key] = value
    if problems:
        try:
            check(found)
        except DocumentError as error:
            problems += error.problems
        raise DocumentError.of(problems)
    return found


def _keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem
    from rempart.conntrack.filters import KEYS

    return [CompletionItem(key + "=") for key in KEYS if key.startswith(incomplete)]
