# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart validate``: whether a document is right, without a kernel."""

from __future__ import annotations

import click
from rempart.errors import DocumentError

from .. import options
from ..documents import read
from ..session import EXIT_DONE, Session


@click.command("validate", short_help="Check a document, without a kernel.")
@options.document
@options.as_json
@click.pass_obj
def command(
    session: Session,
    file: str,
    variable_files: tuple[str, ...],
    assignments: tuple[str, ...],
) -> int:
    """Check a document against its schema and compile it, and touch no kernel.

    Takes no privilege; host names are not looked up. Exit code 0: the document is
    right; 1: it is not, and every problem is shown.
    """
    session.empty = {"valid": False}
    document = read(file, variable_files, assignments)
    parsed = document.parse()
    from .. import problems
    from ..summary import count

    found = problems.find(parsed)
    if found:
        raise DocumentError.of(found)
    if session.as_json:
        session.write_json({"valid": True, "errors": []})
        return EXIT_DONE
    tables = parsed.get("tables", [])
    chains = [chain for table in tables for chain in table.get("chains", ())]
    rules = sum(len(chain.get("rules", ())) for chain in chains)
    counted = [count(len(tables), "table"), count(len(chains), "chain"), count(rules, "rule")]
    if "conntrack" in parsed:
        from rempart.tunables.settings import load

        settings = count(len(load(parsed["conntrack"]).settings), "connection tracking setting")
        counted = [*(counted if "tables" in parsed else ()), settings]
    session.write("%s: valid (%s)\n" % (document.name, ", ".join(counted)))
    return EXIT_DONE
