# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the parameters that statements, sets and objects take."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from ..errors import DocumentError, nearest


def checked(value: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    """``value`` as a mapping with no other keys; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DocumentError("not a mapping", found=value, allowed="a mapping with %s" % ", ".join(keys))
    for key in value:
        if key not in keys:
            raise DocumentError(
                "unknown key", place=key, found=value[key], allowed=", ".join(keys), cure=nearest(key, keys)
            )
    return value


def whole(value: Any, place: str, top: int = 0xFFFFFFFF, low: int = 0) -> int:
    """``value`` if it is an integer from ``low`` to ``top``."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= top:
        raise DocumentError(
            "not a number that fits", place=place, found=value, allowed="%d to %d" % (low, top)
        )
    return value


def choice(value: Any, table: Any, place: str) -> Any:
    """``table[value]``, or an error that names the choices."""
    if not isinstance(value, str) or value not in table:
        raise DocumentError(
            "unknown name",
            place=place,
            found=value,
            allowed=", ".join(table),
            cure=nearest(str(value), table),
        )
    return table[value]


def base64_bytes(value: Any, place: str) -> bytes:
    """The bytes of a base64 text, or an error."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise DocumentError("no base64 text", place=place, found=value) from None


def base64_text(data: bytes) -> str:
    """Bytes as a base64 text."""
    return base64.b64encode(data).decode("ascii")
