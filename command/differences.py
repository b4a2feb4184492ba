# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A difference as a unified diff of nft text."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator


def lines(differences: Iterable[dict[str, str]]) -> Iterator[str]:
    """The lines of a unified diff, without their ends; ``differences`` is what ``Outcome.diff`` gives."""
    for one in differences:
        before, after = one["before"].splitlines(), one["after"].splitlines()
        yield from difflib.unified_diff(before, after, one["before_header"], one["after_header"], lineterm="")
