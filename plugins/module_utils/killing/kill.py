# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killing connections: find those that are meant, then forget or cut exactly these.

Finding and killing are two steps, so that a person can look at what was found in between: what is killed
is then what was shown, known by the kernel's ids, and nothing that came later.
"""

from __future__ import annotations

import errno
import time
from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from ..conntrack import deletion, entries, expectations, scan, uapi
from ..conntrack.matching import Matcher
from ..errors import DocumentError, KernelError
from ..netlink.attributes import table
from ..netlink.messages import ATTRIBUTES
from ..netlink.socket import NetlinkSocket
from . import given, own
from .cut_table import CutTable
from .sighting import Sighting, ports_of
from .targets import Target
from .wanted import Wanted

TOGETHER = 16_384
"""Connections that are killed together, and whose messages are in memory: of further ones a number is, and
their messages are read again when it is their turn."""

_RECENT = 512
"""Connections among which one may come twice: the kernel reads a bucket of its table again from its beginning
where the entry has gone that it had come to (ctnetlink_dump_table()). Buckets hold far fewer."""

OFFLOADED = "a flowtable carries its packets past every rule"


class Found:
    """What is meant.

    ``count``         how many connections
    ``bodies``        the messages of the first of them
    ``rest``          the keys (sighting.py) of all others
    ``already_gone``  of connections that were given, those that are not there any more
    ``already_cut``   those that an earlier cut blocks: they are not counted, and stay as they are
    ``spared``        the connection by which this is done, see own.py; it is not counted
    ``offloaded``     how many a flowtable carries: they can't be killed and are not counted
    ``expectations``  the bodies of expected connections
    """

    __slots__ = (
        "already_cut",
        "already_gone",
        "bodies",
        "count",
        "expectations",
        "offloaded",
        "rest",
        "spared",
    )

    def __init__(self) -> None:
        self.count = 0
        self.bodies: list[bytes] = []
        self.rest = array("Q")
        self.already_gone = 0
        self.already_cut = 0
        self.spared = 0
        self.offloaded = 0
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


def find(kernel: NetlinkSocket, netns: str | None, wanted: Wanted) -> Found:
    """Look for what is meant; nothing is changed. ``netns`` is the namespace that the socket is in.

    Raises DocumentError where it is more than the ceiling, which says how many; HostError without the
    privilege, KernelError.
    """
    found = Found()
    expected = _Expected(kernel, wanted) if wanted.expectations else None
    if expected is not None and wanted.only_expectations:
        found.expectations = list(expected.meant())
        _check_ceiling(wanted, len(found.expectations), "expected connections")
        return found
    held = CutTable(kernel).held()
    mine = own.ends(netns) if wanted.how == "cut" else set()
    ports = ports_of(mine)
    look = Sighting().of
    young: set[int] = set()
    old: set[int] = set()
    for body in _bodies(kernel, wanted, found):
        sight = look(body)
        key = sight.key
        if key in young or key in old:
            continue
        young.add(key)
        if len(young) > _RECENT:
            young, old = set(), young
        if sight.is_offloaded:
            found.offloaded += 1
            continue
        if sight.id in held:
            found.already_cut += 1
            continue
        if ports and any(one in body for one in ports):
            target = Target(body)
            if target.is_tcp and not mine.isdisjoint(target.ends()):
                found.spared += 1
                continue
        found.count += 1
        if wanted.max_kills is not None and found.count > wanted.max_kills:
            continue  # it is going to be refused: only the number counts
        if expected is not None:
            expected.note_killed(sight.original)
        if len(found.bodies) < TOGETHER:
            found.bodies.append(body)
        else:
            found.rest.append(key)
    _check_ceiling(wanted, found.count, "connections")
    if expected is not None:
        found.expectations = list(expected.meant())
    return found


def _check_ceiling(wanted: Wanted, count: int, what: str) -> None:
    if wanted.max_kills is not None and count > wanted.max_kills:
        raise DocumentError(
            "more %s match than may be killed; none is" % what,
            wanted.names["max_kills"],
            count,
            "up to %d" % wanted.max_kills,
            "narrow the filter, or raise the ceiling",
        )


def kill(kernel: NetlinkSocket, netns: str | None, wanted: Wanted, found: Found) -> Killed:
    """Kill what was found. ``netns`` is the namespace that the socket is in.

    Raises HostError without the privilege or where the kernel cannot do it, KernelError.
    """
    killed = Killed()
    for body in found.expectations:
        killed.expectations += expectations.delete(kernel, body)
    if wanted.only_expectations:
        return killed
    killed.already_gone = found.already_gone
    if wanted.how == "forget" and wanted.everything and wanted.max_kills is None and not found.already_cut:
        killed.deleted = deletion.delete(kernel, wanted.filter, everything=True).deleted
        killed.outcomes = ["deleted"] * len(found.bodies)
        return killed
    with closing(_batches(kernel, wanted, found, killed)) as batches:
        for bodies in batches:
            if wanted.how == "cut":
                outcomes = _cut(kernel, netns, wanted, bodies, killed)
            else:
                outcomes = _forget(kernel, bodies, killed)
            killed.already_gone += outcomes.count("already_gone")
            if not killed.outcomes:
                killed.outcomes = outcomes
    return killed


def _cut(
    kernel: NetlinkSocket, netns: str | None, wanted: Wanted, bodies: list[bytes], killed: Killed
) -> list[str]:
    """Cut connections; a word for each of what became of it."""
    from .cut import cut

    done = cut(kernel, netns, [Target(body) for body in bodies], wanted.block_for)
    killed.deleted += done.deleted
    killed.sockets_closed += done.sockets_closed
    killed.reset += done.outcomes.count("reset")
    blocked = done.outcomes.count("blocked")
    killed.blocked += blocked
    if blocked:
        killed.until = time.time() + wanted.block_for
    return done.outcomes


def _forget(kernel: NetlinkSocket, bodies: list[bytes], killed: Killed) -> list[str]:
    """Delete entries; a word for each of what became of it."""
    try:
        done = deletion.delete_bodies(kernel, bodies)
    except KernelError as error:
        if error.code == errno.EBUSY:
            error.problems[0].cure = "%s; take it out of there first" % OFFLOADED
        raise
    killed.deleted += done.deleted
    outcomes = ["deleted"] * len(bodies)
    for index in done.missing:
        outcomes[index] = "already_gone"
    return outcomes


def _batches(
    kernel: NetlinkSocket, wanted: Wanted, found: Found, killed: Killed
) -> Generator[list[bytes], None, None]:
    """The messages of all that was found, so many at a time; of those that are gone the number is noted."""
    if found.bodies:
        yield found.bodies
    if not found.rest:
        return
    look = Sighting().of
    before = {look(body).key for body in found.bodies}
    wait = array("Q", sorted(found.rest))
    taken = bytearray(len(wait))
    batch: list[bytes] = []
    with kernel.another() as reader:
        for body in _bodies(reader, wanted, Found()):
            key = look(body).key
            at = bisect_left(wait, key)
            if at == len(wait) or wait[at] != key or taken[at] or key in before:
                continue
            taken[at] = 1
            batch.append(body)
            if len(batch) == TOGETHER:
                yield batch
                batch = []
    if batch:
        yield batch
    killed.already_gone += taken.count(0)


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


class _Expected:
    """Which expected connections are meant: by the filter, or since what expects them is killed."""

    def __init__(self, kernel: NetlinkSocket, wanted: Wanted) -> None:
        self._all = wanted.everything
        self._matcher: Matcher | None = None
        if wanted.connections is None and not wanted.filter.empty:
            self._matcher = Matcher(wanted.filter, time.time_ns())
        self._bodies = list(expectations.read(kernel))
        self._masters = [table(body, ATTRIBUTES)[uapi.CTA_EXPECT_MASTER] for body in self._bodies]
        self._lengths = {len(one) for one in self._masters}
        self._known = set(self._masters)
        self._killed: set[bytes] = set()
        if wanted.only_expectations:
            for one in wanted.connections or ():
                self.note_killed(one.original)

    def note_killed(self, original: bytes) -> None:
        """Note the tuple of a connection that is killed; a zone stands behind the rest of it."""
        for length in self._lengths:
            if original[:length] in self._known:
                self._killed.add(original[:length])

    def meant(self) -> Iterator[bytes]:
        """Their bodies."""
        for body, master in zip(self._bodies, self._masters):
            if (
                self._all
                or master in self._killed
                or (
                    self._matcher is not None
                    and self._matcher.matches(_as_connection(body[0], expectations.decode(body)))
                )
            ):
                yield body


def _as_connection(family: int, expected: dict[str, Any]) -> bytes:
    """The message of the connection that an expectation waits for, for the filter."""
    entry: dict[str, Any] = {
        "family": expected["family"],
        "protonum": expected["protonum"],
        "original": expected["expected"],
        **{key: expected[key] for key in ("helper", "zone") if key in expected},
    }
    return bytes((family, *bytes(ATTRIBUTES - 1))) + entries.encode(entry)
