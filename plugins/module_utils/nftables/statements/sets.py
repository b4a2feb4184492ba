# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Anonymous sets and maps: those that a rule brings along."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .. import uapi
from ..selectors.base import Selector
from ..sets import SetContent, fill
from .context import Context

_ANONYMOUS = uapi.NFT_SET_ANONYMOUS | uapi.NFT_SET_CONSTANT


def anonymous_set(context: Context, selector: Selector, elements: Any) -> SetContent:
    """A new anonymous set of the rule with these JSON elements."""
    content = _start(context, "__set%d", selector)
    _fill(content, elements, merge=True)
    return content


def anonymous_map(
    context: Context, selector: Selector, pairs: Any, target: Selector | str, object_type: int | None = None
) -> SetContent:
    """A new anonymous map; ``target`` is the selector whose type its data has, "verdict" or "object"."""
    content = _start(context, "__objmap%d" if target == "object" else "__map%d", selector)
    content.map_to(target, object_type)
    _fill(content, pairs, merge=False)
    return content


def declared_set(context: Context, name: str) -> SetContent | None:
    """What the table declares under ``name``; None where the table is not known to."""
    return context.sets.get(name)


def _start(context: Context, name: str, selector: Selector) -> SetContent:
    content = SetContent(name, len(context.anonymous) + 1, selector, _ANONYMOUS)
    context.anonymous.append(content)
    return content


def _fill(content: SetContent, value: Any, merge: bool) -> None:
    items = value if isinstance(value, list) else [value]
    if not items:
        raise DocumentError("an empty set", found=value, allowed="one or more elements")
    try:
        fill(content, items, merge)
    except DocumentError as error:
        raise error.at("set") from None
