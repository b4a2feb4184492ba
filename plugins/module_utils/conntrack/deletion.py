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
from collections.abc import Iterable

from ..errors import DocumentError, KernelError
from ..netlink.socket import NetlinkSocket, reason
from . import kernel_filters, scan
from .echo import Echoes
from .filters import Filter
from .requests import DELETE

_FEW = 1000  # connections that are deleted one by one in any case
# The kernel walks its table twice in the time that one connection in so many goes one by one.
_SHARE = 8
_MOST_KEPT = 100_000  # deletions that are prepared while counting: some 13 MB
_TOGETHER = 1024  # deletions that are handed to the socket at a time


class Deleted:
    """What a deletion did, or in check mode would do.

    ``matched``       connections that the filter meant when they were counted
    ``deleted``       those of them that are gone by it; of one message for many the kernel tells no
                      number, so it is what was counted just before
    ``already_gone``  those that had ended by themselves meanwhile
    ``bodies``        the raw messages of the first of them, as many as were to be kept
    ``missing``       of connections that were given, the places of those already gone
    """

    __slots__ = ("already_gone", "bodies", "deleted", "matched", "missing")

    def __init__(self, matched: int = 0) -> None:
        self.matched = matched
        self.deleted = 0
        self.already_gone = 0
        self.bodies: list[bytes] = []
        self.missing: list[int] = []


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
    few = 0
    if not check and (not everything or limit is not None):
        few = min(max(limit or 0, _FEW, scan.count(kernel) // _SHARE), _MOST_KEPT)
    result, prepared = _count(kernel, filter, keep, few)
    matched = result.matched
    if limit is not None and matched > limit:
        raise DocumentError(
            "more connections match than may be deleted; none is",
            "limit",
            matched,
            "up to %d" % limit,
            "narrow the filter, or raise the limit",
        )
    if check or not matched:
        return result
    if everything and limit is None:
        kernel.request(DELETE, 0)
        result.deleted = matched
    elif matched <= len(prepared):
        _one_by_one(kernel, prepared, result)
    elif limit is None and _in_one(kernel, filter):
        result.deleted = matched
    else:
        with kernel.another() as second:
            meant = itertools.islice(scan.matching(kernel, filter), limit)
            _one_by_one(second, map(Echoes().of, meant), result)
    return result


def delete_bodies(kernel: NetlinkSocket, bodies: Iterable[bytes]) -> Deleted:
    """Delete the connections of these raw messages, each by itself and none that took its place.

    ``missing`` of the result says which of them were gone. Raises HostError without the privilege,
    KernelError where the kernel refuses.
    """
    prepared = list(map(Echoes().of, bodies))
    result = Deleted(len(prepared))
    _one_by_one(kernel, prepared, result, result.missing)
    return result


def _count(kernel: NetlinkSocket, filter: Filter, keep: int, prepare: int) -> tuple[Deleted, list[bytes]]:
    """How many are meant, with the first of their messages; and what deletes the first of them."""
    if filter.empty and not keep and not prepare:
        return Deleted(scan.count(kernel)), []
    prepared: list[bytes] = []
    message_for = Echoes().of
    result = Deleted()
    for data, places in scan.pieces(kernel, filter):
        for start, stop in places:
            result.matched += 1
            if result.matched <= keep:
                result.bodies.append(data[start:stop])
            if result.matched <= prepare:
                prepared.append(message_for(data[start:stop]))
    return result, prepared


def _in_one(kernel: NetlinkSocket, filter: Filter) -> bool:
    """Delete by one message, where that deletes what the filter says; whether it was done."""
    part = kernel_filters.of_deletion(filter)
    if part is None:
        return False
    kernel.request(DELETE, part.family, part.attributes)
    return True


def _one_by_one(
    kernel: NetlinkSocket, prepared: Iterable[bytes], result: Deleted, missing: list[int] | None = None
) -> None:
    """Send messages that delete one connection each; ``missing`` gets the places of those that are gone."""
    rest = iter(prepared)
    while True:
        batch = list(itertools.islice(rest, _TOGETHER))
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
        if missing is not None:
            sent = result.deleted + result.already_gone
            missing += [sent + refusal.index for refusal in refusals]
        result.already_gone += len(refusals)
        result.deleted += len(batch) - len(refusals)
