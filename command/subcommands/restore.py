# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart restore``: tables from a file back into the kernel."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .. import options
from ..documents import read_bytes
from ..session import EXIT_DONE, Session, complain, on_terminal
from ..table_names import table_name
from .save import FILE

if TYPE_CHECKING:
    from rempart.ruleset.saved import Decide
    from rempart.ruleset.steps import Plan, TablePlan
    from rempart.ruleset.table_names import Names

OPTION = "say what shall become of it: --on-clash skip or --on-clash replace"


@click.command("restore", short_help="Put saved tables back.")
@click.argument("file", type=click.Path(allow_dash=True), default=FILE, metavar="[FILE]")
@click.argument("tables", nargs=-1, metavar="[[FAMILY:]TABLE]...")
@options.netns
@click.option(
    "--on-clash",
    type=click.Choice(("skip", "replace", "ask")),
    default="ask",
    show_default=True,
    help="What becomes of a table that is there and differs. Without a terminal, ask is an error.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would become of each table, and change nothing.")
@options.as_json
@click.pass_obj
def command(
    session: Session,
    file: str,
    tables: tuple[str, ...],
    netns: str | None,
    on_clash: str,
    dry_run: bool,
) -> int:
    """Put the tables in FILE back, those named or all, in one transaction.

    FILE is one that rempart save wrote (without one, /var/lib/rempart/tables.json; - is
    standard input). Tables that it does not hold stay as they are. Exit code 0: every
    table was restored, replaced, skipped or the same already; 1: an error, and nothing
    was changed.
    """
    session.empty = {"changed": False, "tables": []}
    from rempart.ruleset import saved

    content = read_bytes(file)
    held = saved.parse(content, "standard input" if file == "-" else file).only(
        [table_name(one) for one in tables]
    )
    done = saved.restore(held, _decide(on_clash), netns, dry_run)
    if not dry_run:
        session.stage = "done"
    if session.as_json:
        listed = [{"family": family, "table": name, "result": result} for family, name, result in done.tables]
        session.write_json({"changed": done.changed, "tables": listed, "errors": []})
        return EXIT_DONE
    for family, name, result in done.tables:
        session.write("%s %s: %s\n" % (family, name, result))
    if not done.tables:
        session.write("no tables in the file\n")
    return EXIT_DONE


def _decide(on_clash: str) -> Decide:
    from rempart.ruleset import saved

    if on_clash != "ask":
        return saved.always(on_clash)
    if not (sys.stdin is not None and sys.stdin.isatty() and on_terminal(sys.stderr)):
        return saved.refuse(OPTION)
    return _ask


def _ask(tables: list[TablePlan]) -> dict[Names, str]:
    """Ask about each table, on standard error; "all" answers for those that follow too."""
    answers: dict[Names, str] = {}
    rest = ""
    for table in tables:
        answers[table.family, table.name] = rest or _ask_one(table)
        if answers[table.family, table.name].endswith(" all"):
            rest = answers[table.family, table.name].partition(" ")[0]
            answers[table.family, table.name] = rest
    return answers


_ANSWERS = {
    "s": "skip",
    "skip": "skip",
    "r": "replace",
    "replace": "replace",
    "skip all": "skip all",
    "replace all": "replace all",
}


def _ask_one(table: TablePlan) -> str:
    from ..summary import rows, totals

    plan = _plan_of(table)
    complain(
        "table %s %s is there already, and differs: %s"
        % (table.family, table.name, totals(rows(plan), ahead=True))
    )
    while True:
        given = click.prompt(
            "skip, replace, diff, skip all or replace all", prompt_suffix="? ", default="skip", err=True
        )
        word = " ".join(str(given).split()).lower()
        if word in ("d", "diff"):
            from rempart.ruleset.describe import differences

            from .. import differences as text
            from ..session import visible

            for line in text.lines(differences(plan)):
                click.echo(visible(line), err=True)
        elif word in _ANSWERS:
            return _ANSWERS[word]


def _plan_of(table: TablePlan) -> Plan:
    from rempart.ruleset.steps import Plan

    return Plan([table], 0)
