# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes that are worked out, and what is said of sizes that do not belong together."""

from __future__ import annotations

import pytest
from rempart.tunables import sizes

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("memory", "pointer", "buckets"),
    [
        (32 * MIB, 8, 1024),
        (256 * MIB, 8, 2048),
        (512 * MIB, 8, 4096),
        (GIB, 8, 8192),
        (GIB + 1, 8, 65536),
        (4 * GIB, 8, 65536),
        (4 * GIB + 1, 8, 262144),
        (1024 * GIB, 8, 262144),
        (512 * MIB, 4, 8192),
        (8 * GIB, 4, 65536),
    ],
)
def test_buckets_follow_the_memory_as_the_kernels_own_do(memory: int, pointer: int, buckets: int) -> None:
    assert sizes.buckets_for(memory, pointer) == buckets


@pytest.mark.parametrize(
    ("wish", "pointer", "page", "made"),
    [(1, 8, 4096, 512), (512, 8, 4096, 512), (513, 8, 4096, 1024), (1000, 4, 4096, 1024)],
)
def test_buckets_fill_whole_pages(wish: int, pointer: int, page: int, made: int) -> None:
    assert sizes.rounded(wish, pointer, page) == made


@pytest.mark.parametrize(
    ("said", "resolved"),
    [
        ((None, 100000, False, False, 512), (None, 100000)),
        ((None, None, False, True, 512), (None, 512)),
        ((4096, None, False, True, 512), (4096, 4096)),
        ((None, 102400, True, False, 512), (102400, 102400)),
        ((4096, 100, False, False, 512), (4096, 100)),
    ],
)
def test_auto_is_one_bucket_for_each_connection(
    said: tuple[int | None, int | None, bool, bool, int], resolved: tuple[int | None, int | None]
) -> None:
    assert sizes.resolve(*said) == resolved


def test_auto_of_both_is_by_the_memory() -> None:
    expected = sizes.rounded(sizes.buckets_for(sizes.memory()))
    assert sizes.resolve(None, None, True, True, 512) == (expected, expected)
    assert sizes.resolve(None, 0, True, False, 512) == (expected, 0)


def test_what_does_not_belong_together_is_said() -> None:
    assert sizes.warnings(1024, 4096, True, 0) == []
    assert "4097 connections in 1024 buckets" in sizes.warnings(1024, 4097, False, 0)[0]
    assert "no limit" in sizes.warnings(1024, 0, True, 50)[0]
    assert "there are 50 connections" in sizes.warnings(1024, 49, True, 50)[0]
    assert sizes.warnings(1024, 49, False, 50) == []
    assert sizes.warnings(1024, 50, True, 50) == []
