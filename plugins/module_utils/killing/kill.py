# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killing connections: find those that are meant, then forget or cut exactly these.

Finding and killing are two steps, so that a person can look at what was found in between: what is killed
is then what was shown, known by the kernel's ids, and nothing that came later.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from typing import Any

from ..conntrack import deletion, entries, expectations, scan, tuples
from ..conntrack.matching import Matcher
from ..errors import DocumentError, KernelError
from ..netlink.messages import ATTRIBUTES
from ..netlink.socket import NetlinkSocket
from . import given
from .cut_table import CutTable
from .targets import Target
from .wanted import Wanted

_MOST_KEPT = 100_000  # connections that forgetting keeps in memory; of more it asks the kernel again

OFFLOADED = "a flowtable carries its packets past every rule"


class Found:
    """What is meant.

    ``count``         how many connections
    ``bodies``        their messages; the first of them only where ``complete`` is false
    ``already_gone``  of connections that were given, those that are not there any more
    ``already_cut``   those that an earlier cut blocks, which are not counted again
    ``offloaded``     those that a flowtable carries: they can't be killed and are not counted
    ``expectations``  the bodies of expected connections
    """

    __slots__ = (
        "already_cut",
        "already_gone",
        "bodies",
        "complete",
        "count",
        "expectations",
        "offloaded",
    )

    def __init__(self) -> None:
        self.count = 0
        self.bodies: list[bytes] = []
        self.complete = True
        self.already_gone = 0
        self.already_cut = 0
        self.offloaded: list[bytes] = []
        self.expectations: list[bytes] = []

    @property
    def any(self) -> bool:
        """Whether there is anything to kill."""
        return bool(self.count or self.expectations)

    def entries(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The first connections, as of entries.py."""
        return [entries.decode(body) for body in self.bodies[:limit]]


class Killed:
    """What became of it.

    ``deleted``, ``already_gone``, ``sockets_closed``, ``reset`` and ``blocked`` as of cut.Cut;
    ``expectations`` is how many were deleted, ``until`` when the blocks end (time.time()), or None.
    ``outcomes`` has a word for each connection of ``Found.bodies``: deleted, reset, blocked, already_gone.
    """

    __slots__ = (
        "already_gone",
        "blocked",
        "deleted",
        "expectations",
        "outcomes",
        "reset",
        "sockets_closed",
        "until",
    )

    def __init__(self) -> None:
        self.deleted = 0
        self.already_gone = 0
        self.sockets_closed = 0
        self.reset = 0
        self.blocked = 0
        self.expectations = 0
        self.outcomes: list[str] = []
        self.until: float | None = None

    @property
    def changed(self) -> bool:
        """Whether anything was killed by it."""
        return bool(self.deleted or self.reset or self.blocked or self.sockets_closed or self.expectations)


def find(kernel: NetlinkSocket, wanted: Wanted) -> Found:
    """Look for what is meant; nothing is changed.

    Raises DocumentError where it is more than the ceiling, which says how many; HostError without the
    privilege, KernelError.
    """
    found = Found()
    cutting = wanted.how == "cut"
    held = CutTable(kernel).held() if cutting else {}
    for body in _bodies(kernel, wanted, found):
        # The id alone would do, but decoding a million of entries to leave them would not.
        target = Target(body) if cutting or wanted.connections is not None else None
        if target is not None and target.is_offloaded:
            found.offloaded.append(body)
            continue
        if target is not None and target.id in held:
            found.already_cut += 1
            continue
        found.count += 1
        if cutting or wanted.connections is not None or len(found.bodies) < _MOST_KEPT:
            found.bodies.append(body)
        else:
            found.complete = False
        if wanted.max_kills is not None and len(found.bodies) > wanted.max_kills:
            found.bodies.pop()  # it is going to be refused: only the number counts
            found.complete = False
    if wanted.max_kills is not None and found.count > wanted.max_kills:
        raise DocumentError(
            "more connections match than may be killed; none is",
            "max_kills",
            found.count,
            "up to %d" % wanted.max_kills,
            "narrow the filter, or raise the ceiling",
        )
    if wanted.expectations:
        found.expectations = list(_expectations(kernel, wanted, found))
    return found


def kill(kernel: NetlinkSocket, netns: str | None, wanted: Wanted, found: Found) -> Killed:
    """Kill what was found. ``netns`` is the namespace that the socket is in.

    Raises HostError without the privilege or where the kernel cannot do it, KernelError.
    """
    killed = Killed()
    for body in found.expectations:
        killed.expectations += expectations.delete(kernel, body)
    if wanted.how == "cut":
        from .cut import cut

        targets = [Target(body) for body in found.bodies]
        done = cut(kernel, netns, targets, wanted.block_for)
        killed.outcomes = done.outcomes
        killed.deleted, killed.sockets_closed = done.deleted, done.sockets_closed
        for word in ("reset", "blocked", "already_gone"):
            setattr(killed, word, done.outcomes.count(word))
        if killed.blocked:
            killed.until = time.time() + wanted.block_for
    else:
        deleted = _forget(kernel, wanted, found)
        killed.deleted, killed.already_gone = deleted.deleted, deleted.already_gone
        killed.outcomes = ["deleted"] * len(found.bodies)
    killed.already_gone += found.already_gone
    return killed


def _forget(kernel: NetlinkSocket, wanted: Wanted, found: Found) -> deletion.Deleted:
    try:
        if found.complete and not wanted.everything:
            return deletion.delete_bodies(kernel, found.bodies)
        return deletion.delete(kernel, wanted.filter, limit=wanted.max_kills, everything=wanted.everything)
    except KernelError as error:
        if error.code == errno.EBUSY:
            error.problems[0].cure = "%s; take it out of there first" % OFFLOADED
        raise


def _bodies(kernel: NetlinkSocket, wanted: Wanted, found: Found) -> Iterator[bytes]:
    if wanted.connections is None:
        yield from scan.matching(kernel, wanted.filter)
        return
    matcher = Matcher(wanted.filter, time.time_ns())
    count = 0
    for body in given.find(kernel, wanted.connections):
        count += 1
        if matcher.matches(body):
            yield body
    found.already_gone = len(wanted.connections) - count


def _expectations(kernel: NetlinkSocket, wanted: Wanted, found: Found) -> Iterator[bytes]:
    """The expected connections that are meant: by the filter, or since what expects them is killed."""
    masters = {_master(entry["original"], entry["protonum"]) for entry in found.entries()}
    by_filter = not wanted.filter.empty and wanted.connections is None
    matcher = Matcher(wanted.filter, time.time_ns())
    for body in list(expectations.read(kernel)):
        expected = expectations.decode(body)
        master = dict(expected["master"])
        if (
            wanted.everything
            or _master(master, master.pop("protonum")) in masters
            or (by_filter and matcher.matches(_as_connection(body[0], expected)))
        ):
            yield body


def _master(one: dict[str, Any], protonum: int) -> tuple[Any, ...]:
    return (protonum, *(one.get(key) for key in ("saddr", "daddr", *tuples.keys_of(protonum))))


def _as_connection(family: int, expected: dict[str, Any]) -> bytes:
    """The message of the connection that an expectation waits for, for the filter."""
    entry: dict[str, Any] = {
        "family": expected["family"],
        "protonum": expected["protonum"],
        "original": expected["expected"],
        **{key: expected[key] for key in ("helper", "zone") if key in expected},
    }
    return bytes((family, *bytes(ATTRIBUTES - 1))) + entries.encode(entry)
