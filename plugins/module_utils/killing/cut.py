# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cutting connections: none of their packets passes any more, and both ends of a TCP connection learn of it.

What is done, in this order:

1. The entries' ids go into the table of cut_table.py. From here on nothing gets through.
2. Sockets of this host are closed (sockets.py); the kernel sends their peers a reset.
3. Ends that are not closed are made to speak (probes.py), so that the table resets them. Then they are
   asked again. An end that answers with a reset, or anew with SYN, has the connection no more.
4. A TCP connection of which no end is left is deleted by its id, and let go from the table.
5. Any other one keeps its entry for as long as is asked, and the table its id: the entry is what its
   packets are known by, in whatever zone and through whatever translation, and what keeps the next packet
   from making a new one. It gets a timeout that packets no longer prolong, and goes with the block.
"""

from __future__ import annotations

import contextlib
import errno
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Callable

from ..conntrack import deletion, uapi
from ..conntrack.names import TCP_STATES
from ..conntrack.requests import NEW
from ..conntrack.table import found_by
from ..errors import KernelError
from ..netlink import messages
from ..netlink.attributes import attribute, nested
from ..netlink.socket import NetlinkSocket, reason
from .closing import LocalEnds
from .cut_table import Answer, CutTable
from .probes import ORIGINAL, REPLY, RST, SYN, Prober
from .targets import Target

DEADLINE = 2.0
"""Seconds until the ends of a TCP connection must have shown that it is over."""

_ROUNDS = (0.05, 0.2, 0.7, 1.4)
"""When those that have not shown to be over are asked again, in seconds after the first time.

Linux answers one connection's odd packets twice a second at most (net.ipv4.tcp_invalid_ratelimit), so
that an end that lives is silent the first two times.
"""

_LATE = 0.6
"""From here on a plain answer comes from an end that has outlived its reset."""

_WORKING = 60_000  # milliseconds beyond the block that ids are held for while a cut is at work
_MARGIN = 1000  # milliseconds that an id is held longer than its entry stays
_JIFFY = 0.02  # seconds by which the kernel's times may be off
_PAUSE = 0.01  # seconds between two looks at the answers
_PAUSE_SHARE = 4  # a look that takes long is waited for so many times as long

_CLOSED = ("TIME_WAIT", "CLOSE")
"""The states of an entry whose connection was closed by both ends, or reset by one."""

_ASKED = ("original", "reply", "zone", "mark", "state")
"""What of an entry is asked again and again; no more of it is kept, as there may be many."""

_SILENT, _HEARD, _OVER = range(3)

_WORD = struct.Struct(">I")
_LIBERAL = uapi.IP_CT_TCP_FLAG_BE_LIBERAL
# struct nf_ct_tcp_flags: which are set, and which are spoken of. Without the highest number acknowledged,
# tracking takes a reset for one of the connection whatever numbers it has.
_TRUSTING = bytes((_LIBERAL, _LIBERAL | uapi.IP_CT_TCP_FLAG_MAXACK_SET))
_ESTABLISHED = bytes((TCP_STATES.index("ESTABLISHED"),))


class Cut:
    """What a cut did.

    ``outcomes``        a word for each connection: ``reset``, both ends have it no more, and its entry is
                        deleted; ``blocked``, its packets are refused until the block ends, and its entry goes
                        then; ``deleted``, its entry alone, where no block was asked for;
                        ``already_gone``, it had ended by itself
    ``deleted``         entries that are deleted already
    ``sockets_closed``  sockets of this host
    """

    __slots__ = ("deleted", "outcomes", "sockets_closed")

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.deleted = 0
        self.sockets_closed = 0


class _Tcp:
    """A TCP connection on its way out: what is known of each end."""

    __slots__ = ("ends", "entry", "gone", "heard_late", "target")

    def __init__(self, target: Target) -> None:
        self.target = target
        whole = target.entry
        self.entry = {key: whole[key] for key in _ASKED if key in whole}
        self.ends = [_SILENT, _SILENT]
        self.heard_late = [False, False]
        self.gone = False

    @property
    def settled(self) -> bool:
        """Whether there is nothing more to find out."""
        return self.gone or self.ends == [_OVER, _OVER]

    def hear(self, answer: Answer, at: float) -> None:
        """Note what an end sent; ``at`` is when, in seconds since all were asked first."""
        way = answer.direction
        if self.ends[way] == _OVER:
            return
        if answer.flags & (RST | SYN):
            self.ends[way] = _OVER
            return
        self.ends[way] = _HEARD
        if at >= _LATE:
            self.heard_late[way] = True

    def conclude(self) -> bool:
        """At the deadline: whether no end is left.

        One that was reset early and was silent when asked again is behind a firewall of its own,
        which has forgotten the connection as well. One of which nobody was heard and that tracking has seen
        to be closed is closed.
        """
        if self.ends == [_SILENT, _SILENT] and self.entry.get("state") in _CLOSED:
            return not self.gone
        return not self.gone and all(
            end == _OVER or (end == _HEARD and not late) for end, late in zip(self.ends, self.heard_late)
        )


def cut(kernel: NetlinkSocket, netns: str | None, targets: Sequence[Target], block_for: float) -> Cut:
    """Cut connections, and return when they are over or blocked.

    ``netns`` is the namespace that the socket is in; ``block_for`` is how long packets of what cannot be
    told to be over are refused, in seconds; with 0 its entry is only deleted. Raises HostError without the
    privilege or where the kernel cannot do it, KernelError.
    """
    result = Cut()
    if not targets:
        return result
    with contextlib.ExitStack() as stack:
        # Opened before anything is done: without the privilege nothing is.
        prober = stack.enter_context(Prober(netns)) if any(one.is_tcp for one in targets) else None
        local = LocalEnds(kernel, netns, targets)
        table = CutTable(kernel)
        ids = [one.id for one in targets]
        table.hold(ids, int(block_for * 1000) + _WORKING)
        try:
            let_go = _end(kernel, local, table, prober, targets, block_for, result)
        except BaseException:
            # Whatever stopped it: what was to be cut must not stay blocked without a word.
            table.release(ids)
            table.remove_if_idle()
            raise
        table.release(let_go)
        if len(let_go) == len(ids):  # else it is not idle, and to find that out takes reading it
            table.remove_if_idle()
    return result


def _end(
    kernel: NetlinkSocket,
    local: LocalEnds,
    table: CutTable,
    prober: Prober | None,
    targets: Sequence[Target],
    block_for: float,
    result: Cut,
) -> list[bytes]:
    """End connections that are held, and say so in ``result``; the ids that need be held no more."""
    connections = [_Tcp(one) for one in targets if one.is_tcp]
    closed = local.close()
    result.sockets_closed = len(closed)
    by_id = {one.target.id: one for one in connections}
    _note_over(by_id, closed)
    if prober is not None:
        _reset(kernel, table, prober, connections, lambda: _note_over(by_id, local.gone()))
    over = {id(connection.target) for connection in connections if connection.conclude()}
    rest = [one for one in targets if id(one) not in over] if block_for > 0 else []
    missing = {id(one) for one in _keep(kernel, rest, block_for)}
    blocked = {id(one) for one in rest} - missing
    if blocked:
        still = [one.id for one in rest if id(one) in blocked]
        table.hold_on(still, int(block_for * 1000) + _MARGIN)
    gone = [one for one in targets if id(one) not in blocked]
    there = [one for one in gone if id(one) not in missing]
    deleted = deletion.delete_bodies(kernel, [one.body for one in there])
    result.deleted = deleted.deleted
    if block_for <= 0:
        missing = {id(there[index]) for index in deleted.missing} - over
    words = (("reset", over), ("blocked", blocked), ("already_gone", missing))
    for one in targets:
        result.outcomes.append(next((word for word, those in words if id(one) in those), "deleted"))
    return [one.id for one in gone]


def _note_over(by_id: Mapping[bytes, _Tcp], ends: Iterable[tuple[bytes, int]]) -> None:
    for id, way in ends:
        if id in by_id:
            by_id[id].ends[way] = _OVER


def _reset(
    kernel: NetlinkSocket,
    table: CutTable,
    prober: Prober,
    connections: Sequence[_Tcp],
    look: Callable[[], None],
) -> None:
    """Have the ends speak until all have shown that they are reset, or time is up.

    ``look`` notes what sockets of this host are gone by now.
    """
    by_id = {one.target.id: one for one in connections}
    started = time.monotonic()
    look()
    _ask(kernel, prober, [one for one in connections if not one.settled])
    began = (
        time.monotonic()
    )  # to ask ten thousand takes a while, which is not taken from their time to answer
    rounds = list(_ROUNDS)
    while True:
        now = time.monotonic() - began
        late = now >= DEADLINE
        if late or (rounds and now >= rounds[0]):
            look()
        waiting = [one for one in connections if not one.settled]
        if not waiting or late:
            return
        if rounds and now >= rounds[0]:
            rounds.pop(0)
            _ask(kernel, prober, waiting)
        looked = time.monotonic()
        for answer in table.answers():
            known = by_id.get(answer.id)
            at = time.monotonic() - answer.ago
            if known is not None and at > started - _JIFFY:
                known.hear(answer, at - began)
        took = time.monotonic() - looked
        time.sleep(max(_PAUSE, took * _PAUSE_SHARE))


def _ask(kernel: NetlinkSocket, prober: Prober, waiting: Sequence[_Tcp]) -> None:
    """Forge a packet to each end that has not shown to be over.

    A reset has moved the entry to the state CLOSE, in which another SYN would begin a new connection: it is
    said to be established before. Packets outside of the window that tracking believes in shall be known
    as well. The SYN goes first: it is the one that must meet that state.
    """
    batch = [_update(one.target, _tcp_established()) for one in waiting]
    refused = set()
    for refusal in kernel.each(batch):
        refused.add(refusal.index)
        waiting[refusal.index].gone |= refusal.code == errno.ENOENT
    for way in (ORIGINAL, REPLY):
        for index, one in enumerate(waiting):
            # A packet of one direction is what the end of the other one answers.
            if index not in refused and one.ends[1 - way] != _OVER:
                prober.probe(one.entry, way)


def _keep(kernel: NetlinkSocket, rest: Sequence[Target], block_for: float) -> list[Target]:
    """Have entries end after so many seconds, whatever packets come; those that are gone already.

    One whose timeout somebody has fixed keeps it, as the kernel changes it no more.
    """
    rest = [one for one in rest if not one.status & uapi.IPS_FIXED_TIMEOUT]
    seconds = max(1, int(block_for + 0.999))
    batch = [
        _update(
            one,
            attribute(uapi.CTA_TIMEOUT, _WORD.pack(seconds)),
            # assured: not to be dropped before in favour of others
            attribute(uapi.CTA_STATUS, _WORD.pack(one.status | uapi.IPS_FIXED_TIMEOUT | uapi.IPS_ASSURED)),
        )
        for one in rest
    ]
    missing = []
    for refusal in kernel.each(batch):
        if refusal.code != errno.ENOENT:
            raise KernelError(
                "the kernel refused to end a connection: %s" % reason(refusal.code, refusal.text),
                refusal.code,
            )
        missing.append(rest[refusal.index])
    return missing


def _tcp_established() -> bytes:
    return nested(
        uapi.CTA_PROTOINFO,
        nested(
            uapi.CTA_PROTOINFO_TCP,
            attribute(uapi.CTA_PROTOINFO_TCP_STATE, _ESTABLISHED),
            attribute(uapi.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, _TRUSTING),
            attribute(uapi.CTA_PROTOINFO_TCP_FLAGS_REPLY, _TRUSTING),
        ),
    )


def _update(target: Target, *parts: bytes) -> bytes:
    """The message that changes an entry that is there; ENOENT where it is not."""
    attributes = b"".join((found_by(target.body), *parts))
    return messages.message(NEW, messages.NLM_F_REQUEST, target.body[0], attributes)
