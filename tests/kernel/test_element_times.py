# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is left of an element's time: saved and restored, declared, and no drift. nft is the judge."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from rempart.errors import DocumentError
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset import saved
from rempart.ruleset.capture import capture
from rempart.ruleset.membership import change_elements
from rempart.session.before import Before

from tests.support.command import rempart
from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, generation

#: title, set or map, declaration, elements with five minutes left and one that stays
KINDS = [
    ("values", "set", "type ipv4_addr; flags timeout;", "1.1.1.1 timeout 1h expires 5m, 1.1.1.2"),
    (
        "time of the set",
        "set",
        "type ipv4_addr; flags timeout; timeout 2h;",
        "1.1.1.1 expires 5m, 1.1.1.2 timeout 1h expires 5m",
    ),
    (
        "intervals",
        "set",
        "type ipv4_addr; flags interval,timeout;",
        '1.1.1.0/24 timeout 1h expires 5m comment "x", 2.2.2.2-2.2.2.9 timeout 1h expires 5m, 9.0.0.0/8',
    ),
    (
        "concatenation",
        "set",
        "type ipv4_addr . inet_service; flags timeout;",
        "1.1.1.1 . 22 timeout 1h expires 5m, 1.1.1.2 . 22",
    ),
    (
        "boxes",
        "set",
        "type ipv4_addr . inet_service; flags interval,timeout;",
        "1.1.1.0/24 . 22-25 timeout 1h expires 5m, 1.1.2.0/24 . 22",
    ),
    (
        "counting",
        "set",
        "type ipv4_addr; flags timeout; counter;",
        "1.1.1.1 counter packets 0 bytes 0 timeout 1h expires 5m",
    ),
    ("verdicts", "map", "type mark : verdict; flags timeout;", "1 timeout 1h expires 5m : drop, 2 : drop"),
    ("values of a map", "map", "type mark : mark; flags timeout;", "1 timeout 1h expires 5m : 7, 2 : 8"),
]


def rests(where: Namespace) -> list[int | None]:
    """What nft says is left of each element of ``s``, in seconds; None for one that stays."""
    found = []
    for one in where.nft_json("table", "inet", "t"):
        for row in (one.get("set") or one.get("map") or {}).get("elem", []):
            key = row[0] if isinstance(row, list) else row
            found.append(key["elem"].get("expires") if isinstance(key, dict) and "elem" in key else None)
    return found


def in_time(found: list[int | None], limit: int = 300) -> bool:
    """Whether something is left of each, but not more; the test itself takes some of it."""
    return bool(found) and all(one is not None and limit - 100 < one <= limit for one in found)


def declare(where: Namespace, word: str, body: str, elements: str) -> None:
    where.nft("table inet t { %s s { %s elements = { %s }; }; }" % (word, body, elements))


@pytest.mark.parametrize("counts", [[], ["--counts"]], ids=["", "counts"])
@pytest.mark.parametrize(
    ("word", "body", "elements"), [one[1:] for one in KINDS], ids=[one[0] for one in KINDS]
)
def test_saved_and_restored(
    netns: Namespace, tmp_path: Path, word: str, body: str, elements: str, counts: list[str]
) -> None:
    declare(netns, word, body, elements)
    before = rests(netns)
    file = tmp_path / "saved.json"
    assert rempart("save", file, "--netns", netns.name, *counts).returncode == 0
    # An element that is there has its own time.
    assert rempart("restore", file, "--netns", netns.name).stdout == "inet t: same\n"
    netns.nft("delete table inet t")
    assert rempart("restore", file, "--netns", netns.name).stdout == "inet t: restored\n"
    found = rests(netns)
    assert [one is None for one in found] == [one is None for one in before]
    assert in_time([one for one in found if one is not None])


def test_a_table_that_is_replaced(netns: Namespace, tmp_path: Path) -> None:
    """Elements that stay keep their time, those that come back get what was left."""
    declare(netns, "set", "type ipv4_addr; flags timeout;", "1.1.1.1 timeout 1h expires 5m")
    netns.nft("add element inet t s { 1.1.1.2 timeout 1h expires 5m }")
    with NetlinkSocket(netns.name) as kernel:
        held = saved.take(kernel)
    netns.nft(
        "delete element inet t s { 1.1.1.1, 1.1.1.2 }\n"
        "add element inet t s { 1.1.1.1 timeout 1h expires 30m }"
    )
    done = saved.restore(held, saved.always("replace"), netns.name)
    assert done.tables == [("inet", "t", "replaced")]
    first, second = rests(netns)
    assert in_time([second]) and in_time([first], 1800)


def test_less_than_a_second(netns: Namespace) -> None:
    """Neither is rounded: nothing left would mean all of it."""
    declare(netns, "set", "type ipv4_addr; flags timeout;", "1.1.1.1 timeout 10h, 1.1.1.2 timeout 1500ms")
    netns.nft("add element inet t s { 1.1.1.3 timeout 1h expires 900ms }")
    with NetlinkSocket(netns.name) as kernel:
        held = saved.take(kernel)
    first, second, third = held.document["tables"][0]["sets"][0]["elements"]
    assert first["timeout"] == 36000 and second["timeout"] == "1500ms"
    assert 0 < int(third["expires"][:-2]) <= 900
    netns.nft("delete table inet t")
    saved.restore(held, saved.always("replace"), netns.name)
    time.sleep(1.6)
    assert len(rests(netns)) == 1


def test_it_counts_only_when_the_element_is_added(netns: Namespace) -> None:
    def document(timeout: str, rest: str, comment: str = "") -> Any:
        element = {"elem": "1.1.1.1", "timeout": timeout, "expires": rest}
        if comment:
            element["comment"] = comment
        return {
            "tables": [{"name": "t", "sets": [{"name": "s", "type": "ipv4_addr", "elements": [element]}]}]
        }

    assert apply(document("1h", "5m"), netns).changed
    assert in_time(rests(netns))
    before = generation(netns)
    for rest in ("5m", "1m", "59m"):
        assert not apply(document("1h", rest), netns).changed
    assert generation(netns) == before
    outcome = apply(document("2h", "30m"), netns)
    assert outcome.changes()[-1]["element"] == "1.1.1.1 timeout 2h expires 30m"
    assert in_time(rests(netns), 1800)
    assert apply(document("2h", "5m", "anew"), netns).changed
    assert in_time(rests(netns))


def test_elements_by_hand(netns: Namespace) -> None:
    declare(netns, "set", "type ipv4_addr; flags timeout; timeout 2h;", "1.1.1.9 timeout 1h")

    def add(element: Any, **options: Any) -> bool:
        return change_elements(netns.name, "inet", "t", "s", [element], **options).changed

    netns.nft("delete element inet t s { 1.1.1.9 }")
    assert add({"elem": "1.1.1.1", "expires": "5m"})
    assert in_time(rests(netns))
    assert not add({"elem": "1.1.1.1", "expires": "1m"})
    assert add({"elem": "1.1.1.1", "expires": "30m"}, refresh=True)
    assert in_time(rests(netns), 1800)
    before = generation(netns)
    with pytest.raises(DocumentError, match="more time than the element has") as caught:
        add({"elem": "1.1.1.2", "expires": "3h"})
    assert caught.value.problems[0].place == "elements[0].expires"
    assert caught.value.problems[0].allowed == "up to its timeout, 2h"
    assert generation(netns) == before
    assert add({"elem": "1.1.1.2", "expires": "3h"}, timeout="4h")


def test_capture_has_it_only_with_counts(netns: Namespace) -> None:
    declare(netns, "set", "type ipv4_addr; flags timeout;", "1.1.1.1 timeout 1h expires 5m")
    with NetlinkSocket(netns.name) as kernel:
        assert "expires" not in json.dumps(capture(kernel).document)
        assert "expires" in json.dumps(capture(kernel, counts=True).document)


def test_what_was_taken_back_has_the_time_that_it_had(netns: Namespace) -> None:
    declare(netns, "set", "type ipv4_addr; flags timeout;", "1.1.1.1 timeout 1h expires 5m")
    outcome = apply({"tables": [{"name": "t"}]}, netns)
    assert rests(netns) == []
    assert outcome.plan is not None
    Before(outcome.plan, netns.name).put_back()
    assert in_time(rests(netns))
