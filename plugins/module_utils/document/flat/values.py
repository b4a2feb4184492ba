# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How values are written in a flat key: negation, lists, ranges, set references.

A value that needs no translation goes through as the very object that stood in
the rule; only what has to be rewritten is rebuilt.
"""

from __future__ import annotations

from typing import Any, Callable, Union

from ...errors import DocumentError, nearest
from ...nftables.datatypes import TYPES, DataType, DatatypeError

Scalar = Union[str, int]
Statement = dict[str, Any]
Convert = Callable[[Scalar], Any]

NEGATION = 'a value that starts with "!", or {not: [...]}'


class Values:
    """One value or a list of them, all negated or none.

    ``items`` are pairs of the place below the key ("", "[2]", "not[0]") and the scalar.
    """

    __slots__ = ("items", "negated")

    def __init__(self, items: list[tuple[str, Scalar]], negated: bool) -> None:
        self.items = items
        self.negated = negated


def values_of(value: object, negatable: bool = True) -> Values:
    """Take ``value`` apart: a scalar, a list, a text with commas, ``!`` before either, ``{not: ...}``.

    Raises DocumentError for an empty value, for a negated item beside a plain one and,
    where ``negatable`` is false, for any negation.
    """
    if isinstance(value, str):
        parsed = _of_text(value)
    elif isinstance(value, dict):
        if list(value) != ["not"]:
            raise DocumentError("a mapping here has the one key 'not'", found=value, allowed=NEGATION)
        inner = values_of(value["not"], False)
        parsed = Values([("not" + place, item) for place, item in inner.items], True)
    elif isinstance(value, (list, tuple)):
        parsed = _of_list(value)
    else:
        parsed = Values([("", scalar(value))], False)
    if parsed.negated and not negatable:
        raise DocumentError("negation does not go here", found=value, allowed="plain values")
    return parsed


def scalar(value: object, place: str = "") -> Scalar:
    """``value`` itself if it is a text or a whole number. Raises DocumentError for anything else."""
    if isinstance(value, str):
        if value == "":
            raise DocumentError("an empty text", place)
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise DocumentError("neither a text nor a whole number", place, value)


def _of_text(text: str) -> Values:
    negated = text.startswith("!")
    rest = text[1:].strip() if negated else text
    if not rest:
        raise DocumentError("an empty text", found=text)
    if "," not in rest:
        if rest.startswith("!"):
            raise DocumentError("negated twice", found=text, allowed=NEGATION)
        return Values([("", rest)], negated)
    words = [word.strip() for word in rest.split(",")]
    if "" in words:
        raise DocumentError("a comma with nothing beside it", found=text)
    if negated and any(word.startswith("!") for word in words):
        raise DocumentError("negated twice", found=text, allowed="one ! before the whole list")
    plain = _of_list(words)
    return Values([("", item) for _unused, item in plain.items], negated or plain.negated)


def _of_list(items: list[Any] | tuple[Any, ...]) -> Values:
    if not items:
        raise DocumentError("an empty list", allowed="at least one value")
    pairs = [("[%d]" % index, scalar(item, "[%d]" % index)) for index, item in enumerate(items)]
    inverted = [isinstance(item, str) and item.startswith("!") for _unused, item in pairs]
    if not any(inverted):
        return Values(pairs, False)
    if not all(inverted):
        first = inverted.index(not inverted[0])
        raise DocumentError(
            "plain and negated values in one list",
            pairs[first][0],
            items[first],
            "all values plain, or all negated",
            "write two rules, or {not: [...]} for a list that is negated as a whole",
        )
    stripped: list[tuple[str, Scalar]] = []
    for place, item in pairs:
        word = str(item)[1:].strip()
        if not word or word.startswith("!"):
            raise DocumentError("nothing to negate", place, item, NEGATION)
        stripped.append((place, word))
    return Values(stripped, True)


def at(place: str, convert: Convert, item: Scalar) -> Any:
    """``convert(item)``, with a data type's complaint turned into a DocumentError at ``place``."""
    try:
        return convert(item)
    except DatatypeError as error:
        raise DocumentError(error.message, place, error.found, error.allowed, error.cure) from None
    except DocumentError as error:
        raise error.at(place) from None


def match(left: Any, right: Any, negated: bool = False) -> Statement:
    """``left == right``, or ``left != right`` where negated."""
    return {"match": {"op": "!=" if negated else "==", "left": left, "right": right}}


def match_values(
    left: Any, value: object, convert: Convert, refer: Callable[[str], None] | None = None
) -> Statement:
    """Match ``left`` against one value, any of a list, or none of them.

    ``refer`` checks the name of a set, where a lone ``@name`` means one.
    """
    values = values_of(value)
    if refer is not None and is_reference(values):
        refer(str(values.items[0][1])[1:])
        return match(left, values.items[0][1], values.negated)
    return match(left, right_of([at(place, convert, item) for place, item in values.items]), values.negated)


def is_reference(values: Values) -> bool:
    """Whether the value is a lone ``@name``. Raises DocumentError for a reference within a list."""
    for place, item in values.items:
        if isinstance(item, str) and item.startswith("@"):
            if len(values.items) > 1:
                raise DocumentError(
                    "a named set within a list", place, item, cure="write one rule for each named set"
                )
            if len(item) == 1:
                raise DocumentError("a set reference without a name", place, item, "@ and the set's name")
            return True
    return False


def right_of(converted: list[Any]) -> Any:
    """The right-hand side of a match: the only value, or an anonymous set without repetitions."""
    if len(converted) > 1:
        unique = {repr(one) if isinstance(one, dict) else one: one for one in converted}
        converted = list(unique.values())
    return converted[0] if len(converted) == 1 else {"set": converted}


def symbolic(name: str) -> Convert:
    """The converter of a data type with names: the value as nft prints it."""
    data_type = TYPES[name]
    return lambda item: data_type.json_of(data_type.number_of(item))


def numeric(name: str) -> Convert:
    """The converter of a data type that nft prints as numbers: an integer stays the object it is."""
    return TYPES[name].number_of


def number_of(data_type: DataType, item: object, bits: int = 0) -> int:
    """``item`` as an integer of the data type; a boolean is none. Raises DocumentError."""
    return int(at("", lambda one: data_type.number_of(one, bits), scalar(item)))


def integer(item: object, low: int, high: int, what: str, place: str = "") -> int:
    """A whole number, or a text that writes one (decimal or 0x); an integer stays the object it is.

    Raises DocumentError where it is none or lies outside ``low`` to ``high``.
    """
    number = TYPES["integer"].number_of
    allowed = "%d to %d" % (low, high)
    if isinstance(item, str) or (isinstance(item, int) and not isinstance(item, bool)):
        try:
            found = number(item)
        except DatatypeError:
            found = low - 1
        if low <= found <= high:
            return found
        raise DocumentError(
            "%s out of range" % what if _is_number(item) else "no %s" % what, place, item, allowed
        )
    raise DocumentError("no %s" % what, place, item, allowed)


def _is_number(item: str | int) -> bool:
    return isinstance(item, int) or item.lstrip("-").isdecimal() or item[:2] in ("0x", "0X")


def spanning(convert: Convert, low: int, high: int) -> Convert:
    """A converter that also takes ranges ``a-b``, ``a:b``, ``:b`` and ``a:``.

    ``low`` and ``high`` stand in for an end that is left open. A name with a dash
    in it (``ftp-data``) is tried as a name first.
    """

    def converted(item: Scalar) -> Any:
        if not isinstance(item, str) or (":" not in item and "-" not in item):
            return convert(item)
        if ":" in item:
            start, _unused, end = item.partition(":")
            return _range(
                convert(start.strip()) if start else low, convert(end.strip()) if end else high, item
            )
        try:
            return convert(item)
        except (DatatypeError, DocumentError) as error:
            complaint = error
        for index in [index for index, letter in enumerate(item) if letter == "-"]:
            start, end = item[:index].strip(), item[index + 1 :].strip()
            if not start or not end:
                continue
            try:
                ends = convert(start), convert(end)
            except (DatatypeError, DocumentError) as error:
                if start[:1].isdecimal():
                    complaint = error
                continue
            return _range(ends[0], ends[1], item)
        raise complaint

    return converted


def _range(start: int, end: int, item: str) -> Any:
    if start > end:
        raise DocumentError(
            "a range upside down: its end is below its start", found=item, cure="write %s-%s" % (end, start)
        )
    return start if start == end else {"range": [start, end]}


def switched_on(value: object) -> bool:
    """The value of a key that is true or false. Raises DocumentError for anything else."""
    if isinstance(value, bool):
        return value
    raise DocumentError("neither true nor false", found=value, allowed="true or false")


def mapping(value: object, known: tuple[str, ...]) -> dict[str, Any]:
    """``value`` as a mapping of known keys. Raises DocumentError for another type and for unknown keys."""
    if not isinstance(value, dict) or not value:
        raise DocumentError("no mapping", found=value, allowed="a mapping of %s" % ", ".join(known))
    for key in value:
        if key not in known:
            raise DocumentError(
                "unknown key", str(key), value[key], ", ".join(known), nearest(str(key), known)
            )
    return value


def size_of(value: str) -> int:
    """The bytes a text takes; a stray surrogate, which no byte stands for, counts as three."""
    return len(value.encode("utf-8", "surrogatepass"))


def text(value: object, limit: int, what: str) -> str:
    """A text of at most ``limit`` bytes that nft can print and read back; the object itself.

    Raises DocumentError for a longer one, and for what nft has no way to write: quotes, control characters.
    """
    if not isinstance(value, str):
        raise DocumentError("%s is a text" % what, found=value, cure="quote it")
    size = size_of(value)
    if size > limit:
        raise DocumentError(
            "%s is too long: %d bytes" % (what, size), found=value, allowed="at most %d bytes" % limit
        )
    if '"' in value or not value.isprintable():
        raise DocumentError(
            "%s holds a quotation mark or a character that cannot be printed" % what,
            found=value,
            allowed="printable characters other than a quotation mark",
        )
    return value
