# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines for the readers of pages, which take root."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.machines import Machine, machines
from tests.support.namespaces import veth
from tests.support.playbooks import settings

MakeMachines = Callable[..., dict[str, Machine]]


@pytest.fixture(autouse=True)
def root() -> None:
    """Skip without root; as root, what is missing makes the test fail."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")


@pytest.fixture
def make_machines(tmp_path: Path) -> Iterator[MakeMachines]:
    """Make machines by name; ``""`` is where bare prompts are typed. Ansible finds the collection there."""
    variables = {**settings(tmp_path), "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
    del variables["ANSIBLE_CALLBACK_PLUGINS"]
    with contextlib.ExitStack() as stack:
        yield lambda *names, **more: stack.enter_context(machines(names, tmp_path, {**variables, **more}))


@pytest.fixture
def pair(make_machines: MakeMachines) -> dict[str, Machine]:
    """A host, 192.0.2.10 on eth0, and a client of it, 192.0.2.20."""
    made = make_machines("", "client")
    veth(
        *(made[""].namespace, made["client"].namespace),
        *(["192.0.2.10/24", "2001:db8::10/64"], ["192.0.2.20/24", "2001:db8::20/64"]),
        *("eth0", "eth0"),
    )
    return made
