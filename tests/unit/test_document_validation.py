# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading documents and checking them against the schema."""

from __future__ import annotations

import builtins
import sys
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from rempart.document import validation
from rempart.document.flat import KEYS
from rempart.document.model import CHAIN_KEYS, TABLE_KEYS
from rempart.document.validation import check, read, schema
from rempart.errors import DocumentError, HostError


class Text(str):
    """A text as Ansible's templating hands it over: a subclass."""


class Mapping(dict):  # type: ignore[type-arg]
    """A mapping as Ansible's templating hands it over: a subclass."""


class Sequence(list):  # type: ignore[type-arg]
    """A list as Ansible's templating hands it over: a subclass."""


def tagged(value: Any) -> Any:
    if isinstance(value, dict):
        return Mapping({Text(key): tagged(one) for key, one in value.items()})
    if isinstance(value, list):
        return Sequence(tagged(one) for one in value)
    return Text(value) if isinstance(value, str) else value


def document(*rules: Any) -> dict[str, Any]:
    return {
        "tables": [{"name": "edge", "chains": [{"name": "input", "hook": "input", "rules": list(rules)}]}]
    }


@pytest.fixture
def without_jsonschema_rs(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "jsonschema_rs")


def forbid(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Have the packages missing, and nothing remembered of the time when they were not."""
    imported = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name in packages:
            raise ImportError(name)
        return imported(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(validation, "_cache", {})


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_schema_knows_the_keys_that_the_engine_knows() -> None:
    parts = schema()["$defs"]
    assert set(parts["rule"]["properties"]) == {*KEYS, "comment", "bidirectional", "expr"}
    assert set(parts["chain"]["properties"]) == set(CHAIN_KEYS)
    assert set(parts["table"]["properties"]) == set(TABLE_KEYS)


def test_every_key_is_described_and_its_examples_are_right() -> None:
    whole = schema()
    for part in ("rule", "chain", "table"):
        for key, one in whole["$defs"][part]["properties"].items():
            assert one["description"].endswith("."), key
            validator = jsonschema.Draft202012Validator({"$defs": whole["$defs"], **one})
            for example in one.get("examples", []):
                validator.validate(example)
    assert all("examples" in one for one in whole["$defs"]["rule"]["properties"].values())


@pytest.mark.parametrize("fast", [True, False])
def test_a_document_of_subclasses_is_checked_like_any(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fast:
        forbid(monkeypatch, "jsonschema_rs")
    assert check(tagged(document({"saddr": "192.0.2.1", "verdict": "accept"}))) == []
    (problem,) = check(tagged(document({"sadr": "192.0.2.1"})))
    assert problem.place == "tables[0].chains[0].rules[0].sadr"


def test_all_problems_come_at_once(without_jsonschema_rs: None) -> None:
    bad = document({"verdct": "accept"}, {"verdict": "accept"}, {"dport": [22, 70000], "log": {"level": 3}})
    bad["tables"][0]["family"] = "ipv6"
    assert [problem.place for problem in check(bad)] == [
        "tables[0].family",
        "tables[0].chains[0].rules[0].verdct",
        "tables[0].chains[0].rules[2].dport[1]",
        "tables[0].chains[0].rules[2].log.level",
    ]


def test_fast_and_slow_check_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = document({"verdct": "accept"}, {"verdict": "accept"}, {"dport": [22, 70000]}, 5, {})
    fast = [str(problem) for problem in check(bad)]
    forbid(monkeypatch, "jsonschema_rs")
    assert [str(problem) for problem in check(bad)] == fast
    assert len(fast) == 4


def test_a_jsonschema_rs_that_is_too_old_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_rs", ModuleType("jsonschema_rs"))
    monkeypatch.setattr(validation, "_cache", {})
    assert check(document({"verdict": "accept"})) == []
    (problem,) = check(document({"verdct": "accept"}))
    assert problem.place == "tables[0].chains[0].rules[0].verdct"


@pytest.mark.parametrize("error", [ValueError, SystemError])
def test_what_jsonschema_rs_cannot_read_is_left_to_jsonschema(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fast:
        def is_valid(self, instance: Any) -> bool:
            raise error("surrogates not allowed")

    monkeypatch.setattr(validation, "_cache", {"fast document": Fast(), "fast rule": Fast()})
    assert check(document({"comment": "\ud800", "verdict": "accept"})) == []
    (problem,) = check(document({"comment": "\ud800", "verdct": "accept"}))
    assert problem.place == "tables[0].chains[0].rules[0].verdct"


def test_without_jsonschema_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "jsonschema", "jsonschema_rs")
    with pytest.raises(HostError, match="install python3-jsonschema"):
        check(document())


def test_a_document_that_holds_itself_is_refused() -> None:
    assert check(read("tables: &tables [*tables]"))


def test_keys_that_are_no_texts_are_unknown_keys() -> None:
    assert [problem.place for problem in check({"tables": [], 5: 1})] == ["5"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tables: []", []),
        ('{"tables": []}', []),
        ("{tables: []}", []),
        ("tables: [{name: 20:21}]", [{"name": "20:21"}]),
        ("tables: [{name: 2026-01-31}]", [{"name": "2026-01-31"}]),
        ("tables: [{name: 00:11:22:33:44:55}]", [{"name": "00:11:22:33:44:55"}]),
        (
            "tables: [{a: 0x10, b: 10, c: 1.5, d: true, e: null}]",
            [{"a": 16, "b": 10, "c": 1.5, "d": True, "e": None}],
        ),
        ("x: &x {a: 1, b: 2}\ntables: [{<<: *x, b: 3}, {<<: *x}]", [{"a": 1, "b": 3}, {"a": 1, "b": 2}]),
        ("\ufefftables: []".encode(), []),
    ],
)
def test_yaml_and_json_are_read(text: str | bytes, found: Any) -> None:
    assert read(text)["tables"] == found


def test_a_json_file_must_be_json() -> None:
    with pytest.raises(DocumentError, match=r"fw\.json: no JSON: .* line 1, column"):
        read("{tables: []}", "fw.json")


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(DocumentError, match="not UTF-8"):
        read(b"tables: \xff")


def test_without_pyyaml_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch, "yaml")
    assert read('{"tables": []}') == {"tables": []}
    with pytest.raises(HostError, match="install python3-yaml"):
        read("tables: []")
