# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times: seconds as a number, or a text with units."""

from __future__ import annotations

from typing import Any

from ..errors import DocumentError
from ..nftables.datatypes import NEVER, milliseconds_of

ALLOWED = "seconds, or a text such as 1h30m"


def milliseconds(value: Any) -> int:
    """A time of the document in milliseconds, at least one. Raises DocumentError."""
    found = None
    if isinstance(value, str):
        found = milliseconds_of(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value * 1000
    if found is None:
        raise DocumentError("no time", found=value, allowed=ALLOWED)
    if not 0 < found < 1 << 63:
        raise DocumentError("a time out of range", found=value, allowed=ALLOWED)
    return found


def lifetime(value: Any) -> int | str:
    """The timeout of an element, as :func:`seconds` gives it, or ``never``. Raises DocumentError."""
    if value == NEVER:
        return NEVER
    try:
        return seconds(value)
    except DocumentError as error:
        error.problems[0].allowed += ", or never"
        raise


def seconds(value: Any) -> int | str:
    """A time as libnftables JSON has it: seconds, or where these are no whole number a text in milliseconds.

    Raises DocumentError.
    """
    found = milliseconds(value)
    return "%dms" % found if found % 1000 else found // 1000
