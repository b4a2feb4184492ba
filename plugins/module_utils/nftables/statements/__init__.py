# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""libnftables JSON statements compiled to kernel expressions: the table of statements.

``compile_rule`` is the way in. ``STATEMENTS`` maps each statement's JSON name to
the function that appends its steps to a context.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from ...errors import DocumentError, nearest
from ..expressions import Expression
from ..selectors.program import Program
from ..sets import SetContent
from ..stateful import STATEFUL
from ..verdicts import PLAIN, TO_CHAIN
from . import actions, dynamic, inline, mangle, match, nat, raw, stateful, verdicts
from .context import Context
from .merge import merge_payloads


def _verdict(name: str) -> Callable[[Any, Context], None]:
    return lambda value, context: verdicts.compile_verdict(name, value, context)


def _lead(name: str) -> Callable[[Any, Context], None]:
    def compile_lead(value: Any, context: Context) -> None:
        if isinstance(value, dict) and set(value) == {"rules"}:
            inline.compile_inline(name, value["rules"], context)
        else:
            verdicts.compile_verdict(name, value, context)

    return compile_lead


def _nat(kind: str) -> Callable[[Any, Context], None]:
    return lambda value, context: nat.compile_nat(kind, value, context)


STATEMENTS: dict[str, Callable[[Any, Context], None]] = {
    "match": match.compile_match,
    **{name: _verdict(name) for name in PLAIN},
    **{name: _lead(name) for name in TO_CHAIN},
    "vmap": verdicts.compile_vmap,
    "mangle": mangle.compile_mangle,
    "tos": mangle.compile_tos,
    **{name: stateful.stateful(name) for name in STATEFUL},
    **{
        name: stateful.named_only(name)
        for name in ("ct helper", "ct timeout", "ct expectation", "secmark", "tunnel")
    },
    "log": actions.compile_log,
    "reject": actions.compile_reject,
    "dup": actions.compile_dup,
    "fwd": actions.compile_fwd,
    "tproxy": actions.compile_tproxy,
    "synproxy": actions.compile_synproxy,
    "queue": actions.compile_queue,
    "notrack": actions.compile_notrack,
    "flow": actions.compile_flow,
    "reset": actions.compile_reset,
    "snat": _nat("snat"),
    "dnat": _nat("dnat"),
    "masquerade": nat.compile_masquerade,
    "redirect": nat.compile_redirect,
    "set": dynamic.compile_set,
    "meter": dynamic.compile_meter,
    "map": dynamic.compile_map,
    "raw": raw.compile_raw,
}


class CompiledStatements:
    """What one rule's statements come to: kernel expressions, and their sets and chains without names."""

    __slots__ = ("chains", "expressions", "sets")

    def __init__(
        self, expressions: list[Expression], sets: list[SetContent], chains: list[inline.InlineChain]
    ) -> None:
        self.expressions = expressions
        self.sets = sets
        self.chains = chains


def compile_rule(
    statements: list[dict[str, Any]],
    family: str,
    sets: Mapping[str, Any] | None = None,
    inner: bool = False,
) -> CompiledStatements:
    """Compile a rule's JSON statements for a table of ``family``.

    ``sets`` are the table's declared sets by name; ``inner`` is a rule of an inline
    chain. Raises DocumentError whose place starts with the statement's index:
    ``[2].match.right``.
    """
    context = Context(family, sets, inner)
    for index, statement in enumerate(statements):
        try:
            compile_statement(statement, context)
        except DocumentError as error:
            raise error.at("[%d]" % index) from None
    program = Program()
    for step in merge_payloads(context.steps):
        step.emit(program)
        program.release_all()
    return CompiledStatements(program.expressions, context.anonymous, context.inline)


def compile_statement(statement: Any, context: Context) -> None:
    """Append the steps of one statement."""
    if not isinstance(statement, dict) or len(statement) != 1:
        raise DocumentError(
            "not a statement", found=statement, allowed="a mapping with one key, the statement's name"
        )
    ((name, value),) = statement.items()
    compiler = STATEMENTS.get(name)
    if compiler is None:
        raise DocumentError(
            "unknown statement",
            found=name,
            allowed=", ".join(STATEMENTS),
            cure=nearest(str(name), STATEMENTS),
        )
    try:
        compiler(value, context)
    except DocumentError as error:
        raise error.at(name) from None
