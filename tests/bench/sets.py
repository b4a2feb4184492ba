# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Large sets, and rulesets read back as documents, against ``nft`` as a process of its own.

``python -m tests.bench.sets NAME RUNS`` measures under the Python that runs it.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset.capture import capture
from rempart.ruleset.membership import change_elements
from rempart.ruleset.reconcile import reconcile

from tests.support.namespaces import namespaces

from . import firewalls
from .engine import Engine, source
from .engine import main as measure_one
from .measure import Side, Times, alternate
from .programs import require, run
from .results import Benchmark, Faster, Result

ELEMENTS = 100_000


def addresses() -> list[str]:
    """Every second address from 10.0.0.0 on: none touches the next."""
    return [
        "10.%d.%d.%d" % (number >> 15 & 255, number >> 7 & 255, number << 1 & 255)
        for number in range(ELEMENTS)
    ]


def strangers() -> Iterator[str]:
    """Addresses that are not among them, and do not touch each other."""
    return ("172.16.%d.%d" % (number >> 7, number << 1 & 255) for number in range(1, 32_000))


class SetEngine(Engine):
    """Measured by this file's own process."""

    def measure(self, repetitions: int) -> Result:
        """Have the other process measure."""
        from . import interpreter

        found = interpreter.run_module("sets", self.name, str(repetitions))
        return self.result(Times(**found["ours"]), Times(**found["theirs"]), *found["facts"])


class OneElement(SetEngine):
    """One address into a set of 100,000, as the module ``set_elements`` does it."""

    against = "`nft add element`"
    target = Faster(1)

    def __init__(self, name: str, flags: str, notes: str) -> None:
        self.name = name
        self.flags = flags
        self.notes = notes
        self.work = "one element into a set of 100,000 (%s)" % (flags or "single addresses")

    def here(self, repetitions: int) -> Result:
        """Add one after the other, in one namespace by each side."""
        properties = "type ipv4_addr; %s" % self.flags
        text = _text(properties, addresses())
        fresh = strangers()
        with namespaces(2) as (ours, theirs):
            for host in (ours, theirs):
                host.nft(text)

            def add(address: str) -> None:
                done = change_elements(ours.name, "inet", "t", "s", [address])
                require(done.plan.changed and len(done.plan.batch) == 1, "more than one message was sent")

            sides = (
                Side(add, lambda: next(fresh)),
                Side(
                    lambda address: run(
                        theirs, "nft", "add", "element", "inet", "t", "s", "{ %s }" % address
                    ),
                    lambda: next(fresh),
                ),
            )
            return self.result(*alternate(repetitions, *sides))


class OneElementLess(SetEngine):
    """One address out of a set of 100,000."""

    against = "`nft delete element`"
    target = Faster(1)

    def __init__(self, name: str, flags: str) -> None:
        self.name = name
        self.flags = flags
        self.notes = "Each takes the same addresses out, one after the other."
        self.work = "one element out of a set of 100,000 (%s)" % (flags or "single addresses")

    def here(self, repetitions: int) -> Result:
        """Take one after the other out, in one namespace by each side."""
        text = _text("type ipv4_addr; %s" % self.flags, addresses())
        ours_go, theirs_go = iter(addresses()[1000::7]), iter(addresses()[1000::7])
        sent = set()
        with namespaces(2) as (ours, theirs):
            for host in (ours, theirs):
                host.nft(text)

            def remove(address: str) -> None:
                done = change_elements(ours.name, "inet", "t", "s", [address], state="absent")
                require(done.plan.changed, "nothing was removed")
                sent.add(len(done.plan.batch))

            sides = (
                Side(remove, lambda: next(ours_go)),
                Side(
                    lambda address: run(
                        theirs, "nft", "delete", "element", "inet", "t", "s", "{ %s }" % address
                    ),
                    lambda: next(theirs_go),
                ),
            )
            taken = alternate(repetitions, *sides)
        return self.result(*taken, "Messages sent for each: %s." % _numbers(sent))


class EveryElement(SetEngine):
    """All of a set's 100,000 addresses replaced by as many others, as the module ``set_elements`` does it."""

    against = "`nft -f` with `flush set` and `add element`"
    target = Faster(1)

    def __init__(self, name: str, flags: str) -> None:
        self.name = name
        self.flags = flags
        self.notes = "No packet meets an empty set on either side: each is one transaction."
        self.work = "all 100,000 elements of a set replaced (%s)" % (flags or "single addresses")

    def here(self, repetitions: int) -> Result:
        """Change to and fro between two lists, in one namespace by each side."""
        lists = [addresses(), [one.replace("10.", "11.", 1) for one in addresses()]]
        wanted = itertools.cycle(lists[::-1])
        sent = set()
        with namespaces(2) as (ours, theirs), tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "set.nft")
            for host in (ours, theirs):
                host.nft(_text("type ipv4_addr; %s" % self.flags, lists[0]))
            texts = itertools.cycle(
                [
                    "flush set inet t s\nadd element inet t s { %s }\n" % ", ".join(some)
                    for some in lists[::-1]
                ]
            )

            def replace(elements: list[str]) -> None:
                done = change_elements(ours.name, "inet", "t", "s", elements, state="exact")
                require(len(done.change.add) >= ELEMENTS, "not all was replaced")
                sent.add(len(done.plan.batch))

            sides = (
                Side(replace, lambda: next(wanted)),
                Side(lambda _: run(theirs, "nft", "-f", str(file)), lambda: file.write_text(next(texts))),
            )
            taken = alternate(repetitions, *sides, long=True)
        return self.result(*taken, "Messages sent for each: %s." % _numbers(sent))


def _numbers(found: set[int]) -> str:
    return " or ".join(format(one, ",") for one in sorted(found))


class ElementOfDocument(SetEngine):
    """One address more in a document whose set has 100,000."""

    name = "set-document"
    work = "a document whose set of 100,000 networks has one more"
    against = "`nft -f` of the whole"
    target = Faster(2)
    notes = (
        "The engine parses the whole document, compares all elements and sends one. "
        "nft is given `flush ruleset` and the whole set."
    )

    def here(self, repetitions: int) -> Result:
        """Grow the set by one again and again, in one namespace by each side."""
        fresh = strangers()
        elements = addresses()
        with namespaces(2) as (ours, theirs), tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "set.nft")
            reconcile(source(_document(elements)), ours.name)

            def grown() -> bytes:
                elements.append(next(fresh))
                return _document(elements)

            def send(content: bytes) -> None:
                outcome = reconcile(source(content), ours.name)
                require(
                    outcome.plan is not None and len(outcome.plan.batch) == 1,
                    "more was sent than one element",
                )

            def text() -> None:
                elements.append(next(fresh))
                file.write_text("flush ruleset\n" + _text("type ipv4_addr; flags interval;", elements))

            return self.result(
                *alternate(
                    repetitions,
                    Side(send, grown),
                    Side(lambda _: run(theirs, "nft", "-f", str(file)), text),
                )
            )


def _text(properties: str, elements: list[str]) -> str:
    return "table inet t {\nset s {\n%s\nelements = { %s }\n}\n}\n" % (properties, ", ".join(elements))


def _document(elements: list[str]) -> bytes:
    declared = {"name": "s", "type": "ipv4_addr", "flags": ["interval"], "elements": elements}
    return json.dumps({"tables": [{"name": "t", "sets": [declared]}]}).encode()


class Capture(SetEngine):
    """A ruleset read back as a document."""

    name = "capture"
    work = "capture of 10,000 rules as a document"
    against = "`nft -j list ruleset`"
    target = Faster(1)
    notes = "Flat keys where a rule fits them, statements otherwise. nft prints its JSON into nothing."

    def here(self, repetitions: int) -> Result:
        """Capture and list one ruleset."""
        content = firewalls.as_json(firewalls.document(10_000))
        with namespaces(1) as (host,):
            reconcile(source(content), host.name)

            def ours(_: Any) -> None:
                with NetlinkSocket(host.name) as kernel:
                    tables = capture(kernel).document["tables"]
                rules = sum(len(chain["rules"]) for table in tables for chain in table["chains"])
                require(rules >= 10_000, "only %d rules were captured" % rules)

            return self.result(
                *alternate(repetitions, Side(ours), Side(lambda _: run(host, "nft", "-j", "list", "ruleset")))
            )


SETS: list[Engine] = [
    OneElement(
        "set-element", "", "The one element is asked for by its key, then sent. nft starts and sends."
    ),
    OneElement(
        "set-element-merged",
        "flags interval; auto-merge;",
        "Intervals that touch are joined, so the neighbours matter. nft reads the whole set first.",
    ),
    OneElementLess("set-element-less", ""),
    OneElementLess("set-element-less-merged", "flags interval; auto-merge;"),
    EveryElement("set-all", ""),
    EveryElement("set-all-merged", "flags interval; auto-merge;"),
    ElementOfDocument(),
    Capture(),
]
BENCHMARKS: list[Benchmark] = [*SETS]

if __name__ == "__main__":
    measure_one(SETS)
