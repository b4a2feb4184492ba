# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of the ruleset that the connection carrying the run outlives, or that is taken back.

Before the change the connection gets an entry in the table of connections, if it has none: to
a ruleset that lets in ``established`` it is established from the first packet on. After the
change a packet of it must come through. If none does, the tables are put back as they were. So
they are later where nobody confirms the change, which takes a new connection.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from ..errors import HostError, RempartError
from ..netlink.namespace import Entered
from ..netlink.socket import NetlinkSocket
from ..ruleset.reconcile import Outcome, Source, reconcile, remove

if TYPE_CHECKING:
    from ..ruleset.steps import Plan
    from .carrier import Carrier

# What it takes to see to a connection is imported where there is a change to send.

WAIT = 5.0
"""Seconds within which a packet must come through: a probe is sent each second."""


class _Preparing:
    """Sees to the connections that carry this process."""

    def __init__(self, netns: str | None) -> None:
        self.netns = netns
        self.carriers: list[Carrier] = []

    def begin(self) -> None:
        """Find them, and have each tracked."""
        from . import carrier, guard, tracked

        with Entered(self.netns):
            self.carriers = carrier.find()
        if self.carriers:
            reconcile(Source.of_mapping(guard.document(self.carriers)), self.netns, full=True)
            with NetlinkSocket(self.netns) as kernel:
                for one in self.carriers:
                    # Where it cannot be tracked, the proof tells whether it had to be.
                    with contextlib.suppress(RempartError):
                        tracked.track(kernel, one)

    def end(self) -> Outcome | None:
        """Take the guard away and close the copies of sockets; what the former did."""
        if not self.carriers:
            return None
        from . import guard

        for one in self.carriers:
            one.socket.close()
        return remove([("inet", guard.NAME)], self.netns)


def reconcile_keeping(
    source: Source,
    netns: str | None = None,
    check: bool = False,
    full: bool = False,
    wait: float = WAIT,
    confirm: float = 0,
    **more: Any,
) -> tuple[Outcome, str | None]:
    """``reconcile``, and the TCP connections that carry this process live on.

    ``more`` is for ``reconcile`` alone.
    With ``confirm``, what was changed over such a connection is taken back in so many seconds, unless
    somebody confirms it: by removing the file whose path is returned beside the outcome.

    Raises HostError, with everything put back as it was, where a connection is not heard of within
    ``wait`` seconds of the change, or nothing could take it back later; DocumentError, HostError,
    KernelError as ``reconcile``.
    """
    pending = None
    preparing = _Preparing(netns)
    try:
        outcome = reconcile(source, netns, check, full, before_sending=preparing.begin, **more)
        if preparing.carriers and outcome.plan is not None:
            from . import proof

            with NetlinkSocket(netns) as kernel:
                lost = proof.silent(kernel, preparing.carriers, wait)
            if lost:
                raise _taken_back(lost[0], outcome.plan, netns, wait)
            if confirm:
                pending = _pending(outcome.plan, netns, confirm)
    finally:
        ended = preparing.end()
    if ended is not None:
        outcome.generation = ended.generation
    return outcome, pending


def _pending(plan: Plan, netns: str | None, seconds: float) -> str:
    from .before import Before
    from .pending import leave

    before = Before(plan, netns)
    try:
        return leave(before, seconds)
    except RempartError:
        before.put_back()
        raise


def _taken_back(lost: Carrier, plan: Plan, netns: str | None, wait: float) -> HostError:
    """Put the tables back, and the error that says so, or that it failed."""
    message = "these tables cut %s: nothing of it came through within %g seconds" % (lost, wait)
    cure = (
        "accept ct_state established on input and on output (untracked, where it is not tracked), "
        "or port %d; or do not keep the session (keep_session: false, --no-keep-session)"
    )
    from .before import Before

    try:
        Before(plan, netns).put_back()
    except RempartError as error:
        return HostError("%s, and they could not be put back: %s" % (message, error))
    return HostError("%s. They were put back as they were" % message, cure=cure % lost.local[1])
