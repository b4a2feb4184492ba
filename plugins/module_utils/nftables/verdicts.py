# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdicts as libnftables JSON writes them."""

from __future__ import annotations

from typing import Any

from ..errors import DocumentError
from .expressions import Verdict

PLAIN = ("accept", "drop", "continue", "return")
TO_CHAIN = ("jump", "goto")


def verdict_of(value: Any) -> Verdict:
    """The verdict that ``{"accept": null}``, ``{"jump": {"target": "chain"}}`` and the like stand for."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, inner),) = value.items()
        if name in PLAIN:
            return Verdict(name)
        if name in TO_CHAIN:
            target = inner.get("target") if isinstance(inner, dict) else None
            if not isinstance(target, str) or not target:
                raise DocumentError("no target chain", place=name, found=inner, allowed='{"target": "chain"}')
            return Verdict(name, target)
    raise DocumentError("not a verdict", found=value, allowed=", ".join(PLAIN + TO_CHAIN))
