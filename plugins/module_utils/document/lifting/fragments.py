# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``fragment``."""

from __future__ import annotations

from typing import Any

from ..flat.fragments import OFFSET_MASK
from .draft import Draft, Lifter, Masked, NotFlat, Selector


def _ipv4(draft: Draft, op: str, right: Any, mask: Any) -> None:
    if mask != OFFSET_MASK or right != 0 or op not in ("==", "!="):
        raise NotFlat("frag-off")
    draft.put("fragment", op == "!=")
    draft.about("ip", False)


def _ipv6(draft: Draft, op: str, right: Any) -> None:
    if right != 0 or op != "!=":
        raise NotFlat("frag-off")
    draft.put("fragment", True)
    draft.about("ip6", False)


MATCHES: dict[Selector, Lifter] = {("exthdr", "frag", "frag-off"): _ipv6}
MASKED: dict[Selector, Masked] = {("payload", "ip", "frag-off"): _ipv4}
