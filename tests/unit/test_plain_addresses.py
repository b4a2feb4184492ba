# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses packed all at once against one at a time: the same bytes, and the same errors."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rempart.errors import DocumentError
from rempart.nftables.declared import compile_set
from rempart.nftables.sets import elements

WIDTHS = {"ipv4_addr": 32, "ipv6_addr": 128}


def address(type_name: str, number: int) -> str:
    """The address of a number; of one below zero counted from the last."""
    width = WIDTHS[type_name]
    text = str(ip_address(number % (1 << width)))
    return text if width == 32 or ":" in text else "::" + text


numbers = st.integers(0, 20) | st.integers(-20, -1) | st.sampled_from([1 << 16, 0xC0000200, (1 << 31) - 1])


@st.composite
def items(draw: st.DrawFn, type_name: str, wide: bool, odd: bool) -> Any:
    """One element as JSON."""
    first = address(type_name, draw(numbers))
    kinds = ["one"]
    if wide:
        kinds += ["prefix", "range"]
    if odd:
        kinds += ["comment", "all", "wrong"]
    kind = draw(st.sampled_from(kinds))
    width = WIDTHS[type_name]
    if kind == "prefix":
        lengths = [0, 1, width - 5, width - 1, width, *([-1, width + 1, True] if odd else [])]
        return {"prefix": {"addr": first, "len": draw(st.sampled_from(lengths))}}
    if kind == "range":
        ends = [first, address(type_name, draw(numbers))]
        return {"range": ends if odd else sorted(ends, key=lambda one: int(ip_address(one)))}
    if kind == "comment":
        return {"elem": {"val": first, "comment": draw(st.sampled_from("ab"))}}
    if kind == "wrong":
        found: Any = draw(
            st.sampled_from(["", "x", "10.0.0", "10.0.0.0/8", 7, None, [], {}, {"prefix": first}])
        )
        return found
    return "*" if kind == "all" else first


@st.composite
def declared(draw: st.DrawFn) -> dict[str, Any]:
    """A set of addresses as JSON; half of them hold nothing odd."""
    type_name = draw(st.sampled_from(sorted(WIDTHS)))
    wide, odd = draw(st.booleans()), draw(st.booleans())
    listed = draw(st.lists(items(type_name, wide, odd), max_size=12))
    return {
        "name": "s",
        "type": type_name,
        "flags": ["interval"] if wide else [],
        "auto-merge": wide and draw(st.booleans()),
        "elem": listed,
    }


def compiled(value: dict[str, Any]) -> Any:
    """The payloads, or what is wrong."""
    try:
        return compile_set(value, "inet").elements
    except DocumentError as error:
        return [str(one) for one in error.problems]


def general(value: dict[str, Any]) -> Any:
    with mock.patch.object(elements, "plain_addresses", return_value=None):
        return compiled(value)


def a_set(*found: Any, merge: bool = False, type_name: str = "ipv4_addr") -> dict[str, Any]:
    return {"name": "s", "type": type_name, "flags": ["interval"], "auto-merge": merge, "elem": list(found)}


@given(declared())
@example(a_set("255.255.255.255", "0.0.0.0"))
@example(a_set({"range": ["0.0.0.0", "255.255.255.255"]}))
@example(a_set("10.0.0.1", "10.0.0.2", "10.0.0.1"))
@example(a_set("10.0.0.1", "10.0.0.2", merge=True))
@example(a_set({"prefix": {"addr": "10.0.0.0", "len": 24}}, "10.0.0.7", "10.0.1.0", merge=True))
@example(a_set({"prefix": {"addr": "10.0.0.0", "len": 24}}, "10.0.0.7"))
@example(a_set({"range": ["::2", "::1"]}, type_name="ipv6_addr"))
def test_all_at_once_as_one_at_a_time(value: dict[str, Any]) -> None:
    assert compiled(value) == general(value)


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize(("type_name", "base"), [("ipv4_addr", 10 << 24), ("ipv6_addr", 0x20010DB8 << 96)])
def test_large_lists_do_not_go_the_general_way(type_name: str, base: int, merge: bool) -> None:
    """The general way takes some twenty times as long."""
    found = [address(type_name, base + number * 2) for number in range(500)]
    wide = [{"prefix": {"addr": address(type_name, base - 256), "len": WIDTHS[type_name] - 8}}]
    wide.append({"range": [address(type_name, base - 600), address(type_name, base - 500)]})
    for listed in (found, found + wide):
        value = a_set(*listed, merge=merge, type_name=type_name)
        expected = general(value)
        with mock.patch.object(elements, "_encode", side_effect=AssertionError("the general way")):
            assert compiled(value) == expected
