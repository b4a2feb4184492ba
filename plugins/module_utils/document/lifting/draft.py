# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flat rule as it grows, and how values and selectors are read for it."""

from __future__ import annotations

from typing import Any, Callable, Optional, Union

Selector = tuple[str, ...]
Scalar = Union[str, int]


Lift = Callable[[list[Any], Optional[str]], dict[str, Any]]
"""Takes a rule's statements and comment, and makes a rule of a document."""


class NotFlat(Exception):
    """No flat key says this."""


class Draft:
    """A flat rule in the making.

    ``network``    what a key without addresses of its own is about, "ip" or "ip6"
    ``bound``      whether a key binds the rule to its network by its own value
    ``otherwise``  keys to try where those in ``rule`` turn out to say something else
    ``lift``       makes a rule of the statements and comment of one inside this one
    """

    __slots__ = ("bound", "family", "lift", "network", "otherwise", "rule")

    def __init__(self, family: str, lift: Lift | None = None) -> None:
        self.lift = lift
        self.family = family
        self.rule: dict[str, Any] = {}
        self.otherwise: dict[str, Any] = {}
        self.network = ""
        self.bound = False

    def put(self, key: str, value: Any) -> None:
        """Give the rule a key. Raises NotFlat where it has it already."""
        if key in self.rule:
            raise NotFlat(key)
        self.rule[key] = value

    def about(self, network: str, bound: bool) -> None:
        """Note the network that a key is about. Raises NotFlat for a second one."""
        if self.network not in ("", network):
            raise NotFlat(network)
        self.network = network
        self.bound = self.bound or bound


Lifter = Callable[[Draft, str, Any], None]
"""Takes the operator and the right side of a match, and puts a key. Raises NotFlat."""

Masked = Callable[[Draft, str, Any, Any], None]
"""The same for a match behind a mask, which comes last."""

Action = Callable[[Draft, Any], None]
"""Takes what stands under the name of a statement. Raises NotFlat."""


def selector_of(left: Any) -> Selector:
    """The left side of a match as a tuple of words. Raises NotFlat."""
    if isinstance(left, dict) and len(left) == 1:
        ((kind, body),) = left.items()
        if isinstance(body, dict):
            words = (kind, *body.values())
            if tuple(body) in _SHAPES and all(isinstance(word, str) for word in words):
                return words
    raise NotFlat("selector")


_SHAPES = (("key",), ("protocol", "field"), ("key", "dir"), ("name", "field"), ("name",))


def is_whole(value: Any) -> bool:
    """Whether it is a whole number, which neither True nor False is."""
    return isinstance(value, int) and not isinstance(value, bool)


def plain(value: Any) -> Scalar:
    """A text or a whole number. Raises NotFlat."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    raise NotFlat("value")


def item(value: Any) -> Scalar:
    """A scalar, a network or a range as a flat value writes it. Raises NotFlat."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, body),) = value.items()
        if kind == "range":
            return "%s-%s" % (plain(body[0]), plain(body[1]))
        if kind == "prefix":
            return "%s/%d" % (plain(body["addr"]), body["len"])
    return plain(value)


def written(op: str, right: Any) -> Any:
    """The right side of a match as a flat value: one, a list, or the negation of either. Raises NotFlat."""
    if op not in ("==", "!="):
        raise NotFlat(op)
    if isinstance(right, dict) and "set" in right:
        items = [item(one) for one in right["set"]]
        return {"not": items} if op == "!=" else items
    one = item(right)
    return "!%s" % one if op == "!=" else one


def words_of(op: str, right: Any) -> Any:
    """Flags of which any is set (``in``) or none (``!``). Raises NotFlat."""
    words = right if isinstance(right, list) else [right]
    if op not in ("in", "!") or not all(isinstance(word, str) for word in words):
        raise NotFlat(op)
    if op == "!":
        return {"not": words} if len(words) > 1 else "!%s" % words[0]
    return words if len(words) > 1 else words[0]


def under(key: str) -> Lifter:
    """A lifter that writes the value under ``key``."""

    def lift(draft: Draft, op: str, right: Any) -> None:
        draft.put(key, written(op, right))

    return lift


def named(key: str, network: str) -> Lifter:
    """The same for a header that only one network has."""

    def lift(draft: Draft, op: str, right: Any) -> None:
        draft.put(key, written(op, right))
        draft.about(network, True)

    return lift
