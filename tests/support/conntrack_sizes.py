# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sizes of connection tracking that the whole machine shares: one process at a time may change them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

DIRECTORY = Path("/proc/sys/net/netfilter")
NAMES = ("nf_conntrack_buckets", "nf_conntrack_max", "nf_conntrack_expect_max")

_LOCK = Path("/run/rempart-test-conntrack-sizes")


def sizes() -> dict[str, int]:
    """What they are."""
    return {name: int((DIRECTORY / name).read_text()) for name in NAMES}


@contextlib.contextmanager
def kept() -> Iterator[dict[str, int]]:
    """Inside, the sizes are this process's to change; whatever happens, they are then as before.

    Gives what they are. Waits while another process changes them. What a killed process left behind
    is put right by the next one.
    """
    with open(_LOCK, "a+", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        left = lock.read()
        if left:
            _restore(json.loads(left))
        before = sizes()
        _note(lock.fileno(), json.dumps(before))
        try:
            yield dict(before)
        finally:
            _restore(before)
            _note(lock.fileno(), "")


def _restore(before: dict[str, int]) -> None:
    for name, value in before.items():
        if int((DIRECTORY / name).read_text()) != value:
            (DIRECTORY / name).write_text(str(value))


def _note(lock: int, text: str) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, text.encode("ascii"), 0)
