# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Single questions to the kernel about one set, instead of a dump of all it holds.

A dump of a large set takes the kernel long: it walks from the beginning for each
piece that it sends. NFT_MSG_GETSETELEM for one key takes it microseconds.
"""

from __future__ import annotations

import errno

from ..errors import KernelError
from ..netlink.attributes import attribute
from ..netlink.socket import NetlinkSocket
from ..nftables import uapi
from ..nftables.sets.keys import END
from . import kernel
from .element_attributes import rest_of
from .intervals import Interval
from .kernel import KernelSet, KernelTable
from .points import number_of, point

_SUBSYSTEM = uapi.NFNL_SUBSYS_NFTABLES << 8


def find_table(socket: NetlinkSocket, family: int, name: str) -> KernelTable | None:
    """One table without its content, None where there is none."""
    body = _find(socket, uapi.NFT_MSG_GETTABLE, family, _text(uapi.NFTA_TABLE_NAME, name))
    return None if body is None else kernel.parse_table(body)


def find_set(socket: NetlinkSocket, family: int, table_name: str, name: str) -> KernelSet | None:
    """One set without its elements, None where there is none."""
    asked = _text(uapi.NFTA_SET_TABLE, table_name) + _text(uapi.NFTA_SET_NAME, name)
    body = _find(socket, uapi.NFT_MSG_GETSET, family, asked)
    return None if body is None else kernel.parse_set(body)


def _find(socket: NetlinkSocket, kind: int, family: int, asked: bytes) -> bytes | None:
    try:
        bodies = socket.request(_SUBSYSTEM | kind, family, asked)
    except KernelError as error:
        if error.code == errno.ENOENT:
            return None
        raise
    return bodies[0] if bodies else None


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode("utf-8", "surrogateescape") + b"\0")


class TooMany(Exception):
    """So many questions would be needed that reading the set is better."""


class IntervalQuestions:
    """Which intervals of a set of ``width`` bits there are near some numbers.

    ``most`` questions may be asked; then, or where the answers do not fit together,
    TooMany is raised.

    Asked for a key, the kernel gives the start of the interval that the key is in.
    Asked for one with NFT_SET_ELEM_INTERVAL_END, it gives the next end, but where an
    interval ends and another starts at one key it may miss that end
    (nft_rbtree_get() of net/netfilter/nft_set_rbtree.c). So an end counts only if the
    key before it has the same start.
    """

    def __init__(
        self, socket: NetlinkSocket, family: int, table_name: str, held: KernelSet, width: int, most: int
    ) -> None:
        self._where = (socket, family, table_name, held)
        self._width = width
        self._top = (1 << width) - 1
        self._left = most

    def near(self, low: int, high: int, beside: int = 0) -> list[Interval]:
        """The intervals with a number between these, and with those ``beside`` before and behind."""
        at_low = self._at(low)
        if at_low is not None and high <= at_low.high:
            return [at_low]
        found = []
        number = max(low - beside, 0)
        last = min(high + beside, self._top)
        if last - number >= self._left:
            raise TooMany
        while number <= last:
            one = at_low if number == low else self._at(number)
            if one is None:
                number += 1
            else:
                found.append(one)
                number = one.high + 1
        return found

    def starts_at_zero(self) -> bool:
        """Whether an interval begins at the first key."""
        return self._start(0) is not None

    def _at(self, number: int) -> Interval | None:
        start = self._start(number)
        if start is None:
            return None
        low = number_of(start, self._width)
        if low > number:
            raise TooMany
        return Interval(low, self._behind(low, number) - 1, rest_of(start))

    def _behind(self, low: int, number: int) -> int:
        """The first number behind the interval that starts at ``low`` and has ``number`` in it."""
        for asked in (number, number + 1):
            if asked <= self._top:
                end = self._ask(point(asked, self._width) + END)
                if end is not None:
                    behind = number_of(end, self._width)
                    if behind > number and self._starts(behind - 1) == low:
                        return behind
        if number == self._top or self._starts(number + 1) != low:
            return number + 1
        if self._starts(self._top) == low:
            return self._top + 1
        raise TooMany

    def _starts(self, number: int) -> int | None:
        start = self._start(number)
        return None if start is None else number_of(start, self._width)

    def _start(self, number: int) -> bytes | None:
        return self._ask(point(number, self._width))

    def _ask(self, element: bytes) -> bytes | None:
        if self._left <= 0:
            raise TooMany
        self._left -= 1
        found = kernel.find_elements(*self._where, element)
        return found[0] if found else None
