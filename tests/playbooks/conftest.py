# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks over network namespaces take root."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def root() -> None:
    """Skip without root; as root, what is missing makes the test fail."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")
