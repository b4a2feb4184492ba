# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``raw``: a rule as the kernel's own bytes, for what has no statement.

Nobody writes it by hand. It is how a captured rule with an expression that only
its maker understands (an iptables extension) comes back bit for bit, with the sets
without a name that it looks into.
"""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ..expressions import Expression, Trace, decode_list
from ..parameters import base64_bytes, base64_text, checked
from ..sets.verbatim import VerbatimSet
from .context import Context
from .stateful import Plain

SET_NAMES = ("__set", "__map", "__objmap")
"""What the names begin with that the kernel gives to sets without one, as nft asks it to."""

ALLOWED = "the base64 text that rempart capture writes"


class Verbatim(Expression):
    """Expressions as they were dumped, encoded already."""

    name = "raw"

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded

    def encode(self, trace: Trace | None = None, at: int = 0) -> bytes:
        """The bytes themselves."""
        return self.encoded


def compile_raw(value: Any, context: Context) -> None:
    """Append ``{"raw": {"expressions": text, "sets": {name: set}}}``.

    ``text`` is the base64 text of an NFTA_RULE_EXPRESSIONS payload, ``sets`` what ``verbatim.told_of``
    gave of the sets that it names and that have no name of their own.
    """
    mapping = checked(value, ("expressions", "sets"))
    text = mapping.get("expressions")
    if context.steps:
        raise DocumentError("a raw rule has no other statement")
    encoded = base64_bytes(text or "", "expressions")
    try:
        expressions = decode_list(encoded)
    except ValueError:
        expressions = []
    if not expressions:
        raise DocumentError("no expressions", place="expressions", found=text, allowed=ALLOWED)
    sets = mapping.get("sets", {})
    if not isinstance(sets, dict):
        raise DocumentError("not a mapping", "sets", sets, "what rempart capture writes")
    if not sets:
        context.steps.append(Plain(Verbatim(encoded)))
        return
    own = {name: _own_set(name, told, context) for name, told in sets.items()}
    for one in expressions:
        content = own.get(one.__dict__.get("set", ""))
        if content is not None:
            one.set, one.set_id = content.name, content.set_id
        context.steps.append(Plain(one))


def _own_set(name: Any, told: Any, context: Context) -> VerbatimSet:
    if not isinstance(name, str) or not name.startswith(SET_NAMES):
        raise DocumentError("no name of such a set", "sets.%s" % name, told, " or ".join(SET_NAMES))
    try:
        # the kernel puts a number where the %d is
        content = VerbatimSet(name.rstrip("0123456789") + "%d", len(context.anonymous) + 1, told)
    except DocumentError as error:
        raise error.at("sets.%s" % name) from None
    context.anonymous.append(content)
    return content


def raw_statement(encoded: bytes, sets: dict[str, Any] | None = None) -> dict[str, Any]:
    """The statement that stands for an NFTA_RULE_EXPRESSIONS payload and the rule's own sets."""
    body: dict[str, Any] = {"expressions": base64_text(encoded)}
    return {"raw": {**body, "sets": sets} if sets else body}
