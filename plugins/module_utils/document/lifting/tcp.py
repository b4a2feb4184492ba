# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``tcp_flags`` and ``syn``."""

from __future__ import annotations

from typing import Any

from .draft import Draft, Lifter, Masked, NotFlat, Selector, words_of

_FIRST_OF_A_CONNECTION = ["fin", "syn", "rst", "ack"]


def _flags(draft: Draft, op: str, right: Any) -> None:
    if op in ("==", "!="):
        value = "%s%s / all" % ("!" if op == "!=" else "", _names(right))
    else:
        value = words_of(op, right)
    _put(draft, "tcp_flags", value)


def _masked(draft: Draft, op: str, right: Any, mask: Any) -> None:
    if op not in ("==", "!="):
        raise NotFlat(op)
    if right == "syn" and mask == _FIRST_OF_A_CONNECTION:
        _put(draft, "syn", op == "==")
        return
    _put(draft, "tcp_flags", "%s%s / %s" % ("!" if op == "!=" else "", _names(right), _names(mask)))


def _names(flags: Any) -> str:
    words = flags if isinstance(flags, list) else [flags]
    if words == [0]:
        return "none"
    if not all(isinstance(word, str) for word in words):
        raise NotFlat("flags")
    return ",".join(words)


def _put(draft: Draft, key: str, value: Any) -> None:
    if draft.rule.setdefault("protocol", "tcp") != "tcp":
        raise NotFlat("protocol")
    draft.put(key, value)


MATCHES: dict[Selector, Lifter] = {("payload", "tcp", "flags"): _flags}
MASKED: dict[Selector, Masked] = {("payload", "tcp", "flags"): _masked}
