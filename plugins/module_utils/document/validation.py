# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a document's text, and checking a document against its schema.

jsonschema-rs, where it is there, gives the fast yes; jsonschema explains a no.
Of a schema error only its place is of use to a person: what is allowed there
the schema says in words (``x-allowed``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..errors import DocumentError, HostError, Problem, join_place, nearest

_WHOLE = "a mapping with the key 'tables' or 'conntrack'"

_cache: dict[str, Any] = {}


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the document, as shipped beside this file."""
    found: dict[str, Any] | None = _cache.get("schema")
    if found is None:
        from pathlib import Path

        found = json.loads(Path(__file__).with_name("schema.json").read_text(encoding="utf-8"))
        _cache["schema"] = found
    return found


def check(document: Any) -> list[Problem]:
    """Everything in which a document breaks the schema, each with its place; nothing if it does not.

    Takes plain values and subclasses of them. Raises HostError where neither jsonschema nor
    jsonschema-rs is installed.
    """
    fast = _fast("document")
    if fast is not None and _says_yes(fast, document):
        return []
    try:
        return _explain(document)
    except RecursionError:
        return [Problem("the document holds itself, or is nested too deeply")]


def _fast(part: str) -> Any:
    """jsonschema-rs's validator of the document, or of one of its small parts; None without the package."""
    key = "fast " + part
    if key not in _cache:
        try:
            # Before 0.20 it has none
            from jsonschema_rs import validator_for
        except ImportError:
            _cache[key] = None
        else:
            _cache[key] = validator_for(_part(part))
    return _cache[key]


_SMALL = ("rule", "element", "mapElement")
"""What a document can have a hundred thousand of: looked at one by one."""


def _part(part: str) -> dict[str, Any]:
    """The schema of the document, of one small part, or of the document but for these ("shell")."""
    whole = schema()
    if part == "document":
        return whole
    if part in _SMALL:
        return {"$schema": whole["$schema"], "$defs": whole["$defs"], "$ref": "#/$defs/" + part}
    return {**whole, "$defs": {**whole["$defs"], **dict.fromkeys(_SMALL, True)}}


def _says_yes(fast: Any, instance: Any) -> bool:
    """Whether the fast validator accepts; what it cannot read is first made plain."""
    # Of a text that is no Unicode an older jsonschema-rs (0.34 on Python 3.9) makes a SystemError
    try:
        return bool(fast.is_valid(instance))
    except (ValueError, SystemError):
        pass
    try:
        return bool(fast.is_valid(json.loads(json.dumps(instance))))
    except (TypeError, ValueError, RecursionError, SystemError):
        return False


def _slow(part: str) -> Any:
    key = "slow " + part
    if key not in _cache:
        try:
            import jsonschema
        except ImportError:
            raise HostError(
                "jsonschema is not installed, so the document cannot be checked",
                cure="install python3-jsonschema",
            ) from None
        _cache[key] = jsonschema.Draft202012Validator(_part(part))
    return _cache[key]


def _explain(document: Any) -> list[Problem]:
    """All problems. Rules and elements are looked at one by one, and only wrong ones are explained."""
    problems = _problems(_slow("shell"), document, "")
    for part, place, value in _small_parts(document):
        fast = _fast(part)
        if fast is None or not _says_yes(fast, value):
            problems += _problems(_slow(part), value, place)
    return problems


def _small_parts(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Every rule and element with its place, as far as the document has the shape to hold any."""
    for part, outer, key in (
        ("rule", "chains", "rules"),
        ("element", "sets", "elements"),
        ("mapElement", "maps", "elements"),
    ):
        for place, holder in _items([("", document)], "tables", outer):
            items = holder.get(key) if isinstance(holder, dict) else None
            if isinstance(items, list):
                for index, item in enumerate(items):
                    if part == "element" and item.__class__ is str and item:
                        continue
                    yield part, "%s.%s[%d]" % (place, key, index), item


def _items(outer: list[tuple[str, Any]], *keys: str) -> list[tuple[str, Any]]:
    for key in keys:
        inner = []
        for place, one in outer:
            items = one.get(key) if isinstance(one, dict) else None
            if isinstance(items, list):
                for index, item in enumerate(items):
                    inner.append((join_place(place, "%s[%d]" % (key, index)), item))
        outer = inner
    return outer


def _problems(validator: Any, instance: Any, place: str) -> list[Problem]:
    problems: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    for error in validator.iter_errors(instance):
        for problem in _translate(error, place):
            if (problem.place, problem.message) not in seen:
                seen.add((problem.place, problem.message))
                problems.append(problem)
    return problems


def _translate(error: Any, outer: str) -> list[Problem]:
    """One jsonschema error as problems in words; a failed choice becomes its most fitting branch."""
    place = outer
    for step in error.relative_path:
        place = join_place(place, "[%d]" % step if isinstance(step, int) else str(step))
    return _say(error, place)


def _say(error: Any, place: str) -> list[Problem]:
    word, value = error.validator, error.instance
    allowed = str(error.schema.get("x-allowed", "")) if isinstance(error.schema, dict) else ""
    if word == "additionalProperties":
        known = list(error.schema["properties"])
        return [
            Problem(
                "unknown key",
                join_place(place, str(key)),
                value[key],
                "",
                nearest(str(key), known) or _among(known),
            )
            for key in value
            if key not in error.schema["properties"]
        ]
    if word == "required":
        missing = [key for key in error.validator_value if key not in value]
        return [Problem("the key %r is missing" % key, place, allowed=allowed) for key in missing]
    if word in ("anyOf", "oneOf"):
        return _best_branch(error, place, allowed)
    if word == "enum" and list(error.absolute_schema_path)[-2:] == ["propertyNames", "enum"]:
        cure = "write it as a statement, or leave out expr"
        return [
            Problem("a rule of statements has no flat keys", join_place(place, str(value)), None, cure=cure)
        ]
    message = _MESSAGES.get(word, "not allowed here")
    if word == "type":
        message = _wrong_type(value, error.validator_value)
    cure = nearest(value, error.validator_value) if word == "enum" and isinstance(value, str) else ""
    return [Problem(message, place, value, allowed or _limit(word, error.validator_value), cure)]


_MESSAGES = {
    "enum": "unknown word",
    "minimum": "the number is too small",
    "maximum": "the number is too large",
    "minLength": "an empty text",
    "maxLength": "the text is too long",
    "minItems": "an empty list",
    "maxItems": "too many in the list",
    "minProperties": "an empty mapping",
    "maxProperties": "more than one key",
}

_KINDS = (
    (bool, "a truth value"),
    (int, "a number"),
    (float, "a number with a fraction"),
    (str, "a text"),
    (dict, "a mapping"),
    (list, "a list"),
)

_SCHEMA_KINDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "string": "a text",
    "object": "a mapping",
    "array": "a list",
}


def _wrong_type(value: Any, wanted: Any) -> str:
    found = (
        "an empty value"
        if value is None
        else next((name for kind, name in _KINDS if isinstance(value, kind)), "")
    )
    return "%s where %s is due" % (
        found or "a %s" % type(value).__name__,
        _SCHEMA_KINDS.get(wanted, str(wanted)),
    )


def _limit(word: str, limit: Any) -> str:
    if word == "enum":
        return ", ".join(str(one) for one in limit)
    if word in ("minimum", "minLength", "minItems"):
        return "at least %s" % limit
    if word in ("maximum", "maxLength", "maxItems"):
        return "at most %s" % limit
    return ""


def _among(known: list[str]) -> str:
    return "known here: %s" % ", ".join(known) if len(known) < 16 else ""


def _best_branch(error: Any, place: str, allowed: str) -> list[Problem]:
    """The problems of the branch whose type the value has; else one sentence on all branches."""
    branches: dict[int, list[Any]] = {}
    for inner in error.context:
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    for inners in branches.values():
        if any(inner.validator in ("type", "enum") and not inner.relative_path for inner in inners):
            continue
        problems = []
        for inner in inners:
            below = place
            for step in inner.relative_path:
                below = join_place(below, "[%d]" % step if isinstance(step, int) else str(step))
            for problem in _say(inner, below):
                problem.allowed = problem.allowed if below != place or not allowed else allowed
                problems.append(problem)
        return problems
    kind = next((name for kind, name in _KINDS if isinstance(error.instance, kind)), "an empty value")
    known = [
        word
        for branch in error.validator_value
        if isinstance(branch, dict)
        for word in branch.get("enum", ())
    ]
    if known and isinstance(error.instance, str):
        return [Problem("unknown word", place, error.instance, allowed, nearest(error.instance, known))]
    cure = (
        "quote it"
        if isinstance(error.instance, (int, float)) and not isinstance(error.instance, bool)
        else ""
    )
    return [Problem("%s does not go here" % kind, place, error.instance, allowed, cure)]


def read(text: str | bytes, name: str = "") -> dict[str, Any]:
    """The document in a text, JSON or YAML; ``name`` is the file it came from, for messages.

    Raises DocumentError, with line and column, for a text that is neither, for a key that
    stands twice, for an empty document and for one that is no mapping; HostError where
    YAML is due and PyYAML is not installed.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DocumentError("the text is not UTF-8 (byte %d)" % error.start, name) from None
    as_json = name.endswith(".json") or text.lstrip()[:1] == "{"
    document = _read_json(text, name) if as_json else _read_yaml(text, name)
    if document is None:
        raise DocumentError("the document is empty", name, allowed=_WHOLE)
    if not isinstance(document, dict):
        raise DocumentError("a document is %s" % _WHOLE, name, document, cure=_looks_like(document))
    return document


def _looks_like(document: Any) -> str:
    return "begin with 'tables:'" if isinstance(document, (list, str)) else ""


def _read_json(text: str, name: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text, object_pairs_hook=_no_repetition)
    except DocumentError as error:
        raise error.at(name) from None
    except RecursionError:
        raise DocumentError("nested too deeply", name) from None
    except ValueError as error:
        if not name.endswith(".json") and isinstance(error, json.JSONDecodeError):
            # YAML in braces is not JSON
            return _read_yaml(text, name)
        raise DocumentError("no JSON: %s" % _where(error), name) from None


def _where(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return "%s at line %d, column %d" % (error.msg, error.lineno, error.colno)
    return str(error)


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        for key, value in pairs:
            if key in seen:
                raise DocumentError("the key %r stands twice in one mapping" % key, found=value)
            seen.add(key)
    return mapping


def _read_yaml(text: str, name: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise HostError(
            "PyYAML is not installed, so the document cannot be read as YAML",
            name,
            cure="install python3-yaml, or give JSON",
        ) from None
    try:
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = " at line %d, column %d" % (mark.line + 1, mark.column + 1) if mark is not None else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise DocumentError("no YAML: %s%s" % (reason, place), name) from None
    except RecursionError:
        raise DocumentError("nested too deeply", name) from None
    except ValueError as error:
        raise DocumentError("no YAML: %s" % error, name) from None


def _loader() -> Any:
    """A safe YAML loader for which ``20:21`` is a text and not 1221, and a key twice an error."""
    if "loader" in _cache:
        return _cache["loader"]
    import re

    import yaml

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """Safe YAML 1.1 without numbers to base sixty and without dates."""

        def flatten_mapping(self, node: Any) -> None:
            if not hasattr(self, "flattened"):
                self.flattened: set[int] = set()
            if id(node) not in self.flattened:
                self.flattened.add(id(node))
                keys = {
                    key.value if isinstance(key, yaml.ScalarNode) else _refuse_key(key)
                    for key, _unused in node.value
                }
                if len(keys) != len(node.value):
                    _report_repetition(node)
            super().flatten_mapping(node)

    integer = re.compile(r"^(?:[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+)$")
    fraction = re.compile(
        r"^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    )
    ours = {"tag:yaml.org,2002:int": integer, "tag:yaml.org,2002:float": fraction}
    Loader.yaml_implicit_resolvers = {
        first: [
            (tag, ours.get(tag, pattern))
            for tag, pattern in resolvers
            if tag != "tag:yaml.org,2002:timestamp"
        ]
        for first, resolvers in base.yaml_implicit_resolvers.items()
    }
    _cache["loader"] = Loader
    return Loader


def _refuse_key(node: Any) -> Any:
    import yaml

    raise yaml.constructor.ConstructorError(None, None, "a list or mapping as a key", node.start_mark)


def _report_repetition(node: Any) -> None:
    import yaml

    seen: set[str] = set()
    for key, _unused in node.value:
        if key.value in seen:
            problem = "the key %r stands twice in one mapping" % key.value
            raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
        seen.add(key.value)
