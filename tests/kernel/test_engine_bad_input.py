# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of bad input meets its error, and the kernel's ruleset stays as it was."""

from __future__ import annotations

import ctypes
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rempart.document import hosts
from rempart.errors import DocumentError, HostError, KernelError, RempartError
from rempart.netlink.namespace import Entered
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.ruleset.messages import new_table
from rempart.ruleset.reconcile import Source, check_only, reconcile, remove

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, generation, raw, table_of

TABLE = json.loads((Path(__file__).parent.parent / "data" / "bad_input.json").read_text())

NOBODY = 65534
CLONE_NEWUSER = 0x10000000  # linux/sched.h

HELD = {
    "tables": [
        {
            "name": name,
            "family": family,
            "chains": [{"name": "c", "rules": [{"mark": [1, 2], "counter": True, "verdict": "accept"}]}],
        }
        for name in ("edge", "t")
        for family in ("inet", "ip", "ip6")
    ]
}


@pytest.fixture(scope="module")
def held() -> Iterator[Namespace]:
    """A namespace with a ruleset in it, of which nothing may change."""
    with Namespace() as where:
        where.nft("table ip other { chain x { tcp dport { 1, 2 } counter packets 5 bytes 6; }\n }\n")
        apply(HELD, where)
        yield where


@pytest.fixture
def unchanged(held: Namespace) -> Iterator[Namespace]:
    """The same, compared with itself after the test."""
    before = generation(held), raw(held)
    yield held
    assert (generation(held), raw(held)) == before


@pytest.fixture(autouse=True)
def no_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(name: str) -> list[str]:
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(hosts, "system_lookup", lookup)


def refused(document: Any, where: Namespace, **options: Any) -> RempartError:
    with pytest.raises(RempartError) as caught:
        apply(document, where, **options)
    return caught.value


@pytest.mark.parametrize("row", TABLE["documents"], ids=lambda row: row["name"])
def test_a_bad_document_changes_nothing(row: dict[str, Any], unchanged: Namespace) -> None:
    error = refused(row["document"], unchanged)
    assert isinstance(error, DocumentError)
    message = row.get("without_schema", row["message"])
    assert [one for one in error.problems if one.place == row["place"] and message in str(one)], str(error)


@pytest.mark.parametrize("row", TABLE["texts"], ids=lambda row: row["name"])
def test_a_bad_text_changes_nothing(row: dict[str, Any], unchanged: Namespace) -> None:
    from rempart.document.validation import read

    with pytest.raises(DocumentError) as caught:
        reconcile(
            Source.of_bytes(row["text"].encode("utf-8", "surrogateescape"), lambda _: read(row["text"], "f")),
            unchanged.name,
        )
    assert row["message"] in str(caught.value)


def chain(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"tables": [{"name": "edge", "chains": [{"name": "c", "rules": list(rules), **more}]}]}


def test_every_rule_that_is_wrong_is_named_at_once(unchanged: Namespace) -> None:
    rules: list[dict[str, Any]] = [
        {"saddr": "10.0.0.256"},
        {"counter": True},
        {"protocol": "tcp", "dport": 70000},
        {
            "expr": [
                {"counter": None},
                {"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": {}}},
            ]
        },
        {"jump": "c", "dprot": 5},
    ]
    places = {one.place for one in refused(chain(*rules), unchanged).problems}
    # what ties chains together is looked at first: the loop hides the rest
    assert places == {"tables[0].chains[0].rules[4].jump"}
    del rules[4]["jump"]
    rules[4]["counter"] = True
    places = {one.place for one in refused(chain(*rules), unchanged).problems}
    start = "tables[0].chains[0].rules"
    assert {start + "[0].saddr", start + "[2].dport", start + "[4].dprot"} <= places
    assert any(place.startswith(start + "[3].expr[1].match") for place in places)


#: documents that are sound by themselves; the kernel says no (nft_limit_init: it does not fit)
OVERFLOW = {"limit": "3000 mbytes/week", "verdict": "drop"}


def test_what_the_kernel_refuses_is_named_in_the_documents_terms(unchanged: Namespace) -> None:
    rules = [{"counter": True}, {"saddr": "192.0.2.1", **OVERFLOW}, {"verdict": "accept"}]
    error = refused(chain(*rules), unchanged)
    assert isinstance(error, KernelError)
    [problem] = error.problems
    assert problem.place == "tables[0].chains[0].rules[1]"
    assert problem.message == "the kernel refused this rule: %s" % os.strerror(75)  # EOVERFLOW
    assert problem.found == "ip saddr 192.0.2.1 limit rate 3000 mbytes/week drop"


def test_all_that_the_kernel_refuses_is_named(unchanged: Namespace) -> None:
    rules = [{"counter": True}, OVERFLOW, {"verdict": "accept"}, OVERFLOW]
    error = refused(chain(*rules), unchanged)
    assert [one.place for one in error.problems] == ["tables[0].chains[0].rules[%d]" % at for at in (1, 3)]


def test_a_table_that_a_process_keeps_to_itself_is_named(netns: Namespace) -> None:
    with NetlinkSocket(netns.name) as owner:
        owner.transact([new_table(uapi.NFPROTO_INET, "edge", uapi.NFT_TABLE_F_OWNER)])
        before = raw(netns)
        for check in (False, True):
            error = refused(chain({"counter": True}), netns, check=check)
            assert isinstance(error, HostError)
            assert str(error).startswith("tables[0]: another process keeps table inet edge to itself; stop")
        with pytest.raises(HostError, match="another process keeps table inet edge to itself"):
            remove([("inet", "edge")], netns.name)
        assert raw(netns) == before
    # its table goes with the process's socket
    assert apply(chain({"counter": True}), netns).changed


def test_one_refused_rule_stops_all_tables(unchanged: Namespace) -> None:
    good = {"name": "good", "chains": [{"name": "c", "rules": [{"counter": True}]}]}
    bad = chain(OVERFLOW)["tables"][0]
    refused({"tables": [good, bad]}, unchanged)
    refused({"tables": [bad, good]}, unchanged)


def test_check_only_needs_no_kernel_and_finds_the_same() -> None:
    check_only(HELD)
    with pytest.raises(DocumentError) as caught:
        check_only(chain({"saddr": "10.0.0.256"}, {"protocol": "tcp", "dport": "nosuchservice"}))
    assert len(caught.value.problems) == 2


def test_no_such_namespace(unchanged: Namespace) -> None:
    for name, message in (
        (unchanged.name[:-1] + "x", "no such network namespace"),
        ("/proc/self/ns/none", "no such network namespace"),
        ("/etc/hostname", "is not a network namespace"),
        ("", "not the name of a network namespace"),
    ):
        with pytest.raises(HostError, match=message) as caught:
            reconcile(Source.of_mapping(HELD), name)
        assert caught.value.problems[0].found == name
    with pytest.raises(HostError) as caught:
        reconcile(Source.of_mapping(HELD), unchanged.name + "x")
    assert unchanged.name in str(caught.value)  # the nearest name


def in_child(step: Callable[[], None]) -> str:
    """The error that the step raises in a process of its own: its kind and its text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(reader)
            signal.alarm(30)
            text = "nothing raised"
            try:
                step()
            except BaseException as error:
                text = "%s: %s" % (type(error).__name__, error)
            os.write(writer, text.encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text


def as_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def as_root_of_nothing() -> None:
    """A user namespace of its own: all capabilities, but not over this network namespace."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")


@pytest.mark.parametrize("become", [as_nobody, as_root_of_nothing])
@pytest.mark.parametrize("check", [False, True])
def test_no_root(become: Callable[[], None], check: bool, unchanged: Namespace) -> None:
    def step() -> None:
        Entered(unchanged.name).__enter__()  # and there to stay
        become()
        reconcile(Source.of_mapping(chain({"counter": True})), check=check)

    text = in_child(step)
    assert text.startswith("HostError: not allowed to speak to netfilter; run as root")


@pytest.mark.parametrize("become", [as_nobody, as_root_of_nothing])
def test_no_root_and_another_namespace(become: Callable[[], None], unchanged: Namespace) -> None:
    def step() -> None:
        become()
        reconcile(Source.of_mapping(HELD), unchanged.name)

    text = in_child(step)
    assert text.startswith("HostError: not allowed to enter the network namespace")
    assert "run as root" in text


def test_a_hundred_thousand_rules(netns: Namespace) -> None:
    rules = [
        {"saddr": "10.%d.%d.%d" % (one >> 16, one >> 8 & 255, one & 255), "counter": True}
        for one in range(100_000)
    ]
    document = {"tables": [{"name": "t", "chains": [{"name": "c", "hook": "input", "rules": rules}]}]}
    outcome = apply(document, netns)
    assert outcome.changed and outcome.attempts == 1
    table = table_of(netns)
    assert table.chains["c"].use == 100_000
    assert not apply(document, netns).compared
