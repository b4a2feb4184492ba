# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets with a timeout: elements that have it, another one, or none at all. The kernel ends them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rempart.errors import DocumentError
from rempart.netlink.attributes import BE32, BE64, attribute, table
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.ruleset.capture import capture
from rempart.ruleset.kernel import timed
from rempart.ruleset.membership import change_elements, list_elements

from tests.support.command import rempart
from tests.support.namespaces import Namespace
from tests.support.rulesets import apply

#: a set's type, and its elements: with the set's time, with another, with none
SETS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "values": (
        {"type": "ipv4_addr"},
        ["10.0.0.1", {"elem": "10.0.0.2", "timeout": 7200}, {"elem": "10.0.0.3", "timeout": "never"}],
    ),
    "comments": (
        {"type": "inet_service", "counter": True},
        [{"elem": 80, "timeout": "never", "comment": "for ever"}, 443],
    ),
    "intervals": (
        {"type": "ipv4_addr", "flags": ["interval"]},
        [
            "10.0.0.0/24",
            {"elem": "10.0.1.0/24", "timeout": "never"},
            {"elem": "10.0.2.0-10.0.2.9", "timeout": 7200},
            {"elem": "255.255.255.0/24", "timeout": "never"},
        ],
    ),
    "merged intervals": (
        {"type": "ipv4_addr", "flags": ["interval"], "auto_merge": True},
        ["10.0.0.0/24", {"elem": "10.0.8.0/24", "timeout": "never"}],
    ),
    "concatenations": (
        {"type": "ipv4_addr . inet_service"},
        ["10.0.0.1 . 22", {"elem": "10.0.0.1 . 80", "timeout": "never"}],
    ),
    "boxes": (
        {"type": "ipv4_addr . inet_service", "flags": ["interval"]},
        ["10.0.0.0/24 . 22-25", {"elem": "10.0.1.0/24 . 80", "timeout": "never"}],
    ),
    "everything else": ({"type": "ipv4_addr"}, ["10.0.0.1", {"elem": "*", "timeout": "never"}]),
}
MAPS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "verdicts": (
        {"type": "mark", "map": "verdict"},
        [{"key": 1, "timeout": "never", "value": "drop"}, {"key": 2, "value": "accept"}],
    ),
    "values of intervals": (
        {"type": "ipv4_addr", "map": "mark", "flags": ["interval"]},
        [{"key": "10.0.0.0/24", "timeout": "never", "value": 1}, {"key": "10.0.1.0/24", "value": 2}],
    ),
}
KINDS = [("sets", *one) for one in SETS.values()] + [("maps", *one) for one in MAPS.values()]


def document(key: str, kind: dict[str, Any], elements: list[Any], timeout: Any = 3600) -> dict[str, Any]:
    flags = [*kind.get("flags", ()), "timeout"]
    one = {"name": "s", **kind, "flags": flags, "timeout": timeout, "elements": elements}
    return {"tables": [{"name": "t", key: [one]}]}


def by_element(elements: list[Any]) -> dict[str, Any]:
    return {str(one.get("elem", one.get("key")) if isinstance(one, dict) else one): one for one in elements}


@pytest.mark.parametrize(("key", "kind", "elements"), KINDS, ids=[*SETS, *MAPS])
def test_each_is_in_line_and_comes_back_as_it_was_written(
    make_netns: Callable[[], Namespace], tmp_path: Path, key: str, kind: dict[str, Any], elements: list[Any]
) -> None:
    home, elsewhere = make_netns(), make_netns()
    wanted = document(key, kind, elements)
    assert apply(wanted, home).changed
    assert not apply(wanted, home, full=True).changed
    with NetlinkSocket(home.name) as kernel:
        found = capture(kernel)
    assert found.notes == []
    (told,) = found.document["tables"][0][key]
    if isinstance(told["elements"], dict):
        told["elements"] = [{"key": one, "value": value} for one, value in told["elements"].items()]
    assert by_element(told["elements"]) == by_element(elements)
    assert not apply(found.document, home, full=True).changed
    file = tmp_path / "saved.json"
    assert rempart("save", file, "--netns", home.name).returncode == 0
    assert rempart("restore", file, "--netns", elsewhere.name).returncode == 0
    assert not apply(wanted, elsewhere, full=True).changed


@pytest.mark.parametrize(("key", "kind", "elements"), KINDS, ids=[*SETS, *MAPS])
def test_what_never_expires_is_there_when_all_else_is_gone(
    netns: Namespace, key: str, kind: dict[str, Any], elements: list[Any]
) -> None:
    brief = [{**one, "timeout": "500ms"} if isinstance(one, dict) and one.get("timeout") == 7200 else one
             for one in elements]  # fmt: skip
    apply(document(key, kind, brief, "500ms"), netns)
    staying = [one for one in elements if isinstance(one, dict) and one.get("timeout") == "never"]
    time.sleep(0.8)
    left = list_elements(netns.name, "inet", "t", "s").texts
    assert len(left) == len(staying)
    assert all("timeout never" in one for one in left)


def change(netns: Namespace, element: Any, **options: Any) -> tuple[list[str], list[str]]:
    done = change_elements(netns.name, "inet", "t", "s", [element], **options)
    return done.added(), done.removed()


def test_by_hand(netns: Namespace) -> None:
    apply(document("sets", {"type": "ipv4_addr"}, ["10.0.0.1"]), netns)
    assert change(netns, "10.0.0.2", timeout="never") == (["10.0.0.2 timeout never"], [])
    assert change(netns, "10.0.0.2", timeout="never") == ([], [])
    assert change(netns, "10.0.0.2") == ([], [])
    assert change(netns, "10.0.0.2", refresh=True) == ([], [])
    added, removed = change(netns, {"elem": "10.0.0.1", "timeout": "never"})
    assert added == ["10.0.0.1 timeout never"] and removed[0].startswith("10.0.0.1 expires")
    added, removed = change(netns, "10.0.0.1", timeout="1h")
    assert added == ["10.0.0.1 timeout 1h"] and removed == ["10.0.0.1 timeout never"]
    assert change(netns, "10.0.0.1", timeout="1h") == ([], [])
    assert change(netns, "10.0.0.3", timeout="2h") == (["10.0.0.3 timeout 2h"], [])
    added, removed = change(netns, "10.0.0.3", timeout="1h")
    assert added == ["10.0.0.3 timeout 1h"] and removed[0].startswith("10.0.0.3 timeout 2h")
    assert change(netns, "10.0.0.2", state="absent") == ([], ["10.0.0.2 timeout never"])


def test_in_a_set_without_times_it_says_nothing(netns: Namespace) -> None:
    apply({"tables": [{"name": "t", "sets": [{"name": "s", "type": "ipv4_addr"}]}]}, netns)
    assert change(netns, "10.0.0.2", timeout="never") == (["10.0.0.2"], [])
    assert change(netns, {"elem": "10.0.0.2", "timeout": "never"}) == ([], [])


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"elem": "10.0.0.1", "timeout": "ever"}, "allowed: seconds, or a text such as 1h30m, or never"),
        ({"elem": "10.0.0.1", "timeout": "never", "expires": "5m"}, "does not expire"),
    ],
)
def test_what_is_no_time_is_told(netns: Namespace, element: Any, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        apply(document("sets", {"type": "ipv4_addr"}, [element]), netns)
    assert message in str(caught.value)


def test_a_larger_interval_that_goes_earlier_is_split_where_the_set_merges(netns: Namespace) -> None:
    kind = {"type": "ipv4_addr", "flags": ["interval"], "auto_merge": True}
    network = {"elem": "10.0.0.0/24", "timeout": "1h"}
    apply(document("sets", kind, [network], "2h"), netns)
    for shorter in ("30m", "1h"):
        assert change(netns, "10.0.0.0/25", timeout=shorter) == ([], [])
    assert change(netns, "10.0.0.0/25") == ([], [])
    added, removed = change(netns, "10.0.0.16/28", timeout="never")
    assert [one.split(" expires")[0] for one in removed] == ["10.0.0.0/24 timeout 1h"]
    assert sorted(one.split(" expires")[0] for one in added) == [
        "10.0.0.0/28 timeout 1h",
        "10.0.0.16/28 timeout never",
        "10.0.0.32-10.0.0.255 timeout 1h",
    ]
    assert change(netns, "10.0.0.16/28", timeout="never") == ([], [])
    # one that reaches into it is whole, too
    added, removed = change(netns, "10.0.0.192-10.0.1.63", timeout="1d")
    assert "10.0.0.192-10.0.1.63 timeout 1d" in added


@pytest.mark.parametrize(
    ("type", "held", "given"),
    [
        ("ipv4_addr", "10.0.0.0/24", "10.0.0.0/25"),
        ("ipv4_addr . inet_service", "10.0.0.0/24 . 1-9", "10.0.0.9 . 5"),
    ],
    ids=["intervals", "boxes"],
)
def test_elsewhere_it_overlaps(netns: Namespace, type: str, held: str, given: str) -> None:
    apply(document("sets", {"type": type, "flags": ["interval"]}, [{"elem": held, "timeout": "2h"}]), netns)
    for silent in ({}, {"timeout": "2h"}, {"timeout": "5m"}):
        assert change(netns, given, **silent) == ([], [])
    for longer in ("3h", "never"):
        with pytest.raises(DocumentError, match="which overlaps this one"):
            change(netns, given, timeout=longer)


def test_every_kernel_is_understood() -> None:
    """Before 6.12 they say nothing of what never expires, from then on the end of an interval has a time."""
    key = attribute(uapi.NFTA_SET_ELEM_KEY, attribute(uapi.NFTA_DATA_VALUE, bytes(4)))
    none = attribute(uapi.NFTA_SET_ELEM_TIMEOUT, bytes(8))
    rest = attribute(uapi.NFTA_SET_ELEM_EXPIRATION, BE64.pack(1000))
    comment = attribute(uapi.NFTA_SET_ELEM_USERDATA, b"\x00\x02x\x00")
    end = attribute(uapi.NFTA_SET_ELEM_FLAGS, BE32.pack(uapi.NFT_SET_ELEM_INTERVAL_END))
    assert timed(key + none) == timed(key) == key + none
    assert timed(key + none + comment) == timed(key + comment) == key + none + comment
    assert timed(key + end + none) == timed(key + end) == key + end
    assert timed(key + rest) == key + rest
    hour = attribute(uapi.NFTA_SET_ELEM_TIMEOUT, BE64.pack(3600_000))
    assert timed(key + hour + rest) == key + hour + rest
    assert table(timed(key))[uapi.NFTA_SET_ELEM_TIMEOUT] == bytes(8)
