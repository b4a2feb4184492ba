# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings that nobody would write: read, or refused in words, and never refused by the schema alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.document.validation import check as check_schema
from rempart.tunables.settings import KEYS, MASQUERADE, check, load
from rempart.tunables.timeouts import TIMEOUTS, understood

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3),
    st.sampled_from([255, 256, 1 << 31, (1 << 31) - 1, 2147483, 2147484, 1 << 70, 1.0, -0.5]),
    st.sampled_from(["auto", "all", "TCP", "5d", "2m30s", "-1", "", "0", "12", "1ms", "\0", "ⅷ", "yes"]),
)
STATES = sorted({word for name in TIMEOUTS for word in understood(name)})
TIMES = st.dictionaries(st.sampled_from([*STATES, "opne"]), ODD, max_size=4) | ODD
SECTIONS = st.dictionaries(
    st.sampled_from([*sorted(set(KEYS) - {"helpers", "policies"}), "nf_conntrack_max", "x", 5]),
    st.one_of(
        ODD,
        st.lists(ODD, max_size=4),
        st.dictionaries(st.sampled_from([*TIMEOUTS, *MASQUERADE, "esp"]), TIMES, max_size=3),
    ),
    max_size=5,
)


@given(SECTIONS)
@settings(max_examples=400, deadline=None)
def test_a_section_is_read_or_refused(section: dict[Any, Any]) -> None:
    problems = check(section)
    assert all(one.message and one.place for one in problems)
    if not problems:
        assert check_schema({"conntrack": section}) == []
        for one in load(section).settings:
            assert one.value is None or one.row.kind.read(one.row.kind.shown(one.value)) == one.value
