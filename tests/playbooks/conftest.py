# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks over network namespaces take root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.namespaces import Namespace, veth
from tests.support.ssh import SshServer


@pytest.fixture(autouse=True)
def root() -> None:
    """Skip without root; as root, what is missing makes the test fail."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path, since SSH's control sockets lie below it."""
    made = Path(tempfile.mkdtemp(prefix="rempart-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def machine(directory: Path, make_netns: Callable[[], Namespace]) -> tuple[Namespace, SshServer]:
    """A client's namespace, and a machine with an SSH server in another: 10.9.0.1 and 10.9.0.2."""
    client, far = make_netns().up(), make_netns().up()
    veth(client, far, "10.9.0.1/24", "10.9.0.2/24")
    return client, SshServer(far, "10.9.0.2", directory)
