# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``limit``, ``quota``, ``ct_count`` and ``counter``, and what else elements of sets carry."""

from __future__ import annotations

from typing import Any

from ..flat.limits import PACKET_BURST
from .draft import Action, Draft, NotFlat
from .selections import lookup_of


def rate_text(value: dict[str, Any]) -> str:
    """A limit's properties as a person writes them: ``over 10/minute burst 20 packets``."""
    over = "over " if value.get("inv") else ""
    unit = value.get("rate_unit")
    text = "%s%d%s/%s" % (over, value["rate"], " " + unit if unit else "", value["per"])
    burst = value["burst"]
    if unit and burst:
        text += " burst %d %s" % (burst, value["burst_unit"])
    elif not unit and burst != PACKET_BURST:
        text += " burst %d packets" % burst
    return text


def _limit(draft: Draft, value: Any) -> None:
    draft.put("limit", "@" + value if isinstance(value, str) else rate_text(value))


def _quota(draft: Draft, value: Any) -> None:
    if isinstance(value, str):
        draft.put("quota", value)
        return
    text = "%s%d %s" % ("over " if value.get("inv") else "", value["val"], value["val_unit"])
    if "used" in value:
        text += " used %d %s" % (value["used"], value["used_unit"])
    draft.put("quota", text)


def _ct_count(draft: Draft, value: Any) -> None:
    draft.put("ct_count", "over %d" % value["val"] if value.get("inv") else value["val"])


def _counter(draft: Draft, value: Any) -> None:
    if isinstance(value, str):
        draft.put("counter", value)
    elif value is None or value == {"packets": 0, "bytes": 0}:
        draft.put("counter", True)
    elif "map" in value:
        draft.put("counter", {"map": lookup_of(draft, value["map"])})
    elif set(value) == {"packets", "bytes"}:
        draft.put("counter", dict(value))
    else:
        raise NotFlat("counter")


def _last(draft: Draft, value: Any) -> None:
    draft.put("last", {"used": "%dms" % value["used"]} if value else True)


ACTIONS: dict[str, Action] = {
    "limit": _limit,
    "quota": _quota,
    "ct count": _ct_count,
    "counter": _counter,
}

CARRIED: dict[str, Action] = {**ACTIONS, "last": _last}
"""The same with what is a key of sets, elements and updates alone."""
