# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets and maps as nf_tables holds them: properties and elements in bytes."""

from __future__ import annotations

import sys
from typing import Any

from .. import uapi
from ..datatypes.base import Text
from ..selectors.base import Concatenation, Selector
from .typeof import KEY, VALUE, typeof_userdata

#: nft's number of the verdict type in NFTA_SET_DATA_TYPE (NFT_DATA_VERDICT of nf_tables.h)
VERDICT_TYPE = uapi.NFT_DATA_VERDICT

# user data of sets (libnftnl/udata.h); a byte order's value 1 is host, 2 big endian
_KEYBYTEORDER = 0  # NFTNL_UDATA_SET_KEYBYTEORDER
_DATABYTEORDER = 1  # NFTNL_UDATA_SET_DATABYTEORDER
_MERGE_ELEMENTS = 2  # NFTNL_UDATA_SET_MERGE_ELEMENTS
_DATA_INTERVAL = 6  # NFTNL_UDATA_SET_DATA_INTERVAL
_COMMENT = 7  # NFTNL_UDATA_SET_COMMENT


class SetContent:
    """A set's properties and elements, wire-ready.

    ``elements`` are element payloads (the payloads of NFTA_LIST_ELEM), in the order
    to send; ``key_length`` and ``data_length`` are bytes; ``timeout`` and ``gc_interval``
    milliseconds; ``expressions`` payloads of NFTA_LIST_ELEM that every element
    carries. ``set_id`` names it within one rule (or one table) until the
    transaction gives it a number of its own.
    """

    __slots__ = (
        "auto_merge",
        "comment",
        "data",
        "data_interval",
        "data_length",
        "data_type",
        "elements",
        "expressions",
        "flags",
        "gc_interval",
        "key",
        "key_length",
        "key_type",
        "name",
        "object_type",
        "policy",
        "set_id",
        "size",
        "timeout",
    )

    def __init__(self, name: str, set_id: int, key: Selector, flags: int = 0) -> None:
        self.name = name
        self.set_id = set_id
        self.key = key
        self.flags = flags
        self.key_type = key.datatype.number
        self.key_length = key.units * 4 if isinstance(key, Concatenation) else key.width // 8
        self.data: Selector | None = None
        self.data_type: int | None = None
        self.data_length = 0
        self.data_interval = False
        self.object_type: int | None = None
        self.elements: list[bytes] = []
        self.expressions: list[bytes] = []
        self.timeout = 0
        self.gc_interval = 0
        self.size = 0
        self.policy: int | None = None
        self.auto_merge = False
        self.comment = ""

    @property
    def interval(self) -> bool:
        """Whether keys are compared as intervals."""
        return bool(self.flags & uapi.NFT_SET_INTERVAL)

    @property
    def fields(self) -> list[int]:
        """The byte lengths of a concatenation's parts, which the kernel takes for intervals only."""
        if isinstance(self.key, Concatenation) and self.interval:
            return [part.width // 8 for part in self.key.parts]
        return []

    def map_to(self, target: Selector | str, object_type: int | None = None) -> None:
        """Make it a map: to values of a selector's type, to "verdict", or to "object"."""
        if target == "object":
            self.flags |= uapi.NFT_SET_OBJECT
            self.object_type = object_type
            return
        self.flags |= uapi.NFT_SET_MAP
        if target == "verdict":
            self.data_type = VERDICT_TYPE
            return
        if not isinstance(target, Selector):
            raise TypeError("neither a selector nor a kind of map: %r" % target)
        self.data = target
        self.data_type = target.datatype.number
        self.data_length = target.units * 4 if isinstance(target, Concatenation) else target.width // 8

    def widen_data(self) -> None:
        """Let the map's values be ranges: each holds both its ends."""
        if not self.data_interval:
            self.data_interval = True
            self.data_length *= 2

    def userdata(self) -> bytes:
        """What nft needs for listing the set: byte orders, merging, the comment."""
        parts = [_number(_KEYBYTEORDER, _byteorder(self.key))]
        if self.flags & uapi.NFT_SET_MAP:
            parts.append(_number(_DATABYTEORDER, _byteorder(self.data) if self.data else 0))
        if self.auto_merge:
            parts.append(_number(_MERGE_ELEMENTS, 1))
        named = not self.flags & uapi.NFT_SET_ANONYMOUS
        for kind, selector in ((KEY, self.key), (VALUE, self.data)):
            if selector is not None and (named or _of_unknown_size(selector)):
                parts.append(_described(kind, typeof_userdata(selector)))
        if self.flags & (uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT):
            parts.append(_number(_DATA_INTERVAL, int(self.data_interval)))
        if self.comment:
            text = self.comment.encode("utf-8", "surrogateescape") + b"\0"
            parts.append(bytes((_COMMENT, len(text))) + text)
        return b"".join(parts)

    def identity(self) -> tuple[Any, ...]:
        """What makes two anonymous sets the same set: everything but their names."""
        return (
            self.flags,
            self.key_length,
            self.data_type,
            self.object_type,
            tuple(sorted(self.elements)),
        )


def _byteorder(selector: Selector) -> int:
    """A byte order as nft notes it. Texts are in host order to it: it lists them empty if told otherwise."""
    if isinstance(selector, Concatenation):
        return 0
    if isinstance(selector.datatype, Text):
        return 1
    return 2 if selector.byteorder == "big" else 1


def _of_unknown_size(selector: Selector) -> bool:
    """Whether nft could not take a key apart by its type: listing the ruleset would crash it."""
    return isinstance(selector, Concatenation) and any(not part.datatype.bits for part in selector.parts)


def _described(kind: int, data: bytes) -> bytes:
    """A description, where there is one that fits one user data field."""
    return bytes((kind, len(data))) + data if 0 < len(data) < 256 else b""


def _number(kind: int, value: int) -> bytes:
    return bytes((kind, 4)) + value.to_bytes(4, sys.byteorder)
