# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a benchmark is, what it found, and whether that meets its target."""

from __future__ import annotations

from .measure import Times


class Target:
    """A bound that a result is held against; this one is none."""

    def met(self, ours: Times, theirs: Times | None) -> bool:
        """Whether the medians meet it."""
        return True

    def aim(self) -> str:
        """The bound in words."""
        return "none"

    def figure(self, ours: Times, theirs: Times | None) -> str:
        """What was found, in the bound's terms."""
        return compared(ours, theirs) if theirs is not None else duration(ours.median)


class Faster(Target):
    """At least ``factor`` times as fast as the other side."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def met(self, ours: Times, theirs: Times | None) -> bool:
        """Whether the medians meet it."""
        return speedup(ours, theirs) >= self.factor

    def aim(self) -> str:
        """The bound in words."""
        return "faster" if self.factor == 1 else "%s times faster" % number(self.factor)

    def figure(self, ours: Times, theirs: Times | None) -> str:
        """What was found, in the bound's terms."""
        return compared(ours, theirs)


class Longer(Target):
    """At most ``factor`` times as long as the other side."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def met(self, ours: Times, theirs: Times | None) -> bool:
        """Whether the medians meet it."""
        return 1 / speedup(ours, theirs) <= self.factor

    def aim(self) -> str:
        """The bound in words."""
        return "at most %s times as long" % number(self.factor)

    def figure(self, ours: Times, theirs: Times | None) -> str:
        """What was found, in the bound's terms."""
        return "%s times as long" % number(1 / speedup(ours, theirs))


class Under(Target):
    """Less than so many seconds, whatever the other side takes."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def met(self, ours: Times, theirs: Times | None) -> bool:
        """Whether the median meets it."""
        return ours.median < self.seconds

    def aim(self) -> str:
        """The bound in words."""
        return "under %s" % duration(self.seconds)

    def figure(self, ours: Times, theirs: Times | None) -> str:
        """What was found, in the bound's terms."""
        found = duration(ours.median)
        return found if theirs is None else "%s, %s" % (found, compared(ours, theirs))


class Below(Target):
    """Less memory than so many bytes; the medians are bytes."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def met(self, ours: Times, theirs: Times | None) -> bool:
        """Whether the median meets it."""
        return ours.median < self.limit

    def aim(self) -> str:
        """The bound in words."""
        return "under %s" % size(self.limit)

    def figure(self, ours: Times, theirs: Times | None) -> str:
        """What was found, in the bound's terms."""
        return size(ours.median)


def speedup(ours: Times, theirs: Times | None) -> float:
    """The other side's median by ours."""
    if theirs is None:
        raise ValueError("there is no other side")
    return theirs.median / ours.median


def compared(ours: Times, theirs: Times | None) -> str:
    """The ratio in words."""
    ratio = speedup(ours, theirs)
    return "%s times faster" % number(ratio) if ratio >= 1 else "%s times slower" % number(1 / ratio)


class Benchmark:
    """One row: subclasses say what is compared and measure it.

    ``name`` is for ``--only``; ``work`` and ``against`` head the row, ``notes`` say what
    the figures do and do not contain.
    """

    name = ""
    work = ""
    against = ""
    target: Target = Target()
    notes = ""

    def amount(self, value: float) -> str:
        """What is measured, with its unit: seconds where a subclass does not say otherwise."""
        return duration(value)

    def measure(self, repetitions: int) -> Result:
        """Run both sides so often and return what was found; raises where the work was not done."""
        raise NotImplementedError

    def result(self, ours: Times, theirs: Times | None, *facts: str) -> Result:
        """The row with these times; ``facts`` are sentences that only the run could tell."""
        return Result(self, ours, theirs, facts)


class Result:
    """A benchmark with the times of both sides."""

    __slots__ = ("benchmark", "facts", "ours", "theirs")

    def __init__(
        self, benchmark: Benchmark, ours: Times, theirs: Times | None, facts: tuple[str, ...] = ()
    ) -> None:
        self.benchmark = benchmark
        self.ours = ours
        self.theirs = theirs
        self.facts = facts

    @property
    def verdict(self) -> str:
        """Whether the target is met: "yes", "no", or nothing where there is none."""
        if type(self.benchmark.target) is Target:
            return ""
        return "yes" if self.met else "no"

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.benchmark.target.met(self.ours, self.theirs)

    @property
    def figure(self) -> str:
        """The ratio, or the time, in the target's terms."""
        return self.benchmark.target.figure(self.ours, self.theirs)


def number(value: float) -> str:
    """A ratio with two significant figures, or all of them from ten on."""
    if value >= 9.95:
        return "{:,.0f}".format(value)
    return "%.2g" % value if value < 0.995 else ("%.1f" % value).removesuffix(".0")


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 0.0995:
        return "%.3g ms" % (seconds * 1000)
    if seconds < 99.5:
        return "%.3g s" % seconds
    return "{:,.0f} s".format(seconds)


def size(bytes: float) -> str:
    """Memory in megabytes, of a million bytes each."""
    return "%.3g MB" % (bytes / 1e6)
