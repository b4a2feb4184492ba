# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A network namespace of one's own, to try out what the kernel can do where it does no harm."""

from __future__ import annotations

import threading

from ..errors import HostError
from .namespace import PRIVILEGE, fresh
from .socket import NetlinkSocket


def private_socket() -> NetlinkSocket:
    """A netlink socket in a new network namespace, which goes when the socket is closed.

    The kernel keeps the namespace per thread: that of the caller stays where it is. Raises HostError.
    """
    made: list[NetlinkSocket | BaseException] = []

    def inside() -> None:
        try:
            fresh()
            made.append(NetlinkSocket())
        except BaseException as error:  # for the calling thread to raise
            made.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    (found,) = made
    if isinstance(found, OSError):
        raise HostError("cannot make a network namespace: %s" % found.strerror, cure=PRIVILEGE) from found
    if isinstance(found, BaseException):
        raise found
    return found
