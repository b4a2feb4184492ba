# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running real rulebooks with ansible-rulebook in a namespace, as on the firewall that they are for."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace
from tests.support.playbooks import HOST_VARS, settings

BIN = Path(sys.executable).parent


class Rulebook:
    """ansible-rulebook at work: what it has printed so far, and waiting for what it does."""

    def __init__(self, process: subprocess.Popen[Any], printed: Path) -> None:
        self._process = process
        self._printed = printed

    def output(self) -> str:
        """All that it and its playbooks have printed."""
        return self._printed.read_text()

    def wait(self, done: Callable[[], bool], timeout: float = 60) -> None:
        """Wait until something has come about; AssertionError where the rulebook ends before."""
        end = time.monotonic() + timeout
        while not done():
            assert self._process.poll() is None, "ansible-rulebook has ended\n" + self.output()
            assert time.monotonic() < end, "it has not come about\n" + self.output()
            time.sleep(0.02)

    def stop(self) -> int:
        """Have it stop; its exit status."""
        self._process.terminate()
        return self._process.wait(30)


@contextlib.contextmanager
def rulebook(
    directory: Path, namespace: Namespace, name: str, variables: Mapping[str, Any]
) -> Iterator[Rulebook]:
    """Run a rulebook of the collection on the host ``firewall``, which is the namespace, during the block.

    Everything is written below ``directory``. The namespace's loopback device must be up: the rules
    engine is spoken to over it.
    """
    inventory, given, printed, record = (
        directory / one for one in ("hosts.yml", "vars.yml", "printed", "record")
    )
    host = {**HOST_VARS, "ansible_connection": "ansible.builtin.local"}
    inventory.write_text(json.dumps({"all": {"hosts": {"firewall": host}}}))
    given.write_text(json.dumps(variables))
    environment = {
        **os.environ,
        **settings(directory),
        "PATH": "%s:%s" % (BIN, os.environ["PATH"]),
        "PYTHONUNBUFFERED": "1",
        "REMPART_RECORD": str(record),
    }
    with open(printed, "wb") as output:
        process = namespace.popen(
            *(str(BIN / "ansible-rulebook"), "--rulebook", name),
            *("--inventory", str(inventory), "--vars", str(given)),
            cwd=str(directory),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Rulebook(process, printed)
    finally:
        process.kill()
        process.wait()


def listeners(namespace: Namespace) -> int:
    """How many netfilter sockets of a namespace listen to events, as /proc/net/netlink lists them."""
    lines = namespace.call(lambda: Path("/proc/thread-self/net/netlink").read_text()).splitlines()[1:]
    return sum(1 for line in lines if line.split()[1] == "12" and int(line.split()[3], 16))
