# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How busy connections are: what their counters grew by between two reads of the table."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import Any

from . import entries, uapi
from .columns import Columns

_COUNTED = (
    (uapi.CTA_COUNTERS_ORIG, uapi.CTA_COUNTERS_PACKETS),
    (uapi.CTA_COUNTERS_REPLY, uapi.CTA_COUNTERS_PACKETS),
    (uapi.CTA_COUNTERS_ORIG, uapi.CTA_COUNTERS_BYTES),
    (uapi.CTA_COUNTERS_REPLY, uapi.CTA_COUNTERS_BYTES),
)

ORDERS = ("bytes", "packets")


class Rate:
    """A connection's entry, and its ``bytes`` and ``packets`` a second in both directions."""

    __slots__ = ("bytes", "entry", "packets")

    def __init__(self, entry: dict[str, Any], packets: float, bytes: float) -> None:
        self.entry = entry
        self.packets = packets
        self.bytes = bytes


class Reading:
    """One read of the table: how many connections there were, and the busiest since the read before.

    ``counted`` is whether any of them had counters.
    """

    __slots__ = ("busiest", "connections", "counted")

    def __init__(self) -> None:
        self.connections = 0
        self.counted = False
        self.busiest: list[Rate] = []


class Rates:
    """Compares each read with the one before it. Two numbers are remembered of each connection."""

    __slots__ = ("_before", "_columns", "_then")

    def __init__(self) -> None:
        self._columns = Columns(((uapi.CTA_ID,), *_COUNTED))
        self._before: dict[int, tuple[int, int]] = {}
        self._then: float | None = None

    def read(self, bodies: Iterable[bytes], now: float, most: int, order: str = "bytes") -> Reading:
        """The busiest ``most`` connections by ``order`` of :data:`ORDERS`; ``now`` are seconds of one clock.

        A connection that is new since the read before is as busy as all that it counted since; of
        the first read none is. Raises ValueError for what is no connection.
        """
        seconds = 0.0 if self._then is None else max(now - self._then, 1e-9)
        by_packets = order == "packets"
        after: dict[int, tuple[int, int]] = {}
        heap: list[tuple[int, int, int, int, bytes]] = []
        found = Reading()
        read = self._columns.read
        for body in bodies:
            number, *counters = read(body)
            found.connections += 1
            if number is None or None in counters:
                continue
            found.counted = True
            packets, size = counters[0] + counters[1], counters[2] + counters[3]  # type: ignore[operator]
            after[number] = packets, size
            if not seconds:
                continue
            earlier = self._before.get(number, (0, 0))
            if packets < earlier[0]:
                earlier = 0, 0  # set to zero, or another connection of this number
            grown = packets - earlier[0], size - earlier[1]
            if not grown[0]:
                continue
            item = (grown[0] if by_packets else grown[1], found.connections, *grown, body)
            if len(heap) < most:
                heapq.heappush(heap, item)
            else:
                heapq.heappushpop(heap, item)
        self._before, self._then = after, now
        for _unused, _unused, packets, size, body in sorted(heap, reverse=True):
            found.busiest.append(Rate(entries.decode(body), packets / seconds, size / seconds))
        return found
