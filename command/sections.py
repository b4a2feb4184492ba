# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a document, found without parsing the whole where that can be avoided.

A document whose tables the kernel is known to hold is never parsed. Its settings of connection
tracking are compared every time: in YAML they are a few lines, which are parsed alone.
"""

from __future__ import annotations

import re
from typing import Any

from rempart.document import validation
from rempart.errors import DocumentError

from .documents import Document

#: a key of this name, in whatever way YAML and JSON write one
_CONNTRACK = re.compile(rb"conntrack[\"']?\s*:|\?\s*[\"']?conntrack")

#: the key at the start of a line, and every line after it that does not begin with another key
_BLOCK = re.compile(rb"^conntrack:.*(?:\n(?:[ \t#\r].*)?)*", re.MULTILINE)


def has_tables(document: Document) -> bool:
    """Whether the document may declare tables: only one of settings alone certainly does not."""
    if document.parsed is not None:
        return "tables" in document.parsed or "conntrack" not in document.parsed
    return b"tables" in document.content or not _may_have_conntrack(document.content)


def conntrack_of(document: Document) -> dict[str, Any] | None:
    """The key ``conntrack`` of the document with its value, alone; None where there is no such key.

    Raises DocumentError for a text that holds no document.
    """
    if document.parsed is None:
        if not _may_have_conntrack(document.content):
            return None
        alone = _block(document.content)
        if alone is not None:
            return alone
    parsed = document.parse()
    return {"conntrack": parsed["conntrack"]} if "conntrack" in parsed else None


def _may_have_conntrack(content: bytes) -> bool:
    # a word is found in no time, a pattern is looked for byte by byte
    return b"conntrack" in content and _CONNTRACK.search(content) is not None


def _block(content: bytes) -> dict[str, Any] | None:
    """The key with its value, parsed alone; None where it does not stand alone."""
    found = _BLOCK.findall(content)
    if len(found) != 1:
        return None
    try:
        parsed = validation.read(found[0])
    except DocumentError:
        return None  # refers to another part of the document, or the whole will say what is wrong and where
    return parsed if set(parsed) == {"conntrack"} and parsed["conntrack"] is not None else None
