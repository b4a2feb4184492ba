# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places in a document as places in the options that the document was made of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NO_PLACES: Mapping[str, str] = MappingProxyType({})

CHAIN: Mapping[str, str] = {
    "tables[0].chains[0].": "",
    "tables[0].chains[0]": "",
    "tables[0].name": "table",
    "tables[0].": "",
}
"""Of a document with one chain, made of options ``table``, ``family`` and the chain's own."""

TOS: Mapping[str, str] = {
    "tables[0].chains[0].rules": "classes",
    "tables[0].chains[0].name": "chain",
    "tables[0].name": "table",
    "tables[0].": "",
}
"""Of the document that the module ``tos`` makes: a class is a rule."""
