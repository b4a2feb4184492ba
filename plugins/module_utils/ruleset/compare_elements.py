# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which elements of a set come and go, as payloads: all that a set holds against all that it shall hold.

What the payloads say is looked at only where bytes differ. Whatever is sent leads to
the wanted payloads and no others.
"""

from __future__ import annotations

import sys

from ..netlink.attributes import attribute, walk
from ..nftables import uapi
from ..nftables.sets.keys import END, KEY_HEAD
from .pairs import Pairs, ascending, flat, is_end, only_keys
from .steps import SetPlan

_TRANSIENT = (
    uapi.NFTA_SET_ELEM_EXPIRATION,
    uapi.NFTA_SET_ELEM_EXPR,
    uapi.NFTA_SET_ELEM_EXPRESSIONS,
    uapi.NFTA_SET_ELEM_PAD,
)

_LASTING_SIZE = 16  # no room for a key and an expiration, which takes 12 bytes
_BLOCK = 1024


def plan_elements(plan: SetPlan, held: list[bytes], wanted: list[bytes], interval: bool) -> None:
    """Fill in which elements come and go.

    ``held`` and ``wanted`` are element payloads; ``interval`` sets hold points, which
    come and go in pairs. An element's remaining time and counters are its own.
    """
    if interval:
        if not _without_interval(held, wanted):
            _plan_points(plan, *_without_common_ends(ascending(held), ascending(wanted)))
    else:
        gone, come = _differing(held, wanted)
        if gone and come and not (only_keys(gone) and only_keys(come)):
            leaving = {lasting(payload): payload for payload in gone}
            arriving = {lasting(payload): payload for payload in come}
            gone = [payload for key, payload in leaving.items() if key not in arriving]
            come = [payload for key, payload in arriving.items() if key not in leaving]
        plan.remove, plan.add = gone, come
    plan.emptied = len(plan.remove) == len(held)


def plan_bare(plan: SetPlan, held: list[bytes], wanted: list[bytes], interval: bool) -> bool:
    """Do what ``plan_elements`` does if no element says anything beside its key; whether that is so."""
    if interval:
        old, new = Pairs.of(held), Pairs.of(wanted)
        if old is None or new is None or not old.bare or not new.bare:
            return False
        if not _without_interval(held, wanted):
            _plan_pairs(plan, old, new)
    else:
        if not only_keys(held) or not only_keys(wanted):
            return False
        plan.remove, plan.add = _differing(held, wanted)
    plan.emptied = len(plan.remove) == len(held)
    return True


def _differing(held: list[bytes], wanted: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The payloads that the other list has not."""
    new = set(wanted)
    gone = [payload for payload in held if payload not in new]
    if len(gone) == len(held):
        return gone, wanted
    old = set(held)
    return gone, [payload for payload in wanted if payload not in old]


def _without_interval(held: list[bytes], wanted: list[bytes]) -> bool:
    """Whether there is no interval on either side: the kernel keeps the end at zero of an emptied set."""
    return not wanted and all(map(is_end, held))


def _without_common_ends(held: list[bytes], wanted: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Points in order without those that both lists begin and end with, in whole intervals."""
    first = _alike(held, wanted)
    while first and not is_end(wanted[first - 1]):
        first -= 1
    held, wanted = held[first:], wanted[first:]
    last = _alike(held[::-1], wanted[::-1])
    while last and is_end(wanted[-last]):
        last -= 1
    return (held[:-last], wanted[:-last]) if last else (held, wanted)


def _alike(one: list[bytes], other: list[bytes]) -> int:
    """How many items at the beginning of two lists are the same."""
    size = min(len(one), len(other))
    done = 0
    while done < size and one[done : done + _BLOCK] == other[done : done + _BLOCK]:
        done += _BLOCK
    while done < size and one[done] == other[done]:
        done += 1
    return min(done, size)


def _plan_points(plan: SetPlan, held: list[bytes], wanted: list[bytes]) -> None:
    old, new = Pairs.of(held), Pairs.of(wanted)
    if old is not None and new is not None:
        _plan_pairs(plan, old, new)
        return
    gone, come = segments(held), segments(wanted)
    plan.remove = [point for key, points in gone.items() if key not in come for point in points]
    plan.add = [point for key, points in come.items() if key not in gone for point in points]


def _plan_pairs(plan: SetPlan, old: Pairs, new: Pairs) -> None:
    bare = old.bare and new.bare
    after = new.by_start()
    if bare and old.starts and after.keys().isdisjoint([*old.starts, old.last]):
        # the end at zero goes too, though it may come again: that is one message for all
        plan.remove, plan.add = old.points, new.points
        return
    before = old.by_start()
    leaving = [pair for pair in before.items() if after.get(pair[0]) != pair[1]]
    arriving = [pair for pair in after.items() if before.get(pair[0]) != pair[1]]
    if leaving and arriving and not bare:
        gone = {(lasting(start), end): (start, end) for start, end in leaving}
        come = {(lasting(start), end): (start, end) for start, end in arriving}
        leaving = [pair for key, pair in gone.items() if key not in come]
        arriving = [pair for key, pair in come.items() if key not in gone]
    plan.remove, plan.add = flat(leaving), flat(arriving)


def lasting(payload: bytes) -> bytes:
    """An element without what changes by itself."""
    if len(payload) <= _LASTING_SIZE:
        return payload
    attributes = walk(payload)
    if not any(kind in _TRANSIENT for kind, _unused in attributes):
        return payload
    return b"".join(attribute(kind, data) for kind, data in attributes if kind not in _TRANSIENT)


def segments(elements: list[bytes]) -> dict[tuple[bytes, ...], list[bytes]]:
    """Points as intervals: each first point with the end behind it; catch-all and floor alone."""
    points: list[tuple[bytes, bool, bytes]] = []
    found: dict[tuple[bytes, ...], list[bytes]] = {}
    head = elements[0][:KEY_HEAD] if elements else b""
    plain = (int.from_bytes(head[:2], sys.byteorder) + 3) & ~3 if len(head) == KEY_HEAD else 0
    for payload in elements:
        # nearly all points are a key alone, or a key with the end flag behind it
        size = len(payload)
        if payload[:KEY_HEAD] == head and (
            size == plain or (size == plain + len(END) and payload.endswith(END))
        ):
            points.append((payload[KEY_HEAD:plain], size == plain, payload))
            continue
        attributes = dict(walk(payload))
        flags = int.from_bytes(attributes.get(uapi.NFTA_SET_ELEM_FLAGS, b""), "big")
        key = attributes.get(uapi.NFTA_SET_ELEM_KEY)
        if key is None:
            found[(lasting(payload),)] = [payload]
        else:
            padded = key[4:] + b"\0" * (-len(key) % 4)
            points.append((padded, not flags & uapi.NFT_SET_ELEM_INTERVAL_END, payload))
    # at one key the end of one interval comes before the start of the next
    points.sort()
    start: bytes | None = None
    for _unused, begins, payload in points:
        if begins:
            if start is not None:
                found[(lasting(start),)] = [start]
            start = payload
        elif start is None:
            found[(lasting(payload),)] = [payload]
        else:
            found[(lasting(start), lasting(payload))] = [start, payload]
            start = None
    if start is not None:
        found[(lasting(start),)] = [start]
    return found
