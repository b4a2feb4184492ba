# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The bytes that a rule comes down to: the attributes of its expressions and its user data.

The kernel dumps these two last, next to each other, and takes them in the same form: they
are compared in one step, and sent as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from operator import itemgetter
from typing import TYPE_CHECKING

from ..errors import DocumentError
from ..netlink.attributes import attribute
from ..nftables import uapi
from ..nftables.expressions import Trace
from ..nftables.expressions.sending import is_sent_as_dumped
from ..nftables.sets import SetContent
from .compatibility import has_extensions

if TYPE_CHECKING:
    from .rules import DesiredRule

MOST_BYTES = 0xFFFF - 4  # payload of one attribute: its 16-bit length counts the header

_HEADER = struct.Struct("=HH")
_EXPRESSIONS = _HEADER.size  # where expressions start in a rule's attributes


def pack(expressions: bytes, userdata: bytes = b"") -> bytes:
    """A rule's attributes. Raises DocumentError for more than the kernel takes."""
    return head(len(expressions)) + expressions + pack_userdata(userdata)


def head(length: int) -> bytes:
    """What stands before so many bytes of expressions. Raises DocumentError for too many."""
    if length > MOST_BYTES:
        raise DocumentError(
            "the rule is too long for the kernel",
            found="%d bytes" % length,
            allowed="%d bytes" % MOST_BYTES,
        )
    return _HEADER.pack(length + _EXPRESSIONS, uapi.NFTA_RULE_EXPRESSIONS)


def pack_userdata(userdata: bytes) -> bytes:
    """The attribute of user data; none for none."""
    return attribute(uapi.NFTA_RULE_USERDATA, userdata) if userdata else b""


def expressions_of(attributes: bytes) -> bytes:
    """The expressions in what :func:`pack` made."""
    return attributes[_EXPRESSIONS : _HEADER.unpack_from(attributes)[0]]


def userdata_of(attributes: bytes) -> bytes:
    """The user data in what :func:`pack` made."""
    start = _HEADER.unpack_from(attributes)[0]
    if start == len(attributes):
        return b""
    return attributes[start + 4 : start + _HEADER.unpack_from(attributes, start)[0]]


class Form:
    """What rules that differ only in their values have in common.

    ``state`` are the spans of their attributes that packets change, ``lasting`` takes out all else,
    None where that is all. ``set_ids`` are the offsets in their expressions of the numbers
    (1, 2, …) that stand for ``sets``, ``chain_ids`` those for ``chains``, which are lists of rules.
    ``as_dumped``: the kernel takes their expressions in the form in which it dumps them.
    """

    __slots__ = ("as_dumped", "chain_ids", "chains", "lasting", "set_ids", "sets", "state")

    def __init__(
        self,
        expressions: bytes,
        trace: Trace,
        sets: Iterable[SetContent],
        chains: Iterable[list[DesiredRule]] = (),
    ) -> None:
        self.state = tuple((start + _EXPRESSIONS, end + _EXPRESSIONS) for start, end in trace.state)
        starts, ends = [0, *(end for _unused, end in self.state)], [start for start, _unused in self.state]
        self.lasting = itemgetter(*map(slice, starts, [*ends, None])) if ends else None
        self.sets = tuple(sets)
        self.set_ids = tuple(trace.set_ids)
        self.chains = tuple(chains)
        self.chain_ids = tuple(trace.chain_ids)
        self.as_dumped = is_sent_as_dumped(expressions) and not has_extensions(expressions)
