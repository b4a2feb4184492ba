# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nft judges tests/data/declared.json: each row's JSON is what its text in nft syntax lists as, and loads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from rempart.document.declared import OBJECTS

from tests.support.declared import ROWS, declared_table
from tests.support.namespaces import Namespace

FAMILIES = sorted({row["family"] for row in ROWS})


def comparable(json_: dict[str, Any], left_out: list[str], types: Any) -> dict[str, Any]:
    """A declaration without what nft's listing has besides, or leaves out."""
    plain = {key: one for key, one in json_.items() if key not in ("family", "table", "handle")}
    if "typeof" in left_out:
        plain.pop("typeof", None)
        plain["type"] = types
        if isinstance(plain.get("map"), dict):
            plain["map"] = "mark"
    if "interval data" in left_out:
        plain["map"] = plain["map"].replace("interval ", "")
    for key in ("auto-merge", "policy"):
        if key in left_out:
            plain.pop(key, None)
    if "dynamic" in left_out and "flags" in plain:
        plain["flags"] = [flag for flag in plain["flags"] if flag != "dynamic"]
        plain = {key: one for key, one in plain.items() if key != "flags" or one}
    if "elem" in plain:
        plain["elem"] = sorted((_without_time(one) for one in plain["elem"]), key=json.dumps)
    return plain


def _without_time(element: Any) -> Any:
    """An element without how long it has left, which no document says."""
    if isinstance(element, list):
        return [_without_time(one) for one in element]
    if isinstance(element, dict) and "elem" in element:
        rest = {key: one for key, one in element["elem"].items() if key != "expires"}
        return rest["val"] if len(rest) == 1 else {"elem": rest}
    return element


def texts(family: str) -> str:
    rows = [row["nft"] for row in ROWS if row["family"] == family]
    return "table %s t {\nchain other { }\n%s\n}\n" % (family, "\n".join(rows))


@pytest.mark.parametrize("family", FAMILIES)
def test_nft_lists_each_declaration_as_the_document_has_it(family: str, netns: Namespace) -> None:
    netns.run("nft", "-f", "-", input=texts(family))
    listed: dict[tuple[str, str], dict[str, Any]] = {}
    for one in netns.nft_json("table", family, "t"):
        ((word, body),) = one.items()
        if "name" in body:
            listed[word, body["name"]] = body
    table = declared_table(family)
    types = {one.name: one.key[0] if len(one.key) == 1 else list(one.key) for one in table.sets}
    rows = [row for row in ROWS if row["family"] == family]
    for row in rows:
        word = {"sets": "set", "maps": "map", **OBJECTS}[row["key"]]
        name = row["document"]["name"]
        left_out = row.get("nft_leaves_out", [])
        assert comparable(row["json"], left_out, types.get(name)) == comparable(
            listed[word, name], left_out, types.get(name)
        ), name


#: what nft 1.0.6 cannot read of libnftables JSON
UNREADABLE = {"interval data", "typeof", "auto-merge", "dynamic"}
UNREADABLE_OBJECTS = ("ct_timeouts", "ct_expectations", "synproxies")


def readable(row: dict[str, Any]) -> bool:
    """Whether nft takes the row's JSON whole; a map to concatenations it takes for a set."""
    if " . " in str(row["json"].get("map")):
        return False
    return row["key"] not in UNREADABLE_OBJECTS and UNREADABLE.isdisjoint(row.get("nft_leaves_out", ()))


@pytest.mark.parametrize("family", FAMILIES)
def test_nft_makes_the_same_of_text_and_json(family: str, make_netns: Callable[[], Namespace]) -> None:
    by_text, by_json = make_netns(), make_netns()
    by_text.run("nft", "-f", "-", input=texts(family))
    commands: list[dict[str, Any]] = [
        {"add": {"table": {"family": family, "name": "t"}}},
        {"add": {"chain": {"family": family, "table": "t", "name": "other"}}},
    ]
    left_out = set()
    for row in ROWS:
        if row["family"] != family:
            continue
        if not readable(row):
            left_out.add(row["document"]["name"])
            continue
        word = {"sets": "set", "maps": "map", **OBJECTS}[row["key"]]
        commands.append({"add": {word: {"family": family, "table": "t", **row["json"]}}})
    by_json.run("nft", "--json", "-f", "-", input=json.dumps({"nftables": commands}))
    listings = []
    for netns in (by_text, by_json):
        text = netns.run("nft", "--stateless", "list", "table", family, "t").stdout
        # nor does nft read the comment of a set
        text = "".join(line for line in text.splitlines(True) if not line.startswith("\t\tcomment"))
        blocks = {block.split("{")[0].strip(): block for block in text.split("\n\n")}
        listings.append({name: one for name, one in blocks.items() if name.split()[-1] not in left_out})
    assert listings[0] == listings[1]
