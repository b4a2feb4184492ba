# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's word takes root to ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.namespaces import Namespace
from tests.support.routed import Routed, routed


@pytest.fixture(autouse=True)
def root() -> None:
    """Skip without root; as root, what is missing makes the test fail."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")


@pytest.fixture(scope="module")
def hosts() -> Iterator[Routed]:
    """Two hosts with a router between them, for all tests of a file."""
    with routed() as made:
        yield made


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces for all generated examples of a file."""
    with Namespace() as one, Namespace() as other:
        yield one.up(), other.up()
