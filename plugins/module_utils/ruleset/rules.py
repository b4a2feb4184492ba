# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's rules compiled, fast where rules differ only in their values.

Most rules of a large ruleset say the same with other addresses and ports. The
first of a kind is lowered and compiled in full and becomes a template: its
encoded expressions with the places where its values stand. The others are
packed into it. What a template cannot take goes the full way.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Callable, Optional

from ..document.declared import Declared
from ..document.flat import lower
from ..errors import DocumentError
from ..nftables.expressions import Slot, Trace, encode_list
from ..nftables.sets import SetContent
from ..nftables.statements import compile_rule
from ..nftables.traced import TracedNumber, TracedText
from .userdata import comment_userdata

_NO_SPANS: tuple[tuple[int, int], ...] = ()
_NO_OFFSETS: tuple[int, ...] = ()
_NO_SETS: tuple[SetContent, ...] = ()

#: of these letters an interface name is just a name; any other goes the full way
_PLAIN_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

#: of these a comment is one that nft can write; any other goes the full way
_PLAIN_COMMENT = frozenset(map(chr, range(0x20, 0x7F))) - {'"'}

#: (class of the value, its bytes in the register) for values that a template can take
Classified = Optional[tuple[Any, bytes]]


class DesiredRule:
    """One rule as it shall be.

    ``expressions`` is the payload of NFTA_RULE_EXPRESSIONS, ``state`` the spans in
    it that packets change, ``set_ids`` the offsets of the numbers (1, 2, …) that
    stand for ``sets``; ``index`` is the rule of the chain in the document, ``part``
    which of the rules that it stands for.
    """

    __slots__ = ("expressions", "index", "part", "set_ids", "sets", "state", "userdata")

    def __init__(
        self,
        expressions: bytes,
        userdata: bytes,
        index: int,
        part: int,
        state: tuple[tuple[int, int], ...],
        sets: tuple[SetContent, ...],
        set_ids: tuple[int, ...],
    ) -> None:
        self.expressions = expressions
        self.userdata = userdata
        self.index = index
        self.part = part
        self.state = state
        self.sets = sets
        self.set_ids = set_ids


class _Template:
    """Encoded expressions cut at the places of their values.

    ``pieces`` has the fixed bytes and, between them, ``order`` names the values:
    (index of the value, how many of its bytes).
    """

    __slots__ = ("order", "pieces", "state")

    def __init__(self, encoded: bytes, trace: Trace) -> None:
        self.state = tuple(trace.state)
        self.pieces: list[bytes] = []
        self.order: list[tuple[int, int]] = []
        start = 0
        for offset, slot in sorted(trace.slots):
            assert isinstance(slot.source, int)
            self.pieces.append(encoded[start:offset])
            self.order.append((slot.source, len(slot)))
            start = offset + len(slot)
        self.pieces.append(encoded[start:])

    def fill(self, values: list[bytes]) -> bytes:
        """The expressions with these values."""
        parts = []
        pieces = self.pieces
        for number, (source, length) in enumerate(self.order):
            parts.append(pieces[number])
            parts.append(values[source][:length])
        parts.append(pieces[-1])
        return b"".join(parts)


def _address(value: Any) -> Classified:
    if type(value) is not str:
        return None
    try:
        return 4, inet_pton(AF_INET, value)
    except (OSError, ValueError):
        pass
    text, slash, length = value.partition("/")
    try:
        if ":" in text:
            packed, family, bits = inet_pton(AF_INET6, text), 6, 128
        else:
            packed, family, bits = inet_pton(AF_INET, text), 4, 32
    except (OSError, ValueError):
        return None
    if not slash:
        return family, packed
    if not (length.isdecimal() and length.isascii()) or not 0 < int(length) < bits:
        return None
    size = int(length)
    if size % 8 == 0:
        return (family, size), packed[: size // 8]
    number = int.from_bytes(packed, "big") >> (bits - size) << (bits - size)
    return (family, size), number.to_bytes(bits // 8, "big")


def _port(value: Any) -> Classified:
    if type(value) is int and 0 <= value <= 0xFFFF:
        return "port", value.to_bytes(2, "big")
    return None


def _host_u32(value: Any) -> Classified:
    if type(value) is int and 0 <= value <= 0xFFFFFFFF:
        return "u32", value.to_bytes(4, sys.byteorder)
    return None


def _interface(value: Any) -> Classified:
    if type(value) is not str or not _PLAIN_NAME.issuperset(value) or value in (".", ".."):
        return None
    packed = value.encode("utf-8", "surrogateescape")
    if not 0 < len(packed) < 16:
        return None
    return "name", packed.ljust(16, b"\0")


_CLASSIFIERS: dict[str, Callable[[Any], Classified]] = {
    "saddr": _address,
    "daddr": _address,
    "sport": _port,
    "dport": _port,
    "mark": _host_u32,
    "ct_mark": _host_u32,
    "iifname": _interface,
    "oifname": _interface,
}


_COMMENT = object()


class RuleCompiler:
    """Compiles the rules of one table.

    ``sets`` are its sets compiled, ``addresses`` those of its host names, ``declared``
    what its rules may refer to by name.
    """

    def __init__(
        self,
        family: str,
        sets: Mapping[str, Any] | None = None,
        addresses: Mapping[str, list[str]] | None = None,
        declared: Declared | None = None,
    ) -> None:
        self._family = family
        self._sets = sets or {}
        self._addresses = addresses or {}
        self._declared = declared or Declared()
        self._templates: dict[tuple[Any, ...], _Template | None] = {}
        self._handlers: dict[tuple[str, ...], tuple[Any, ...]] = {}

    def compile(self, rule: Any, index: int) -> list[DesiredRule]:
        """The rules that one rule of the document stands for. Raises DocumentError."""
        shaped = _shape(rule, self._handlers) if type(rule) is dict else None
        if shaped is None:
            return self._compile_fully(rule, index)
        shape, values = shaped
        try:
            template = self._templates[shape]
        except KeyError:
            template = self._templates[shape] = self._template(rule)
        if template is None:
            return self._compile_fully(rule, index)
        comment = rule.get("comment")
        return [
            DesiredRule(
                template.fill(values),
                comment_userdata(comment) if comment is not None else b"",
                index,
                0,
                template.state,
                _NO_SETS,
                _NO_OFFSETS,
            )
        ]

    def statements(self, rule: Any) -> list[list[dict[str, Any]]]:
        """The JSON statements of the rules that one rule of the document stands for."""
        return lower(rule, self._family, self._addresses, self._declared)

    def _compile_fully(self, rule: Any, index: int) -> list[DesiredRule]:
        made = []
        comment = rule.get("comment") if isinstance(rule, dict) else None
        for part, statements in enumerate(self.statements(rule)):
            try:
                compiled = compile_rule(statements, self._family, self._sets)
            except DocumentError as error:
                raise self._blame(error, rule, statements) from None
            trace = Trace()
            encoded = encode_list(compiled.expressions, trace)
            made.append(
                DesiredRule(
                    encoded,
                    comment_userdata(comment) if comment is not None else b"",
                    index,
                    part,
                    tuple(trace.state),
                    tuple(compiled.sets),
                    tuple(trace.set_ids),
                )
            )
        return made

    def _blame(self, error: DocumentError, rule: Any, statements: list[dict[str, Any]]) -> DocumentError:
        """The compiler counts statements: of an ``expr`` rule they are the document's own."""
        if "expr" in rule:
            return error.at("expr")  # type: ignore[return-value]
        for problem in error.problems:
            if not problem.cure:
                problem.cure = "the rule says %s" % statements
            problem.place = ""
        return error

    def _template(self, rule: dict[str, Any]) -> _Template | None:
        """A template of the rule's shape; None where it brings sets or becomes several rules."""
        marked = {}
        count = 0
        for key, value in rule.items():
            if key == "comment":
                continue
            classify = _CLASSIFIERS.get(key)
            if classify is not None and classify(value) is not None:
                marked[key] = (
                    TracedText.of(value, count) if isinstance(value, str) else TracedNumber.of(value, count)
                )
                count += 1
            else:
                marked[key] = value
        try:
            rows = self.statements(marked)
            if len(rows) != 1:
                return None
            compiled = compile_rule(rows[0], self._family, self._sets)
        except DocumentError:
            return None
        trace = Trace()
        encoded = encode_list(compiled.expressions, trace)
        sources = sorted(slot.source for _, slot in trace.slots if isinstance(slot, Slot))  # type: ignore[type-var]
        if compiled.sets or sources != list(range(count)):
            return None
        return _Template(encoded, trace)


def _handler(key: str) -> Any:
    """How a key's value goes into a shape: a classifier, _COMMENT, or None for what a rule says literally."""
    return _COMMENT if key == "comment" else _CLASSIFIERS.get(key)


def _shape(
    rule: dict[str, Any], known: dict[tuple[str, ...], tuple[Any, ...]]
) -> tuple[tuple[Any, ...], list[bytes]] | None:
    """(what the rule says apart from its values, the values' bytes); None where it cannot be told apart.

    ``known`` remembers the handlers of the keys that rules have. Runs for every rule
    of a document, so it is written for speed.
    """
    names = tuple(rule)
    handlers = known.get(names)
    if handlers is None:
        handlers = known[names] = tuple(_handler(key) for key in names)
    shape: list[Any] = [names]
    values: list[bytes] = []
    for handler, value in zip(handlers, rule.values()):
        if handler is None:
            kind = type(value)
            if kind is str:
                shape.append(value)
            elif kind is bool or kind is int:
                shape.append((kind, value))
            elif kind is list and all(type(one) is str for one in value):
                shape.append((kind, *value))
            else:
                return None
        elif handler is _COMMENT:
            # what lower() has to look at, it shall see
            if type(value) is not str or len(value) > 127 or not _PLAIN_COMMENT.issuperset(value):
                return None
        else:
            classified = handler(value)
            if classified is not None:
                shape.append(classified[0])
                values.append(classified[1])
            elif type(value) is str:
                shape.append((str, value))
            elif type(value) is list and all(type(one) is str for one in value):
                shape.append((list, *value))
            else:
                return None
    return tuple(shape), values
