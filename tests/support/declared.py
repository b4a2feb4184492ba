# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sets, maps and objects of tests/data/declared.json as tables of a document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rempart.document.model import Table, load

ROWS: list[dict[str, Any]] = json.loads((Path(__file__).parent.parent / "data" / "declared.json").read_text())
"""Family, the table's key, the document's form, the same as nft text, and in JSON as nft prints it."""


def declared_document(family: str) -> dict[str, Any]:
    """A table ``t`` with every row of the family, an empty set ``hosts`` and a chain ``other``."""
    table: dict[str, Any] = {"name": "t", "family": family, "chains": [{"name": "other"}]}
    table["sets"] = [{"name": "hosts", "type": "ipv6_addr" if family == "ip6" else "ipv4_addr"}]
    for row in ROWS:
        if row["family"] == family:
            table.setdefault(row["key"], []).append(row["document"])
    return table


def declared_table(family: str) -> Table:
    """The same, loaded."""
    return load({"tables": [declared_document(family)]})[0]
