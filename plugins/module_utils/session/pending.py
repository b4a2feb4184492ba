# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change that stands only once it is confirmed.

A file says that the change waits. Whoever removes it has confirmed the change. If nobody does in
time, a process that is left on the host takes the file itself, and the change back. Only one of
the two can have the file, so there is no moment at which both believe to be in time.
"""

from __future__ import annotations

import contextlib
import os
import time

from ..errors import HostError, RempartError
from ..host import private_files
from ..host.detached import detach
from .before import Before

TAKEN_BACK = ".taken-back"
"""What is added to the file's name for the one that is there when the change is taken back.

It is empty, or says why that failed.
"""

_TAKING = ".taking"
_STEP = 0.1  # seconds


def leave(before: Before, seconds: float) -> str:
    """Have the change taken back in so many seconds, unless the file is removed whose path this returns.

    Raises RempartError where it could not be.
    """
    before.put_back(check=True)  # what fails here would have failed then; and all it needs is imported
    path = "%s/pending-%d-%d" % (private_files.DIRECTORY, os.getpid(), time.monotonic_ns())
    try:
        private_files.prepare(private_files.DIRECTORY)
        private_files.write(path, b"")
    except OSError as error:
        raise HostError("cannot write %s: %s" % (path, error.strerror)) from None
    if not detach(lambda: _watch(before, path, time.monotonic() + seconds)):
        os.unlink(path)
        raise HostError("there is no room for the process that would take the change back")
    return path


def _watch(before: Before, path: str, end: float) -> None:
    while time.monotonic() < end:
        if not os.path.exists(path):
            return
        time.sleep(_STEP)
    try:
        os.rename(path, path + _TAKING)
    except FileNotFoundError:
        return
    said = ""
    try:
        before.put_back()
    except RempartError as error:
        said = str(error)
    with contextlib.suppress(OSError):
        private_files.write(path + TAKEN_BACK, said.encode())
        os.unlink(path + _TAKING)
