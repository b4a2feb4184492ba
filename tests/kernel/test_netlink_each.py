# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages that are sent together and each stand for themselves, second sockets, fresh namespaces."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

from rempart.conntrack import uapi
from rempart.conntrack.echo import Echoes
from rempart.netlink import messages, namespace
from rempart.netlink.socket import NetlinkSocket

from tests.support.connection_tables import Addresses, inject
from tests.support.namespaces import Namespace

CONNTRACK_GET = uapi.NFNL_SUBSYS_CTNETLINK << 8 | uapi.IPCTNL_MSG_CT_GET


def test_messages_that_stand_for_themselves_are_sent_together(make_netns: Callable[[], Namespace]) -> None:
    """What is refused of them is told by its place, and the others take effect."""
    with NetlinkSocket(make_netns().name) as kernel:
        inject(kernel, (Addresses().entry(number) for number in range(400)))
        bodies = kernel.dump(CONNTRACK_GET, 0)
        batch = list(map(Echoes().of, bodies))
        assert kernel.each([]) == []
        assert kernel.each(batch[:300]) == []
        refused = kernel.each(batch[250:350])
        assert [(one.index, one.code) for one in refused] == [(number, errno.ENOENT) for number in range(50)]
        assert len(kernel.dump(CONNTRACK_GET, 0)) == 50
        refused = kernel.each(batch)
        assert [one.index for one in refused] == list(range(350))
        assert kernel.dump(CONNTRACK_GET, 0) == []


def test_messages_sent_together_end_a_dump_that_was_left(make_netns: Callable[[], Namespace]) -> None:
    with NetlinkSocket(make_netns().name) as kernel:
        inject(kernel, (Addresses().entry(number) for number in range(600)))
        piece = next(kernel.pieces(CONNTRACK_GET, 0))
        assert piece is not None
        _kind, _flags, _sequence, start, stop = next(messages.split(piece))
        assert kernel.each([Echoes().of(piece[start:stop])]) == []
        assert len(kernel.dump(CONNTRACK_GET, 0)) == 599


def test_another_socket_is_in_the_same_namespace(make_netns: Callable[[], Namespace]) -> None:
    elsewhere = make_netns()
    with NetlinkSocket(elsewhere.name) as kernel, kernel.another() as second:
        assert namespace.cookie(kernel.socket) == namespace.cookie(second.socket)
    with NetlinkSocket() as kernel, kernel.another() as second:
        assert namespace.cookie(kernel.socket) == namespace.cookie(second.socket)
    with NetlinkSocket(elsewhere.name) as kernel:
        second = elsewhere.call(kernel.another)
        assert namespace.cookie(kernel.socket) == namespace.cookie(second.socket)
        second.close()


def test_a_fresh_namespace_is_of_its_thread_alone() -> None:
    cookies = []

    def inside() -> None:
        namespace.fresh()
        with NetlinkSocket() as kernel:
            cookies.append(namespace.cookie(kernel.socket))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    with NetlinkSocket() as kernel:
        assert cookies != [namespace.cookie(kernel.socket)]
    assert len(cookies) == 1
