# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a selector may ask of the place it is used in."""

from __future__ import annotations

from ..headers import Field, Header
from ..headers.tunnel import Tunnel


class Surroundings:
    """Where a selector stands: the table's family and what is known of the packet.

    ``family`` is the table's, ``network`` the network header known to be there. This
    one takes every header for present, as a type does that only borrows a selector's.
    """

    def __init__(self, family: str) -> None:
        self.family = family
        self.network: str | None = family if family in ("ip", "ip6", "arp") else None

    def need(self, header: Header, field: Field | None = None) -> int:
        """Make sure that ``header`` is there; the bits by which stacked link headers move its fields."""
        return 0

    def within(self, tunnel: Tunnel) -> Surroundings:
        """Where a selector stands that looks at the packet inside a tunnel."""
        return self

    def need_first(self, header: Header) -> None:
        """The same for a network header, asked at the rule's head whatever stands before."""
        return
