# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces to measure in: programs run there directly, and nothing is remembered of them afterwards."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset import memory

from tests.support.namespaces import Namespace


@contextlib.contextmanager
def hosts(count: int) -> Iterator[list[Namespace]]:
    """So many namespaces; the engine's memory of each goes with it."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            found.append(stack.enter_context(Namespace()))
            stack.callback(forget, found[-1])
        yield found


def forget(namespace: Namespace) -> None:
    """Remove what the engine remembers of a namespace."""
    with NetlinkSocket(namespace.name) as kernel:
        memory.forget(memory.key(kernel))


def run(namespace: Namespace, *argv: str) -> None:
    """Run a program in the namespace and throw its output away; RuntimeError if it fails.

    The program is started from inside: ``ip netns exec`` would add its own time.
    """
    done = namespace.call(
        lambda: subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
    )
    if done.returncode:
        raise RuntimeError(
            "%s: exit %d\n%s" % (argv[0], done.returncode, done.stderr.decode(errors="replace"))
        )


def require(fact: bool, sentence: str) -> None:
    """RuntimeError if what was measured is not what was meant to be."""
    if not fact:
        raise RuntimeError("the benchmark did not do its work: " + sentence)
