# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One rule read back: its expressions in order, what the registers hold, the statements so far."""

from __future__ import annotations

from typing import Any, Callable

from .. import uapi
from ..expressions import Expression
from ..selectors.program import register_index
from . import actions, mangle, matches
from .loads import LOADS
from .naming import Value
from .nodes import Joined, Looked, Node
from .protocols import Protocols, Statement
from .sets import SetView, decode_elements

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


class Decoder:
    """The state between two expressions of a rule."""

    def __init__(self, family: str, sets: Callable[[str], SetView | None], written_out: bool = False) -> None:
        self.family = family
        self.protocols = Protocols(family, written_out)
        self.statements: list[Statement] = []
        self._sets = sets
        self._registers: dict[int, Node] = {}
        #: registers that the statement at work has loaded
        self._fresh: set[int] = set()
        self._expressions: list[Expression] = []
        self._at = 0

    def run(self, expressions: list[Expression]) -> list[dict[str, Any]]:
        """The rule's statements."""
        self._expressions = expressions
        while self._at < len(expressions):
            expression = expressions[self._at]
            self._at += 1
            done = len(self.statements)
            try:
                self._step(expression)
            except (LookupError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
                del self.statements[done:]
                self._unknown(expression)
        return [one.body for one in self.statements if not one.dropped]

    def _step(self, expression: Expression) -> None:
        load = LOADS.get(expression.name)
        register = getattr(expression, "dreg", None)
        if load is not None and register is not None and register != uapi.NFT_REG_VERDICT:
            self.write(register, load(expression, self))
            return
        _ACTIONS[expression.name](expression, self)

    def _unknown(self, expression: Expression) -> None:
        """What has no statement is shown as it is, and may have written any register."""
        self._registers.clear()
        self.act({"unknown": {"expression": expression.name, "bytes": expression.encode().hex()}})

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
        index = register_index(number)
        if isinstance(node, Looked) and isinstance(node.key, Joined):
            for one in range(index, index + (node.key.bits + 31) // 32):
                self._registers.pop(one, None)
        self._registers[index] = node
        self._fresh.add(index)

    def read(self, number: int) -> Node:
        """What a register holds; LookupError where nothing was put there."""
        return self._registers[register_index(number)]

    def key(self, number: int, length: int | None, joined: bool = False, stop: int | None = None) -> Node:
        """A register, or (``joined``) as many as fill ``length`` bytes, side by side.

        Where the length is not known, those that this statement has loaded, up to
        the register ``stop``.
        """
        index = register_index(number)
        first = self._registers[index]
        end = 16 if stop is None else register_index(stop)
        if length is not None and (not joined and length * 8 <= first.bits or first.bits >= length * 8):
            return first
        if not first.bits or (length is None and not joined):
            return first
        parts = [first]
        at = index + (first.bits + 31) // 32
        while at < end if length is None else (at - index) * 4 < length:
            if length is None and at not in self._fresh:
                break
            node = self._registers[at]
            if not node.bits:
                break
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
) -> list[dict[str, Any]]:
    """A rule's libnftables-JSON statements, as ``nft -j list ruleset`` has them.

    ``family`` is the table's; ``sets`` gives the view of a set by name, needed for
    anonymous ones (None, or a set that is not anonymous, is shown as ``@name``).
    With ``written_out`` the matches stay that later ones imply, so that two rules
    that differ only there differ in what is shown.

    Never raises: an iptables extension is ``{"xt": {"type": …, "name": …}}``, an
    expression that has no statement ``{"unknown": {"expression": name, "bytes": hex}}``.
    """
    return Decoder(family, sets, written_out).run(expressions)
