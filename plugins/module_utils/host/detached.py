# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that outlives the run that began it: nobody waits for it, and it holds nothing of others."""

from __future__ import annotations

import os
from collections.abc import Callable


def detach(work: Callable[[], None], *kept: int) -> bool:
    """Have a process of its own do the work; False where there is no room for one.

    It has neither terminal nor standard streams, and holds no file but the descriptors ``kept``. It must
    import nothing: the files that a module of Ansible comes from go when that ends.
    """
    try:
        child = os.fork()
    except OSError:
        return False
    if child:
        os.waitpid(child, 0)
        return True
    try:
        os.setsid()
        if os.fork() == 0:
            _alone(kept)
            work()
    finally:
        os._exit(0)


def _alone(kept: tuple[int, ...]) -> None:
    """Hold nothing that keeps others waiting or busy: streams, files, directories."""
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    first = 3
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))
