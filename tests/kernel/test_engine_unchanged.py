# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a document is neither parsed nor compared, and when it is although nothing changed."""

from __future__ import annotations

import pwd
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from rempart.errors import DocumentError
from rempart.ruleset.reconcile import Source, reconcile

from tests.support.namespaces import Namespace, namespaces
from tests.support.rulesets import apply, content, text_of


def document(*ports: int, name: str = "t") -> dict[str, Any]:
    rules = [{"protocol": "tcp", "dport": port, "counter": True} for port in ports]
    return {"tables": [{"name": name, "chains": [{"name": "c", "hook": "input", "rules": rules}]}]}


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


def test_a_part_of_a_table_is_always_compared(netns: Namespace) -> None:
    apply(document(22), netns, partial=True)
    assert apply(document(22), netns, partial=True).compared
    # a chain beside it is no drift of the part, but one of the whole
    netns.nft("add chain inet t beside\n")
    assert not apply(document(22), netns, partial=True).changed
    assert apply(document(22), netns).changed


def test_a_name_in_a_set_that_means_another_number(netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    number = {"keeper": 61234}
    monkeypatch.setattr(pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=number[name]))
    document = {"tables": [{"name": "t", "sets": [{"name": "s", "type": "uid", "elements": ["keeper"]}]}]}
    apply(document, netns)
    assert not apply(document, netns).compared
    number["keeper"] = 61235
    assert [one["element"] for one in apply(document, netns).changes()] == ["61234", "61235"]


def test_an_interface_that_has_another_index(netns: Namespace) -> None:
    """No packet and no command made a new generation of the ruleset."""
    document = {"tables": [{"name": "t", "chains": [{"name": "c", "rules": [{"iif": "gate0"}]}]}]}
    for index in (40, 41):
        netns.run("ip", "link", "add", "gate0", "index", str(index), "type", "bridge")
        outcome = apply(document, netns)
        assert outcome.compared and outcome.changed
        assert not apply(document, netns).compared
        netns.run("ip", "link", "delete", "gate0")
    with pytest.raises(DocumentError, match="no such interface; found 'gate0'"):
        apply(document, netns)


@pytest.fixture
def time_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Moves this process, and the programs that it runs, to a time zone."""

    def move(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "rule", [{"hour": "08:00-17:00"}, {"hour": ["22:00-06:00", "12:00"]}, {"time": "2026-01-31 - 2026-02-01"}]
)
def test_an_hour_that_means_another_one(
    netns: Namespace, time_zone: Callable[[str], None], rule: dict[str, Any]
) -> None:
    """The kernel compares hours of UTC; a host's move, or its summer time, makes others of them."""
    document = {"tables": [{"name": "t", "chains": [{"name": "c", "rules": [rule]}]}]}
    for zone in ("UTC0", "EAST-10", "WEST5"):
        time_zone(zone)
        outcome = apply(document, netns)
        assert outcome.compared and outcome.changed
        assert not apply(document, netns).compared
        with namespaces(1) as (other,):
            other.nft(text_of(document))
            assert content(netns) == content(other)


def test_elements_that_time_out_are_looked_at_every_time(netns: Namespace) -> None:
    """Their going makes no new generation."""
    elements = [{"elem": "10.0.0.1", "timeout": "1s"}, {"elem": "10.0.0.2", "timeout": "1h"}]
    document = {"tables": [{"name": "t", "sets": [{"name": "s", "type": "ipv4_addr", "elements": elements}]}]}
    assert apply(document, netns).changed
    assert not apply(document, netns).changed
    time.sleep(1.2)
    outcome = apply(document, netns)
    assert [one["element"] for one in outcome.changes()] == ["10.0.0.1 timeout 1s"]
