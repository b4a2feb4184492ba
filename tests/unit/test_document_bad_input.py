# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of bad input meets an error that names its place, with the schema and without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rempart.document import hosts
from rempart.document.flat import lower
from rempart.document.model import load
from rempart.document.validation import check, read
from rempart.errors import DocumentError, Problem

TABLE = json.loads((Path(__file__).parent.parent / "data" / "bad_input.json").read_text())


def no_such_host(name: str) -> list[str]:
    raise OSError("Name or service not known")


def problems_after_schema(document: Any) -> list[Problem]:
    """What a host finds by itself: it has no schema."""
    try:
        tables = load(document)
        addresses = hosts.resolve(hosts.names(tables), no_such_host)
    except DocumentError as error:
        return error.problems
    problems: list[Problem] = []
    for table in tables:
        declared = table.declared()
        for chain in table.chains:
            for index, rule in enumerate(chain.rules):
                try:
                    lower(rule, table.family, addresses, declared)
                except DocumentError as error:
                    problems += error.at("%s.rules[%d]" % (chain.place, index)).problems
    return problems


def matching(problems: list[Problem], place: str, message: str) -> list[Problem]:
    return [one for one in problems if one.place == place and message in str(one)]


@pytest.mark.parametrize("row", TABLE["documents"], ids=lambda row: row["name"])
def test_a_bad_document_is_refused_with_its_place(row: dict[str, Any]) -> None:
    problems = check(row["document"]) or problems_after_schema(row["document"])
    assert matching(problems, row["place"], row["message"]), [str(one) for one in problems]


@pytest.mark.parametrize("row", TABLE["documents"], ids=lambda row: row["name"])
def test_a_bad_document_is_refused_without_the_schema_too(row: dict[str, Any]) -> None:
    problems = problems_after_schema(row["document"])
    message = row.get("without_schema", row["message"])
    assert matching(problems, row["place"], message), [str(one) for one in problems]


@pytest.mark.parametrize("row", TABLE["texts"], ids=lambda row: row["name"])
def test_a_bad_text_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(DocumentError) as caught:
        read(row["text"], "firewall.yml")
    assert row["message"] in str(caught.value)
    assert str(caught.value).startswith("firewall.yml: ")


def test_a_hundred_thousand_rules_are_no_bad_input() -> None:
    rule = {"saddr": "192.0.2.1", "protocol": "tcp", "dport": 22, "verdict": "accept"}
    chain = {"name": "input", "hook": "input", "rules": [rule] * 100_000}
    document = {"tables": [{"name": "edge", "chains": [chain]}]}
    assert check(document) == []
    assert len(load(document)[0].chains[0].rules) == 100_000
