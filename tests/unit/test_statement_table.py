# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of statement and expression that the engine knows has an example on docs/statements.md."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.nftables.selectors import KINDS
from rempart.nftables.statements import STATEMENTS

from tests.support.reference.statements import EXAMPLES


@pytest.mark.parametrize(("part", "known"), [("statements", STATEMENTS), ("expressions", KINDS)])
def test_every_kind_has_an_example(part: str, known: dict[str, Any]) -> None:
    """Nothing that the engine compiles is missing from the page, and nothing else is on it."""
    assert set(EXAMPLES[part]) == set(known)
