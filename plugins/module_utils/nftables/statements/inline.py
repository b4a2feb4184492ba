# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inline chains: ``jump { … }``, whose rules belong to the one rule that leads to them.

libnftables-json(5) has no form for them; here it is ``{"jump": {"rules": [{"expr": […]}]}}``,
its rules like the JSON objects of rules. As in nft, such a chain holds none of its own kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import DocumentError
from ..expressions import Verdict
from .context import Context
from .verdicts import VerdictStep

if TYPE_CHECKING:
    from . import CompiledStatements

ALLOWED = '{"rules": [{"expr": [statements], "comment": text}]}'


class InlineChain:
    """A chain without a name: the rules compiled, each with its comment (None for none).

    ``chain_id`` counts the chains of its rule from 1.
    """

    __slots__ = ("chain_id", "rules")

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id
        self.rules: list[tuple[CompiledStatements, str | None]] = []


def compile_inline(name: str, rules: Any, context: Context) -> None:
    """Append ``{name: {"rules": rules}}``."""
    from . import compile_rule

    if context.inner:
        raise DocumentError(
            "a chain without a name inside another",
            cure="give it a name: a chain of the table, and %s to it" % name,
        )
    if not isinstance(rules, list):
        raise DocumentError("no rules", "rules", rules, "a list of rules")
    chain = InlineChain(len(context.inline) + 1)
    for index, rule in enumerate(rules):
        place = "rules[%d]" % index
        if not isinstance(rule, dict) or not isinstance(rule.get("expr"), list) or not rule["expr"]:
            raise DocumentError("no rule of statements", place, rule, ALLOWED)
        unknown = [key for key in rule if key not in ("expr", "comment")]
        if unknown:
            raise DocumentError("unknown key", "%s.%s" % (place, unknown[0]), rule[unknown[0]], ALLOWED)
        try:
            compiled = compile_rule(rule["expr"], context.family, context.sets, inner=True)
        except DocumentError as error:
            raise error.at(place + ".expr") from None
        chain.rules.append((compiled, rule.get("comment")))
    context.inline.append(chain)
    context.steps.append(VerdictStep(Verdict(name, chain_id=chain.chain_id)))
