# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens in the connection table, as it happens: new, updated and destroyed connections.

The kernel sends an event to who listens, and to nobody else; one that finds no room in the
listener's buffer is lost, and only that something was lost is told. An event has fewer
attributes than a listing: an update has the protocol's state only if that changed, labels only
if they were set, and none has a destroyed connection's helper. A filter takes what is missing as
:mod:`.filters` says: a state that is not told is none that was asked for.

Events come at all only with the sysctl net.netfilter.nf_conntrack_events on (its default, 2, is
on as long as somebody listens; connections from before are not told of).
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Sequence
from types import TracebackType

from ..errors import DocumentError, HostError, KernelError, Problem, nearest
from ..netlink import messages, namespace
from . import uapi
from .filters import Filter
from .matching import Matcher

NEW, UPDATE, DESTROY = "new", "update", "destroy"
EXPECT_NEW, EXPECT_UPDATE, EXPECT_DESTROY = "expect_new", "expect_update", "expect_destroy"

GROUPS = {
    NEW: uapi.NFNLGRP_CONNTRACK_NEW,
    UPDATE: uapi.NFNLGRP_CONNTRACK_UPDATE,
    DESTROY: uapi.NFNLGRP_CONNTRACK_DESTROY,
    EXPECT_NEW: uapi.NFNLGRP_CONNTRACK_EXP_NEW,
    EXPECT_UPDATE: uapi.NFNLGRP_CONNTRACK_EXP_UPDATE,
    EXPECT_DESTROY: uapi.NFNLGRP_CONNTRACK_EXP_DESTROY,
}
"""The kinds of events, and the multicast group of each."""

CONNECTIONS = (NEW, UPDATE, DESTROY)

_NETLINK_NETFILTER = 12  # linux/netlink.h
_SOL_NETLINK = 270  # linux/socket.h
_NETLINK_ADD_MEMBERSHIP = 1  # linux/netlink.h
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_SO_MEMINFO = 55  # asm-generic/socket.h
_SK_MEMINFO_DROPS = 8  # linux/sock_diag.h: what found no room in the socket's buffer
_MEMINFO = struct.Struct("=9I")  # SK_MEMINFO_VARS numbers
_BUFFER = 8 * 1024 * 1024  # bytes, some ten thousand events of backlog
_MOST = 64 * 1024  # bytes: one event is far less
_HEADER = struct.Struct("=IHHI")
_CREATED = messages.NLM_F_CREATE | messages.NLM_F_EXCL


class Events:
    """A listener: an iterator of (kind, raw body). ``with Events(filter) as events: ...``

    It listens from the moment that it is made, so that nothing between that and the first event
    read is missed. ``kinds`` are those of :data:`GROUPS`; expectations have no filter but the
    family's, so that a filter of more with them is a DocumentError. ``buffer`` is the room for
    events not yet read, in bytes. The iteration ends after ``count`` events, after ``timeout``
    seconds (from the making on), or when :meth:`stop` is called; without any of these it doesn't end.

    ``lost`` counts how often the kernel had to throw events away for want of room, and ``dropped``
    is how many these were. Raises HostError where it can't listen.
    """

    __slots__ = (
        "_ends",
        "_filter",
        "_left",
        "_matcher",
        "_pending",
        "_sender",
        "_waker",
        "lost",
        "socket",
    )

    def __init__(
        self,
        filter: Filter | None = None,
        kinds: Sequence[str] = CONNECTIONS,
        netns: str | None = None,
        buffer: int = _BUFFER,
        timeout: float | None = None,
        count: int | None = None,
    ) -> None:
        self._filter = Filter() if filter is None else filter
        _check(self._filter, kinds)
        self._matcher = Matcher(self._filter)
        self._left = count
        self._pending: deque[tuple[str, bytes]] = deque()
        self.lost = 0
        self.socket = _listen(kinds, netns, buffer)
        self._waker, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._ends = None if timeout is None else time.monotonic() + timeout

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; a second time does nothing."""
        for one in (self.socket, self._waker, self._sender):
            one.close()

    def stop(self) -> None:
        """End the iteration, from another thread or a signal's handler; events already read still come."""
        with contextlib.suppress(OSError):
            self._sender.send(b"\0")

    def fileno(self) -> int:
        """What select() waits on for an event."""
        return self.socket.fileno()

    @property
    def dropped(self) -> int:
        """How many events found no room, of all that were sent here, wanted or not (since Linux 4.12)."""
        found = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        return int(_MEMINFO.unpack(found)[_SK_MEMINFO_DROPS])

    def ready(self, most: int) -> list[tuple[str, bytes]]:
        """What is there to be read now, of up to so many events: for who waits on :meth:`fileno` himself.

        It does not wait, and knows no ``count`` and no ``timeout``. Events that are not wanted count
        among the ``most``, so that a flood of them does not keep the caller from other work.
        """
        for _unused in range(most):
            if not self._receive():
                break
        found = list(self._pending)
        self._pending.clear()
        return found

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        poll.register(self._waker, select.POLLIN)
        while self._left is None or self._left > 0:
            if self._pending:
                if self._left is not None:
                    self._left -= 1
                yield self._pending.popleft()
                continue
            wait = None
            if self._ends is not None:
                wait = (self._ends - time.monotonic()) * 1000
                if wait <= 0:
                    return
            ready = {descriptor for descriptor, _events in poll.poll(wait)}
            if self._waker.fileno() in ready or not ready:
                return
            self._receive()

    def _receive(self) -> bool:
        """Read one datagram, and keep what is wanted of it; whether there was anything to read."""
        try:
            data, _ancillary, flags, sender = self.socket.recvmsg(_MOST, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise KernelError("cannot receive events: %s" % error.strerror, error.errno or 0) from error
            self.lost += 1
            return True
        if sender[0] != 0 or flags & socket.MSG_TRUNC:
            return True  # not from the kernel; or no event of any kernel
        for kind, message_flags, _sequence, start, stop in messages.split(data):
            name = _kind(kind, message_flags)
            body = data[start:stop]
            if name and self._wants(name, body):
                self._pending.append((name, body))
        return True

    def _wants(self, kind: str, body: bytes) -> bool:
        if kind in CONNECTIONS:
            return self._matcher.matches(body)
        return self._filter.family in (0, body[0])


def _kind(kind: int, flags: int) -> str:
    """The kind of an event's message; empty for any other message."""
    subsystem, what = kind >> 8, kind & 0xFF
    if subsystem == uapi.NFNL_SUBSYS_CTNETLINK:
        names = CONNECTIONS
    elif subsystem == uapi.NFNL_SUBSYS_CTNETLINK_EXP:
        names = (EXPECT_NEW, EXPECT_UPDATE, EXPECT_DESTROY)
    else:
        return ""
    if what == uapi.IPCTNL_MSG_CT_DELETE:
        return names[2]
    if what == uapi.IPCTNL_MSG_CT_NEW:
        return names[0] if flags & _CREATED else names[1]
    return ""


def _check(filter: Filter, kinds: Sequence[str]) -> None:
    problems = [
        Problem("no kind of event", "kinds[%d]" % index, kind, ", ".join(GROUPS), nearest(str(kind), GROUPS))
        for index, kind in enumerate(kinds)
        if kind not in GROUPS
    ]
    if not kinds:
        problems.append(Problem("no kind of event", "kinds", list(kinds), ", ".join(GROUPS)))
    if any(kind in GROUPS and kind not in CONNECTIONS for kind in kinds):
        problems += [
            Problem(
                "expectations can be told apart by their family alone",
                condition.key,
                cure="leave the key out, or listen to expectations by themselves",
            )
            for condition in filter.conditions
            if condition.key != "family"
        ]
    if problems:
        raise DocumentError.of(problems)


def _listen(kinds: Sequence[str], netns: str | None, buffer: int) -> socket.socket:
    with namespace.Entered(netns):
        try:
            listener = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
            )
        except OSError as error:
            raise HostError("cannot open a netlink socket: %s" % error.strerror) from error
    try:
        try:
            listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer)
        except OSError:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        listener.bind((0, 0))
        for kind in kinds:
            listener.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, GROUPS[kind])
    except OSError as error:
        listener.close()
        if error.errno in (errno.EPERM, errno.EACCES):
            raise HostError("not allowed to listen to connection events", cure=namespace.PRIVILEGE) from error
        raise HostError("cannot listen to connection events: %s" % error.strerror) from error
    return listener
