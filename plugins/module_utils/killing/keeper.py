# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removing the table of cut_table.py once nothing is blocked any more, without anybody waiting for it.

A block ends by itself, in the kernel. What stays is a table that does nothing; to remove it is a matter of
tidiness. A process of its own does that, which sleeps until the last block ends and goes. Should it be
ended before, the next kill removes the table.
"""

from __future__ import annotations

import time

from ..errors import RempartError
from ..host.detached import detach
from ..netlink.socket import NetlinkSocket
from .cut_table import CutTable

_LATER = 0.5  # seconds after a block's end that the kernel may take to count it as ended
_LONGEST = 25 * 3600  # seconds that a keeper lives at most: longer than any block


def leave(kernel: NetlinkSocket) -> bool:
    """Have a process remove the table when its time has come; False where there is nothing to wait for.

    The process has neither terminal nor standard streams, and holds no file of this one but the socket.
    """
    if CutTable(kernel).remove_if_idle():
        return False
    # Where there is no room for a process the next kill tidies up.
    return detach(lambda: _wait(CutTable(kernel)), kernel.socket.fileno())


def _wait(table: CutTable) -> None:
    end = time.monotonic() + _LONGEST
    while time.monotonic() < end:
        try:
            held = table.held()
            if not held and table.remove_if_idle():
                return
        except RempartError:
            return
        time.sleep(max(held.values(), default=0.0) + _LATER)
