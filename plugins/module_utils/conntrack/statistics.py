# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How full the table of connections is, what the kernel counts beside it, and whether that is well.

Counting takes no dump: the kernel keeps the number of a namespace's connections. The counters of
each processor count from the namespace's beginning on.

Verdicts, of :func:`saturation`:

    ``ok``       there is room
    ``filling``  80 per cent are used, or the table has been full at some time before
    ``full``     95 per cent are used, or new connections are being refused

80 per cent leaves time to act. At 100 the kernel looks for a connection to end early and, where it
finds none, drops the packet of the new one; from then on it goes on ending connections that are
closing anyway until less than 95 are used (gc_worker() in net/netfilter/nf_conntrack_core.c).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import Any

from ..errors import HostError
from ..netlink.attributes import walk
from ..netlink.messages import ATTRIBUTES
from ..netlink.namespace import Entered
from ..netlink.socket import NetlinkSocket
from . import expectations, requests, uapi

FILLING_FROM = 80
FULL_FROM = 95
"""Per cent of the limit from which a table is said to be filling, and full."""

LONG_CHAIN = 8
"""Entries of a hash chain, on average, from which every lookup suffers. Each connection has two
(Documentation/networking/nf_conntrack-sysctl.rst: the defaults make it 2 where the table is full;
before Linux 5.15 they made it 8)."""

VERDICTS = ("ok", "filling", "full")
"""From the best to the worst."""

_DIRECTORY = "/proc/sys/net/netfilter/"

COUNTERS = {
    "searched": uapi.CTA_STATS_SEARCHED,
    "found": uapi.CTA_STATS_FOUND,
    "new": uapi.CTA_STATS_NEW,
    "invalid": uapi.CTA_STATS_INVALID,
    "ignore": uapi.CTA_STATS_IGNORE,
    "delete": uapi.CTA_STATS_DELETE,
    "delete_list": uapi.CTA_STATS_DELETE_LIST,
    "insert": uapi.CTA_STATS_INSERT,
    "insert_failed": uapi.CTA_STATS_INSERT_FAILED,
    "drop": uapi.CTA_STATS_DROP,
    "early_drop": uapi.CTA_STATS_EARLY_DROP,
    "error": uapi.CTA_STATS_ERROR,
    "search_restart": uapi.CTA_STATS_SEARCH_RESTART,
    "clash_resolve": uapi.CTA_STATS_CLASH_RESOLVE,
    "chaintoolong": uapi.CTA_STATS_CHAIN_TOOLONG,
}
"""What the kernel counts by processor, as ``conntrack -S`` calls it; a kernel sends those it has."""

EXPECT_COUNTERS = {
    "expect_new": uapi.CTA_STATS_EXP_NEW,
    "expect_create": uapi.CTA_STATS_EXP_CREATE,
    "expect_delete": uapi.CTA_STATS_EXP_DELETE,
}
"""The same of expectations, as ``conntrack -S expect`` calls it."""

_WORDS = {number: word for word, number in COUNTERS.items()}
_EXPECT_WORDS = {number: word for word, number in EXPECT_COUNTERS.items()}
_NUMBER = struct.Struct(">I")
_CPU = struct.Struct(">H")


def count(kernel: NetlinkSocket) -> dict[str, int]:
    """``entries``, how many connections there are, and ``max``, how many there may be (0: no limit).

    An old kernel sends no ``max``. Raises KernelError, HostError without the privilege.
    """
    (body,) = kernel.request(requests.GET_STATS, socket.AF_UNSPEC)
    words = {uapi.CTA_STATS_GLOBAL_ENTRIES: "entries", uapi.CTA_STATS_GLOBAL_MAX_ENTRIES: "max"}
    return _counters(body, words)


def per_cpu(kernel: NetlinkSocket) -> list[dict[str, int]]:
    """What each processor counted: ``cpu``, its number, and the counters of :data:`COUNTERS`."""
    return _by_processor(kernel, requests.GET_STATS_CPU, _WORDS)


def expect_per_cpu(kernel: NetlinkSocket) -> list[dict[str, int]]:
    """What each processor counted of expectations: ``cpu`` and :data:`EXPECT_COUNTERS`."""
    return _by_processor(kernel, requests.GET_EXPECTED_STATS_CPU, _EXPECT_WORDS)


def total(processors: list[dict[str, int]]) -> dict[str, int]:
    """The sum of each counter over all processors."""
    found: dict[str, int] = {}
    for one in processors:
        for word, value in one.items():
            if word != "cpu":
                found[word] = found.get(word, 0) + value
    return found


def limits(netns: str | None = None) -> dict[str, int]:
    """``max``, ``buckets`` and ``expect_max`` as a namespace's /proc/sys/net/netfilter has them.

    Raises HostError where connection tracking is not there.
    """
    found = {}
    with Entered(netns):
        for word in ("max", "buckets", "expect_max"):
            path = "%snf_conntrack_%s" % (_DIRECTORY, word)
            try:
                with open(path, encoding="ascii") as opened:
                    found[word] = int(opened.read())
            except FileNotFoundError:
                raise HostError(
                    "this kernel does not track connections",
                    path,
                    cure="load the module nf_conntrack: modprobe nf_conntrack",
                ) from None
            except OSError as error:
                raise HostError("cannot read the limit: %s" % error.strerror, path) from error
    return found


def figures(netns: str | None = None) -> dict[str, Any]:
    """All there is to know of a namespace's table, as :func:`saturation` judges it.

    ``entries``, ``max``, ``buckets``; ``use``, the per cent of ``max`` in use (to a tenth, None
    without a limit); ``expectations`` and ``expect_max``; ``statistics`` and ``expect_statistics``,
    the sums of ``per_cpu`` and ``expect_per_cpu``.
    """
    found: dict[str, Any] = dict(limits(netns))
    with NetlinkSocket(netns) as kernel:
        found.update(count(kernel))
        found["expectations"] = sum(1 for _unused in expectations.read(kernel))
        found["per_cpu"] = per_cpu(kernel)
        found["expect_per_cpu"] = expect_per_cpu(kernel)
    found["use"] = _use(found["entries"], found["max"])
    found["statistics"] = total(found["per_cpu"])
    found["expect_statistics"] = total(found["expect_per_cpu"])
    return found


def saturation(now: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The ``verdict`` on figures of :func:`figures`, and the ``reasons`` for it.

    A reason has the ``verdict`` that it alone would bring, what it is ``about`` (``use``, or the
    counter or limit) and a ``message``; the worst of them is the verdict. With ``before``, figures
    of an earlier time, counters are judged by what they grew since; without, only that they have
    ever counted is known, and that is past. ``insert_failed`` is told and never judged: it counts
    two packets that began one connection at once, which happens in any table.
    """
    reasons: list[dict[str, str]] = []

    def add(verdict: str, about: str, message: str) -> None:
        reasons.append({"verdict": verdict, "about": about, "message": message})

    for about, entries, most, what in (
        ("use", now["entries"], now["max"], "connections"),
        ("expect_max", now.get("expectations", 0), now.get("expect_max", 0), "expectations"),
    ):
        if most and entries * 100 >= most * FILLING_FROM:
            add(
                "full" if entries * 100 >= most * FULL_FROM else "filling",
                about,
                "%d of %d %s are in use (%s per cent)" % (entries, most, what, _use(entries, most)),
            )
    counted = now.get("statistics", {})
    earlier = before.get("statistics", {}) if before is not None else None
    for word, meaning, verdict in (
        ("drop", "new connections were refused for want of room", "full"),
        ("early_drop", "connections were ended early to make room", "full"),
        ("chaintoolong", "new connections were refused since their hash chain is too long", "full"),
        ("insert_failed", "connections were not entered, since another packet had begun the same", "ok"),
    ):
        value = counted.get(word, 0)
        if earlier is None:
            if value:
                past = "filling" if verdict == "full" else verdict
                add(past, word, "%s: %d since the counting began" % (meaning, value))
        elif value > earlier.get(word, 0):
            add(verdict, word, "%s: %d since the last look" % (meaning, value - earlier.get(word, 0)))
    buckets = now.get("buckets", 0)
    if buckets:
        if now["entries"] * 2 > buckets * LONG_CHAIN:
            add(
                "filling",
                "buckets",
                "%d hash buckets are too few for %d connections: %.0f entries in each"
                % (buckets, now["entries"], now["entries"] * 2 / buckets),
            )
        elif now["max"] * 2 > buckets * LONG_CHAIN:
            add(
                "ok",
                "buckets",
                "%d hash buckets will be too few for as many as %d connections: raise nf_conntrack_buckets"
                % (buckets, now["max"]),
            )
    worst = max((VERDICTS.index(one["verdict"]) for one in reasons), default=0)
    return {"verdict": VERDICTS[worst], "reasons": reasons}


def _use(entries: int, most: int) -> float | None:
    return round(entries * 100 / most, 1) if most else None


def _by_processor(kernel: NetlinkSocket, kind: int, words: Mapping[int, str]) -> list[dict[str, int]]:
    found = []
    for body in kernel.dump(kind, socket.AF_UNSPEC):
        (cpu,) = _CPU.unpack_from(body, 2)  # nfgenmsg's res_id
        found.append({"cpu": cpu, **_counters(body, words)})
    return found


def _counters(body: bytes, words: Mapping[int, str]) -> dict[str, int]:
    """The counters of a body by their words; an attribute without a word is passed over."""
    found = {}
    for kind, payload in walk(body, ATTRIBUTES):
        word = words.get(kind)
        if word is not None:
            if len(payload) != _NUMBER.size:
                raise ValueError("%s: %d bytes where %d are due" % (word, len(payload), _NUMBER.size))
            found[word] = _NUMBER.unpack(payload)[0]
    return found
