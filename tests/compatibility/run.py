# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the matrix, and write docs/compatibility.md: ``run.py [--only TABLE]… [--jobs N]``.

The exit code is 1 if a combination failed.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Not this directory, where a file may be named like a package.
sys.path[0] = str(ROOT)

from tests.compatibility import cells, environments, matrix, promises, report  # noqa: E402
from tests.compatibility.cells import Cell, Outcome, Table  # noqa: E402
from tests.support.namespaces import sweep  # noqa: E402

PAGE = ROOT / "docs/compatibility.md"


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", metavar="TABLE", help="the page is not written")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cells at once")
    chosen = parser.parse_args()
    if os.geteuid():
        print("The matrix needs root, for network namespaces.", file=sys.stderr)
        return 1
    begin = time.monotonic()
    sweep()
    environments.DIRECTORY.mkdir(parents=True, exist_ok=True)
    here = matrix.Here()
    tables = matrix.tables(here)
    names = [table.name for table in tables]
    if unknown := set(chosen.only or ()) - set(names):
        parser.error("no table %s; there are %s" % (", ".join(sorted(unknown)), ", ".join(names)))
    tables = [table for table in tables if table.name in (chosen.only or names)]
    outcomes = run(tables, chosen.jobs)
    print("\n" + report.summary(outcomes))
    print("%.0f minutes" % ((time.monotonic() - begin) / 60))
    if not chosen.only:
        promised = {
            "ansible": promises.ansible(),
            "python": promises.python(),
            "pyroute2": promises.packages()["pyroute2"],
        }
        PAGE.write_text(report.markdown(tables, outcomes, promised, machine(here)), encoding="utf-8")
        print("written: %s" % PAGE.relative_to(ROOT))
    return int(any(one.failure for one in outcomes.values()))


def run(tables: list[Table], jobs: int) -> dict[Cell, Outcome]:
    """Run every cell, some at once; each is told of as it ends."""

    def one(table: Table, cell: Cell) -> tuple[Cell, Outcome]:
        found = cells.outcome(cell)
        print("%s, %s, %s: %s" % (table.title, cell.row, cell.column, found.text), end="")
        print(" (%.0f s)\n%s" % (found.seconds, found.failure), end="\n" if found.failure else "", flush=True)
        return cell, found

    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(one, table, cell) for table in tables for cell in table.cells]
        return dict(each.result() for each in waiting)


def machine(here: matrix.Here) -> list[tuple[str, str]]:
    """What a reader needs to judge the outcomes."""
    pythons = [one.version for series, one in here.found.items() if series in here.pythons]
    nft = subprocess.run(["nft", "--version"], capture_output=True, text=True).stdout.strip()
    conntrack = subprocess.run(["conntrack", "--version"], capture_output=True, text=True).stdout
    return [
        ("kernel", "Linux " + platform.release()),
        ("nft", nft),
        ("conntrack", conntrack.splitlines()[0]),
        ("Pythons", ", ".join(sorted(pythons, key=lambda one: list(map(int, one.split(".")))))),
    ]


if __name__ == "__main__":
    sys.exit(main())
