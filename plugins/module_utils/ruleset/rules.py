# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's rules compiled, fast where rules differ only in their values.

Most rules of a large ruleset say the same with other addresses and ports. The
first of a kind is lowered and compiled in full and becomes a template: its
encoded expressions with the places where its values stand. The others are
packed into it. What a template cannot take goes the full way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..document.by_keys import ByKeys, by_keys
from ..document.declared import Declared
from ..document.flat import lower
from ..errors import DocumentError
from ..nftables.expressions import Slot, Trace, encode_list
from ..nftables.sets import Clash
from ..nftables.statements import CompiledStatements, compile_rule
from ..nftables.traced import TracedNumber, TracedText
from . import rule_bytes, templates
from .rule_bytes import Form
from .templates import Template
from .userdata import comment_userdata


class DesiredRule:
    """One rule as it shall be.

    ``attributes`` are its bytes as of ``rule_bytes``, ``form`` what it has in common with rules
    that differ only in their values; ``index`` is the rule of the chain in the document,
    ``part`` which of the rules that it stands for.
    """

    __slots__ = ("attributes", "form", "index", "part")

    def __init__(self, attributes: bytes, form: Form, index: int, part: int) -> None:
        self.attributes = attributes
        self.form = form
        self.index = index
        self.part = part

    @property
    def expressions(self) -> bytes:
        """The payload of NFTA_RULE_EXPRESSIONS."""
        return rule_bytes.expressions_of(self.attributes)

    @property
    def userdata(self) -> bytes:
        """The payload of NFTA_RULE_USERDATA."""
        return rule_bytes.userdata_of(self.attributes)


def _place_of_elements(rule: dict[str, Any], place: str) -> str:
    """The flat key whose elements a place in the rule's statements speaks of; "" where none has that name."""
    word = place.partition(".")[2].partition(".")[0]
    if word not in rule:
        return ""
    return word + ".map.data" if isinstance(rule[word], dict) and "map" in rule[word] else word + ".data"


def _desired(compiled: CompiledStatements, comment: str | None, index: int, part: int) -> DesiredRule:
    trace = Trace()
    encoded = encode_list(compiled.expressions, trace)
    chains = [[_desired(one, text, index, part) for one, text in chain.rules] for chain in compiled.chains]
    userdata = comment_userdata(comment) if comment is not None else b""
    form = Form(encoded, trace, compiled.sets, chains)
    return DesiredRule(rule_bytes.pack(encoded, userdata), form, index, part)


def _of(column: list[Any], rows: list[int]) -> list[Any]:
    """A column's values in these of its rows."""
    return column if len(rows) == len(column) else [column[row] for row in rows]


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
        self._templates: dict[tuple[Any, ...], Template | None] = {}

    def compile(
        self, rules: Sequence[Any], forms: ByKeys | None = None
    ) -> tuple[list[DesiredRule], dict[int, DocumentError]]:
        """The rules that those of a chain of the document stand for, in order; what is wrong, by index.

        ``forms`` are their indices by their keys, where these are known already.
        """
        made: list[DesiredRule | None] = [None] * len(rules)
        for keys, indices in (by_keys(rules) if forms is None else forms).items():
            if keys and "expr" not in keys:
                self._fill(keys, rules, indices, made)
        if None not in made:
            return made, {}  # type: ignore[return-value]
        several: list[DesiredRule] = []
        wrong: dict[int, DocumentError] = {}
        for index, one in enumerate(made):
            if one is not None:
                several.append(one)
                continue
            try:
                several += self._compile_fully(rules[index], index)
            except DocumentError as error:
                wrong[index] = error
        return several, wrong

    def _fill(
        self,
        keys: tuple[Any, ...],
        rules: Sequence[Any],
        indices: list[int],
        made: list[DesiredRule | None],
    ) -> None:
        """Make the rules with these keys, at these indices, that a template can be filled for."""
        columns = dict(zip(keys, zip(*[rules[index].values() for index in indices])))
        userdata: list[Any] = [b""] * len(indices)
        if "comment" in columns:
            userdata = list(map(templates.plain_comment, columns.pop("comment")))
        classified = [key for key in columns if key in templates.CLASSIFIERS]
        kinds: list[Iterable[Any]] = []
        values: list[list[Any]] = []
        for key in classified:
            kind, value = templates.CLASSIFIERS[key](columns.pop(key))
            kinds.append(kind)
            values.append(value)
        # by what rules say apart from their values: which of the rows do
        shapes: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
        rest = templates.said(columns.values()) if columns else [b""] * len(indices)
        for row, shape in enumerate(zip(rest, *kinds)):
            if userdata[row] is not None:
                shapes[shape].append(row)
        for shape, rows in shapes.items():
            taken = [number for number, kind in enumerate(shape[1:]) if kind.__class__ is not bytes]
            template = self._template_of(keys, shape, rules[indices[rows[0]]], [classified[n] for n in taken])
            if template is None:
                continue
            filled = template.fill([_of(values[number], rows) for number in taken], _of(userdata, rows))
            form = template.form
            for index, attributes in zip(_of(indices, rows), filled):
                made[index] = DesiredRule(attributes, form, index, 0)

    def _template_of(
        self, keys: tuple[Any, ...], shape: tuple[Any, ...], rule: dict[str, Any], taken: list[str]
    ) -> Template | None:
        """The template of rules that say this in these keys; ``taken`` are the keys whose values it takes."""
        if None in shape:
            return None
        place = keys, shape
        if place not in self._templates:
            self._templates[place] = self._template(rule, taken)
        return self._templates[place]

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

    def _template(self, rule: dict[str, Any], taken: list[str]) -> Template | None:
        """A template of the rule's shape; None where it becomes several rules."""
        marked = {key: value for key, value in rule.items() if key != "comment"}
        for number, key in enumerate(taken):
            value = marked[key]
            marked[key] = (
                TracedText.of(value, number) if isinstance(value, str) else TracedNumber.of(value, number)
            )
        try:
            rows = self.statements(marked)
            if len(rows) != 1:
                return None
            compiled = compile_rule(rows[0], self._family, self._sets)
            if compiled.chains:
                return None
            trace = Trace()
            encoded = encode_list(compiled.expressions, trace)
            sources = sorted(slot.source for _unused, slot in trace.slots if isinstance(slot, Slot))  # type: ignore[type-var]
            if sources != list(range(len(taken))):
                return None
            return Template(encoded, trace, compiled.sets)
        except DocumentError:
            return None
