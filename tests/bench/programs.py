# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs run in namespaces directly, and a word about work not done."""

from __future__ import annotations

import subprocess

from tests.support.namespaces import Namespace


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
