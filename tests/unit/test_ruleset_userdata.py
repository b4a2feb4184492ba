# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Comments in user data, and what else may stand there."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.ruleset.userdata import comment_of, comment_userdata

fast = settings(max_examples=300, deadline=None, database=None)


@fast
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_a_comment_comes_back(text: str) -> None:
    assert comment_of(comment_userdata(text)) == text


def test_the_bytes_are_those_of_nft() -> None:
    assert comment_userdata("wall") == b"\x00\x05wall\x00"
    assert comment_userdata("") == b""
    assert comment_userdata("\udcff") == b"\x00\x02\xff\x00"


@pytest.mark.parametrize(
    ("data", "comment"),
    [
        (b"", None),
        (b"\x00", None),
        (b"\x00\x05wal", None),
        (b"\x01\x02ab", None),
        (b"\x01\x02ab\x00\x02c\x00", "c"),
        (b"\x00\x02c\x00\x01\x02ab", "c"),
        (b"\x07\x00\x00\x01\x00", ""),
        (b"\x00\x02\xff\x00", "\udcff"),
    ],
)
def test_other_entries_are_passed_over(data: bytes, comment: str | None) -> None:
    assert comment_of(data) == comment


@fast
@given(st.binary(max_size=80))
def test_any_bytes_give_a_comment_or_none(data: bytes) -> None:
    found = comment_of(data)
    assert found is None or isinstance(found, str)
