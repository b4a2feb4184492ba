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
from marshal import dumps
from operator import itemgetter
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Callable, Optional, cast

from ..document.declared import Declared
from ..document.flat import lower
from ..errors import DocumentError
from ..nftables.expressions import Slot, Trace, encode_list
from ..nftables.sets import Clash, SetContent
from ..nftables.statements import CompiledStatements, compile_rule
from ..nftables.traced import TracedNumber, TracedText
from .userdata import comment_userdata

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
    stand for ``sets``, ``chain_ids`` those for ``chains``, which are lists of rules;
    ``index`` is the rule of the chain in the document, ``part`` which of the rules
    that it stands for.
    """

    __slots__ = (
        "chain_ids",
        "chains",
        "expressions",
        "index",
        "part",
        "set_ids",
        "sets",
        "state",
        "userdata",
    )

    def __init__(
        self,
        expressions: bytes,
        userdata: bytes,
        index: int,
        part: int,
        state: tuple[tuple[int, int], ...],
        sets: tuple[SetContent, ...],
        set_ids: tuple[int, ...],
        chains: tuple[list[DesiredRule], ...] = (),
        chain_ids: tuple[int, ...] = (),
    ) -> None:
        self.chains = chains
        self.chain_ids = chain_ids
        self.expressions = expressions
        self.userdata = userdata
        self.index = index
        self.part = part
        self.state = state
        self.sets = sets
        self.set_ids = set_ids


class _Template:
    """Encoded expressions cut at the places of their values, with the sets that every such rule brings.

    ``parts`` has the fixed bytes with a place after each but the last; ``order`` names what
    stands there: (index of the value, how many of its bytes), None where the values stand as
    they are, one after the other.
    """

    __slots__ = ("order", "parts", "set_ids", "sets", "state")

    def __init__(self, encoded: bytes, trace: Trace, sets: list[SetContent], lengths: list[int]) -> None:
        self.state = tuple(trace.state)
        self.sets = tuple(sets)
        self.set_ids = tuple(trace.set_ids)
        self.parts: list[bytes] = []
        order: list[tuple[int, int]] = []
        start = 0
        for offset, slot in sorted(trace.slots):
            self.parts += (encoded[start:offset], b"")
            order.append((cast(int, slot.source), len(slot)))
            start = offset + len(slot)
        self.parts.append(encoded[start:])
        self.order = None if order == list(enumerate(lengths)) else order

    def fill(self, values: list[bytes]) -> bytes:
        """The expressions with these values."""
        if self.order is not None:
            values = [values[source][:length] for source, length in self.order]
        parts = self.parts.copy()
        parts[1::2] = values
        return b"".join(parts)


class _Form:
    """What rules with the same keys in the same order have in common.

    ``classified`` are the keys whose values a template can take, ``pick`` gets the values
    of the others but the comment. ``templates`` are by what a rule says apart from its values.
    """

    __slots__ = ("classified", "comment", "pick", "templates")

    def __init__(self, keys: tuple[Any, ...]) -> None:
        self.classified = [(key, _CLASSIFIERS[key]) for key in keys if key in _CLASSIFIERS]
        plain = [key for key in keys if key not in _CLASSIFIERS and key != "comment"]
        self.pick: Callable[[Any], Any] = itemgetter(*plain) if plain else lambda rule: None
        self.comment = "comment" in keys
        self.templates: dict[tuple[Any, ...], _Template | None] = {}


def _address(value: Any) -> Classified:
    if not isinstance(value, str):
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
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF:
        return "port", value.to_bytes(2, "big")
    return None


def _host_u32(value: Any) -> Classified:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFFFFFF:
        return "u32", value.to_bytes(4, sys.byteorder)
    return None


def _interface(value: Any) -> Classified:
    if not isinstance(value, str) or not _PLAIN_NAME.issuperset(value) or value in (".", ".."):
        return None
    if not 0 < len(value) < 16:
        return None
    return "name", value.encode().ljust(16, b"\0")


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


def _place_of_elements(rule: dict[str, Any], place: str) -> str:
    """The flat key whose elements a place in the rule's statements speaks of; "" where none has that name."""
    word = place.partition(".")[2].partition(".")[0]
    if word not in rule:
        return ""
    return word + ".map.data" if isinstance(rule[word], dict) and "map" in rule[word] else word + ".data"


def _desired(compiled: CompiledStatements, comment: str | None, index: int, part: int) -> DesiredRule:
    trace = Trace()
    encoded = encode_list(compiled.expressions, trace)
    return DesiredRule(
        encoded,
        comment_userdata(comment) if comment is not None else b"",
        index,
        part,
        tuple(trace.state),
        tuple(compiled.sets),
        tuple(trace.set_ids),
        tuple([_desired(one, text, index, part) for one, text in chain.rules] for chain in compiled.chains),
        tuple(trace.chain_ids),
    )


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
        # Its owner fills this one while the table compiles, so an empty one is not replaced.
        self._sets = {} if sets is None else sets
        self._addresses = addresses or {}
        self._declared = declared or Declared()
        self._forms: dict[tuple[Any, ...], _Form] = {}

    def compile(self, rule: Any, index: int) -> list[DesiredRule]:
        """The rules that one rule of the document stands for. Raises DocumentError."""
        if not isinstance(rule, dict) or "expr" in rule:
            return self._compile_fully(rule, index)
        keys = tuple(rule)
        form = self._forms.get(keys)
        if form is None:
            form = self._forms[keys] = _Form(keys)
        userdata = b""
        if form.comment:
            comment = rule["comment"]
            if not isinstance(comment, str) or len(comment) > 127 or not _PLAIN_COMMENT.issuperset(comment):
                return self._compile_fully(rule, index)
            userdata = comment_userdata(comment)
        values: list[bytes] = []
        try:
            # what the rule says apart from its values; the bytes tell True from 1
            shape = [dumps(form.pick(rule), 2)]
            for key, classify in form.classified:
                classified = classify(rule[key])
                if classified is None:
                    shape.append(dumps(rule[key], 2))
                else:
                    shape.append(classified[0])
                    values.append(classified[1])
        except ValueError:
            return self._compile_fully(rule, index)
        place = tuple(shape)
        if place in form.templates:
            template = form.templates[place]
        else:
            template = form.templates[place] = self._template(rule, values)
        if template is None:
            return self._compile_fully(rule, index)
        return [
            DesiredRule(
                template.fill(values),
                userdata,
                index,
                0,
                template.state,
                template.sets,
                template.set_ids,
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
            made.append(_desired(compiled, comment, index, part))
        return made

    def _blame(self, error: DocumentError, rule: Any, statements: list[dict[str, Any]]) -> DocumentError:
        """The compiler counts statements: of an ``expr`` rule they are the document's own."""
        if "expr" in rule:
            return error.at("expr")  # type: ignore[return-value]
        for problem in error.problems:
            if not problem.cure:
                problem.cure = "the rule says %s" % statements
            problem.place = _place_of_elements(rule, problem.place) if isinstance(error, Clash) else ""
        return error

    def _template(self, rule: dict[str, Any], values: list[bytes]) -> _Template | None:
        """A template of the rule's shape; None where it becomes several rules."""
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
        if compiled.chains:
            return None
        trace = Trace()
        encoded = encode_list(compiled.expressions, trace)
        sources = sorted(slot.source for _unused, slot in trace.slots if isinstance(slot, Slot))  # type: ignore[type-var]
        if sources != list(range(count)):
            return None
        return _Template(encoded, trace, compiled.sets, [len(value) for value in values])
