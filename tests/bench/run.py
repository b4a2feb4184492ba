# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure, and write docs/benchmarks.md: ``run.py [--quick] [--only NAME]…``.

A missed target is reported and is no failure: the exit code tells only whether
everything could be measured.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Not this directory, where a file may be named like a package.
sys.path[0] = str(ROOT)

from rich.console import Console  # noqa: E402

from tests.bench import (  # noqa: E402
    command,
    connections,
    engine,
    firewalls,
    machine,
    playbooks,
    report,
    schema,
    sets,
)
from tests.bench.results import Benchmark, Result  # noqa: E402
from tests.support.namespaces import sweep  # noqa: E402

FAMILIES = (playbooks, schema, engine, command, sets, connections)
PAGE = ROOT / "docs/benchmarks.md"
REPETITIONS = 5
QUICK = 2


def benchmarks() -> dict[str, Benchmark]:
    """Every benchmark by its name, in the order of the page."""
    return {one.name: one for family in FAMILIES for one in family.BENCHMARKS}


def main() -> int:
    """Run what the command line asks for."""
    known = benchmarks()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=known, metavar="NAME", help=", ".join(known))
    parser.add_argument("--quick", action="store_true", help="fewer runs; the page is not written")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    if os.geteuid():
        console.print("The benchmarks need root, for network namespaces.")
        return 1
    sweep()
    repetitions = QUICK if chosen.quick else REPETITIONS
    load = machine.load()
    results: list[Result] = []
    for name in chosen.only or known:
        with console.status("measuring %s" % name):
            results.append(known[name].measure(repetitions))
        one = results[-1]
        console.print("%s: %s%s" % (name, one.figure, "" if one.met else ", target missed"), highlight=False)
    console.print(report.terminal(results))
    facts = machine.facts()
    for name, value in facts:
        console.print("%s: %s" % (name, value), highlight=False)
    if not chosen.only and not chosen.quick:
        paragraphs = [
            "The firewalls are made for this: of their rules %s." % firewalls.MIX,
            "The engine is measured inside a process that runs already, under the Python of the hosts.",
            command.INSTALLED,
            playbooks.CONDITIONS,
            connections.CONDITIONS % connections.number_of_buckets(),
            "The machine's load average at the start was %s." % load,
        ]
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(report.markdown(results, facts, repetitions, paragraphs), encoding="utf-8")
        console.print("written: %s" % PAGE.relative_to(ROOT), highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
