# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deleting connections: those that a filter means, or the whole table.

There are two ways, and both delete the same. Few connections, or ones that only this side can tell,
are listed and deleted one by one: each by its own tuple, zone and id, so that what has taken its
place meanwhile stays (unless it lies in the same memory, of which the kernel makes the id). Many go
in one message, where the kernel has shown that it deletes by such a filter exactly what it says
(see :mod:`.kernel_filters`).

A deleted connection is not cut: its next packet may make it anew, as the ruleset allows.
"""

from __future__ import annotations

import errno
import itertools
import struct
from collections.abc import Iterable, Iterator

from ..errors import DocumentError, KernelError
from ..netlink import messages
from ..netlink.attributes import TYPE_MASK
from ..netlink.socket import NetlinkSocket, reason
from . import kernel_filters, scan, uapi
from .filters import Filter

_DELETE = uapi.NFNL_SUBSYS_CTNETLINK << 8 | uapi.IPCTNL_MSG_CT_DELETE
_HEADER = struct.Struct("=HH")
_ECHOED = (uapi.CTA_TUPLE_ORIG, uapi.CTA_ZONE, uapi.CTA_ID)
_FEW = 1000  # connections that are deleted one by one in less time than the kernel walks its table
_MOST_KEPT = 50_000  # messages of connections that are remembered between counting and deleting
_TOGETHER = 128  # messages a send


class Deleted:
    """What a deletion did, or in check mode would do.

    ``matched``       connections that the filter meant when they were counted
    ``deleted``       those of them that are gone by it; of one message for many the kernel tells no
                      number, so it is what was counted just before
    ``already_gone``  those that had ended by themselves meanwhile
    ``bodies``        the raw messages of the first of them, as many as were to be kept
    """

    __slots__ = ("already_gone", "bodies", "deleted", "matched")

    def __init__(self, matched: int = 0) -> None:
        self.matched = matched
        self.deleted = 0
        self.already_gone = 0
        self.bodies: list[bytes] = []


def delete(
    kernel: NetlinkSocket,
    filter: Filter,
    limit: int | None = None,
    check: bool = False,
    keep: int = 0,
    everything: bool = False,
) -> Deleted:
    """Delete the connections that a filter means.

    Where they are more than ``limit``, nothing is deleted, and DocumentError says how many they are.
    With a limit the connections go one by one, never more than that. ``check`` only counts. ``keep``
    is how many of their messages to return. An empty filter deletes nothing unless ``everything``
    says so, and that goes with no other filter: DocumentError otherwise. Raises HostError without
    the privilege, KernelError where the kernel refuses.
    """
    if everything and not filter.empty:
        raise DocumentError(
            "everything is to go, and a filter says what is",
            "everything",
            filter.describe(),
            cure="give one of the two",
        )
    if filter.empty and not everything:
        raise DocumentError(
            "no filter says which connections are to go",
            allowed="a filter, or everything for the whole table",
            cure="to empty the table say so: everything",
        )
    few = _FEW if limit is None else min(max(limit, _FEW), _MOST_KEPT)
    matched, bodies = _count(kernel, filter, max(keep, 0 if everything else few))
    if limit is not None and matched > limit:
        raise DocumentError(
            "more connections match than may be deleted; none is",
            "limit",
            matched,
            "up to %d" % limit,
            "narrow the filter, or raise the limit",
        )
    result = Deleted(matched)
    result.bodies = bodies[:keep]
    if check or not matched:
        return result
    if everything and limit is None:
        kernel.request(_DELETE, 0)
        result.deleted = matched
    elif matched <= len(bodies):
        _one_by_one(kernel, bodies, result)
    elif limit is None and _in_one(kernel, filter):
        result.deleted = matched
    else:
        with kernel.another() as second:
            _one_by_one(second, itertools.islice(scan.matching(kernel, filter), limit), result)
    return result


def _count(kernel: NetlinkSocket, filter: Filter, keep: int) -> tuple[int, list[bytes]]:
    """How many are meant, and the first of their messages."""
    if filter.empty and not keep:
        return scan.count(kernel), []
    bodies: list[bytes] = []
    matched = 0
    for data, places in scan.pieces(kernel, filter):
        for start, stop in places:
            matched += 1
            if matched <= keep:
                bodies.append(data[start:stop])
    return matched, bodies


def _in_one(kernel: NetlinkSocket, filter: Filter) -> bool:
    """Delete by one message, where that deletes what the filter says; whether it was done."""
    part = kernel_filters.of_deletion(filter)
    if part is None:
        return False
    kernel.request(_DELETE, part.family, part.attributes)
    return True


def _one_by_one(kernel: NetlinkSocket, bodies: Iterable[bytes], result: Deleted) -> None:
    """Delete connections by their messages, each by itself."""
    rest = iter(bodies)
    while True:
        batch = [_echo(body) for body in itertools.islice(rest, _TOGETHER)]
        if not batch:
            return
        refusals = kernel.each(batch)
        for refusal in refusals:
            if refusal.code != errno.ENOENT:
                raise KernelError(
                    "the kernel refused to delete a connection: %s; %d of %d are deleted"
                    % (reason(refusal.code, refusal.text), result.deleted, result.matched),
                    refusal.code,
                )
        result.already_gone += len(refusals)
        result.deleted += len(batch) - len(refusals)


def _echo(body: bytes) -> bytes:
    """The message that deletes the connection of a dumped body and no other.

    Its tuple finds it, in its zone; its id tells it from one that has taken its place.
    """
    parts = b"".join(body[start:stop] for kind, start, stop in _attributes(body) if kind in _ECHOED)
    return messages.message(_DELETE, messages.NLM_F_REQUEST, body[0], parts)


def _attributes(body: bytes) -> Iterator[tuple[int, int, int]]:
    """(type, start, end with padding) of each attribute of a body."""
    position = messages.ATTRIBUTES
    while position + _HEADER.size <= len(body):
        length, kind = _HEADER.unpack_from(body, position)
        stop = (position + max(length, _HEADER.size) + 3) & ~3
        yield kind & TYPE_MASK, position, stop
        position = stop
