# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

""" "Nothing changed" is answered without a dump, and never where anything might have changed."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rempart.ruleset.reconcile as reconcile_module
from rempart.document import hosts
from rempart.netlink.namespace import Entered
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.ruleset import kernel, memory
from rempart.ruleset.reconcile import Outcome, remove

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, generation, table_of, watched

GETGEN = uapi.NFT_MSG_GETGEN


def document(name: str = "edge", rules: int = 50, **first: Any) -> dict[str, Any]:
    """A table with some rules; ``first`` are keys of one more before them."""
    given: list[dict[str, Any]] = [{**first, "verdict": "accept"}] if first else []
    given += [{"saddr": "10.0.%d.%d" % divmod(one, 256), "verdict": "accept"} for one in range(rules)]
    return {"tables": [{"name": name, "chains": [{"name": "input", "hook": "input", "rules": given}]}]}


def memory_file(where: Namespace) -> Path:
    with NetlinkSocket(where.name) as socket:
        return Path(memory.DIRECTORY, "%s.json" % memory.key(socket))


def from_memory(outcome: Outcome) -> bool:
    return not outcome.compared and not outcome.changed


@pytest.mark.parametrize("rules", [1, 2000])
def test_a_second_run_asks_for_the_generation_alone(rules: int, netns: Namespace) -> None:
    apply(document(rules=rules), netns)
    at = generation(netns)
    for check in (False, True):
        with watched() as seen:
            again = apply(document(rules=rules), netns, check=check)
        assert from_memory(again) and again.generation == at
        assert again.changes() == [] and again.diff() == []
        assert dict(seen.requests) == {GETGEN: 1}
        assert not seen.dumps and not seen.batches
    assert generation(netns) == at


def test_full_compares_and_sends_nothing(netns: Namespace) -> None:
    apply(document(), netns)
    with watched() as seen:
        again = apply(document(), netns, full=True)
    assert again.compared and not again.changed
    assert seen.dumps[uapi.NFT_MSG_GETRULE] and not seen.batches


FOREIGN = [
    "add table ip other",
    "add rule inet edge input counter",
    "insert rule inet edge input counter",
    "flush chain inet edge input",
    "add chain inet edge more",
    "chain inet edge input { policy drop; }",
    "add set inet edge s { type ipv4_addr; }",
    "delete table inet edge",
    "flush ruleset",
]


@pytest.mark.parametrize("change", FOREIGN)
def test_what_another_program_changes_is_noticed(change: str, netns: Namespace) -> None:
    apply(document(), netns)
    wanted = content(netns)
    netns.nft(change)
    found = apply(document(), netns)
    assert found.compared
    assert found.changed == ("edge" in change or "flush" in change)
    mine = (next(iter(wanted)),)
    assert {place: content(netns)[place] for place in mine} == wanted
    assert from_memory(apply(document(), netns))


def test_a_change_that_was_undone_is_compared_again(netns: Namespace) -> None:
    apply(document(), netns)
    netns.nft("add table ip other")
    netns.nft("delete table ip other")
    found = apply(document(), netns)
    assert found.compared and not found.changed


def test_a_removal_is_noticed(netns: Namespace) -> None:
    apply(document(), netns)
    assert remove([("inet", "edge")], netns.name).changed
    assert apply(document(), netns).changed
    assert len(table_of(netns, name="edge").chains["input"].rules) == 50


def test_a_change_of_one_chain_is_noticed(netns: Namespace) -> None:
    apply(document(), netns)
    part = {"tables": [{"name": "edge", "chains": [{"name": "more", "hook": "input"}]}]}
    assert apply(part, netns, partial=True).changed
    found = apply(document(), netns)
    assert found.compared and found.changed
    assert set(table_of(netns, name="edge").chains) == {"input"}


def test_one_document_is_not_taken_for_another(netns: Namespace) -> None:
    apply(document(), netns)
    assert apply(document(rules=49), netns).changed
    assert apply(document(), netns).changed
    assert apply(document(rules=49), netns, check=True).changed


def test_one_namespace_is_not_taken_for_another(make_netns: Callable[[], Namespace]) -> None:
    one, other = make_netns(), make_netns()
    apply(document(), one)
    assert generation(other) != generation(one)
    apply(document("inner"), other)
    assert generation(other) == generation(one)
    assert apply(document(), other).changed
    assert memory_file(one) != memory_file(other)


def test_documents_of_different_tables_stay_known(netns: Namespace) -> None:
    names = ["edge", "inner", "third"]
    for name in names:
        apply(document(name), netns)
    for name in names:
        assert from_memory(apply(document(name), netns)), name
    apply(document("inner", rules=3), netns)
    for name in ("edge", "third"):
        assert from_memory(apply(document(name), netns)), name
    netns.nft("add table ip other")
    for name in ("edge", "third"):
        assert apply(document(name), netns).compared, name
        assert from_memory(apply(document(name), netns)), name


def test_check_mode_remembers_nothing_false(netns: Namespace) -> None:
    for _ in range(2):
        found = apply(document(), netns, check=True)
        assert found.changed and found.compared
    assert content(netns) == {}
    apply(document(), netns)
    assert apply(document(rules=3), netns, check=True).changed
    assert apply(document(rules=3), netns, check=True).changed
    assert from_memory(apply(document(), netns))


def test_check_mode_remembers_what_it_found_in_line(netns: Namespace) -> None:
    apply(document(), netns)
    netns.nft("add table ip other")
    first = apply(document(), netns, check=True)
    assert first.compared and not first.changed
    assert from_memory(apply(document(), netns))


def test_a_lost_race_remembers_what_came_of_it(netns: Namespace) -> None:
    """Another program commits just before: neither its change nor ours may be forgotten."""
    apply(document("inner"), netns)
    with watched() as seen:
        seen.before_commit.append(lambda: netns.nft("add rule inet inner input counter"))
        outcome = apply(document(), netns)
    assert outcome.attempts == 2
    assert from_memory(apply(document(), netns))
    assert apply(document("inner"), netns).changed


# Names


def resolver(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, list[str]], list[str]]:
    """A resolver to write into, and the names that it was asked for."""
    known: dict[str, list[str]] = {}
    asked: list[str] = []

    def lookup(name: str) -> list[str]:
        asked.append(name)
        if name not in known:
            raise OSError(-2, "Name or service not known")
        return known[name]

    monkeypatch.setattr(hosts, "system_lookup", lookup)
    return known, asked


def test_a_host_name_is_looked_up_at_every_run(netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    known, asked = resolver(monkeypatch)
    known["web.example"] = ["192.0.2.1", "2001:db8::1"]
    named = document(daddr="web.example")
    apply(named, netns)
    asked.clear()
    known["web.example"] = ["2001:db8::1", "192.0.2.1"]
    with watched() as seen:
        assert from_memory(apply(named, netns))
    assert asked == ["web.example"]
    assert dict(seen.requests) == {GETGEN: 1} and not seen.dumps
    known["web.example"] = ["192.0.2.2", "2001:db8::1"]
    assert apply(named, netns, check=True).changed
    assert apply(named, netns).changed
    assert "192.0.2.2" in netns.nft_text()
    assert "192.0.2.1" not in netns.nft_text()
    assert from_memory(apply(named, netns))
    known["web.example"] = ["192.0.2.2"]
    assert apply(named, netns).changed
    assert "2001:db8::1" not in netns.nft_text()


def test_a_host_name_that_no_longer_resolves_is_an_error(
    netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _ = resolver(monkeypatch)
    known["web.example"] = ["192.0.2.1"]
    named = document(daddr="web.example")
    apply(named, netns)
    before = content(netns), generation(netns)
    known.clear()
    with pytest.raises(Exception, match="does not resolve"):
        apply(named, netns)
    assert (content(netns), generation(netns)) == before


class Account:
    """As much of ``struct passwd`` as a lookup needs."""

    def __init__(self, number: int) -> None:
        self.pw_uid = number


def test_a_user_with_another_number_is_noticed(netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    users = {"keeper": 1234}

    def account(name: str) -> Account:
        return Account(users[name])

    monkeypatch.setattr(pwd, "getpwnam", account)
    named = document()
    named["tables"][0]["chains"].append(
        {"name": "output", "hook": "output", "rules": [{"skuid": "keeper", "verdict": "accept"}]}
    )
    apply(named, netns)
    assert "skuid 1234" in netns.nft_text()
    with watched() as seen:
        assert from_memory(apply(named, netns))
    assert not seen.dumps
    users["keeper"] = 4321
    assert apply(named, netns).changed
    assert "skuid 4321" in netns.nft_text()
    assert from_memory(apply(named, netns))
    users.clear()
    with pytest.raises(Exception, match="keeper"):
        apply(named, netns)


# The file


def damaged(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def writable(file: Path) -> None:
    file.chmod(0o666)


def readable(file: Path) -> None:
    file.chmod(0o644)


def given_away(file: Path) -> None:
    os.chown(file, 65534, 65534)


def linked(file: Path) -> None:
    elsewhere = file.with_suffix(".elsewhere")
    elsewhere.unlink(missing_ok=True)
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def of_another_boot(file: Path) -> None:
    found = json.loads(file.read_text())
    found["key"] = "00000000-0000-0000-0000-000000000000-1"
    file.write_text(json.dumps(found))


def of_another_version(file: Path) -> None:
    found = json.loads(file.read_text())
    for one in found["documents"]:
        one["engine"] = "0.0.0"
    file.write_text(json.dumps(found))


def removed(file: Path) -> None:
    file.unlink()


def replaced_by_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir(0o700)


WRONGS = [
    damaged,
    emptied,
    writable,
    readable,
    given_away,
    linked,
    of_another_boot,
    of_another_version,
    removed,
    replaced_by_a_directory,
]


@pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: wrong.__name__)
def test_a_file_that_is_not_as_it_was_written_is_not_believed(
    wrong: Callable[[Path], None], netns: Namespace
) -> None:
    apply(document(), netns)
    file = memory_file(netns)
    wrong(file)
    try:
        with watched() as seen:
            again = apply(document(), netns)
        assert again.compared and not again.changed
        assert seen.dumps and not seen.batches
        if not file.is_dir():
            assert from_memory(apply(document(), netns))
            assert not file.is_symlink() and file.stat().st_mode & 0o777 == 0o600 and not file.stat().st_uid
    finally:
        file.with_suffix(".elsewhere").unlink(missing_ok=True)
        if file.is_dir():
            file.rmdir()


def test_a_file_that_lies_is_not_believed_when_the_kernel_has_moved_on(netns: Namespace) -> None:
    """A copy of the file from an earlier generation, put back later."""
    apply(document(), netns)
    file = memory_file(netns)
    old = file.read_bytes()
    apply(document(rules=3), netns)
    file.write_bytes(old)
    assert apply(document(), netns).changed


# The generation


def test_the_generation_after_a_commit_is_the_kernels(netns: Namespace) -> None:
    for rules in (3, 4, 5):
        outcome = apply(document(rules=rules), netns)
        assert outcome.generation == generation(netns)


def test_the_generation_wraps(netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four thousand million commits later: after 0xFFFFFFFF the kernel goes on at 1 (nf_tables_commit)."""
    ask, transact = kernel.generation_of, NetlinkSocket.transact
    with NetlinkSocket(netns.name) as socket:
        ahead = 0xFFFFFFFF - ask(socket)

    def late(true: int) -> int:
        number = true + ahead
        return number if number <= 0xFFFFFFFF else number - 0xFFFFFFFF

    def early(number: int) -> int:
        true = number - ahead
        return true if true > 0 else true + 0xFFFFFFFF

    monkeypatch.setattr(kernel, "generation_of", lambda socket: late(ask(socket)))
    monkeypatch.setattr(reconcile_module, "generation_of", lambda socket: late(ask(socket)))
    monkeypatch.setattr(
        NetlinkSocket,
        "transact",
        lambda self, batch, generation=None: transact(
            self, batch, None if generation is None else early(generation)
        ),
    )
    first = apply(document(), netns, check=True)
    assert first.generation == 0xFFFFFFFF
    done = apply(document(), netns)
    assert done.changed and done.attempts == 1
    assert done.generation == 1
    assert from_memory(apply(document(), netns))
    assert apply(document("inner"), netns).generation == 2
    for name in ("edge", "inner"):
        assert from_memory(apply(document(name), netns))
    with Entered(netns.name), NetlinkSocket() as socket:
        assert late(ask(socket)) == 2
