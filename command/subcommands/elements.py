# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart elements``: what is in one set or map of the kernel, and changes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import click

from .. import options
from ..documents import read_bytes
from ..session import EXIT_DONE, Session
from ..table_names import complete, table_name

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

FAMILIES = ("inet", "ip", "ip6", "arp", "bridge", "netdev")

Function = Callable[..., Any]


@click.group("elements", short_help="Add, delete or show elements of a set.")
def command() -> None:
    """Add elements to a set or map, delete some, or show them all.

    TABLE is a name, or a family and a name: edge, inet:edge. Without a family it is the
    one table of that name. The set may be one that packets or other programs fill: only
    the elements named are touched.
    """


def _sets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The sets of the table that begin so."""
    from click.shell_completion import CompletionItem
    from rempart.errors import RempartError
    from rempart.ruleset.named_sets import names

    try:
        family, table = table_name(ctx.params.get("table") or "")
        known = names(ctx.params.get("netns"), ctx.params.get("family") or family, table)
    except (RempartError, click.BadParameter):
        return []
    return [CompletionItem(one) for one in known if one.startswith(incomplete)]


def _where(function: Function) -> Function:
    """``TABLE SET --family --netns --json``, which all of them have."""
    decorators = (
        click.argument("table", metavar="[FAMILY:]TABLE", shell_complete=complete),
        click.argument("name", metavar="SET", shell_complete=_sets),
        click.option("--family", type=click.Choice(FAMILIES), help="The table's family."),
        options.netns,
        options.as_json,
        click.pass_obj,
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def _dry_run(function: Function) -> Function:
    return click.option("--dry-run", is_flag=True, help="Tell what would change, and change nothing.")(
        function
    )


_elements = click.argument("elements", nargs=-1, required=True, metavar="ELEMENT...")


@command.command("add", short_help="Put elements into a set.")
@_where
@_elements
@click.option("--timeout", metavar="TIME", help="How long they stay: seconds, 1h30m, or never.")
@click.option("--refresh", is_flag=True, help="Begin the times of those anew that are there already.")
@_dry_run
def add(
    session: Session,
    table: str,
    name: str,
    elements: tuple[str, ...],
    family: str | None,
    netns: str | None,
    timeout: str | None,
    refresh: bool,
    dry_run: bool,
) -> int:
    """Put elements into a set or map, in one transaction.

    ELEMENT is an address, a network, a port: whatever the set holds; "192.0.2.1 . 22" for
    keys of several parts, "22 : accept" for maps, and - for standard input, with one
    element a line. What is there already is no change.
    """
    changing = {"timeout": timeout, "refresh": refresh, "check": dry_run}
    return _change(session, table, name, elements, family, netns, "present", changing)


@command.command("delete", short_help="Take elements out of a set.")
@_where
@_elements
@_dry_run
def delete(
    session: Session,
    table: str,
    name: str,
    elements: tuple[str, ...],
    family: str | None,
    netns: str | None,
    dry_run: bool,
) -> int:
    """Take elements out of a set or map, in one transaction; of a map by their keys.

    What is not there is no error. A part of a network or range can go where the set has
    auto-merge; elsewhere name it as a whole.
    """
    return _change(session, table, name, elements, family, netns, "absent", {"check": dry_run})


@command.command("show", short_help="Show the elements of a set.")
@_where
def show(session: Session, table: str, name: str, family: str | None, netns: str | None) -> int:
    """Show the elements of a set or map, one a line, as nft writes them."""
    session.empty = {"elements": []}
    from rempart.ruleset.membership import list_elements

    found = list_elements(netns, *_names(table, family), name)
    if session.as_json:
        place = {"family": found.family, "table": found.table, "set": found.set.name}
        session.write_json({**place, "elements": found.json, "errors": []})
    else:
        session.write("".join(one + "\n" for one in found.texts))
    return EXIT_DONE


def _names(table: str, family: str | None) -> tuple[str, str]:
    own, name = table_name(table)
    if family and own and family != own:
        raise click.BadParameter("the table is of family %s, --family says %s" % (own, family))
    return family or own, name


def _change(
    session: Session,
    table: str,
    name: str,
    elements: tuple[str, ...],
    family: str | None,
    netns: str | None,
    state: str,
    changing: dict[str, Any],
) -> int:
    session.empty = {"changed": False, "added": [], "removed": []}
    from rempart.ruleset.membership import change_elements

    done = change_elements(netns, *_names(table, family), name, _given(elements), state, **changing)
    dry_run = changing["check"]
    if not dry_run:
        session.stage = "done"
    added, removed = done.added(), done.removed()
    if session.as_json:
        found = {"changed": done.changed, "added": added, "removed": removed, "errors": []}
        session.write_json(found)
        return EXIT_DONE
    if not done.changed:
        session.write("nothing to do\n")
        return EXIT_DONE
    from ..summary import rows, totals

    session.write("".join("- %s\n" % one for one in removed) + "".join("+ %s\n" % one for one in added))
    where = "%s %s, %s %s" % (done.family, done.table, done.word, done.set.name)
    session.write("%s: %s\n" % (where, totals(rows(done.plan), dry_run)))
    return EXIT_DONE


def _given(arguments: tuple[str, ...]) -> Any:
    """The elements of the arguments, those of standard input in place of ``-``."""
    if len(arguments) == 1 and arguments[0] != "-":
        return arguments[0]
    from rempart.document.given_elements import of_text

    found: list[Any] = []
    for argument in arguments:
        lines = [argument]
        if argument == "-":
            text = read_bytes("-").decode("utf-8", "surrogateescape")
            lines = [line.partition("#")[0] for line in text.splitlines()]
        for line in lines:
            given = of_text(line)
            found += given if isinstance(given, list) else [given]
    return found
