# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements of sets in the kernel: every kind of set, with ``nft add element`` and its like as the judge."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest
from rempart.errors import DocumentError, HostError, KernelError, RempartError
from rempart.nftables import uapi
from rempart.ruleset import membership
from rempart.ruleset.membership import Membership, change_elements, list_elements

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, generation, watched

MakeNetns = Callable[[], Namespace]

GET = uapi.NFT_MSG_GETSETELEM


def declare(where: Namespace, body: str, more: str = "", word: str = "set") -> None:
    """A table ``t`` with a set or map ``s``."""
    where.nft("table inet t {\n%s\n%s s {\n%s\n}\n}" % (more, word, body))


def change(where: Namespace, elements: Any, state: str = "present", **options: Any) -> Membership:
    return change_elements(where.name, "inet", "t", "s", elements, state, **options)


def listed(where: Namespace, word: str = "set") -> list[Any]:
    """The elements as nft lists them, in an order of their own and without times that run."""
    body = next(one[word] for one in where.nft_json(word, "inet", "t", "s") if word in one)
    found = []
    for one in body.get("elem", []):
        key = one[0] if isinstance(one, list) else one
        if isinstance(key, dict) and "elem" in key:
            key["elem"].pop("expires", None)
        found.append(one)
    return sorted(found, key=json.dumps)


def texts(where: Namespace) -> set[str]:
    return set(list_elements(where.name, "inet", "t", "s").texts)


#: title, word, declaration, what else is in the table, elements at first, elements to add as a
#: document has them and as nft has them, elements to delete likewise. Where nft 1.0.6 cannot do that
#: (it crashes at ``add element { * }``, and splits no interval), what is left is behind "=".
KINDS: list[tuple[str, str, str, str, str, Any, str, Any, str]] = [
    (
        "plain addresses",
        "set",
        "type ipv4_addr",
        "",
        "192.0.2.1, 192.0.2.2",
        ["192.0.2.2", "192.0.2.3"],
        "192.0.2.2, 192.0.2.3",
        "192.0.2.1",
        "192.0.2.1",
    ),
    (
        "services, which the kernel keeps in a bitmap",
        "set",
        "type inet_service",
        "",
        "22, 80",
        "ssh, 443",
        "22, 443",
        [80],
        "80",
    ),
    (
        "names of interfaces",
        "set",
        "type ifname",
        "",
        '"eth0"',
        ["eth0", "lo"],
        '"eth0", "lo"',
        "eth0",
        '"eth0"',
    ),
    (
        "marks, in host order",
        "set",
        "type mark",
        "",
        "0x1, 0x100",
        [2, "0x10"],
        "2, 0x10",
        1,
        "1",
    ),
    (
        "intervals",
        "set",
        "type ipv4_addr; flags interval",
        "",
        "10.0.0.0/24, 10.0.2.5",
        ["10.0.1.1-10.0.1.9", "10.0.2.6", "255.255.255.0/24", "10.0.0.0/24"],
        "10.0.1.1-10.0.1.9, 10.0.2.6, 255.255.255.0/24",
        ["10.0.0.0/24", "10.0.2.5"],
        "10.0.0.0/24, 10.0.2.5",
    ),
    (
        "intervals that merge",
        "set",
        "type ipv4_addr; flags interval; auto-merge",
        "",
        "10.0.0.0/24, 10.0.2.0/24, 10.9.0.1",
        ["10.0.1.0/24", "10.0.2.128-10.0.3.5", "10.9.0.2", "10.9.0.4"],
        "10.0.1.0/24, 10.0.2.128-10.0.3.5, 10.9.0.2, 10.9.0.4",
        ["10.0.1.7", "10.9.0.4"],
        "= 10.0.0.0-10.0.1.6, 10.0.1.8-10.0.3.5, 10.9.0.1-10.9.0.2",
    ),
    (
        "intervals of IPv6",
        "set",
        "type ipv6_addr; flags interval; auto-merge",
        "",
        "2001:db8::/64",
        ["2001:db8:0:1::/64", "::1", "ff00::/8"],
        "2001:db8:0:1::/64, ::1, ff00::/8",
        "2001:db8::5",
        "= ::1, 2001:db8::-2001:db8::4, 2001:db8::6-2001:db8:0:1:ffff:ffff:ffff:ffff, ff00::/8",
    ),
    (
        "ports, from the first to the last",
        "set",
        "type inet_service; flags interval; auto-merge",
        "",
        "10-20",
        ["0-5", "65000-65535"],
        "0-5, 65000-65535",
        [12, 65535],
        "= 0-5, 10-11, 13-20, 65000-65534",
    ),
    (
        "beginnings of names of interfaces",
        "set",
        "type ifname; flags interval",
        "",
        '"eth0"',
        ["ppp*", "lo"],
        '"ppp*", "lo"',
        "ppp*",
        '= "eth0", "lo"',
    ),
    (
        "a concatenation",
        "set",
        "type ipv4_addr . inet_service",
        "",
        "192.0.2.1 . 22",
        ["192.0.2.1 . 80", ["192.0.2.2", "ssh"]],
        "192.0.2.1 . 80, 192.0.2.2 . 22",
        "192.0.2.1 . 22",
        "192.0.2.1 . 22",
    ),
    (
        "a concatenation of intervals",
        "set",
        "type ipv4_addr . inet_service; flags interval",
        "",
        "192.0.2.0/24 . 22, 198.51.100.1 . 1-1024",
        ["192.0.2.0/24 . 80", "198.51.100.2-198.51.100.9 . 443", "192.0.2.0/24 . 22"],
        "192.0.2.0/24 . 80, 198.51.100.2-198.51.100.9 . 443",
        "198.51.100.1 . 1-1024",
        "198.51.100.1 . 1-1024",
    ),
    (
        "everything else",
        "set",
        "type ipv4_addr; flags interval",
        "",
        "192.0.2.0/24",
        ["*"],
        "= *, 192.0.2.0/24",
        "192.0.2.0/24",
        "= *",
    ),
    (
        "timeouts and comments",
        "set",
        "type ipv4_addr; flags timeout",
        "",
        "192.0.2.1 timeout 1h, 192.0.2.2",
        [{"elem": "192.0.2.3", "timeout": "2h", "comment": "noise"}, {"elem": "192.0.2.1", "timeout": "1h"}],
        '192.0.2.3 timeout 2h comment "noise"',
        "192.0.2.2",
        "192.0.2.2",
    ),
    (
        "counters of their own",
        "set",
        "type ipv4_addr; counter",
        "",
        "192.0.2.1",
        ["192.0.2.3"],
        "192.0.2.3",
        "192.0.2.1",
        "192.0.2.1",
    ),
    (
        "a map",
        "map",
        "type inet_service : ipv4_addr",
        "",
        "22 : 192.0.2.1, 23 : 192.0.2.9",
        {80: "192.0.2.2", "ssh": "192.0.2.1"},
        "80 : 192.0.2.2",
        ["23"],
        "23 : 192.0.2.9",
    ),
    (
        "a map of intervals",
        "map",
        "type ipv4_addr : mark; flags interval",
        "",
        "10.0.0.0/24 : 1",
        [{"key": "10.0.1.0/24", "value": 7, "comment": "seven"}],
        '10.0.1.0/24 comment "seven" : 7',
        "10.0.0.0/24",
        "10.0.0.0/24 : 1",
    ),
    (
        "a verdict map",
        "map",
        "type inet_service : verdict",
        "chain web { }",
        "22 : accept",
        ["80 : jump web", {"key": 443, "value": {"goto": "web"}}],
        "80 : jump web, 443 : goto web",
        {22: "accept"},
        "22 : accept",
    ),
    (
        "a map of objects",
        "map",
        "type ipv4_addr : counter",
        "counter a { }\ncounter b { }",
        '192.0.2.1 : "a"',
        {"192.0.2.2": "b"},
        '192.0.2.2 : "b"',
        "192.0.2.1",
        '192.0.2.1 : "a"',
    ),
    (
        "a map to an address and a port",
        "map",
        "type inet_service : ipv4_addr . inet_service",
        "",
        "80 : 192.0.2.1 . 8080",
        {443: "192.0.2.1 . 8443"},
        "443 : 192.0.2.1 . 8443",
        80,
        "80 : 192.0.2.1 . 8080",
    ),
]


def with_nft(where: Namespace, verb: str, elements: str) -> None:
    if elements.startswith("="):
        declaration = where.nft_text("set", "inet", "t", "s").partition("elements = {")[0].rstrip(" \n\t}")
        left = declaration + "\nelements = { %s }\n}\n}" % elements[1:]
        where.nft("delete set inet t s\n" + left)
    else:
        where.nft("%s element inet t s { %s }" % (verb, elements))


@pytest.mark.parametrize("whole", [False, True], ids=["asked", "read"])
@pytest.mark.parametrize("kind", KINDS, ids=[one[0] for one in KINDS])
def test_every_kind_of_set_ends_as_with_nft(
    kind: Any, whole: bool, make_netns: MakeNetns, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, word, declaration, more, first, added, nft_added, deleted, nft_deleted = kind
    if whole:
        monkeypatch.setattr(membership, "_QUESTIONS", 0)
    ours, theirs = make_netns(), make_netns()
    for where in (ours, theirs):
        declare(where, "%s\nelements = { %s }" % (declaration, first), more, word)
    with_nft(theirs, "add", nft_added)
    before = generation(ours)
    would = change(ours, added, check=True)
    assert would.changed and generation(ours) == before
    done = change(ours, added)
    assert done.changed
    assert (done.added(), done.removed()) == (would.added(), would.removed())
    assert listed(ours, word) == listed(theirs, word)
    after = generation(ours)
    assert not change(ours, added).changed
    assert generation(ours) == after

    with_nft(theirs, "delete", nft_deleted)
    assert change(ours, deleted, "absent").changed
    assert listed(ours, word) == listed(theirs, word)
    after = generation(ours)
    assert not change(ours, deleted, "absent").changed
    assert generation(ours) == after


@pytest.mark.parametrize("kind", KINDS, ids=[one[0] for one in KINDS])
def test_exact_leaves_what_is_given_alone(kind: Any, make_netns: MakeNetns) -> None:
    _, word, declaration, more, first, added, *_ = kind
    ours, theirs = make_netns(), make_netns()
    declare(ours, "%s\nelements = { %s }" % (declaration, first), more, word)
    declare(theirs, declaration, more, word)
    change(theirs, added)
    assert change(ours, added, "exact").changed
    assert texts(ours) == texts(theirs)
    assert len(texts(ours)) >= 1
    assert not change(ours, added, "exact").changed
    empty: Any = {} if word == "map" else []
    assert change(ours, empty, "exact").changed
    assert texts(ours) == set()
    assert not change(ours, empty, "exact").changed


@pytest.mark.parametrize("whole", [False, True], ids=["asked", "read"])
@pytest.mark.parametrize("merge", [False, True], ids=["whole", "merging"])
def test_random_changes_of_intervals(
    merge: bool, whole: bool, netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many changes of one set, against intervals in a list; now and then a document is applied to it."""
    if whole:
        monkeypatch.setattr(membership, "_QUESTIONS", 0)
    declare(netns, "type inet_service; flags interval;%s" % (" auto-merge;" if merge else ""))
    chance = random.Random(7)
    held: list[range] = []
    refused = 0
    for turn in range(250):
        base = chance.choice([0, 12, 65516])
        low = base + chance.randrange(14)
        high = min(low + chance.choice([0, 0, 0, 1, 5, 9]), 65535)
        state = chance.choice(["present", "present", "absent"])
        place = (turn, state, low, high)
        expected = changed(held, range(low, high + 1), state, merge)
        given = "%d-%d" % (low, high) if low < high else low
        if expected is None:
            refused += 1
            with pytest.raises(DocumentError, match="overlaps"):
                change(netns, given, state)
            continue
        assert change(netns, given, state).changed == (expected != held), place
        held = expected
        assert ports(netns) == held, place
        if not turn % 5 and held:
            # nothing is left over that a document would have to clear away
            elements = ["%d-%d" % (one[0], one[-1]) if len(one) > 1 else one[0] for one in held]
            declared = {"name": "s", "type": "inet_service", "flags": ["interval"], "elements": elements}
            declared["auto_merge"] = merge
            outcome = apply({"tables": [{"name": "t", "sets": [declared]}]}, netns, check=True, full=True)
            assert not outcome.changed, place
    assert held and merge == (refused == 0)


def changed(held: list[range], span: range, state: str, merge: bool) -> list[range] | None:
    """The intervals after a change, in order; None where it has to be refused."""
    before = {number for one in held for number in one}
    if merge:
        after = before | set(span) if state == "present" else before - set(span)
        starts = sorted(number for number in after if number - 1 not in after)
        ends = sorted(number for number in after if number + 1 not in after)
        return [range(low, high + 1) for low, high in zip(starts, ends)]
    if state == "present":
        there = before & set(span)
        if there:
            return held if len(there) == len(span) else None
        return sorted([*held, span], key=min)
    met = [one for one in held if set(one) & set(span)]
    if not all(set(one) <= set(span) for one in met):
        return None
    return [one for one in held if one not in met]


def ports(where: Namespace) -> list[range]:
    """The intervals of ports in the set, as nft lists them."""
    found = []
    for one in listed(where):
        if isinstance(one, dict) and "range" in one:
            low, high = one["range"]
        elif isinstance(one, dict):
            low = one["prefix"]["addr"]
            high = low + (1 << (16 - one["prefix"]["len"])) - 1
        else:
            low = high = one
        found.append(range(low, high + 1))
    return sorted(found, key=min)


def test_nft_finds_what_is_there_and_not_what_went(make_netns: MakeNetns) -> None:
    where = make_netns()
    declare(where, "type ipv4_addr; flags interval; auto-merge\nelements = { 10.0.0.0/24 }")
    change(where, "10.0.0.7", "absent")
    change(where, "10.0.1.0")
    for host, there in (("10.0.0.6", True), ("10.0.0.7", False), ("10.0.0.8", True), ("10.0.1.0", True)):
        asked = where.run("nft", "get", "element", "inet", "t", "s", "{ %s }" % host, check=False)
        assert (asked.returncode == 0) == there, host
    assert texts(where) == {"10.0.0.0-10.0.0.6", "10.0.0.8-10.0.1.0"}


def test_covered_is_no_change_and_overlap_is_an_error(netns: Namespace) -> None:
    declare(netns, "type ipv4_addr; flags interval\nelements = { 10.0.0.0/24, 10.0.1.0/24 }")
    for covered in ("10.0.0.9", "10.0.0.128/25", "10.0.0.200-10.0.1.3"):
        assert not change(netns, covered).changed
    for state, span in (
        ("present", "10.0.1.200-10.0.2.3"),
        ("absent", "10.0.0.9"),
        ("absent", "10.0.0.0/25"),
    ):
        with pytest.raises(DocumentError) as caught:
            change(netns, span, state)
        (problem,) = caught.value.problems
        assert problem.place == "elements" and problem.found == span
        assert "overlaps" in problem.message and "auto-merge" in problem.cure
    assert texts(netns) == {"10.0.0.0/24", "10.0.1.0/24"}
    assert change(netns, "10.0.0.0/23", "absent").removed() == ["10.0.0.0/24", "10.0.1.0/24"]


def test_given_elements_may_overlap_as_far_as_it_does_not_matter(netns: Namespace) -> None:
    declare(netns, "type ipv4_addr; flags interval")
    assert change(netns, ["10.0.0.9", "10.0.0.0/24", "10.0.1.0/24"]).added() == ["10.0.0.0/24", "10.0.1.0/24"]
    with pytest.raises(DocumentError, match="in part"):
        change(netns, ["10.5.0.0-10.5.0.9", "10.5.0.5-10.5.0.20"])


@pytest.mark.parametrize("whole", [False, True], ids=["asked", "read"])
def test_boxes_cover_and_overlap(whole: bool, netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    if whole:
        monkeypatch.setattr(membership, "_QUESTIONS", 0)
    declare(netns, "type ipv4_addr . inet_service; flags interval\nelements = { 10.0.0.0/24 . 20-30 }")
    assert not change(netns, "10.0.0.9 . 22").changed
    assert not change(netns, "10.0.0.128/25 . 22-25").changed
    for state, element in (
        ("present", "10.0.0.9-10.0.1.9 . 22"),
        ("absent", "10.0.0.9 . 22"),
        ("absent", "10.0.0.0/16 . 25"),
    ):
        with pytest.raises(DocumentError) as caught:
            change(netns, element, state)
        assert caught.value.problems[0].place == "elements"
        assert "10.0.0.0/24 . 20-30" in caught.value.problems[0].message
    # the kernel takes a wider one around a narrower one
    assert change(netns, "10.0.0.0/16 . 1-100").changed
    assert not change(netns, "10.0.7.7 . 99").changed
    assert change(netns, "10.0.0.0/8 . 0-65535", "absent").changed
    assert texts(netns) == set()


def test_what_times_out_starts_anew_only_if_asked(netns: Namespace) -> None:
    declare(
        netns, "type ipv4_addr; flags timeout; timeout 1h\nelements = { 192.0.2.1 timeout 2h expires 1m }"
    )
    for element in ("192.0.2.1", {"elem": "192.0.2.1", "timeout": "2h"}):
        assert not change(netns, element).changed
    done = change(netns, "192.0.2.1", refresh=True)
    assert (done.added(), len(done.removed())) == (["192.0.2.1 timeout 2h"], 1)
    assert done.removed()[0].startswith("192.0.2.1 timeout 2h expires ")
    assert change(netns, "192.0.2.1", timeout="3h").added() == ["192.0.2.1 timeout 3h"]
    # the kernel does not tell the timeout of elements that have the set's
    assert change(netns, "192.0.2.2", timeout="1h").changed
    assert not change(netns, "192.0.2.2", timeout=3600).changed
    assert change(netns, "192.0.2.2", timeout="1h", refresh=True).changed
    (elem,) = [one["elem"] for one in listed(netns) if one["elem"]["val"] == "192.0.2.1"]
    assert elem == {"val": "192.0.2.1", "timeout": 10800}


@pytest.mark.parametrize("whole", [False, True], ids=["asked", "read"])
def test_pieces_of_what_times_out_time_out(
    whole: bool, netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    if whole:
        monkeypatch.setattr(membership, "_QUESTIONS", 0)
    declare(netns, "type ipv4_addr; flags interval,timeout; auto-merge")
    change(netns, [{"elem": "10.0.0.0/24", "timeout": "1h", "comment": "noise"}, "10.0.1.0/24"])
    change(netns, "10.0.0.7", "absent")
    shown = {one.partition(" expires")[0] for one in texts(netns)}
    assert shown == {"10.0.0.0-10.0.0.6 timeout 1h", "10.0.0.8-10.0.0.255 timeout 1h", "10.0.1.0/24"}
    assert all("noise" in one for one in texts(netns) if "timeout" in one)
    # what lasts does not join what does not
    assert change(netns, "10.0.0.7").added() == ["10.0.0.7"]
    assert change(netns, "10.0.0.250-10.0.2.7", timeout="2h").changed
    assert {one.partition(" expires")[0] for one in texts(netns)} >= {
        "10.0.2.0/29 timeout 2h",
        "10.0.1.0/24 timeout 2h",
    }


def test_a_value_that_differs_takes_the_place(netns: Namespace) -> None:
    declare(netns, "type inet_service : mark\nelements = { 22 : 1, 23 : 2 }", word="map")
    done = change(netns, {22: 5, 23: 2})
    assert (done.removed(), done.added()) == (["22 : 0x00000001"], ["22 : 0x00000005"])
    assert listed(netns, "map") == [[22, 5], [23, 2]]


def test_what_is_not_given_stays(netns: Namespace) -> None:
    declare(netns, 'type ipv4_addr; counter\nelements = { 192.0.2.1 counter packets 5 bytes 9 comment "a" }')
    assert not change(netns, "192.0.2.1").changed
    assert not change(netns, "192.0.2.1", "exact").changed
    assert change(netns, {"elem": "192.0.2.1", "comment": "b"}).changed
    assert '"b"' in texts(netns).pop()


def test_packets_fill_a_set_and_one_element_goes(netns: Namespace) -> None:
    netns.up()
    netns.nft(
        """table inet t {
        set s { type inet_service; flags dynamic,timeout; timeout 1h; size 100; }
        chain c { type filter hook output priority 0; udp dport 1-100 add @s { udp dport }; }
        }"""
    )
    with netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for port in (5, 6, 7):
            sender.sendto(b"x", ("127.0.0.1", port))
    before = netns.nft_text("chain", "inet", "t", "c")
    assert change(netns, [6, 50], "absent").changed
    assert change(netns, 9, timeout=60).changed
    assert {one.partition(" ")[0] for one in texts(netns)} == {"5", "7", "9"}
    assert netns.nft_text("chain", "inet", "t", "c") == before


MANY = [str(ip_address(0x0A000000 + 2 * index)) for index in range(100_000)]


@pytest.mark.parametrize("kind", ["plain", "merging"])
def test_one_of_a_hundred_thousand_is_one_small_message(kind: str, netns: Namespace) -> None:
    declared = {"name": "s", "type": "ipv4_addr", "elements": MANY}
    if kind == "merging":
        declared["auto_merge"] = True
    apply({"tables": [{"name": "t", "sets": [declared]}]}, netns)
    steps = [("192.0.2.1", "present", 1), (MANY[50_000], "absent", 1), (MANY[70_000], "present", 0)]
    if kind == "merging":
        # the hole between two is closed: both go, and one comes
        steps.append((str(ip_address(0x0A000001)), "present", 2))
        steps.append(("198.51.100.0/24", "present", 1))
    for element, state, messages in steps:
        with watched() as seen:
            begin = time.perf_counter()
            done = change(netns, element, state)
            spent = time.perf_counter() - begin
        assert done.changed == bool(messages)
        assert seen.dumps[GET] == 0, "the whole set was read"
        assert [len(batch) for batch in seen.batches] == ([messages] if messages else [])
        assert all(len(one) < 250 for batch in seen.batches for one in batch)
        assert spent < 1
    asked = netns.run("nft", "get", "element", "inet", "t", "s", "{ 192.0.2.1 }", check=False)
    assert asked.returncode == 0


def test_a_lost_race_is_run_again(netns: Namespace) -> None:
    declare(netns, "type ipv4_addr; flags interval; auto-merge")

    def meanwhile() -> None:
        netns.nft("add element inet t s { 10.0.0.2 }")

    with watched() as seen:
        seen.before_commit.append(meanwhile)
        assert change(netns, "10.0.0.1").changed
    assert len(seen.batches) == 2
    assert texts(netns) == {"10.0.0.1-10.0.0.2"}


def test_questions_while_another_program_changes_the_set(
    netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(netns, "type ipv4_addr")
    ask = membership.generation_of
    calls = []

    def generation_meanwhile(socket: Any) -> int:
        calls.append(1)
        if len(calls) == 2:
            netns.nft("add element inet t s { 10.0.0.1 }")
        return ask(socket)

    monkeypatch.setattr(membership, "generation_of", generation_meanwhile)
    assert not change(netns, "10.0.0.1", check=True).changed


def test_an_element_that_went_by_itself_is_no_error(netns: Namespace) -> None:
    declare(netns, "type ipv4_addr; flags timeout\nelements = { 192.0.2.1 timeout 500ms }")
    with watched() as seen:
        seen.before_commit.append(lambda: time.sleep(0.7))
        assert not change(netns, "192.0.2.1", "absent").changed
    assert len(seen.batches) == 1


def test_after_its_time_an_element_can_come_again(netns: Namespace) -> None:
    declare(netns, "type ipv4_addr; flags interval,timeout; auto-merge")
    assert change(netns, ["10.0.0.5", "10.0.0.8"], timeout=1).changed
    time.sleep(1.2)
    assert change(netns, "10.0.0.0/28").added() == ["10.0.0.0/28"]
    assert texts(netns) == {"10.0.0.0/28"}


def failure(where: Namespace, elements: Any = "192.0.2.1", state: str = "present", **options: Any) -> Any:
    before = where.nft_text()
    names = {"family": "inet", "table": "t", "name": "s", **options}
    timeout = names.pop("timeout", None)
    with pytest.raises(RempartError) as caught:
        change_elements(
            where.name, names["family"], names["table"], names["name"], elements, state, timeout=timeout
        )
    assert where.nft_text() == before
    return caught.value


def test_names_that_are_not_there(netns: Namespace) -> None:
    netns.nft(
        """table inet edge { set blocked { type ipv4_addr; }
        chain c { ip saddr { 192.0.2.1, 192.0.2.2 } drop; }
        }
        table ip other { set blocked { type ipv4_addr; }
        }"""
    )
    found = failure(netns, table="egde", name="blocked")
    assert isinstance(found, HostError)
    assert found.problems[0].as_dict() == {
        "place": "table",
        "message": "there is no table inet egde",
        "found": "egde",
        "allowed": "inet edge, ip other",
        "cure": "did you mean 'edge'?",
    }
    assert "family ip" in failure(netns, table="other", name="blocked").problems[0].cure
    found = failure(netns, table="edge", name="blokced").problems[0]
    assert (found.place, found.allowed, found.cure) == ("set", "blocked", "did you mean 'blocked'?")
    assert failure(netns, table="edge", name="__set0").problems[0].allowed == "blocked"
    assert change_elements(netns.name, "", "other", "blocked", "192.0.2.1").family == "ip"
    netns.nft("table ip edge { set blocked { type ipv4_addr; }\n}")
    assert failure(netns, family="", table="edge", name="blocked").problems[0].place == "family"


def test_elements_that_do_not_fit(netns: Namespace) -> None:
    declare(netns, "type ipv4_addr")
    elements = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "nonsense/7"]
    found = failure(netns, elements)
    assert isinstance(found, DocumentError)
    assert [one.place for one in found.problems] == ["elements[3]", "elements[4]"]
    found = failure(netns, ["192.0.2.1", "192.0.2.0/24"]).problems[0]
    assert (found.place, found.found) == ("elements[1]", "192.0.2.0/24")
    assert "flags: [interval]" in found.cure
    found = failure(netns, {"elem": "192.0.2.1", "timeout": "1h"}).problems[0]
    assert found.place == "elements[0].timeout" and "flags: [timeout]" in found.cure
    assert failure(netns, timeout="1h").problems[0].place == "timeout"


def test_what_the_kernel_refuses(netns: Namespace) -> None:
    declare(netns, "type ipv4_addr; size 2\nelements = { 192.0.2.1, 192.0.2.2 }")
    found = failure(netns, "192.0.2.3")
    assert isinstance(found, KernelError)
    assert found.problems[0].message == "set s is full" and found.problems[0].found == 2
    netns.nft("delete table inet t")
    declare(
        netns, "type ipv4_addr; flags constant\nelements = { 192.0.2.1 }", "chain c { ip saddr @s drop; }"
    )
    assert "constant" in failure(netns, "192.0.2.3").problems[0].message


@pytest.mark.parametrize(
    ("body", "elements", "known"),
    [
        ("type inet_service : verdict", {22: "jump wbe"}, "web"),
        ("type inet_service : counter", {22: "wbe"}, "web"),
    ],
)
def test_a_map_leads_to_what_is_there(body: str, elements: Any, known: str, netns: Namespace) -> None:
    declare(netns, body, "chain web { }\ncounter web { }", "map")
    (problem,) = failure(netns, elements).problems
    assert (problem.place, problem.found, problem.allowed) == ("elements", "wbe", known)
    assert problem.cure == "did you mean 'web'?"


def test_a_network_stays_whole_that_held_timed_pieces(netns: Namespace) -> None:
    held = (
        "10.0.0.0/24 timeout 1h",
        '10.0.2.0/24 timeout 1h comment "friend"',
        "10.0.4.0/24",
        "11.0.0.0/8 timeout 1h",
    )
    body = "type ipv4_addr; flags interval, timeout; auto-merge; elements = { %s }" % ", ".join(held)
    netns.nft("table inet t {\nset s {\n%s\n}\n}\n" % body)
    assert change(netns, "10.0.0.0/8").changed
    found = list_elements(netns.name, "inet", "t", "s").texts
    assert [one.partition(" timeout")[0] for one in found] == [
        "10.0.0.0/23",
        '10.0.2.0/24 comment "friend"',
        "10.0.3.0-10.255.255.255",
        "11.0.0.0/8",
    ]
    assert [one for one in found if "timeout" in one] == found[-1:]
    assert not change(netns, "10.0.0.0/8").changed
