# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``lookup`` and ``vmap``."""

from __future__ import annotations

from typing import Any

from .draft import Action, Draft, NotFlat
from .elements import key_of
from .selections import lookup_of, selection_of


def lookup(draft: Draft, op: str, left: Any, right: Any) -> None:
    """A match of a concatenation with a set. Raises NotFlat."""
    lookup_by(draft, op, selection_of(draft, left), right)


def lookup_by(draft: Draft, op: str, key: Any, right: Any) -> None:
    """The same by the flat key, or the list of them. Raises NotFlat."""
    if op not in ("==", "!="):
        raise NotFlat(op)
    if isinstance(right, str):
        where: Any = "!" + right if op == "!=" else right
    else:
        items = [key_of(one) for one in right["set"]]
        where = {"not": items} if op == "!=" else items
    draft.put("lookup", {"key": key, "set": where})


def _vmap(draft: Draft, value: Any) -> None:
    draft.put("vmap", lookup_of(draft, value))


ACTIONS: dict[str, Action] = {"vmap": _vmap}
