# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How large the table of connections is where the document says ``auto``, and what sizes belong together.

``buckets: auto`` is what the kernel itself takes at its start (nf_conntrack_init_start() in
net/netfilter/nf_conntrack_core.c, since Linux 5.15); ``max: auto`` is one connection for each bucket, its
ratio since then. Every connection stands in the table twice, once for each direction.
"""

from __future__ import annotations

import os
import struct

_GIB = 1 << 30
_FEWEST = 1024
_MANY = 65536  # from 1 GiB of memory on
_MOST = 262144  # from 4 GiB on, where a pointer has 64 bits
_SHARE = 16384  # of the memory, one part in so many is for the table

CROWDED = 4
"""Connections for each bucket from which on a warning is due: a lookup then passes eight entries."""

_POINTER = struct.calcsize("P")


def memory() -> int:
    """The host's memory in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def buckets_for(size: int, pointer: int = _POINTER) -> int:
    """The buckets that a kernel takes for so many bytes of memory; ``pointer`` are the bytes of one."""
    if pointer >= 8 and size > 4 * _GIB:
        return _MOST
    if size > _GIB:
        return _MANY
    return max(size // _SHARE // pointer, _FEWEST)


def rounded(buckets: int, pointer: int = _POINTER, page: int | None = None) -> int:
    """The buckets that the kernel makes of a wish: whole pages of them (nf_ct_alloc_hashtable())."""
    step = (page or os.sysconf("SC_PAGE_SIZE")) // pointer
    return -(-buckets // step) * step


def resolve(
    buckets: int | None, max: int | None, auto_buckets: bool, auto_max: bool, present: int
) -> tuple[int | None, int | None]:
    """Buckets and the most connections to set, None where nothing is said of one.

    ``buckets`` and ``max`` are the numbers that are said, ``present`` the buckets that there are.
    """
    if auto_buckets:
        buckets = max if max else buckets_for(memory())
    if buckets is not None:
        buckets = rounded(buckets)
    if auto_max:
        max = buckets if buckets is not None else present
    return buckets, max


def warnings(buckets: int, max: int, max_changes: bool, count: int) -> list[str]:
    """What is to be said of sizes that shall be in force; ``count`` are the connections there are."""
    said = []
    if max == 0:
        said.append("max: 0 sets no limit: connections can take all of the memory")
    elif max > CROWDED * buckets:
        said.append(
            "max: %d connections in %d buckets make lookups slow once the table is full; "
            "take one bucket for each connection (buckets: auto)" % (max, buckets)
        )
    if max_changes and 0 < max < count:
        said.append(
            "max: there are %d connections, more than %d: new ones are dropped until enough have ended"
            % (count, max)
        )
    return said
