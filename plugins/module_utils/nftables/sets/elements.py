# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set elements: from JSON to the payloads that the kernel takes and dumps.

An interval set holds the points where membership changes: each first value, and
each first value behind an interval, flagged NFT_SET_ELEM_INTERVAL_END. A
concatenation with intervals gives both ends in one element (KEY and KEY_END).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from ...errors import DocumentError, Problem
from ...netlink.attributes import BE64, attribute, table
from .. import uapi
from ..datatypes import NEVER, TYPES, interface_prefix, milliseconds_of
from ..expressions.codecs import DATA
from ..parameters import checked
from ..selectors.base import Concatenation, Selector, pack_number
from ..selectors.constants import is_wildcard, number_of, prefix_numbers, range_numbers
from ..stateful import STATEFUL
from ..verdicts import verdict_of
from .content import VERDICT_TYPE, SetContent
from .keys import CATCHALL, END, OPEN, key_attribute
from .plain_addresses import plain_addresses

_COMMENT = 0  # NFTNL_UDATA_SET_ELEM_COMMENT (libnftnl/udata.h)


class Clash(DocumentError):
    """Two elements that cannot both be in a set: ``message`` is of the later and names the ``other``.

    Both are indices. :meth:`placed` says where they stand.
    """

    def __init__(self, message: str, index: int, other: int, found: Any, earlier: Any) -> None:
        super().__init__(
            message % ("another element, %s" % shown(earlier)),
            "[%d]" % index,
            shown(found),
            cure="leave one of them out",
        )
        self.index = index
        self.other = other
        self.clash = message

    def placed(self, place: str, found: Any, other_place: str) -> Problem:
        """The problem of elements that stand at these places."""
        return Problem(self.clash % other_place, place, found, cure=self.problems[0].cure)


def shown(item: Any) -> str:
    """A key's JSON as a person writes it."""
    if isinstance(item, dict):
        if "elem" in item:
            return shown(item["elem"]["val"])
        if "prefix" in item:
            return "%s/%s" % (item["prefix"]["addr"], item["prefix"]["len"])
        if "range" in item:
            return "-".join(str(end) for end in item["range"])
        if "concat" in item:
            return " . ".join(shown(part) for part in item["concat"])
    return str(item)


class _Element:
    """One element: ``parts`` of (low, high), one a concatenated part; ``wide`` if any is an interval.

    ``data`` is its data attribute. ``timeout`` is milliseconds, 0 for one that stays although its
    set has a timeout, None where nothing is said.
    ``index`` and ``item`` are of the list it came from.
    """

    __slots__ = (
        "catchall",
        "comment",
        "data",
        "expires",
        "expressions",
        "index",
        "item",
        "parts",
        "timeout",
        "wide",
    )

    def __init__(self) -> None:
        self.index = 0
        self.item: Any = None
        self.parts: list[tuple[int, int]] = []
        self.wide = False
        self.catchall = False
        self.data = b""
        self.expressions: list[bytes] = []
        self.timeout: int | None = None
        self.expires = 0
        self.comment = ""

    def payload(self, head: bytes, flags: bytes = b"", opened: bool = False) -> bytes:
        """The attributes in the kernel's order behind the key's."""
        parts = [head, self.data]
        if len(self.expressions) == 1:
            parts.append(attribute(uapi.NFTA_SET_ELEM_EXPR, self.expressions[0]))
        elif self.expressions:
            listed = b"".join(attribute(uapi.NFTA_LIST_ELEM, one) for one in self.expressions)
            parts.append(attribute(uapi.NFTA_SET_ELEM_EXPRESSIONS, listed))
        parts.append(flags)
        if self.timeout is not None:
            parts.append(attribute(uapi.NFTA_SET_ELEM_TIMEOUT, BE64.pack(self.timeout)))
        if self.expires:
            parts.append(attribute(uapi.NFTA_SET_ELEM_EXPIRATION, BE64.pack(self.expires)))
        userdata = b""
        if self.comment:
            text = self.comment.encode("utf-8", "surrogateescape") + b"\0"
            userdata += bytes((_COMMENT, len(text))) + text
        if opened:
            userdata += OPEN
        if userdata:
            parts.append(attribute(uapi.NFTA_SET_ELEM_USERDATA, userdata))
        return b"".join(parts)


def fill(content: SetContent, items: Any, merge: bool, told: bool = True) -> None:
    """Give the set its elements: JSON keys, or for maps lists of a key and its value.

    ``merge`` joins intervals that touch or overlap. With ``told`` they come out as the kernel
    tells them: it says nothing of a timeout that is the set's own. Marks the set an interval set
    where an element needs it to be one and it is anonymous; else that is an error.
    """
    mapped = bool(content.flags & (uapi.NFT_SET_MAP | uapi.NFT_SET_OBJECT))
    if not mapped:
        packed = plain_addresses(content, items, merge)
        if packed is not None:
            content.elements = packed
            return
    elements = []
    for index, one in enumerate(items):
        try:
            element = _mapped(content, one) if mapped else _element(content, one)
        except DocumentError as error:
            raise error.at("[%d]" % index) from None
        element.index, element.item = index, one[0] if mapped else one
        if element.timeout == content.timeout and (told or not element.timeout):
            element.timeout = None
        if element.expressions and len(content.expressions) > 1:
            element.expressions = _completed(content.expressions, element.expressions)
        elements.append(element)
    _encode(content, elements, merge)


def _completed(every: list[bytes], given: list[bytes]) -> list[bytes]:
    """A set's statements for one element, with those given in their places.

    The kernel takes all of them or none (nft_add_set_elem() in nf_tables_api.c).
    """
    own = {table(one)[uapi.NFTA_EXPR_NAME]: one for one in given}
    return [own.pop(table(one)[uapi.NFTA_EXPR_NAME], one) for one in every] + list(own.values())


def number_of_elements(content: SetContent) -> int:
    """The elements that count for the set's size: neither ends of intervals nor what stands for all else."""
    apart = uapi.NFT_SET_ELEM_INTERVAL_END | uapi.NFT_SET_ELEM_CATCHALL
    flags = [table(one).get(uapi.NFTA_SET_ELEM_FLAGS, b"") for one in content.elements]
    return sum(1 for one in flags if not int.from_bytes(one, "big") & apart)


def _mapped(content: SetContent, pair: Any) -> _Element:
    if not isinstance(pair, list) or len(pair) != 2:
        raise DocumentError("not a key and its value", found=pair, allowed="a list of two")
    element = _element(content, pair[0])
    element.data = _data(content, pair[1])
    return element


def _element(content: SetContent, value: Any) -> _Element:
    element = _Element()
    if isinstance(value, dict) and "elem" in value:
        value = _options(element, value["elem"])
        check_rest(element.expires, content.timeout if element.timeout is None else element.timeout)
    if value == "*":
        element.catchall = True
        return element
    key = content.key
    if isinstance(key, Concatenation):
        items = value.get("concat") if isinstance(value, dict) else None
        if not isinstance(items, list) or len(items) != len(key.parts):
            raise DocumentError(
                "not a concatenation of %d parts" % len(key.parts), found=value, allowed='{"concat": [...]}'
            )
        bounds = [_bounds(part, one) for part, one in zip(key.parts, items)]
    else:
        bounds = [_bounds(key, value)]
    element.parts = [one[:2] for one in bounds]
    element.wide = any(one[2] for one in bounds)
    return element


def _options(element: _Element, value: Any) -> Any:
    """Take an element's times, comment and expressions; what is left is its key."""
    mapping = checked(value, ("val", "timeout", "expires", "comment", *STATEFUL))
    if "val" not in mapping:
        raise DocumentError("an element without a value", found=value, allowed='"val"')
    if mapping.get("timeout") == NEVER:
        element.timeout = 0
    else:
        element.timeout = _time(mapping, "timeout") or None
    element.expires = _time(mapping, "expires")
    if "comment" in mapping:
        element.comment = str(mapping["comment"])
    for name in mapping:
        if name in STATEFUL:
            element.expressions.append(STATEFUL[name](mapping[name]).encode()[4:])
    return mapping["val"]


def _time(mapping: dict[str, Any], key: str) -> int:
    """Milliseconds; 0 where the key is not there."""
    if key not in mapping:
        return 0
    found = milliseconds_of(str(mapping[key]))
    if found is None:
        raise DocumentError("not a time", place=key, found=mapping[key], allowed="seconds, or like 1h30m")
    return found


def check_rest(expires: int, timeout: int) -> None:
    """Raise DocumentError where more is left of an element's time than there is; both in milliseconds.

    nft_add_set_elem() in nf_tables_api.c refuses that.
    """
    if expires <= timeout:
        return
    found = TYPES["time"].text_of(expires)
    if not timeout:
        message = "an element without a timeout does not expire"
        raise DocumentError(message, "expires", found, cure="give it a timeout, or its set")
    allowed = "up to its timeout, %s" % TYPES["time"].text_of(timeout)
    raise DocumentError("more time than the element has", "expires", found, allowed)


def _bounds(selector: Selector, value: Any) -> tuple[int, int, bool]:
    """(low, high, written as an interval) of one key part, shifted as in the register."""
    if isinstance(value, dict) and "prefix" in value:
        low, length = prefix_numbers(selector, value["prefix"])
        high, wide = low | ((1 << (selector.bits - length)) - 1), True
    elif isinstance(value, dict) and "range" in value:
        low, high = range_numbers(selector, value["range"])
        wide = True
    elif is_wildcard(selector, value):
        raw = interface_prefix(value) or b""
        low = int.from_bytes(raw.ljust(16, b"\0"), "big")
        high, wide = low | ((1 << (128 - len(raw) * 8)) - 1), True
    else:
        low = high = number_of(selector, value)
        wide = False
    return low << selector.shift, high << selector.shift, wide


def _data(content: SetContent, value: Any) -> bytes:
    """The element attribute of a map's value."""
    if content.flags & uapi.NFT_SET_OBJECT:
        if not isinstance(value, str):
            raise DocumentError("not an object's name", found=value)
        return attribute(uapi.NFTA_SET_ELEM_OBJREF, value.encode() + b"\0")
    if content.data_type == VERDICT_TYPE:
        return attribute(uapi.NFTA_SET_ELEM_DATA, DATA.pack(verdict_of(value)))
    target = cast(Selector, content.data)
    if isinstance(target, Concatenation):
        items = value.get("concat") if isinstance(value, dict) else None
        if not isinstance(items, list) or len(items) != len(target.parts):
            raise DocumentError("not a concatenation of %d parts" % len(target.parts), found=value)
        packed = b"".join(_padded(part.pack(number_of(part, one))) for part, one in zip(target.parts, items))
        return attribute(uapi.NFTA_SET_ELEM_DATA, DATA.pack(packed))
    low, high, wide = _bounds(target, value)
    packed = pack_number(low, target.width, target.byteorder)
    if wide:
        content.widen_data()
    if content.data_interval:
        packed += pack_number(high, target.width, target.byteorder)
    return attribute(uapi.NFTA_SET_ELEM_DATA, DATA.pack(packed))


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _encode(content: SetContent, elements: list[_Element], merge: bool) -> None:
    key = content.key
    plain = [element for element in elements if not element.catchall]
    wide = content.interval or any(element.wide for element in plain)
    if wide and not content.interval:
        if not content.flags & uapi.NFT_SET_ANONYMOUS:
            raise DocumentError("a set of single values holds a range", cure="add flags: [interval]")
        content.flags |= uapi.NFT_SET_INTERVAL
    if wide and isinstance(key, Concatenation):
        content.flags |= uapi.NFT_SET_CONCAT
    result = _unique((b"", element) for element in elements if element.catchall)
    if isinstance(key, Concatenation):
        result += _unique((_concatenated(key, element, wide), element) for element in plain)
    elif wide:
        result += _intervals(key, plain, merge, bool(content.flags & uapi.NFT_SET_ANONYMOUS))
    else:
        result += _unique(
            (key_attribute(pack_number(element.parts[0][0], key.width, key.byteorder)), element)
            for element in plain
        )
    content.elements = result


def _unique(elements: Iterable[tuple[bytes, _Element]]) -> list[bytes]:
    """The payloads of elements with the bytes of their keys; one that says the same twice is one."""
    found: dict[bytes, tuple[bytes, _Element]] = {}
    for key, element in elements:
        payload = element.payload(key, CATCHALL if element.catchall else b"")
        first, earlier = found.setdefault(key, (payload, element))
        if first != payload:
            raise _twice(earlier, element)
    return [payload for payload, _unused in found.values()]


def _twice(one: _Element, other: _Element) -> Clash:
    first, second = sorted((one, other), key=lambda element: element.index)
    message = "the same key as %s, with something else beside it"
    return Clash(message, second.index, first.index, second.item, first.item)


def _overlap(one: _Element, other: _Element, anonymous: bool) -> Clash:
    first, second = sorted((one, other), key=lambda element: element.index)
    found = Clash("this overlaps %s", second.index, first.index, second.item, first.item)
    merges = not anonymous and not one.data
    cure = "add auto_merge: true to the set" if merges else "have them end where the other begins"
    found.problems[0].cure = "leave one out, or " + cure
    return found


def _concatenated(key: Concatenation, element: _Element, wide: bool) -> bytes:
    """The attributes of the key."""
    ends = [
        b"".join(
            _padded(pack_number(bounds[end], part.width, "big" if wide else part.byteorder))
            for bounds, part in zip(element.parts, key.parts)
        )
        for end in (0, 1)
    ]
    head = key_attribute(ends[0])
    if wide:
        head += key_attribute(ends[1], uapi.NFTA_SET_ELEM_KEY_END)
    return head


def _intervals(key: Selector, elements: list[_Element], merge: bool, anonymous: bool) -> list[bytes]:
    """The points of intervals. Overlapping ones that may not be merged are an error."""
    top = (1 << key.width) - 1
    joined: list[tuple[int, int, _Element]] = []
    for element in sorted(elements, key=lambda one: one.parts[0]):
        low, high = element.parts[0]
        if joined and low <= joined[-1][1]:
            if (low, high) == joined[-1][:2]:
                if element.payload(b"") == joined[-1][2].payload(b""):
                    continue
                raise _twice(joined[-1][2], element)
            if not merge:
                raise _overlap(joined[-1][2], element, anonymous)
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]), joined[-1][2])
        elif joined and merge and low == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], high, joined[-1][2])
        else:
            joined.append((low, high, element))
    points = []
    if joined and joined[0][0] > 0:
        points.append(_point(key, 0) + END)
    for index, (low, high, element) in enumerate(joined):
        points.append(element.payload(_point(key, low), opened=high == top))
        # of an anonymous map's intervals that touch, the second's start is the first's end
        touching = anonymous and index + 1 < len(joined) and joined[index + 1][0] == high + 1
        if high < top and not touching:
            points.append(_point(key, high + 1) + END)
    return points


def _point(key: Selector, number: int) -> bytes:
    return key_attribute(pack_number(number, key.width, "big"))
