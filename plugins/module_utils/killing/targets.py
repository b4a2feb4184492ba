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

    ``entry`` is as of entries.py, ``id`` the four bytes of CTA_ID, ``status`` the bits of CTA_STATUS.
    """

    __slots__ = ("body", "entry", "id", "protonum", "status")

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.entry: dict[str, Any] = entries.decode(body)
        parts = table(body, ATTRIBUTES)
        if uapi.CTA_ID not in parts:
            raise ValueError("a connection without an id")
        self.id = parts[uapi.CTA_ID]
        self.status = int.from_bytes(parts.get(uapi.CTA_STATUS, b""), "big")
        self.protonum: int = self.entry["protonum"]

    @property
    def is_tcp(self) -> bool:
        """Whether its ends can be reset."""
        return self.protonum == socket.IPPROTO_TCP

    @property
    def is_offloaded(self) -> bool:
        """Whether a flowtable carries its packets past every rule."""
        return bool(self.status & (uapi.IPS_OFFLOAD | uapi.IPS_HW_OFFLOAD))

    def ends(self, direction: int) -> Ends:
        """Own address and port, then the other's, as they are to the end that sends in a direction.

        ``direction``: 0 for the end that began the connection, 1 for the other.
        """
        one = self.entry["reply" if direction else "original"]
        return one["saddr"], one.get("sport", 0), one["daddr"], one.get("dport", 0)
