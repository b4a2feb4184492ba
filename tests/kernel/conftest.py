# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's word takes root to ask for."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def root() -> None:
    """Skip without root; as root, what is missing makes the test fail."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")
