# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart save``: the kernel's tables into a file."""

from __future__ import annotations

import click

from .. import options
from ..session import EXIT_DONE, Session, complain
from ..summary import count
from ..table_names import complete, table_name

FILE = "/var/lib/rempart/tables.json"


@click.command("save", short_help="Save the kernel's tables in a file.")
@click.argument("file", type=click.Path(allow_dash=True), default=FILE, metavar="[FILE]")
@click.argument("tables", nargs=-1, metavar="[[FAMILY:]TABLE]...", shell_complete=complete)
@options.netns
@click.option(
    "--counts", is_flag=True, help="With what packets counted, and the elements that they added to sets."
)
@options.as_json
@click.pass_obj
def command(session: Session, file: str, tables: tuple[str, ...], netns: str | None, counts: bool) -> int:
    """Save the kernel's tables, those named or all, in FILE, for rempart restore.

    Without a FILE it is /var/lib/rempart/tables.json; - is standard output. The file is
    root's alone, and is replaced as a whole. A name that ends in .yml or .yaml makes it
    YAML, any other JSON.
    """
    session.empty = {"file": file, "tables": [], "notes": []}
    from rempart.netlink.socket import NetlinkSocket
    from rempart.ruleset import saved

    with NetlinkSocket(netns) as kernel:
        taken = saved.take(kernel, [table_name(one) for one in tables], counts)
    if file.endswith((".yml", ".yaml")):
        from ..yaml_text import document_text

        text = document_text(taken.as_dict())
    else:
        text = taken.as_json()
    if file == "-":
        session.write_raw(text)
    else:
        saved.write(file, text)
    names = taken.names()
    notes = taken.header.get("notes", [])
    for note in notes:
        complain(note)
    if session.as_json and file != "-":
        listed = [{"family": family, "table": name} for family, name in names]
        session.write_json({"file": file, "tables": listed, "notes": notes, "errors": []})
    elif file != "-":
        rules = sum(
            len(chain.get("rules", ())) for table in taken.document["tables"] for chain in table["chains"]
        )
        session.write("%s: saved %s, %s\n" % (file, count(len(names), "table"), count(rules, "rule")))
    return EXIT_DONE
