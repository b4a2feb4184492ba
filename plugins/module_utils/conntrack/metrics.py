# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What monitoring reads: the figures of the connection table for Prometheus and for munin.

Prometheus reads the text exposition format (version 0.0.4), from a file through the textfile
collector of its node exporter. munin runs a plugin, which tells its graphs when called with
``config``, and their values when called without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .census import Census
from .statistics import COUNTERS, FILLING_FROM, FULL_FROM, VERDICTS

_PREFIX = "rempart_conntrack_"

_GAUGES = (
    ("entries", "entries", "Tracked connections."),
    ("max", "entries_limit", "Connections that are tracked at most; 0 is no limit."),
    ("buckets", "buckets", "Buckets of the hash table."),
    ("expectations", "expectations", "Expected connections."),
    ("expect_max", "expectations_limit", "Connections that are expected at most."),
)
"""Of statistics.figures(): its key, the metric and what that is."""

_HELP = {
    "found": "Lookups that found an entry.",
    "invalid": "Packets that could not be tracked.",
    "insert": "Entries added.",
    "insert_failed": "Entries not added, since another packet had begun the same connection.",
    "drop": "Packets dropped, since there was no room for a new connection.",
    "early_drop": "Connections ended early to make room for new ones.",
    "error": "ICMP packets with errors.",
    "search_restart": "Lookups begun again, since the table changed its size.",
    "clash_resolve": "Packets that began a connection twice, and were put together.",
    "chaintoolong": "Connections not added, since their hash chain is too long.",
}


def prometheus(figures: Mapping[str, Any], verdict: Mapping[str, Any], census: Census | None = None) -> str:
    """The figures of statistics.figures(), their verdict, and connections by kind if they were counted."""
    return "".join(_prometheus(figures, verdict, census))


def _prometheus(
    figures: Mapping[str, Any], verdict: Mapping[str, Any], census: Census | None
) -> Iterator[str]:
    for key, metric, meaning in _GAUGES:
        yield _head(metric, "gauge", meaning)
        yield _sample(metric, figures[key])
    yield _head("saturation", "gauge", "How full the table is: 0 ok, 1 filling, 2 full.")
    yield _sample("saturation", VERDICTS.index(verdict["verdict"]))
    for word in COUNTERS:
        if any(word in one for one in figures["per_cpu"]):
            metric = word + "_total"
            yield _head(metric, "counter", _HELP.get(word, "Counter %s of connection tracking." % word))
            for one in figures["per_cpu"]:
                yield _sample(metric, one.get(word, 0), cpu=one["cpu"])
    if census is None:
        return
    yield _head("connections", "gauge", "Tracked connections by protocol.")
    for protocol, count in sorted(census.protocols.items()):
        yield _sample("connections", count, protocol=protocol)
    yield _head("connection_families", "gauge", "Tracked connections by IP version.")
    for family, count in sorted(census.families.items()):
        yield _sample("connection_families", count, family=family)
    yield _head("connection_states", "gauge", "Tracked connections by protocol and state.")
    for (protocol, state), count in sorted(census.states.items()):
        yield _sample("connection_states", count, protocol=protocol, state=state.lower())
    yield _head("connection_status", "gauge", "Tracked connections with a status; one may have several.")
    for status, count in sorted(census.status.items()):
        yield _sample("connection_status", count, status=status)


def _head(metric: str, kind: str, meaning: str) -> str:
    return "# HELP %s%s %s\n# TYPE %s%s %s\n" % (_PREFIX, metric, meaning, _PREFIX, metric, kind)


def _sample(metric: str, value: int, **labels: object) -> str:
    inner = ",".join('%s="%s"' % item for item in labels.items())
    return "%s%s%s %d\n" % (_PREFIX, metric, "{%s}" % inner if inner else "", value)


_MUNIN_COUNTERS = ("invalid", "insert_failed", "drop", "early_drop", "error", "chaintoolong")


def munin_config(figures: Mapping[str, Any]) -> str:
    """The graphs: the table, its connections by state, and what the kernel counts."""
    lines = [
        "multigraph rempart_conntrack",
        "graph_title Tracked connections",
        "graph_vlabel connections",
        "graph_category network",
        "graph_args --base 1000 --lower-limit 0",
        "entries.label connections",
    ]
    most = figures["max"]
    if most:
        lines += [
            "entries.warning %d" % (most * FILLING_FROM // 100),
            "entries.critical %d" % (most * FULL_FROM // 100),
            "max.label limit",
        ]
    lines += ["expectations.label expected", "multigraph rempart_conntrack_states"]
    lines += [
        "graph_title Tracked connections by state",
        "graph_vlabel connections",
        "graph_category network",
        "graph_args --base 1000 --lower-limit 0",
        "graph_order %s" % " ".join(_MUNIN_STATES),
    ]
    for at, word in enumerate(_MUNIN_STATES):
        lines += [
            "%s.label %s" % (word, word.replace("_", " ")),
            "%s.draw %s" % (word, "STACK" if at else "AREA"),
        ]
    lines += [
        "unreplied.label without an answer",
        "assured.label assured",
        "translated.label translated",
        "multigraph rempart_conntrack_counters",
        "graph_title Connection tracking in trouble",
        "graph_vlabel packets / ${graph_period}",
        "graph_category network",
        "graph_args --base 1000 --lower-limit 0",
    ]
    for word in _MUNIN_COUNTERS:
        lines += ["%s.label %s" % (word, word.replace("_", " ")), "%s.type DERIVE" % word, "%s.min 0" % word]
        lines += ["%s.info %s" % (word, _HELP[word])]
    return "\n".join(lines) + "\n"


_TCP_STATES = (
    "syn_sent",
    "syn_recv",
    "established",
    "fin_wait",
    "close_wait",
    "last_ack",
    "time_wait",
    "close",
)
_MUNIN_STATES = (*("tcp_" + word for word in _TCP_STATES), "udp", "icmp", "other")


def munin_values(figures: Mapping[str, Any], census: Census) -> str:
    """The values of these graphs."""
    lines = ["multigraph rempart_conntrack", "entries.value %d" % figures["entries"]]
    if figures["max"]:
        lines.append("max.value %d" % figures["max"])
    lines += ["expectations.value %d" % figures["expectations"], "multigraph rempart_conntrack_states"]
    counts = {"tcp_" + word: census.states["tcp", word.upper()] for word in _TCP_STATES}
    counts["udp"] = census.protocols["udp"] + census.protocols["udplite"]
    counts["icmp"] = census.protocols["icmp"] + census.protocols["icmpv6"]
    counts["other"] = sum(census.protocols.values()) - sum(counts.values())
    lines += ["%s.value %d" % (word, counts[word]) for word in _MUNIN_STATES]
    status = census.status
    lines.append("unreplied.value %d" % status["unreplied"])
    lines.append("assured.value %d" % status["assured"])
    lines.append("translated.value %d" % status["translated"])
    lines.append("multigraph rempart_conntrack_counters")
    lines += ["%s.value %d" % (word, figures["statistics"].get(word, 0)) for word in _MUNIN_COUNTERS]
    return "\n".join(lines) + "\n"
