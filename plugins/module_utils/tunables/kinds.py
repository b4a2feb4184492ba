# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a setting's value is: how the document writes it, and which number the kernel keeps for it."""

from __future__ import annotations

from typing import Any

from ..conntrack.names import PROTOCOLS
from ..document.times import milliseconds
from ..errors import DocumentError, nearest

AUTO = "auto"
"""The word for a size that is worked out on the host."""

INT_MAX = 0x7FFFFFFF

LONGEST = INT_MAX // 1000
"""Seconds. The kernel keeps a timeout in jiffies, in a signed 32-bit number, and has at most 1000 of
them a second (CONFIG_HZ): what every kernel can hold. Over netlink a longer one would wrap around."""


class Kind:
    """How a value is written and kept.

    ``read`` gives the kernel's number for a value of the document, None for :data:`AUTO`;
    DocumentError for a value that is none. ``shown`` gives the document's value for a number.
    """

    __slots__ = ("allowed",)

    def __init__(self, allowed: str) -> None:
        self.allowed = allowed

    def read(self, value: Any) -> int | None:
        """The kernel's number."""
        raise NotImplementedError

    def shown(self, number: int) -> Any:
        """The document's value."""
        return number

    def _refuse(self, message: str, value: Any, cure: str = "") -> DocumentError:
        return DocumentError(message, found=value, allowed=self.allowed, cure=cure)


class Switch(Kind):
    """On or off."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("true or false")

    def read(self, value: Any) -> int:
        """1 or 0. A word or a number is not taken for either: ``"no"`` would be a text that is true."""
        if isinstance(value, bool):
            return int(value)
        raise self._refuse("no truth value", value)

    def shown(self, number: int) -> bool:
        """Whether it is on; older kernels keep any number for that."""
        return number != 0


class Number(Kind):
    """A whole number from ``lowest`` to ``highest``; with ``auto`` also that word."""

    __slots__ = ("auto", "highest", "lowest")

    def __init__(self, lowest: int, highest: int, unit: str = "", auto: bool = False) -> None:
        what = "%s from" % unit if unit else "from"
        super().__init__("%s %d to %d%s" % (what, lowest, highest, ", or auto" if auto else ""))
        self.lowest = lowest
        self.highest = highest
        self.auto = auto

    def read(self, value: Any) -> int | None:
        """The number itself."""
        if self.auto and value == AUTO:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            cure = nearest(value, (AUTO,)) if self.auto and isinstance(value, str) else ""
            raise self._refuse("no whole number", value, cure)
        if not self.lowest <= value <= self.highest:
            raise self._refuse("a number out of range", value)
        return int(value)


class Events(Kind):
    """``nf_conntrack_events``: off, on, or on where somebody listens."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("true, false, or auto: only while a program listens")

    def read(self, value: Any) -> int:
        """0, 1 or 2."""
        if isinstance(value, bool):
            return int(value)
        if value == AUTO:
            return 2
        raise self._refuse("neither a truth value nor auto", value)

    def shown(self, number: int) -> Any:
        """``auto``, or whether it is on."""
        return AUTO if number == 2 else number != 0


class Protocol(Kind):
    """``nf_conntrack_log_invalid``: one protocol, all of them (255) or none (0)."""

    __slots__ = ()

    ALL = 255  # IPPROTO_RAW stands for all in nf_ct_l4proto_log_invalid()

    def __init__(self) -> None:
        super().__init__("none, all, %s, or a protocol's number to 255" % ", ".join(PROTOCOLS))

    def read(self, value: Any) -> int:
        """The protocol's number."""
        if isinstance(value, bool):
            return self.ALL if value else 0
        if isinstance(value, int):
            if 0 <= value <= 255:
                return int(value)
            raise self._refuse("a number out of range", value)
        words = {"none": 0, "all": self.ALL, **PROTOCOLS}
        if isinstance(value, str) and value.lower() in words:
            return words[value.lower()]
        raise self._refuse("no protocol", value, nearest(str(value), words))

    def shown(self, number: int) -> Any:
        """The protocol's name where it has one."""
        words = {0: "none", self.ALL: "all", **{one: name for name, one in PROTOCOLS.items()}}
        return words.get(number, number)


class Seconds(Kind):
    """A timeout in whole seconds, written as a number or with units: ``5d``, ``12h``, ``2m30s``."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("whole seconds from 1 to %d, or a text such as 5d, 12h or 2m30s" % LONGEST)

    def read(self, value: Any) -> int:
        """Seconds."""
        try:
            found = milliseconds(value)
        except DocumentError as error:
            raise self._refuse(error.problems[0].message, value) from None
        if found % 1000:
            raise self._refuse("a part of a second", value)
        if found // 1000 > LONGEST:
            raise self._refuse("a time out of range", value)
        return found // 1000
