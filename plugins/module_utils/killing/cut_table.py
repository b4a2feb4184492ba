# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table ``inet rempart_cut``: while a connection's id is in its set, no packet of that connection passes.

A TCP packet is answered with a reset, which its sender must accept, since it is made of the sender's own
sequence numbers; any other packet is dropped. That happens at priority -190, right after connection
tracking (-200) and before address translation and whatever else accepts packets. Connections are known
by the kernel's id of their entry alone: one that has the same addresses and ports in another zone, or gets
them later, has another id.

What TCP packets came from which end, and with which flags, is noted in the set ``answers``. Packets that
are forged to have the ends answer carry :data:`OWN` in their priority, by which the table lets them pass.

The ids time out by themselves. An empty table does nothing; :meth:`CutTable.remove_if_idle` removes it, in a
transaction that fails if somebody has used the table meanwhile.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..errors import HostError, KernelError
from ..netlink.attributes import attribute, table, walk
from ..netlink.messages import ATTRIBUTES
from ..netlink.socket import LostRace, NetlinkSocket, Refused
from ..nftables import uapi
from ..ruleset import messages
from ..ruleset.generation import generation

FAMILY = "inet"
NAME = "rempart_cut"

OWN = 0x72650000
"""The upper half of the priority (SO_PRIORITY) of a forged packet; the lower half is its zone.

A traffic class is 0x7265:zone, which no queue has that is not given this very number.
"""

_NFPROTO_INET = 1  # linux/netfilter.h
_CUT, _ANSWERS = "cut", "answers"
_SUBSYSTEM = uapi.NFNL_SUBSYS_NFTABLES << 8
_REMEMBERED = 60  # seconds that an answer is kept
_MOST_ANSWERS = 1 << 20
_ATTEMPTS = 10

_ANSWER = struct.Struct("4sB3xB3x")  # ct id, ct direction, tcp flags: each in registers of four bytes
_MILLISECONDS = struct.Struct(">Q")


def _own() -> dict[str, Any]:
    left = {"&": [{"meta": {"key": "priority"}}, 0xFFFF0000]}
    return {"match": {"op": "==", "left": left, "right": OWN}}


def _is(key: str, value: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": {"meta": {"key": key}}, "right": value}}


_ID = {"ct": {"key": "id"}}
_HELD = {"match": {"op": "==", "left": _ID, "right": "@" + _CUT}}
_ANSWER_KEY = {
    "concat": [_ID, {"ct": {"key": "direction"}}, {"payload": {"protocol": "tcp", "field": "flags"}}]
}
_NOTE = {
    "set": {
        "op": "update",
        "elem": {"elem": {"val": _ANSWER_KEY, "timeout": _REMEMBERED}},
        "set": "@" + _ANSWERS,
    }
}
_ZONE = {"mangle": {"key": {"ct": {"key": "zone"}}, "value": {"&": [{"meta": {"key": "priority"}}, 0xFFFF]}}}
_RST = {"match": {"op": "in", "left": {"payload": {"protocol": "tcp", "field": "flags"}}, "right": "rst"}}
# A reset follows the route of its connection where addresses alone don't tell it: see probes.mark_of().
_ROUTED_BY_MARK = [
    {"match": {"op": "!=", "left": {"ct": {"key": "zone"}}, "right": 0}},
    {"match": {"op": "!=", "left": {"ct": {"key": "mark"}}, "right": 0}},
]
_RESTORE = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"ct": {"key": "mark"}}}}

DOCUMENT: Mapping[str, Any] = {
    "tables": [
        {
            "name": NAME,
            "family": FAMILY,
            "comment": "connections that rempart has cut; goes by itself",
            "sets": [
                {"name": _CUT, "typeof": _ID, "flags": ["timeout"]},
                {
                    "name": _ANSWERS,
                    "typeof": _ANSWER_KEY,
                    "flags": ["timeout", "dynamic"],
                    "size": _MOST_ANSWERS,
                },
            ],
            "chains": [
                {
                    "name": "refuse",
                    "rules": [
                        {
                            "expr": [
                                _is("l4proto", "tcp"),
                                _NOTE,
                                {"counter": None},
                                {"reject": {"type": "tcp reset"}},
                            ]
                        },
                        {"expr": [{"counter": None}, {"drop": None}]},
                    ],
                },
                {
                    "name": "send",
                    "rules": [
                        {
                            "expr": [
                                _is("l4proto", "tcp"),
                                _RST,
                                {"goto": {"target": "reset"}},
                            ]
                        },
                        {"goto": "refuse"},
                    ],
                },
                {
                    "name": "reset",
                    "rules": [{"expr": [*_ROUTED_BY_MARK, _RESTORE]}, {"verdict": "accept"}],
                },
                {
                    # ahead of raw (-300), where a ruleset gives packets its zones
                    "name": "forged",
                    "type": "filter",
                    "hook": "output",
                    "priority": -310,
                    "rules": [{"expr": [_own(), _ZONE]}],
                },
                {
                    "name": "arriving",
                    "type": "filter",
                    "hook": "prerouting",
                    "priority": -190,
                    "rules": [
                        {"expr": [_own(), {"accept": None}]},
                        # a reset of this host for a socket of this host
                        {"expr": [_is("iifname", "lo"), _is("l4proto", "tcp"), _RST, {"accept": None}]},
                        {"expr": [_HELD, {"goto": {"target": "refuse"}}]},
                    ],
                },
                {
                    "name": "leaving",
                    "type": "route",
                    "hook": "output",
                    "priority": -190,
                    "rules": [
                        {"expr": [_own(), {"accept": None}]},
                        {"expr": [_HELD, {"goto": {"target": "send"}}]},
                    ],
                },
            ],
        }
    ]
}
"""The table, in the words of any other."""


class Answer:
    """A TCP packet that came from an end of a connection.

    ``id`` is the entry's (CTA_ID's four bytes), ``direction`` 0 from who began it and 1 from the other end,
    ``flags`` the TCP header's, ``ago`` the seconds since the last such packet.
    """

    __slots__ = ("ago", "direction", "flags", "id")

    def __init__(self, id: bytes, direction: int, flags: int, ago: float) -> None:
        self.id = id
        self.direction = direction
        self.flags = flags
        self.ago = ago


class CutTable:
    """The table in the namespace of a socket. It is made when the first id is put into it."""

    __slots__ = ("_kernel",)

    def __init__(self, kernel: NetlinkSocket) -> None:
        self._kernel = kernel

    def hold(self, ids: Sequence[bytes], milliseconds: int) -> None:
        """Let no packet of these connections pass for so long.

        Raises HostError without the privilege or where the kernel cannot do it (Linux 5.9), KernelError.
        """
        elements = messages.new_elements(
            _NFPROTO_INET, NAME, _CUT, (messages.element(one, timeout=milliseconds) for one in ids)
        )
        for _unused in range(_ATTEMPTS):
            try:
                self._kernel.transact(elements)
                return
            except Refused as error:
                if error.code != errno.ENOENT:
                    raise
            try:
                self._kernel.transact([*_made(), *elements])
                return
            except Refused as error:
                if error.code == errno.EOPNOTSUPP:
                    raise HostError(
                        "this kernel cannot answer packets with resets before it routes them: %s" % error,
                        cure="use Linux 5.9 or later, or only forget the connections: how=forget",
                    ) from error
                if error.code != errno.EEXIST:
                    raise
        raise HostError(
            "the table %s %s is there, and is none that rempart made" % (FAMILY, NAME),
            cure="look at it (nft list table %s %s) and remove it" % (FAMILY, NAME),
        )

    def hold_on(self, ids: Sequence[bytes], milliseconds: int) -> None:
        """Have ids that are held time out in so long from now."""
        elements = [messages.element(one) for one in ids]
        timed = [messages.element(one, timeout=milliseconds) for one in ids]
        batch = [
            *messages.delete_elements(_NFPROTO_INET, NAME, _CUT, elements),
            *messages.new_elements(_NFPROTO_INET, NAME, _CUT, timed),
        ]
        try:
            self._kernel.transact(batch)
        except Refused as error:
            if error.code != errno.ENOENT:
                raise
            self.hold(ids, milliseconds)  # somebody has flushed the ruleset meanwhile

    def release(self, ids: Iterable[bytes]) -> None:
        """Let their packets pass again. What is not held is no error."""
        batch = [
            one
            for id in ids
            for one in messages.delete_elements(_NFPROTO_INET, NAME, _CUT, [messages.element(id)])
        ]
        while batch:
            try:
                self._kernel.transact(batch)
                return
            except Refused as error:
                if error.code != errno.ENOENT:
                    raise
                gone = {refusal.index for refusal in error.refusals}
                batch = [one for index, one in enumerate(batch) if index not in gone]

    def held(self) -> dict[bytes, float]:
        """The ids that are held, each with the seconds left; nothing where there is no table."""
        return {key[:4]: left for key, left in self._elements(_CUT)}

    def answers(self) -> list[Answer]:
        """What has come from the ends of connections that are held."""
        found = []
        for key, left in self._elements(_ANSWERS):
            id, direction, flags = _ANSWER.unpack(key)
            found.append(Answer(id, direction, flags, max(0.0, _REMEMBERED - left)))
        return found

    def remove_if_idle(self) -> bool:
        """Remove the table if nothing is held; whether there is none now."""
        for _unused in range(_ATTEMPTS):
            before = generation(self._kernel)
            if self.held():
                return False
            try:
                self._kernel.transact([messages.delete_table(_NFPROTO_INET, NAME)], before)
            except LostRace:
                continue
            except Refused as error:
                if error.code != errno.ENOENT:
                    raise
            return True
        return False

    def _elements(self, name: str) -> list[tuple[bytes, float]]:
        """The keys of a set's elements, and the seconds until each times out."""
        asked = attribute(uapi.NFTA_SET_ELEM_LIST_TABLE, NAME.encode() + b"\0") + attribute(
            uapi.NFTA_SET_ELEM_LIST_SET, name.encode() + b"\0"
        )
        found = []
        try:
            bodies = self._kernel.dump(_SUBSYSTEM | uapi.NFT_MSG_GETSETELEM, _NFPROTO_INET, asked)
        except KernelError as error:
            if error.code == errno.ENOENT:
                return []
            raise
        for body in bodies:
            for kind, payload in walk(body, ATTRIBUTES):
                if kind == uapi.NFTA_SET_ELEM_LIST_ELEMENTS:
                    found += [_element(one) for _unused, one in walk(payload)]
        return found


def refuse_deletion(kernel: NetlinkSocket, id: int) -> None:
    """Raise HostError if a cut blocks the connection of this id: its entry is what keeps it dead."""
    left = CutTable(kernel).held().get(id.to_bytes(4, "big"))
    if left is not None:
        raise HostError(
            "a cut blocks this connection for %d seconds more, and deleting its entry would end that" % left,
            cure="wait, or end all blocks with: nft delete table %s %s" % (FAMILY, NAME),
        )


def _element(payload: bytes) -> tuple[bytes, float]:
    parts = table(payload)
    key = table(parts[uapi.NFTA_SET_ELEM_KEY])[uapi.NFTA_DATA_VALUE]
    left = parts.get(uapi.NFTA_SET_ELEM_EXPIRATION)
    return key, _MILLISECONDS.unpack(left)[0] / 1000 if left is not None else 0.0


@lru_cache(maxsize=1)
def _made() -> Sequence[bytes]:
    """The messages that make the table, refused with EEXIST if it is there."""
    from ..document.model import load
    from ..ruleset.desired import compile_tables
    from ..ruleset.kernel import Picture
    from ..ruleset.plan import make_plan

    plan = make_plan(compile_tables(load(DOCUMENT), {}), Picture(0, {}))
    return tuple(plan.batch)
