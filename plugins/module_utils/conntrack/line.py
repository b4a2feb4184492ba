# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections and expectations as conntrack(8) prints them, one line each, byte for byte.

That is conntrack-tools 1.4.7 with libnetfilter_conntrack 1.0.9. What reads its lines can read these.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .entries import delta_time
from .names import STATES
from .tuples import FAMILIES, GRE, keys_of

EVENTS = {"new": "    [NEW] ", "update": " [UPDATE] ", "destroy": "[DESTROY] "}
"""What a line begins with, by the event that it tells of."""

LAYER3 = {"ip": "ipv4", "ip6": "ipv6"}
"""conntrack(8)'s words for the families."""

_NANOSECONDS = 1_000_000_000
_UNSIGNED = 0xFFFFFFFFFFFFFFFF


def connection(
    entry: Mapping[str, Any],
    event: str = "",
    extended: bool = False,
    id: bool = False,
    ktimestamp: bool = False,
    label_names: Mapping[int, str] | None = None,
    now: float | None = None,
) -> str:
    """An entry of entries.py as ``conntrack -L``, or with an ``event`` as ``conntrack -E``, prints it.

    ``extended``, ``id``, ``ktimestamp`` and ``label_names`` (of labels.names) are its options
    ``-o extended,id,ktimestamp,labels``. ``now`` is time.time(), from which a connection's age counts.
    """
    parts = [EVENTS[event] if event else ""]
    if extended:
        word = entry["family"]
        parts.append("%-8s %d " % (LAYER3[word], FAMILIES[word]))
    parts.append("%-8s %d " % (entry["protocol"], entry["protonum"]))
    if "timeout" in entry:
        parts.append("%d " % entry["timeout"])
    if "state" in entry:
        parts.append(state(entry) + " ")
    status = entry.get("status")
    parts.append(_direction(entry["original"], entry["protonum"], "zone-orig"))
    if status is not None and "seen_reply" not in status:
        parts.append("[UNREPLIED] ")
    parts.append(_direction(entry["reply"], entry["protonum"], "zone-reply"))
    if status is not None:
        if "hw_offload" in status:
            parts.append("[HW_OFFLOAD] ")
        elif "offload" in status:
            parts.append("[OFFLOAD] ")
        elif "assured" in status:
            parts.append("[ASSURED] ")
    for key in ("mark", "secctx", "zone"):
        if key in entry:
            parts.append("%s=%s " % (key, entry[key]))
    if "start" in entry:
        age = delta_time(entry, time.time() if now is None else now) or 0
        parts.append("delta-time=%d " % (age & _UNSIGNED))
    if ktimestamp:
        for key in ("start", "stop"):
            if key in entry:
                parts.append("[%s=%s] " % (key, time.ctime(entry[key] // _NANOSECONDS)))
    if "helper" in entry:
        parts.append("helper=%s " % entry["helper"])
    if "use" in entry:
        parts.append("use=%d " % entry["use"])
    if id and "id" in entry:
        parts.append("id=%d " % entry["id"])
    if label_names is not None and "labels" in entry:
        named = [label_names[bit] for bit in entry["labels"] if bit in label_names]
        parts.append("labels=%s" % ",".join(named) if named else "labels")  # so without "=" there
    return "".join(parts).rstrip(" ")


def expectation(entry: Mapping[str, Any], event: str = "") -> str:
    """An expectation of expectations.py as ``conntrack -L expect`` or ``-E expect`` prints it."""
    protonum = entry["protonum"]
    parts = [EVENTS[event] if event else "", "%d proto=%d " % (entry["timeout"], protonum)]
    for key, prefix in (("expected", ""), ("mask", "mask-"), ("master", "master-")):
        one = entry[key]
        parts.append("%ssrc=%s %sdst=%s " % (prefix, one["saddr"], prefix, one["daddr"]))
        parts.append(_protocol(one, one.get("protonum", protonum)))
    if "zone" in entry:
        parts.append("zone=%d " % entry["zone"])
    flags = entry.get("flags") or ()
    parts.append(",".join(word.upper() for word in ("permanent", "inactive", "userspace") if word in flags))
    if flags:
        parts.append(" ")
    if "class" in entry:
        parts.append("class=%d " % entry["class"])
    if "helper" in entry:
        parts.append("helper=%s" % entry["helper"])
    return "".join(parts).rstrip(" ")


def stamp(now: float) -> str:
    """What the option ``-o timestamp`` puts before the line of an event: when it was received."""
    microseconds = int(now * 1_000_000)
    return "[%d.%06d]\t" % divmod(microseconds, 1_000_000)


def userspace(portid: int, progname: str = "") -> str:
    """What follows an event that a program caused, its netlink port in the message: 0 is the kernel's own.

    ``progname`` is the program's name, where it is still there to be asked.
    """
    if not portid:
        return ""
    return " [USERSPACE] portid=%d" % portid + (" progname=%s" % progname if progname else "")


def state(entry: Mapping[str, Any]) -> str:
    """The word for the state; a number that conntrack(8) has no word for is ``NONE`` to it."""
    word: str = entry["state"]
    return word if word in STATES.get(entry["protonum"], ()) else "NONE"


def _direction(one: Mapping[str, Any], protonum: int, zone: str) -> str:
    found = "src=%s dst=%s %s" % (one["saddr"], one["daddr"], _protocol(one, protonum))
    if "zone" in one:
        found += "%s=%d " % (zone, one["zone"])
    if "packets" in one and "bytes" in one:
        found += "packets=%d bytes=%d " % (one["packets"], one["bytes"])
    return found


def _protocol(one: Mapping[str, Any], protonum: int) -> str:
    keys = keys_of(protonum)
    if not keys:
        return ""
    # A kernel without tracking of the protocol says nothing, which is 0 to conntrack(8).
    values = tuple(one.get(key, 0) for key in keys)
    if protonum == GRE:
        return "srckey=0x%x dstkey=0x%x " % values
    if len(values) == 2:
        return "sport=%d dport=%d " % values
    return "type=%d code=%d id=%d " % values
