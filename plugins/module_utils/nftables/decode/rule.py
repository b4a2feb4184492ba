# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One rule read back: its expressions in order, what the registers hold, the statements so far."""

from __future__ import annotations

from typing import Any, Callable, Optional

from .. import uapi
from ..expressions import Expression
from ..selectors.program import register_index
from . import actions, mangle, matches
from .loads import LOADS
from .nodes import Joined, Looked, Node, Value
from .protocols import Protocols, Statement
from .sets import SetView, decode_elements
from .stateful import unknown

_ACTIONS: dict[str, Callable[[Any, Any], None]] = {
    "cmp": matches.compare,
    "range": matches.compare_range,
    "lookup": matches.lookup,
    "meta": mangle.set_meta,
    "ct": mangle.set_ct,
    "exthdr": mangle.set_exthdr,
    "payload": mangle.set_payload,
    "immediate": actions.verdict,
    "counter": actions.stateful,
    "quota": actions.stateful,
    "limit": actions.stateful,
    "connlimit": actions.stateful,
    "last": actions.stateful,
    "log": actions.log,
    "reject": actions.reject,
    "notrack": actions.notrack,
    "flow_offload": actions.flow,
    "match": actions.compat,
    "target": actions.compat,
    "synproxy": actions.synproxy,
    "queue": actions.queue,
    "nat": actions.nat,
    "masq": actions.masquerade,
    "redir": actions.redirect,
    "tproxy": actions.tproxy,
    "dup": actions.dup,
    "fwd": actions.fwd,
    "objref": actions.objref,
    "dynset": actions.dynset,
}
"""Statements, by the kernel name of the expression that ends them."""

#: nodes that one value may be made of; no rule that a person writes comes near
_HEAVIEST = 100


InlineRules = Callable[[str], Optional[list[dict[str, Any]]]]
"""Gives an inline chain's rules by its name, as objects with ``expr`` and ``comment``; None for others."""


def no_inline_chains(name: str) -> None:
    """No chain is an inline one."""
    return None


class Decoder:
    """The state between two expressions of a rule."""

    def __init__(
        self,
        family: str,
        sets: Callable[[str], SetView | None],
        written_out: bool = False,
        chains: InlineRules = no_inline_chains,
    ) -> None:
        self.family = family
        self.inline = chains
        self.protocols = Protocols(family, written_out)
        self.statements: list[Statement] = []
        self._sets = sets
        self._registers: dict[int, Node] = {}
        #: registers that the statement at work has loaded
        self._fresh: set[int] = set()
        #: registers that nothing has used yet, with the expressions that made their values
        self._unused: dict[int, list[Expression]] = {}
        #: what the expression at work has used of these
        self._used: list[Expression] = []
        self._expressions: list[Expression] = []
        self._at = 0

    def run(self, expressions: list[Expression]) -> list[dict[str, Any]]:
        """The rule's statements."""
        self._expressions = expressions
        while self._at < len(expressions):
            expression = expressions[self._at]
            self._at += 1
            done = len(self.statements)
            unused = dict(self._unused)
            self._used = []
            self.protocols.begin()
            try:
                self._step(expression)
            except (LookupError, ValueError, TypeError, AttributeError, OverflowError):
                del self.statements[done:]
                self.protocols.restore()
                self._registers.clear()
                self._unused = unused
                self._show_unused()
                self._show_unknown(expression)
        self._show_unused()
        return [one.body for one in self.statements if not one.dropped]

    def _step(self, expression: Expression) -> None:
        load = LOADS.get(expression.name)
        register = getattr(expression, "dreg", None)
        if load is not None and register is not None and register != uapi.NFT_REG_VERDICT:
            self.write(register, load(expression, self))
            return
        _ACTIONS[expression.name](expression, self)

    def _show_unused(self) -> None:
        """A value that no statement uses still ends the rule where it cannot be had."""
        for made_by in self._unused.values():
            for expression in made_by:
                self._show_unknown(expression)
        self._unused = {}

    def _show_unknown(self, expression: Expression) -> None:
        self.act(unknown(expression))

    # -- expressions

    def following(self) -> Expression | None:
        """The expression after the one at work."""
        return self._expressions[self._at] if self._at < len(self._expressions) else None

    def skip(self) -> None:
        """The following expression is part of what was just decoded."""
        self._at += 1

    # -- statements

    def append(self, statement: Statement) -> None:
        """Append a match."""
        self.statements.append(statement)
        self._fresh.clear()

    def add(self, body: dict[str, Any]) -> Statement:
        """Append a match or a verdict map."""
        statement = Statement(body)
        self.append(statement)
        return statement

    def act(self, body: dict[str, Any]) -> None:
        """Append a statement that does something: no match before it may go from now on."""
        self.add(body)
        self.protocols.forget_guards()

    # -- registers

    def write(self, number: int, node: Node) -> None:
        """Put a node into a register."""
        if node.weight > _HEAVIEST:
            raise ValueError("a value made of too many others")
        index = register_index(number)
        if isinstance(node, Looked) and isinstance(node.key, Joined):
            for one in range(index, index + (node.key.bits + 31) // 32):
                self._registers.pop(one, None)
        for expression in self._unused.pop(index, ()):
            self._show_unknown(expression)
        self._registers[index] = node
        self._fresh.add(index)
        self._unused[index] = [*self._used, self._expressions[self._at - 1]]

    def read(self, number: int) -> Node:
        """What a register holds; LookupError where nothing was put there."""
        return self._use(register_index(number))

    def _use(self, index: int) -> Node:
        node = self._registers[index]
        self._used += self._unused.pop(index, ())
        return node

    def key(self, number: int, length: int | None, joined: bool = False, stop: int | None = None) -> Node:
        """A register, or (``joined``) as many as fill ``length`` bytes, side by side.

        Where the length is not known, those that this statement has loaded, up to
        the register ``stop``.
        """
        index = register_index(number)
        first = self._use(index)
        if not first.bits or not joined or (length is not None and first.bits >= length * 8):
            return first
        end = 16 if stop is None else register_index(stop)
        parts = [first]
        at = index + (first.bits + 31) // 32
        while at < end if length is None else (at - index) * 4 < length:
            if length is None and at not in self._fresh:
                break
            if not self._registers[at].bits:
                break
            node = self._use(at)
            parts.append(node)
            at += (node.bits + 31) // 32
        return Joined(parts) if len(parts) > 1 else first

    # -- sets

    def view(self, set_name: str) -> SetView | None:
        """The set of that name, where the caller knows it."""
        return self._sets(set_name)

    def set_json(self, set_name: str, key: Value, target: Value | None) -> Any:
        """A reference to a named set, or the elements of an anonymous one."""
        view = self.view(set_name)
        if view is None or not view.anonymous:
            return "@" + set_name
        return {"set": decode_elements(view, key, target)}


def decode_rule(
    expressions: list[Expression],
    family: str,
    sets: Callable[[str], SetView | None],
    written_out: bool = False,
    chains: InlineRules = no_inline_chains,
) -> list[dict[str, Any]]:
    """A rule's libnftables-JSON statements, as ``nft -j list ruleset`` has them.

    ``family`` is the table's; ``sets`` gives the view of a set by name, needed for
    anonymous ones (None, or a set that is not anonymous, is shown as ``@name``);
    ``chains`` gives the rules of an inline chain.
    With ``written_out`` the matches stay that later ones imply, so that two rules
    that differ only there differ in what is shown.

    Never raises: an iptables extension is ``{"xt": {"type": …, "name": …}}``, an
    expression that has no statement ``{"unknown": {"expression": name, "bytes": hex}}``.
    """
    return Decoder(family, sets, written_out, chains).run(expressions)
