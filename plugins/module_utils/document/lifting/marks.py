# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``mark`` and ``ct_mark``."""

from __future__ import annotations

from typing import Any

from .draft import Draft, Lifter, Masked, NotFlat, Selector, under


def _masked(key: str) -> Masked:
    def lift(draft: Draft, op: str, right: Any, mask: Any) -> None:
        if op not in ("==", "!=") or not (
            isinstance(right, int)
            and not isinstance(right, bool)
            and isinstance(mask, int)
            and not isinstance(mask, bool)
        ):
            raise NotFlat(op)
        draft.put(key, "%s0x%x/0x%x" % ("!" if op == "!=" else "", right, mask))

    return lift


MATCHES: dict[Selector, Lifter] = {("meta", "mark"): under("mark"), ("ct", "mark"): under("ct_mark")}
MASKED: dict[Selector, Masked] = {("meta", "mark"): _masked("mark"), ("ct", "mark"): _masked("ct_mark")}
