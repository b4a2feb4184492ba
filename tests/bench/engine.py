# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine inside a running process, against ``nft`` as a process of its own.

``python -m tests.bench.engine NAME RUNS`` measures under the Python that runs it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from rempart.ruleset.reconcile import Outcome, Source, reconcile

from tests.support.namespaces import Namespace, namespaces

from . import firewalls, interpreter
from .measure import Side, Times, alternate
from .programs import require, run
from .results import Benchmark, Faster, Result

LIST = ("nft", "-j", "list", "ruleset")
COUNTS = "packets 7 bytes 420"


def source(content: bytes) -> Source:
    """A document's bytes as the Ansible module gives them to the engine, checked on the controller before."""
    return Source.of_bytes(content, json.loads)


class Engine(Benchmark):
    """Measured in a process of the hosts' Python."""

    def measure(self, repetitions: int) -> Result:
        """Have the other process measure."""
        found = interpreter.run_module("engine", self.name, str(repetitions))
        return self.result(Times(**found["ours"]), Times(**found["theirs"]), *found["facts"])

    def here(self, repetitions: int) -> Result:
        """Run both sides in this process; raises where the work was not done."""
        raise NotImplementedError


class Unchanged(Engine):
    """Nothing to change, known from the remembered generation."""

    against = "`nft -j list ruleset`"
    target = Faster(100)
    notes = (
        "Hashing the document's bytes, entering the namespace, reading the memory and asking the kernel for "
        "its generation. nft starts, reads, and prints into nothing."
    )

    def __init__(self, rules: int) -> None:
        self.rules = rules
        self.name = "unchanged-%d" % rules
        self.work = "engine, {:,} rules, nothing changed".format(rules)

    def here(self, repetitions: int) -> Result:
        """Run both sides on one ruleset."""
        content = firewalls.as_json(firewalls.document(self.rules))
        with namespaces(1) as (host,):
            reconcile(source(content), host.name)

            def ours(_: Any) -> None:
                outcome = reconcile(source(content), host.name)
                require(not outcome.changed and not outcome.compared, "the answer did not come from memory")

            return self.result(*alternate(repetitions, Side(ours), Side(lambda _: run(host, *LIST))))


class Compared(Engine):
    """Nothing to change, found by comparing every rule."""

    name = "full-comparison"
    work = "the same, 10,000 rules, with the full comparison"
    against = "`nft -j list ruleset`"
    target = Faster(4)
    notes = "Parsing the JSON, compiling it, reading the kernel's rules and comparing all of them."

    def here(self, repetitions: int) -> Result:
        """Run both sides on one ruleset."""
        content = firewalls.as_json(firewalls.document(10_000))
        with namespaces(1) as (host,):
            reconcile(source(content), host.name)

            def ours(_: Any) -> None:
                outcome = reconcile(source(content), host.name, full=True)
                require(outcome.compared and not outcome.changed, "the rules were not compared, or differed")

            return self.result(*alternate(repetitions, Side(ours), Side(lambda _: run(host, *LIST))))


class OneChange(Engine):
    """One rule of many changed."""

    name = "one-change"
    work = "engine, one rule changed among 10,000"
    against = "`nft -f` of the whole"
    target = Faster(2)
    notes = (
        "The engine parses and compiles the whole document (JSON), compares it with the kernel's rules and "
        "sends the difference. nft is given `flush ruleset` and the whole new ruleset in one file; that sets "
        "every counter back to zero."
    )

    def here(self, repetitions: int) -> Result:
        """Change the middle rule again and again, in one namespace by each side."""
        original = firewalls.document(10_000)
        numbers = iter(range(1, 10_000))
        with namespaces(2) as (ours, theirs), tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "firewall.nft")
            file.write_text(firewalls.as_text(original, COUNTS))
            run(ours, "nft", "-f", str(file))
            outcome = reconcile(source(firewalls.as_json(original)), ours.name)
            require(not outcome.changed, "the text and the document are not the same firewall")
            before = _rules(ours)

            def content() -> bytes:
                return firewalls.as_json(firewalls.changed(original, next(numbers)))

            def send(given: bytes) -> None:
                outcome = reconcile(source(given), ours.name)
                require(_sent(outcome) == 2, "more was sent than one rule to go and one to come")

            def text() -> None:
                changed = firewalls.changed(original, next(numbers))
                file.write_text("flush ruleset\n" + firewalls.as_text(changed))

            sides = (
                Side(send, content),
                Side(lambda _: run(theirs, "nft", "-f", str(file)), text),
            )
            times = alternate(repetitions, *sides)
            kept = _kept(before, _rules(ours))
        return self.result(*times, "{:,} of 10,000 rules kept handle and counter.".format(kept))


def _rules(host: Namespace) -> list[dict[str, Any]]:
    return [one["rule"] for one in host.nft_json() if "rule" in one]


def _sent(outcome: Outcome) -> int:
    return len(outcome.plan.batch) if outcome.plan is not None else 0


def _kept(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> int:
    """How many rules are the same to the last byte of their counters; all but one must be."""
    different = sum(one != other for one, other in zip(before, after))
    require(len(before) == len(after) == 10_000 and different == 1, "%d rules changed" % different)
    counters = sum(
        statement["counter"] == {"packets": 7, "bytes": 420}
        for rule in after
        for statement in rule["expr"]
        if "counter" in statement
    )
    require(counters > len(after) // 2, "only %d counters were kept" % counters)
    return len(after) - different


ENGINES: list[Engine] = [Unchanged(10_000), Unchanged(50_000), Compared(), OneChange()]
BENCHMARKS: list[Benchmark] = [*ENGINES]


def main(known: list[Engine]) -> None:
    """Measure what the command line names, and print the result as JSON."""
    name, repetitions = sys.argv[1:]
    result = next(one for one in known if one.name == name).here(int(repetitions))
    assert result.theirs is not None
    ours, theirs = ({"wall": one.wall, "cpu": one.cpu} for one in (result.ours, result.theirs))
    print(json.dumps({"ours": ours, "theirs": theirs, "facts": result.facts}))


if __name__ == "__main__":
    main(ENGINES)
