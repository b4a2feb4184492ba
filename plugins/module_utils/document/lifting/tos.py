# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``dscp``, ``ecn`` and ``tos``."""

from __future__ import annotations

from typing import Any

from ..flat.tos import CLASSES
from .draft import Action, Draft, Lifter, NotFlat, Selector, written

_NAMES = {masks: name for name, masks in CLASSES.items()}


def _field(key: str, network: str) -> Lifter:
    def lift(draft: Draft, op: str, right: Any) -> None:
        draft.put(key, written(op, right))
        draft.about(network, False)

    return lift


MATCHES: dict[Selector, Lifter] = {
    ("payload", network, name): _field(name, network) for network in ("ip", "ip6") for name in ("dscp", "ecn")
}


def _tos(draft: Draft, value: Any) -> None:
    if not isinstance(value, dict) or set(value) != {"and", "xor"}:
        raise NotFlat("tos")
    masks = value["and"], value["xor"]
    draft.put("tos", _NAMES.get(masks, {"and": masks[0], "xor": masks[1]}))


ACTIONS: dict[str, Action] = {"tos": _tos}
