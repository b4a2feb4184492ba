# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections and expectations in the XML of ``conntrack -o xml``, byte for byte with two exceptions.

That is conntrack-tools 1.4.7 with libnetfilter_conntrack 1.0.9. The exceptions are mistakes of
theirs: for an SCTP or DCCP connection they print the TCP state of the same number (``FIN_WAIT`` for
an established one), and names are not escaped, so that a label with ``<`` in its name breaks the
document. Here the state is the true one, and names are escaped.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .entries import delta_time
from .line import LAYER3, state
from .tuples import FAMILIES, GRE, PROTOCOL_NAMES, keys_of

CONNECTIONS = "conntrack"
EXPECTATIONS = "expect"
"""The element around all others, for :func:`document`: of connections, and of expectations."""

_UNSIGNED = 0xFFFFFFFFFFFFFFFF


def document(flows: Iterable[str], element: str = CONNECTIONS) -> Iterator[str]:
    """The lines of a document: declaration and ``element`` around the flows. Without flows there are none."""
    any_flow = False
    for flow in flows:
        if not any_flow:
            yield '<?xml version="1.0" encoding="utf-8"?>'
            yield "<%s>" % element
            any_flow = True
        yield flow
    if any_flow:
        yield "</%s>" % element


def connection(
    entry: Mapping[str, Any],
    event: str = "",
    ktimestamp: bool = False,
    label_names: Mapping[int, str] | None = None,
    when: time.struct_time | None = None,
    now: float | None = None,
) -> str:
    """An entry of entries.py as a ``flow`` element, of an ``event`` (new, update, destroy) or of a list.

    ``ktimestamp`` and ``label_names`` (of labels.names) are the options ``-o ktimestamp,labels``,
    ``when`` is ``-o timestamp`` of events: the local time that one was received at. ``now`` is
    time.time(), from which a connection's age counts.
    """
    protonum = entry["protonum"]
    parts = [_flow(event)]
    for direction in ("original", "reply"):
        one = entry[direction]
        parts.append('<meta direction="%s">' % direction)
        parts.append(_layer3(entry["family"]) + _addresses(one) + "</layer3>")
        parts.append(_layer4(protonum) + _protocol(one, protonum) + "</layer4>")
        if "zone" in one:
            parts.append("<zone>%d</zone>" % one["zone"])
        if "packets" in one and "bytes" in one:
            parts.append(
                "<counters><packets>%d</packets><bytes>%d</bytes></counters>" % (one["packets"], one["bytes"])
            )
        parts.append("</meta>")
    if any(key in entry for key in ("state", "timeout", "mark", "use", "status")):
        parts.append('<meta direction="independent">')
        parts.extend(_independent(entry, ktimestamp, label_names, time.time() if now is None else now))
        parts.append("</meta>")
    if when is not None:
        parts.append(_when(when))
    if "helper" in entry:
        parts.append("<helper>%s</helper>" % _escaped(entry["helper"]))
    parts.append("</flow>")
    return "".join(parts)


def expectation(entry: Mapping[str, Any], event: str = "", when: time.struct_time | None = None) -> str:
    """An expectation of expectations.py as a ``flow`` element; ``event`` and ``when`` as of connections."""
    protonum = entry["protonum"]
    parts = [_flow(event), _layer3(entry["family"])]
    sides = ("expected", "mask", "master")
    parts += ["<%s>%s</%s>" % (side, _addresses(entry[side]), side) for side in sides]
    parts += ["</layer3>", _layer4(protonum)]
    parts += [
        "<%s>%s</%s>" % (side, _protocol(entry[side], entry[side].get("protonum", protonum)), side)
        for side in sides
    ]
    parts.append("</layer4><meta>")
    if "helper" in entry:
        parts.append("<helper-name>%s</helper-name>" % _escaped(entry["helper"]))
    parts += ["<%s>%d</%s>" % (key, entry[key], key) for key in ("timeout", "class", "zone") if key in entry]
    if when is not None:
        parts.append(_when(when))
    flags = entry.get("flags", ())
    parts += ["<%s/>" % word for word in ("permanent", "inactive", "userspace") if word in flags]
    parts.append("</meta></flow>")
    return "".join(parts)


def _independent(
    entry: Mapping[str, Any], ktimestamp: bool, label_names: Mapping[int, str] | None, now: float
) -> Iterator[str]:
    """What belongs to no direction."""
    if "state" in entry:
        yield "<state>%s</state>" % state(entry)
    for key in ("timeout", "mark"):
        if key in entry:
            yield "<%s>%d</%s>" % (key, entry[key], key)
    if label_names is not None and "labels" in entry:
        yield "<labels>"
        for bit in entry["labels"]:
            if bit in label_names:
                yield "<label>%s</label>" % _escaped(label_names[bit])
        yield "</labels>"
    if "secctx" in entry:
        yield "<secctx>%s</secctx>" % _escaped(entry["secctx"])
    for key in ("zone", "use", "id"):
        if key in entry:
            yield "<%s>%d</%s>" % (key, entry[key], key)
    status = entry.get("status")
    if status is not None:
        if "assured" in status:
            yield "<assured/>"
        if "seen_reply" not in status:
            yield "<unreplied/>"
    if "start" not in entry:
        return
    if ktimestamp:
        yield "<timestamp>"
        for key in ("start", "stop"):
            if key in entry:
                yield "<%s>%d</%s>" % (key, entry[key], key)
        yield "</timestamp>"
    yield "<deltatime>%d</deltatime>" % ((delta_time(entry, now) or 0) & _UNSIGNED)


def _flow(event: str) -> str:
    return '<flow type="%s">' % event if event else "<flow>"


def _layer3(family: str) -> str:
    return '<layer3 protonum="%d" protoname="%s">' % (FAMILIES[family], LAYER3[family])


def _layer4(protonum: int) -> str:
    return '<layer4 protonum="%d" protoname="%s">' % (protonum, PROTOCOL_NAMES.get(protonum, "unknown"))


def _addresses(one: Mapping[str, Any]) -> str:
    return "<src>%s</src><dst>%s</dst>" % (one["saddr"], one["daddr"])


def _protocol(one: Mapping[str, Any], protonum: int) -> str:
    keys = keys_of(protonum)
    if len(keys) != 2:
        return ""  # nothing is said of ICMP
    form = "<%s>0x%x</%s>" if protonum == GRE else "<%s>%d</%s>"
    return "".join(form % (key, one.get(key, 0), key) for key in keys)


def _when(when: time.struct_time) -> str:
    # Sunday is 1; tm_wday has Monday as 0.
    return (
        "<when><hour>%d</hour><min>%02d</min><sec>%02d</sec><wday>%d</wday><day>%d</day><month>%d</month>"
        "<year>%d</year></when>"
        % (
            *(when.tm_hour, when.tm_min, when.tm_sec, (when.tm_wday + 1) % 7 + 1),
            *(when.tm_mday, when.tm_mon, when.tm_year),
        )
    )


def _escaped(name: str) -> str:
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
