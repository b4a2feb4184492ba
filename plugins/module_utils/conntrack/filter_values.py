# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of a filter as people write them, read into the numbers that they stand for.

A value is a scalar or a list. A text may hold several with commas between them, and a ``!``
before it negates all of them: ``!22,80`` is neither of the two. Each reader here takes one
such piece and returns its items, or raises DatatypeError, which has no place yet.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Callable

from ..errors import nearest
from ..nftables.datatypes import (
    TYPES,
    DatatypeError,
    address_family,
    milliseconds_of,
    resolve_abbreviation,
)
from ..nftables.datatypes.base import parse_integer
from . import names, uapi
from .conditions import ANY, Item
from .fields import V4, V6

MOST_COUNT = (1 << 65) - 2
"""The sum of two counters of 64 bits, of either direction; no greater number can be meant."""

_U16 = (1 << 16) - 1
_U32 = (1 << 32) - 1

Reader = Callable[[Any], "list[Item]"]

_SIZES = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_COMPARISONS = ("<=", ">=", "==", "<", ">", "=")


class Piece:
    """One value of an argument: where it stands, whether it is negated, and what it says."""

    __slots__ = ("negated", "place", "value")

    def __init__(self, place: str, negated: bool, value: Any) -> None:
        self.place = place
        self.negated = negated
        self.value = value


def pieces(place: str, value: Any, commas: bool = True) -> Iterator[Piece]:
    """Every value of an argument. A list in a list counts like one that is written out.

    ``commas`` says whether they part a text into several.
    """
    if isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from pieces("%s[%d]" % (place, index), one, commas)
        return
    if not isinstance(value, str):
        yield Piece(place, False, value)
        return
    text = value.strip()
    negated = text.startswith("!")
    for part in text.split(",") if commas else [text]:
        part = part.strip()
        if part.startswith("!"):
            yield Piece(place, True, part[2 if part.startswith("!=") else 1 :].strip())
        else:
            yield Piece(place, negated, part)


def address(value: Any) -> list[Item]:
    """An address, with a prefix length or a mask, or a range of two addresses."""
    allowed = "an IPv4 or IPv6 address, 10.0.0.0/8, 10.0.0.0/255.0.0.0 or 10.0.0.1-10.0.0.9"
    if not isinstance(value, str):
        raise DatatypeError("no address", value, allowed)
    if "/" in value:
        base, _slash, width = value.partition("/")
        number, kind, bits = _address(base, value, allowed)
        return [_network(number, kind, bits, width, value, allowed)]
    if "-" in value:
        low, _dash, high = value.partition("-")
        first, kind, _bits = _address(low.strip(), value, allowed)
        last, other, _bits = _address(high.strip(), value, allowed)
        if kind != other:
            raise DatatypeError("a range from one IP version to the other", value, allowed)
        return [Item(first, _not_below(first, last, value), kind)]
    number, kind, _bits = _address(value, value, allowed)
    return [Item(number, kind=kind)]


def _address(text: str, found: str, allowed: str) -> tuple[int, int, int]:
    family = address_family(text)
    if family is None:
        raise DatatypeError("no address", found, allowed)
    if family == "ip":
        return int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big"), V4, 32
    return int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big"), V6, 128


def _network(number: int, kind: int, bits: int, width: str, found: str, allowed: str) -> Item:
    full = (1 << bits) - 1
    if width.isdecimal() and width.isascii():
        if int(width) > bits:
            raise DatatypeError("no prefix length", found, "0 to %d after the slash" % bits)
        mask = full ^ (full >> int(width))
    else:
        mask, other, _bits = _address(width, found, allowed)
        if other != kind:
            raise DatatypeError("a mask of the other IP version", found, allowed)
    hosts = mask ^ full
    if hosts & (hosts + 1):
        return Item(number & mask, kind=kind, mask=mask)
    return Item(number & mask, number & mask | hosts, kind)


def _not_below(first: int, last: int, found: Any) -> int:
    if last < first:
        raise DatatypeError("a range that ends before it begins", found, cure="write the lower end first")
    return last


def port(value: Any) -> list[Item]:
    """A port, a service, or a range of ports, whose upper end may be left out.

    The lower one may not: ``-1`` is no range from 0, but a number that somebody has got wrong.
    """
    service = TYPES["inet_service"]
    if not isinstance(value, str):
        return [Item(service.number_of(value))]
    number = _tried(service.number_of, value)
    if number is not None:
        return [Item(number)]
    for at in [index for index, letter in enumerate(value) if letter == "-"]:
        low, high = value[:at].strip(), value[at + 1 :].strip()
        first = _tried(service.number_of, low) if low else None
        last = _tried(service.number_of, high) if high else _U16
        if first is not None and last is not None:
            return [Item(first, _not_below(first, last, value))]
    if value.startswith("-") and value[1:].strip():
        raise DatatypeError(
            "no port",
            value,
            "a number, a service, or a range such as 1-1023 or 1024-",
            "for a range from 0 on: 0%s" % value,
        )
    return [Item(service.number_of(value))]


def _tried(read: Callable[[Any], int], value: Any) -> int | None:
    try:
        return read(value)
    except DatatypeError:
        return None


def protocol(value: Any) -> list[Item]:
    """A protocol by its name in any case, or by its number."""
    return [Item(TYPES["inet_proto"].number_of(value))]


def icmp(v4: str, v6: str, kind: int) -> Reader:
    """The reader of an ICMP type or code: nft's data types of either version, and the version known."""

    def read(value: Any) -> list[Item]:
        found = []
        failure = None
        for name, version in ((v4, V4), (v6, V6)):
            if kind not in (ANY, version):
                continue
            type = TYPES[name]
            try:
                word = resolve_abbreviation(type, value) if isinstance(value, str) else value
                found.append(Item(type.number_of(word), kind=version))
            except DatatypeError as error:
                failure = failure or error
        if failure is not None and not found:
            raise failure
        return found

    return read


def number(most: int, what: str) -> Reader:
    """The reader of a number or of a range of numbers, up to the greatest that there can be."""
    allowed = "a number from 0 to %d, or a range such as 1-9" % most

    def one(text: str, value: Any) -> int:
        found = parse_integer(text)
        if found is None:
            raise DatatypeError("no %s" % what, value, allowed)
        if found > most:
            raise DatatypeError("too great a number for the %s" % what, value, allowed)
        return found

    def read(value: Any) -> list[Item]:
        if isinstance(value, str):
            if "-" in value[1:]:
                low, _dash, high = value.partition("-")
                first = one(low.strip(), value)
                return [Item(first, _not_below(first, one(high.strip(), value), value))]
            return [Item(one(value, value))]
        if isinstance(value, bool) or not isinstance(value, int):
            raise DatatypeError("no %s" % what, value, allowed)
        if not 0 <= value <= most:
            raise DatatypeError(
                "too great a number for the %s" % what if value > 0 else "no %s" % what, value, allowed
            )
        return [Item(value)]

    return read


def mark(value: Any) -> list[Item]:
    """A mark, a range of marks, or a mark and the mask under which it is compared."""
    if isinstance(value, str) and "/" in value:
        bits, _slash, mask = value.partition("/")
        allowed = "a number from 0 to 0xffffffff, a mask after a slash"
        found = [parse_integer(bits.strip()), parse_integer(mask.strip())]
        if None in found or max(one or 0 for one in found) > _U32:
            raise DatatypeError("no mark and mask", value, allowed)
        low, under = found[0] or 0, found[1] or 0
        if low & ~under:
            raise DatatypeError(
                "a mark that no connection has under this mask",
                value,
                allowed,
                "the bits of the mark within the mask are 0x%x" % (low & under),
            )
        return [Item(low, mask=under) if under != _U32 else Item(low)]
    return number(_U32, "mark")(value)


def label(value: Any) -> list[Item]:
    """A label by its bit's number or its name in connlabel.conf; with ``+`` between several, all of them."""
    type = TYPES["ct_label"]
    bits = _tried(type.number_of, value)
    if bits is None and isinstance(value, str) and "+" in value:
        bits = 0
        for word in value.split("+"):
            bits |= type.number_of(word.strip())
    if bits is None:
        bits = type.number_of(value)
    return [Item(bits, mask=bits)]


STATUS = {word: Item(bits, mask=bits) for word, bits in names.STATUS.items()}
"""The words for a connection's status; ``unreplied`` is one without an answer so far."""

STATUS["unreplied"] = Item(0, mask=uapi.IPS_SEEN_REPLY)


def status(value: Any) -> list[Item]:
    """A word of the status in any case; with ``+`` between several, all of them at once."""
    if not isinstance(value, str):
        raise DatatypeError("no status", value, ", ".join(STATUS))
    bits = mask = 0
    for part in value.split("+"):
        word = part.strip().lower().replace("-", "_")
        item = STATUS.get(word)
        if item is None:
            raise DatatypeError("unknown status", value, ", ".join(STATUS), nearest(word, STATUS))
        bits, mask = bits | item.low, mask | (item.mask or 0)
        if item.low == 0 and value.lower().replace("-", "_").find("seen_reply") >= 0:
            raise DatatypeError("seen_reply and unreplied at once", value, ", ".join(STATUS))
    return [Item(bits, mask=mask)]


def state(protocols: list[int]) -> Reader:
    """The reader of a protocol's state by name; ``protocols`` are those that may be meant."""
    known = [one for one in names.STATES if not protocols or one in protocols]

    def read(value: Any) -> list[Item]:
        word = value.upper().replace("-", "_") if isinstance(value, str) else value
        found = [Item(names.STATES[one].index(word), kind=one) for one in known if word in names.STATES[one]]
        if not found:
            words = list(dict.fromkeys(name for one in known for name in names.STATES[one]))
            raise DatatypeError("unknown state", value, ", ".join(words), nearest(str(word), words))
        return found

    return read


def comparison(most: int, what: str, unit: Callable[[str], int | None], allowed: str) -> Reader:
    """The reader of ``<30``, ``>=1h``, ``10-20`` or a plain number; ``unit`` reads one number's text."""

    def one(text: str, value: Any) -> int:
        found = unit(text.strip())
        if found is None:
            raise DatatypeError("no %s" % what, value, allowed)
        return found

    def read(value: Any) -> list[Item]:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise DatatypeError("no %s" % what, value, allowed)
        text = str(value)
        sign = next((one for one in _COMPARISONS if text.startswith(one)), "")
        if not sign and "-" in text[1:]:
            lower, _dash, upper = text.partition("-")
            first = one(lower, value)
            return [Item(first, _not_below(first, one(upper, value), value))]
        number = one(text[len(sign) :], value)
        low, high = {
            "<": (0, number - 1),
            "<=": (0, number),
            ">": (number + 1, most),
            ">=": (number, most),
        }.get(sign, (number, number))
        if low > high or low > most:
            raise DatatypeError("a comparison that nothing can meet", value, allowed)
        return [Item(low, min(high, most))]

    return read


def _seconds(text: str) -> int | None:
    milliseconds = milliseconds_of(text)
    return milliseconds // 1000 if milliseconds is not None and milliseconds % 1000 == 0 else None


def _count(text: str) -> int | None:
    size = _SIZES.get(text[-1:].lower(), 1)
    found = parse_integer(text[:-1] if size > 1 else text)
    return None if found is None else found * size


duration = comparison(
    MOST_COUNT, "time", _seconds, "whole seconds or a text such as 1h30m, <30, >=1h or 10s-20s"
)
"""The reader of a time in seconds."""

amount = comparison(
    MOST_COUNT, "number", _count, "a number such as 5000, >10K, <=2M or 1K-2K (K is 1000, M, G, T likewise)"
)
"""The reader of a number of packets or bytes."""


def word(value: Any) -> bytes:
    """A text that is compared as a whole: a helper's name, a security context. Raises DatatypeError."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise DatatypeError("no text", value, "a text that is not empty", "quote it")
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise DatatypeError("no text that a kernel could have", value, "a text in UTF-8") from None
