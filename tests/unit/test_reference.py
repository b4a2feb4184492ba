# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages that are made are those that the code makes; ``make reference`` writes them anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from rempart.document.flat import lower
from rempart.document.validation import schema

from tests.support.reference import modules
from tests.support.reference.pages import ROOT, pages

PAGES = pages()


@pytest.mark.parametrize("path", PAGES)
def test_the_page_is_the_code(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == PAGES[path], "run make reference"


def test_no_page_is_left_over() -> None:
    made = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "reference").glob("*")}
    assert made == {path for path in PAGES if path.startswith("docs/reference/")}


def test_every_page_is_linked() -> None:
    index = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert all(
        "(%s)" % path[len("docs/") :] in index
        for path in PAGES
        if path.startswith(("docs/reference/", "docs/statements"))
    )


def nodes(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from nodes(value)
    elif isinstance(part, list):
        for value in part:
            yield from nodes(value)


def test_every_key_of_the_schema_is_described() -> None:
    """For editors too, which show it."""
    for node in nodes(schema()):
        for key, value in (
            node.get("properties", {}).items() if isinstance(node.get("properties"), dict) else ()
        ):
            if isinstance(value, dict) and ("type" in value or "$ref" in value or "anyOf" in value):
                assert value.get("description"), (key, value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"log": {"prefix": "x"}}, {"log": {"prefix": "x", "level": "warn"}}),
        ({"limit": {"rate": 1}}, {"limit": {"rate": 1, "per": "second", "unit": "packets"}}),
        ({"tos": {"and": 3}}, {"tos": {"and": 3, "xor": 0}}),
        ({"tos": {"xor": 3}}, {"tos": {"and": 255, "xor": 3}}),
    ],
)
def test_what_a_rule_leaves_out_is_the_default(rule: dict[str, Any], said: dict[str, Any]) -> None:
    assert lower(rule, "inet") == lower(said, "inet")


def test_the_picture_is_well_formed() -> None:
    drawn = ElementTree.fromstring(PAGES["docs/images/packet-way.svg"].encode())
    texts = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"prerouting", "connection tracking", "rempart_cut"} <= set(texts)


def test_every_module_is_there() -> None:
    text = PAGES["docs/reference/results.md"]
    assert all("\n## %s\n" % path.stem in text for path in modules.MODULES.glob("*.py"))
