# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Timing two sides of a comparison in turns, so that what else the machine does meets both."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Iterable
from typing import Any, Callable


class Times:
    """One side's runs, in seconds: ``wall`` on the clock, ``cpu`` in user and kernel mode together.

    ``scale`` multiplies them, where only a part of the work was run.
    """

    __slots__ = ("cpu", "scale", "wall")

    def __init__(self, wall: Iterable[float] = (), cpu: Iterable[float] = (), scale: float = 1.0) -> None:
        self.wall = list(wall)
        self.cpu = list(cpu)
        self.scale = scale

    @property
    def median(self) -> float:
        """The median on the clock, scaled."""
        return statistics.median(self.wall) * self.scale

    @property
    def median_cpu(self) -> float | None:
        """The median of processor time, scaled; None where it was not taken."""
        return statistics.median(self.cpu) * self.scale if self.cpu else None

    @property
    def spread(self) -> tuple[float, float]:
        """The shortest and the longest run, scaled."""
        return min(self.wall) * self.scale, max(self.wall) * self.scale


class Side:
    """What one side does: ``run`` is timed and takes what ``prepare``, which is not, returns."""

    __slots__ = ("prepare", "run")

    def __init__(self, run: Callable[[Any], object], prepare: Callable[[], Any] = lambda: None) -> None:
        self.run = run
        self.prepare = prepare


#: how often what takes a second at most is run where minutes are run once
_SHORT = 3


def alternate(repetitions: int, ours: Side, theirs: Side, long: bool = False) -> tuple[Times, Times]:
    """Run two short sides in turns, three times ``repetitions``; a first round more only warms up.

    With ``long``, of sides that take seconds, each is run only ``repetitions`` times.
    """
    taken = Times(), Times()
    for repetition in range(-1, repetitions * (1 if long else _SHORT)):
        for side, times in zip((ours, theirs), taken):
            wall, cpu = _timed(side)
            if repetition >= 0:
                times.wall.append(wall)
                times.cpu.append(cpu)
    return taken


def _timed(side: Side) -> tuple[float, float]:
    given = side.prepare()
    # The benchmark's own objects are not for the garbage collector to walk during a run.
    gc.collect()
    gc.freeze()
    cpu = _processor()
    wall = time.perf_counter()
    side.run(given)
    wall = time.perf_counter() - wall
    cpu = _processor() - cpu
    gc.unfreeze()
    return wall, cpu


def _processor() -> float:
    """Seconds of processor time that this process and its ended children have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
