# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``raw``: a rule as the kernel's own bytes, for what has no statement.

Nobody writes it by hand. It is how a captured rule with an expression that only
its maker understands (an iptables extension) comes back bit for bit.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ...errors import DocumentError
from ..expressions import Expression, Trace, decode_list
from ..parameters import checked
from .context import Context
from .stateful import Plain

ALLOWED = "the base64 text that rempart capture writes"


class Verbatim(Expression):
    """Expressions as they were dumped, encoded already."""

    name = "raw"

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded

    def encode(self, trace: Trace | None = None, at: int = 0) -> bytes:
        """The bytes themselves."""
        return self.encoded


def compile_raw(value: Any, context: Context) -> None:
    """Append ``{"raw": {"expressions": text}}``, the base64 text of an NFTA_RULE_EXPRESSIONS payload."""
    text = checked(value, ("expressions",)).get("expressions")
    if context.steps:
        raise DocumentError("a raw rule has no other statement")
    try:
        encoded = base64.b64decode(text or b"", validate=True)
        decode_list(encoded)
    except (TypeError, ValueError, binascii.Error):
        encoded = b""
    if not encoded:
        raise DocumentError("no expressions", place="expressions", found=text, allowed=ALLOWED)
    context.steps.append(Plain(Verbatim(encoded)))


def raw_statement(encoded: bytes) -> dict[str, Any]:
    """The statement that stands for an NFTA_RULE_EXPRESSIONS payload."""
    return {"raw": {"expressions": base64.b64encode(encoded).decode("ascii")}}
