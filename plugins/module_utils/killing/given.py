# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections as listings returned them, found again in the kernel: the same ones, or none."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..conntrack import tuples, uapi
from ..conntrack.names import PROTOCOLS
from ..conntrack.requests import GET
from ..errors import DocumentError, KernelError, Problem, nearest
from ..netlink.attributes import attribute, table
from ..netlink.messages import ATTRIBUTES
from ..netlink.socket import NetlinkSocket

_SHAPE = "an entry as rempart.netfilter.conntrack_info returns it"
_MOST_ID = 0xFFFFFFFF
_HEADER = 4  # bytes before an attribute's payload


class Given:
    """An entry (of entries.py) as far as it says which connection it is: tuple, zone and id.

    Raises DocumentError with all that is missing or wrong. What else an entry says is passed over: it may
    have changed since. ``original`` is the payload of the tuple of its original direction.
    """

    __slots__ = ("attributes", "family", "id", "original")

    def __init__(self, entry: Any) -> None:
        problems: list[Problem] = []
        if not isinstance(entry, Mapping):
            raise DocumentError("not a connection", found=entry, allowed=_SHAPE)
        protonum = _protonum(entry, problems)
        word = entry.get("family")
        if not isinstance(word, str) or word not in tuples.FAMILIES:
            problems.append(
                Problem("no such family", "family", word, ", ".join(tuples.FAMILIES), _near(word))
            )
        original = entry.get("original")
        if not isinstance(original, Mapping):
            problems.append(
                Problem("the tuple of the original direction is missing", "original", original, _SHAPE)
            )
        self.id = tuples.number(entry, "id", _MOST_ID, problems).to_bytes(4, "big")
        zone = tuples.number({"zone": 0, **entry}, "zone", 0xFFFF, problems)
        packed = b""
        if not problems and isinstance(original, Mapping):
            wrong: list[Problem] = []
            packed = tuples.encode(uapi.CTA_TUPLE_ORIG, original, tuples.FAMILIES[str(word)], protonum, wrong)
            problems += [one.at("original") for one in wrong]
        if problems:
            raise DocumentError.of(problems)
        self.family = int(tuples.FAMILIES[str(word)])
        self.attributes = packed
        self.original = packed[_HEADER:]
        if "zone" in entry:
            self.attributes += attribute(uapi.CTA_ZONE, zone.to_bytes(2, "big"))


def find(kernel: NetlinkSocket, given: Iterable[Given]) -> Iterator[bytes]:
    """The bodies of those that are still there, each once. Raises KernelError, HostError."""
    seen = set()
    for one in given:
        try:
            bodies = kernel.request(GET, one.family, one.attributes)
        except KernelError as error:
            if error.code == errno.ENOENT:
                continue
            raise
        for body in bodies:
            id = table(body, ATTRIBUTES).get(uapi.CTA_ID)
            # Another id is another connection, which has taken the addresses and ports.
            if id == one.id and (id, one.attributes) not in seen:
                seen.add((id, one.attributes))
                yield body


def _protonum(entry: Mapping[str, Any], problems: list[Problem]) -> int:
    if "protonum" in entry:
        return tuples.number(entry, "protonum", 0xFF, problems)
    name = entry.get("protocol")
    known = PROTOCOLS.get(name) if isinstance(name, str) else None
    if known is None:
        problems.append(
            Problem("no such protocol", "protocol", name, ", ".join(PROTOCOLS), nearest(str(name), PROTOCOLS))
        )
        return 0
    return known


def _near(word: object) -> str:
    return nearest(str(word), tuples.FAMILIES)
