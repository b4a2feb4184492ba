# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table of a million connections: listed, counted and deleted from, against ``conntrack``.

``python -m tests.bench.connections NAME RUNS`` measures under the Python that runs it.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from rempart.conntrack import deletion, kernel_filters, requests, scan, table
from rempart.conntrack.filters import Filter
from rempart.netlink.socket import NetlinkSocket

from tests.support import conntrack_sizes
from tests.support.connections import inject, packed
from tests.support.namespaces import Namespace, namespaces

from . import interpreter
from .command import installed
from .engine import Engine
from .engine import main as measure_one
from .measure import Side, Times, alternate
from .programs import require, run
from .results import Below, Benchmark, Faster, Longer, Result, Target, size

COUNT = 1_000_000
SIX = 100_000  # of them over IPv6
MARK = 0x2A
_ROOM = 100_000  # connections that the limit leaves beyond those

CONDITIONS = (
    "The table has 1,000,000 TCP connections, a tenth of them over IPv6, a hundredth marked, in one network "
    "namespace; nf_conntrack_max is raised for them, and nf_conntrack_buckets stays at the %s that the "
    "machine has. conntrack prints into nothing. What a run deletes is put back before the next."
)


def number_of_buckets() -> str:
    """The size of the kernel's hash table, for ``CONDITIONS``."""
    return "{:,}".format(conntrack_sizes.sizes()["nf_conntrack_buckets"])


class Asked:
    """A filter in both sides' words, and which of the generated IPv4 connections it means, by number."""

    def __init__(self, words: str, options: str, meant: Callable[[int], bool]) -> None:
        self.words = tuple(words.split())
        self.options = tuple(options.split())
        self.meant = meant
        self.count = sum(map(meant, range(COUNT - SIX)))

    @property
    def filter(self) -> Filter:
        """It for the engine."""
        return Filter(dict(word.split("=") for word in self.words))


def marked(number: int) -> bool:
    """Whether the connection of this number has the mark."""
    return number % 100 == 5


ADDRESS = Asked("daddr=10.9.0.7", "-d 10.9.0.7", lambda number: number & 0xFF == 7)
PORT = Asked(
    "daddr=10.9.0.7 protocol=tcp dport=443",
    "-d 10.9.0.7 -p tcp --dport 443",
    lambda number: number & 0xFF == 7,
)
NETWORK = Asked("saddr=10.0.4.0/22", "-s 10.0.4.0/22", lambda number: (number & 0xFFFF) >> 10 == 1)
MARKED = Asked("mark=%d" % MARK, "-m %d" % MARK, marked)


def messages(wanted: Callable[[int], bool] = lambda number: True) -> Iterator[bytes]:
    """What makes the IPv4 connections, or those of the numbers wanted."""
    both = zip(packed(COUNT - SIX), packed(COUNT - SIX, mark=MARK))
    for number, (plain, with_mark) in enumerate(both):
        if wanted(number):
            yield with_mark if marked(number) else plain


@contextlib.contextmanager
def full() -> Iterator[Namespace]:
    """A namespace with the whole table; the machine's limit is as before at the end of the block."""
    with conntrack_sizes.kept() as before:
        limit = max(COUNT + _ROOM, before["nf_conntrack_max"])
        (conntrack_sizes.DIRECTORY / "nf_conntrack_max").write_text(str(limit))
        with namespaces(1) as (host,):
            inject(host, itertools.chain(messages(), packed(SIX, "ip6")))
            with NetlinkSocket(host.name) as kernel:
                require(table.count(kernel) == COUNT, "the table was not filled")
            yield host


def lines(host: Namespace, *argv: str) -> tuple[int, int]:
    """How many lines a program prints in the namespace, and a sum that tells them from others.

    They are taken in any order, without the time left and trailing spaces.
    """
    moving = re.compile(r"^(\S+ +\d+) \d+")
    process = host.popen(*argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    count = total = 0
    for line in process.stdout or ():
        count += 1
        total += hash(moving.sub(r"\1", line.rstrip()))
    require(process.wait() == 0, "%s failed" % argv[0])
    return count, total


class List(Benchmark):
    """``rempart conntrack list`` of what a filter means."""

    against = "`conntrack -L`"
    target = Faster(1)

    def __init__(self, name: str, work: str, asked: Asked | None) -> None:
        self.name = name
        self.work = "%s of 1,000,000 connections listed, process start included" % work
        self.asked = asked
        self.notes = "Both print the same lines."
        if asked is not None:
            self.against = "`conntrack -L %s`" % " ".join(asked.options)
            self.notes = "`%s`. %s" % (" ".join(asked.words), self.notes)

    def measure(self, repetitions: int) -> Result:
        """Run both on one table, and compare what they print."""
        words = self.asked.words if self.asked is not None else ()
        options = self.asked.options if self.asked is not None else ()
        count = self.asked.count if self.asked is not None else COUNT
        with installed() as program, full() as host:
            ours, theirs = (program, "conntrack", "list", *words), ("conntrack", "-L", *options)
            printed = lines(host, *ours)
            require(printed[0] == count, "%d connections were listed" % printed[0])
            require(printed == lines(host, *theirs), "the two print different lines")
            times = alternate(
                repetitions,
                Side(lambda _: run(host, *ours)),
                Side(lambda _: run(host, *theirs)),
                long=True,
            )
        return self.result(*times, "{:,} connections.".format(count))


class Count(Benchmark):
    """``rempart conntrack count``."""

    name = "connections-count"
    work = "1,000,000 connections counted, process start included"
    against = "`conntrack -C`"
    target = Target()
    notes = "The kernel knows the number; what is measured is the start of a Python program and of one in C."

    def measure(self, repetitions: int) -> Result:
        """Run both on one table."""
        with installed() as program, full() as host:
            return self.result(
                *alternate(
                    repetitions,
                    Side(lambda _: run(host, program, "conntrack", "count")),
                    Side(lambda _: run(host, "conntrack", "-C")),
                )
            )


#: the command in a process that tells at its end the most memory it ever had (proc(5): VmHWM, in KiB)
_WITH_PEAK = """
import sys
from rempart.command.cli import run
code = run(sys.argv[1:])
with open("/proc/self/status") as status:
    sys.stderr.write("peak " + dict(line.split(":", 1) for line in status)["VmHWM"].split()[0])
sys.exit(code)
"""


class Memory(Benchmark):
    """The most memory that listing takes."""

    name = "connections-memory"
    work = "memory while listing 1,000,000 connections"
    against = ""
    target = Below(64_000_000)
    notes = "The most that the process of `rempart conntrack list` has at any time, Python itself included."

    def amount(self, value: float) -> str:
        """Bytes, not seconds."""
        return size(value)

    def measure(self, repetitions: int) -> Result:
        """Have the process tell."""
        with installed() as program, full() as host:
            python = str(Path(program).with_name("python"))
            argv = [python, "-c", _WITH_PEAK, "conntrack", "list"]

            def peak() -> float:
                done = host.call(
                    lambda: subprocess.run(
                        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True
                    )
                )
                return int(done.stderr.rpartition("peak ")[2]) * 1024

            return self.result(Times([peak() for _ in range(repetitions)]), None)


class TableEngine(Engine):
    """Measured by this file's own process."""

    def measure(self, repetitions: int) -> Result:
        """Have the other process measure."""
        found = interpreter.run_module("connections", self.name, str(repetitions))
        return self.result(Times(**found["ours"]), Times(**found["theirs"]), *found["facts"])


class Scan(TableEngine):
    """What a filter means, found and counted by the engine."""

    def __init__(self, name: str, work: str, asked: Asked) -> None:
        self.name = name
        self.work = "engine, %s among 1,000,000 connections counted" % work
        self.asked = asked
        self.against = "`conntrack -L %s`" % " ".join(asked.options)
        self.target = Faster(1)
        self.notes = "`%s`." % " ".join(asked.words)

    def here(self, repetitions: int) -> Result:
        """Run both sides on one table."""
        asked = self.asked
        with full() as host, NetlinkSocket(host.name) as kernel:

            def ours(_: Any) -> None:
                require(scan.count(kernel, asked.filter) == asked.count, "not all were found")

            theirs = Side(lambda _: run(host, "conntrack", "-L", *asked.options))
            return self.result(*alternate(repetitions, Side(ours), theirs, long=True))


class BareScan(TableEngine):
    """The same against what the kernel needs to send the table."""

    name = "connections-scan-dump"
    work = "engine, a network's connections among 1,000,000 counted"
    against = "the kernel's bare dump"
    target = Longer(1.3)
    notes = "`%s`. The other side receives the same messages and does not look at them." % " ".join(
        NETWORK.words
    )

    def here(self, repetitions: int) -> Result:
        """Run both sides on one table."""
        with full() as host, NetlinkSocket(host.name) as kernel:

            def ours(_: Any) -> None:
                require(scan.count(kernel, NETWORK.filter) == NETWORK.count, "not all were found")

            bare = Side(lambda _: receive(kernel, NETWORK.filter))
            return self.result(*alternate(repetitions, Side(ours), bare, long=True))


class EngineCount(TableEngine):
    """The number of all."""

    name = "connections-count-engine"
    work = "engine, 1,000,000 connections counted"
    against = "`conntrack -C`"
    target = Faster(1)
    notes = "Opening a socket in the namespace and asking the kernel for its number."

    def here(self, repetitions: int) -> Result:
        """Run both sides on one table."""
        with full() as host:

            def ours(_: Any) -> None:
                with NetlinkSocket(host.name) as kernel:
                    require(table.count(kernel) == COUNT, "not all were counted")

            return self.result(
                *alternate(repetitions, Side(ours), Side(lambda _: run(host, "conntrack", "-C")))
            )


class Delete(TableEngine):
    """What a filter means, deleted and counted, against conntrack or against a bare dump."""

    def __init__(self, name: str, work: str, asked: Asked, target: Target, bare: bool = False) -> None:
        self.name = name
        self.work = "engine, %s among 1,000,000 connections deleted" % work
        self.asked = asked
        self.against = "the kernel's bare dump" if bare else "`conntrack -D %s`" % " ".join(asked.options)
        self.target = target
        self.bare = bare
        self.notes = "`%s`." % " ".join(asked.words)
        if bare:
            self.notes += " The other side receives what the engine looks at, and deletes nothing."

    def here(self, repetitions: int) -> Result:
        """Delete, and put back, on one table."""
        asked = self.asked
        again = list(messages(asked.meant))
        require(len(again) == asked.count, "other connections are meant than are put back")
        with full() as host, NetlinkSocket(host.name) as kernel:

            def fill() -> None:
                if table.count(kernel) < COUNT:
                    inject(host, again)
                require(table.count(kernel) == COUNT, "the table is not full again")

            def ours(_: Any) -> None:
                done = deletion.delete(kernel, asked.filter)
                require(done.deleted == done.matched == asked.count, "not all were deleted")

            def theirs(_: Any) -> None:
                if self.bare:
                    receive(kernel, asked.filter)
                else:
                    run(host, "conntrack", "-D", *asked.options)

            times = alternate(repetitions, Side(ours, fill), Side(theirs, fill), long=True)
            left = COUNT if self.bare else COUNT - asked.count
            require(table.count(kernel) == left, "the other side deleted others")
        return self.result(*times, "{:,} connections each time.".format(asked.count))


def receive(kernel: NetlinkSocket, filter: Filter) -> None:
    """Receive what the kernel sends where it is asked as the filter's scan asks it."""
    part = kernel_filters.of_dump(filter)
    for data in kernel.pieces(requests.GET, part.family, part.attributes):
        require(data is not None, "a piece of the dump was lost")


TABLES: list[Engine] = [
    Scan("connections-scan", "one address", ADDRESS),
    BareScan(),
    EngineCount(),
    Delete("connections-delete", "an address and port", PORT, Faster(8)),
    Delete("connections-delete-network", "a network", NETWORK, Faster(2)),
    Delete("connections-delete-dump", "a network", NETWORK, Longer(1.3), bare=True),
    Delete("connections-delete-mark", "one mark", MARKED, Faster(1)),
]
BENCHMARKS: list[Benchmark] = [
    List("connections-list", "all", None),
    List("connections-list-address", "one address", ADDRESS),
    List("connections-list-network", "a network", NETWORK),
    Count(),
    Memory(),
    *TABLES,
]

if __name__ == "__main__":
    measure_one(TABLES)
