# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection built and installed, once for all tests of a worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.collection import build, install


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Galaxy would get."""
    return build(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="session")
def installed(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path that has nothing but the collection."""
    directory = tmp_path_factory.mktemp("installed")
    install(tarball, directory)
    return directory
