# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""User data: the comments that nft keeps beside tables, chains, rules and elements.

A list of type, length, value with one byte each for the first two (libnftnl's
udata); a comment is type 0, its value ends in NUL. Nothing else is written: types
that an older nft does not know have made it crash.
"""

from __future__ import annotations

import sys

from ..document.flat.lowering import COMMENT_LENGTH
from ..document.flat.values import text
from ..errors import DocumentError

_COMMENT = 0  # NFTNL_UDATA_{TABLE,CHAIN,RULE,OBJ}_COMMENT


def comment_userdata(comment: str) -> bytes:
    """The user data that holds only ``comment`` (at most 254 bytes); none for an empty one."""
    text = comment.encode("utf-8", "surrogateescape")
    if not text:
        return b""
    return bytes((_COMMENT, len(text) + 1)) + text + b"\0"


def comment_of(userdata: bytes, kind: int = _COMMENT) -> str | None:
    """The comment in user data; None where there is none or the data are not a list."""
    value = _value(userdata, kind)
    return None if value is None else value.rstrip(b"\0").decode("utf-8", "surrogateescape")


def writable(comment: str) -> bool:
    """Whether a document can say the comment."""
    try:
        text(comment, COMMENT_LENGTH, "the comment")
    except DocumentError:
        return False
    return True


def said(userdata: bytes, kind: int = _COMMENT) -> str:
    """The comment in user data; none where a document has no way to say it.

    All else that is noted there (nft 1.1.6 notes its version beside a table) is no document's business.
    """
    comment = comment_of(userdata, kind) if userdata else None
    return comment if comment and writable(comment) else ""


def number_of(userdata: bytes, kind: int) -> int:
    """A number in user data, in host order; 0 where there is none."""
    return int.from_bytes(_value(userdata, kind) or b"", sys.byteorder)


def _value(userdata: bytes, kind: int) -> bytes | None:
    start = 0
    while start + 2 <= len(userdata):
        found, length = userdata[start], userdata[start + 1]
        value = userdata[start + 2 : start + 2 + length]
        if len(value) != length:
            return None
        if found == kind:
            return value
        start += 2 + length
    return None
