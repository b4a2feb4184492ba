# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the engine remembers: a second run reads nothing, and is never wrong for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from rempart.document import hosts
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.ruleset import memory
from rempart.ruleset.reconcile import Source, reconcile, remove

from tests.support.namespaces import Namespace
from tests.support.rulesets import Traffic, apply, generation, handles, watched


def document(*ports: int, name: str = "t") -> dict[str, Any]:
    rules = [{"protocol": "tcp", "dport": port, "counter": True} for port in ports]
    return {"tables": [{"name": name, "chains": [{"name": "c", "hook": "input", "rules": rules}]}]}


def memory_file(where: Namespace) -> Path:
    with NetlinkSocket(where.name) as socket:
        return Path(memory.DIRECTORY) / (str(memory.key(socket)) + ".json")


def asked_only_for_the_generation(seen: Traffic) -> bool:
    return dict(seen.requests) == {uapi.NFT_MSG_GETGEN: 1} and not seen.dumps and not seen.batches


def test_a_second_run_asks_for_one_number(netns: Namespace) -> None:
    assert apply(document(*range(1, 300)), netns).changed
    with watched() as seen:
        outcome = apply(document(*range(1, 300)), netns)
    assert asked_only_for_the_generation(seen)
    assert (outcome.changed, outcome.compared, outcome.generation) == (False, False, generation(netns))
    assert outcome.changes() == [] and outcome.diff() == []


def test_nothing_is_parsed_where_nothing_changed(netns: Namespace) -> None:
    apply(document(22), netns)
    content = b"the same bytes"
    reconcile(Source.of_bytes(content, lambda _: document(22)), netns.name)

    def parse(content: bytes) -> Any:
        raise AssertionError("parsed")

    assert not reconcile(Source.of_bytes(content, parse), netns.name).compared
    with pytest.raises(AssertionError, match="parsed"):
        reconcile(Source.of_bytes(content + b" ", parse), netns.name)
    with pytest.raises(AssertionError, match="parsed"):
        reconcile(Source.of_bytes(content, parse), netns.name, full=True)


def test_a_document_that_was_in_force_already_is_remembered(netns: Namespace) -> None:
    netns.nft("table inet t { chain c { type filter hook input priority 0; tcp dport 22 counter; }\n }\n")
    outcome = apply(document(22), netns)
    assert outcome.compared and not outcome.changed
    assert not apply(document(22), netns).compared


@pytest.mark.parametrize(
    "change",
    [
        "add rule inet t c counter\n",
        "delete table inet t\n",
        "table ip other { }\n",
        "add chain inet t c { policy drop; }\n",
        "flush ruleset\n",
    ],
)
def test_a_foreign_change_is_noticed(change: str, netns: Namespace) -> None:
    apply(document(22), netns)
    netns.nft(change)
    outcome = apply(document(22), netns)
    assert outcome.compared
    assert outcome.changed == ("other" not in change)
    assert len(handles(netns, "c")) == 1
    assert not apply(document(22), netns).compared


def test_a_change_and_its_undoing_are_noticed(netns: Namespace) -> None:
    apply(document(22), netns)
    netns.nft("add rule inet t c drop\n")
    netns.nft("delete rule inet t c handle %d\n" % handles(netns, "c")[-1])
    outcome = apply(document(22), netns)
    assert outcome.compared and not outcome.changed


def test_full_compares_whatever_is_remembered(netns: Namespace) -> None:
    apply(document(22), netns)
    with watched() as seen:
        outcome = apply(document(22), netns, full=True)
    assert outcome.compared and seen.dumps[uapi.NFT_MSG_GETRULE] >= 1 and not seen.batches


def test_another_document_is_compared(netns: Namespace) -> None:
    apply(document(22), netns)
    outcome = apply(document(22, 80), netns)
    assert outcome.compared and outcome.changed
    # and the first one is not thought to be in force any more
    assert apply(document(22), netns).changed


def test_documents_of_different_tables_are_remembered_side_by_side(netns: Namespace) -> None:
    apply(document(22, name="a"), netns)
    apply(document(80, name="b"), netns)
    assert not apply(document(22, name="a"), netns).compared
    assert not apply(document(80, name="b"), netns).compared
    netns.nft("delete table inet a\n")
    assert apply(document(22, name="a"), netns).changed
    assert not apply(document(80, name="b"), netns).changed


def test_a_removed_table_comes_back(netns: Namespace) -> None:
    apply(document(22), netns)
    remove([("inet", "t")], netns.name)
    assert apply(document(22), netns).changed


def test_check_mode_remembers_only_what_is_in_force(netns: Namespace) -> None:
    assert apply(document(22), netns, check=True).changed
    assert apply(document(22), netns, check=True).changed
    assert netns.nft_text() == ""
    apply(document(22), netns)
    assert not apply(document(22), netns, check=True).compared


def test_a_part_of_a_table_is_always_compared(netns: Namespace) -> None:
    apply(document(22), netns, partial=True)
    assert apply(document(22), netns, partial=True).compared
    # a chain beside it is no drift of the part, but one of the whole
    netns.nft("add chain inet t beside\n")
    assert not apply(document(22), netns, partial=True).changed
    assert apply(document(22), netns).changed


def test_another_namespace_is_another_memory(netns: Namespace) -> None:
    apply(document(22), netns)
    with Namespace() as other:
        assert apply(document(22), other).changed


def test_a_host_name_is_resolved_each_time(netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"www.example": ["192.0.2.1"]}
    monkeypatch.setattr(hosts, "system_lookup", lambda name: known[name])
    rules = [{"saddr": "www.example", "verdict": "accept"}]
    named = {"tables": [{"name": "t", "chains": [{"name": "c", "rules": rules}]}]}
    apply(named, netns)
    assert not apply(named, netns).compared
    known["www.example"] = ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    outcome = apply(named, netns)
    assert outcome.changed
    listed = netns.nft_text("chain", "inet", "t", "c")
    assert [one.strip() for one in listed.split("\n") if "accept" in one] == [
        "ip saddr 192.0.2.1 accept",
        "ip saddr 192.0.2.2 accept",
        "ip6 saddr 2001:db8::1 accept",
    ]
    # the order of the answers says nothing
    known["www.example"].reverse()
    assert not apply(named, netns).compared


@pytest.mark.parametrize("damage", ["empty", "cut", "no JSON", "another form", "readable by all", "missing"])
def test_a_damaged_memory_costs_a_comparison(damage: str, netns: Namespace) -> None:
    apply(document(22), netns)
    path = memory_file(netns)
    content = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    if damage == "missing":
        path.unlink()
    elif damage == "readable by all":
        path.chmod(0o644)
    else:
        wrong = {"empty": b"", "cut": content[:-9], "no JSON": b"\xff{", "another form": b'{"format": 99}'}
        path.write_bytes(wrong[damage])
    outcome = apply(document(22), netns)
    assert outcome.compared and not outcome.changed
    assert not apply(document(22), netns).compared
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_memory_of_another_generation_or_engine_is_not_believed(netns: Namespace) -> None:
    apply(document(22), netns)
    netns.nft("flush ruleset\n")
    path = memory_file(netns)
    content = path.read_text()
    path.write_text(content.replace('"engine": "', '"engine": "0'))
    assert apply(document(22), netns).changed


def test_nothing_is_left_behind_beside_the_memory(netns: Namespace) -> None:
    apply(document(22), netns)
    path = memory_file(netns)
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(path.stem)] == [path.name]
    assert os.stat(path.parent).st_mode & 0o777 == 0o700
