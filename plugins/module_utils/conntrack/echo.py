# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The message that deletes the connection of a dumped body and no other.

Its tuple finds it, in its zone; its id tells it from one that has taken its place. All three are
sent as they came.
"""

from __future__ import annotations

from typing import NamedTuple

from ..netlink import messages
from . import uapi
from .heads import Heads, Places
from .requests import DELETE

_ECHOED = (uapi.CTA_TUPLE_ORIG, uapi.CTA_ZONE, uapi.CTA_ID)


class _Echo(NamedTuple):
    """What the message begins with, and which parts of a body follow."""

    head: bytes
    parts: tuple[slice, ...]


class Echoes:
    """Makes such messages of bodies, one after the other."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads = Heads(_learn)

    def of(self, body: bytes) -> bytes:
        """The message for a body of a dump. Raises ValueError where its attributes do not fit."""
        echo = self._heads.of(body)
        return echo.head + b"".join([body[part] for part in echo.parts])


def _learn(body: bytes, places: Places) -> _Echo:
    parts = tuple(place for kind, place in places.items() if kind in _ECHOED)
    attributes = b"".join(body[part] for part in parts)
    message = messages.message(DELETE, messages.NLM_F_REQUEST, body[0], attributes)
    return _Echo(message[: len(message) - len(attributes)], parts)
