# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an element says beside its key: value, timeout, comment and what it counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..netlink.attributes import attribute, walk
from ..nftables import uapi
from ..nftables.expressions import decode_list
from .userdata import comment_of

Rest = tuple[tuple[int, bytes], ...]
"""An element's attributes but for its key and flags, in the kernel's order."""

_PLACE = (
    uapi.NFTA_SET_ELEM_KEY,
    uapi.NFTA_SET_ELEM_KEY_END,
    uapi.NFTA_SET_ELEM_FLAGS,
    uapi.NFTA_SET_ELEM_PAD,
)
_VALUES = (uapi.NFTA_SET_ELEM_DATA, uapi.NFTA_SET_ELEM_OBJREF)
_OPEN = 1  # NFTNL_UDATA_SET_ELEM_FLAGS of libnftnl: tells where an interval ends, which its points do


def rest_of(payload: bytes) -> Rest:
    """The rest of an element's payload; nft's mark of an open interval is none of it."""
    found = []
    for kind, data in walk(payload):
        if kind == uapi.NFTA_SET_ELEM_USERDATA:
            data = _without_mark(data)
            if not data:
                continue
        if kind not in _PLACE:
            found.append((kind, data))
    return tuple(found)


def _without_mark(userdata: bytes) -> bytes:
    kept = b""
    start = 0
    while start + 2 <= len(userdata):
        stop = start + 2 + userdata[start + 1]
        if userdata[start] != _OPEN:
            kept += userdata[start:stop]
        start = stop
    return kept


def value_of(rest: Rest) -> Rest:
    """What a map's element maps to; of a set's nothing."""
    return tuple(one for one in rest if one[0] in _VALUES)


def is_timed(rest: Rest) -> bool:
    """Whether the element's time runs."""
    return any(kind == uapi.NFTA_SET_ELEM_EXPIRATION for kind, _unused in rest)


def says_how_long(rest: Rest) -> bool:
    """Whether the element has a timeout of its own."""
    return any(kind == uapi.NFTA_SET_ELEM_TIMEOUT for kind, _unused in rest)


def outlasts(given: Rest, held: Rest, default_timeout: int) -> bool:
    """Whether an element has more time than the other; ``default_timeout`` as of :func:`differs`."""
    times = [_timeout(dict(rest), default_timeout) for rest in (given, held)]
    return times[1] != 0 and (times[0] == 0 or times[0] > times[1])


def differs(held: Rest, given: Rest, default_timeout: int) -> bool:
    """Whether an element in the kernel is not as given. What is not given is not compared.

    ``default_timeout`` is the set's, in milliseconds: the kernel does not tell it of
    elements that have it. No time at all is that of an element that stays.
    """
    if value_of(held) != value_of(given):
        return True
    old, new = dict(held), dict(given)
    if uapi.NFTA_SET_ELEM_TIMEOUT in new and _timeout(old, default_timeout) != _timeout(new, 0):
        return True
    comment = _comment(new)
    if comment is not None and comment != _comment(old):
        return True
    counted = _counted(new)
    return bool(counted) and counted != _counted(old)


def combined(held: Rest, given: Rest) -> Rest:
    """An element in the kernel with what is given for it; its time begins anew, and so do its counts."""
    kept = {
        kind: data
        for kind, data in held
        if kind
        in (
            *_VALUES,
            uapi.NFTA_SET_ELEM_TIMEOUT,
            uapi.NFTA_SET_ELEM_USERDATA,
            uapi.NFTA_SET_ELEM_EXPR,
            uapi.NFTA_SET_ELEM_EXPRESSIONS,
        )
    }
    new = dict(given)
    if new.keys() & {uapi.NFTA_SET_ELEM_EXPR, uapi.NFTA_SET_ELEM_EXPRESSIONS}:
        kept.pop(uapi.NFTA_SET_ELEM_EXPR, None)
        kept.pop(uapi.NFTA_SET_ELEM_EXPRESSIONS, None)
    kept.update(new)
    return tuple(sorted(kept.items()))


def packed(rest: Rest) -> bytes:
    """The attributes as bytes."""
    return b"".join(attribute(kind, data) for kind, data in rest)


def _timeout(found: Mapping[int, bytes], default: int) -> int:
    data = found.get(uapi.NFTA_SET_ELEM_TIMEOUT)
    return default if data is None else int.from_bytes(data, "big")


def _comment(found: Mapping[int, bytes]) -> str | None:
    data = found.get(uapi.NFTA_SET_ELEM_USERDATA)
    return None if data is None else comment_of(data)


def _counted(found: Mapping[int, bytes]) -> list[Any]:
    """What an element counts, as if it had counted nothing."""
    from . import canonical

    listed = found.get(uapi.NFTA_SET_ELEM_EXPRESSIONS, b"")
    if uapi.NFTA_SET_ELEM_EXPR in found:
        listed = attribute(uapi.NFTA_LIST_ELEM, found[uapi.NFTA_SET_ELEM_EXPR])
    return [canonical.zeroed(one) for one in decode_list(listed)]
