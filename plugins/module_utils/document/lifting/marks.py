# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``mark`` and ``ct_mark``."""

from __future__ import annotations

from typing import Any

from .draft import Draft, Lifter, Masked, NotFlat, Selector, is_whole, under


def _masked(key: str) -> Masked:
    def lift(draft: Draft, op: str, right: Any, mask: Any) -> None:
        if op not in ("==", "!=") or not is_whole(right) or not is_whole(mask):
            raise NotFlat(op)
        draft.put(key, "%s0x%x/0x%x" % ("!" if op == "!=" else "", right, mask))

    return lift


MATCHES: dict[Selector, Lifter] = {("meta", "mark"): under("mark"), ("ct", "mark"): under("ct_mark")}
MASKED: dict[Selector, Masked] = {("meta", "mark"): _masked("mark"), ("ct", "mark"): _masked("ct_mark")}
