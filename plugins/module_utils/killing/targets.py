# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection that is to be killed: the kernel's message of it, and what is asked of it again and again."""

from __future__ import annotations

import socket
from typing import Any

from ..conntrack import entries, uapi
from ..netlink.attributes import table
from ..netlink.messages import ATTRIBUTES
from .sockets import Ends


class Target:
    """A connection by the body of its message. Raises ValueError for what is no connection.

    ``id`` is the four bytes of CTA_ID, ``status`` the bits of CTA_STATUS. The rest is decoded when it is
    asked for and not kept: of many targets the message alone is in memory.
    """

    __slots__ = ("body", "id", "protonum", "status")

    def __init__(self, body: bytes) -> None:
        self.body = body
        parts = table(body, ATTRIBUTES)
        if uapi.CTA_ID not in parts:
            raise ValueError("a connection without an id")
        self.id = parts[uapi.CTA_ID]
        self.status = int.from_bytes(parts.get(uapi.CTA_STATUS, b""), "big")
        self.protonum: int = self.entry["protonum"]

    @property
    def entry(self) -> dict[str, Any]:
        """The connection as of entries.py."""
        return entries.decode(self.body)

    @property
    def is_tcp(self) -> bool:
        """Whether its ends can be reset."""
        return self.protonum == socket.IPPROTO_TCP

    def ends(self) -> tuple[Ends, Ends]:
        """For who began the connection, then for the other: own address and port, then the other's."""
        entry = self.entry
        return _ends(entry["original"]), _ends(entry["reply"])


def _ends(one: dict[str, Any]) -> Ends:
    return one["saddr"], one.get("sport", 0), one["daddr"], one.get("dport", 0)
