# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``fib``."""

from __future__ import annotations

from typing import Any

from .draft import Draft, NotFlat, plain


def fib(draft: Draft, op: str, left: Any, right: Any) -> None:
    """A match of what the routing table says, as nft prints it. Raises NotFlat."""
    if op not in ("==", "!="):
        raise NotFlat(op)
    if isinstance(right, bool):
        answer = "exists" if right else "missing"
    elif isinstance(right, dict):
        answer = "{ %s }" % ", ".join(str(plain(one)) for one in right["set"])
    else:
        answer = str(plain(right))
    words = [" . ".join(left["flags"]), left["result"], *(["!="] if op == "!=" else []), answer]
    draft.put("fib", " ".join(words))
