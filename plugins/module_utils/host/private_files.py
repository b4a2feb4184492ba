# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is remembered until the next boot: small files under /run/rempart that are this user's alone.

What is read here is believed, so a file or a directory that another user could have written is none.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

DIRECTORY = "/run/rempart"


def read(path: str, most: int) -> bytes:
    """The file's bytes. Raises OSError unless file and directory are this user's own alone.

    ``most`` is how many bytes such a file can have; a longer one is refused as well.
    """
    directory = os.path.dirname(path)
    if not _private(os.lstat(directory), stat.S_ISDIR):
        raise PermissionError("%s is not private" % directory)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not _private(status, stat.S_ISREG) or status.st_size > most:
            raise PermissionError("%s is not private" % path)
        return file.read()


def prepare(directory: str) -> None:
    """Make the directory where it is not there. Raises OSError unless it is this user's own alone."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        if not _private(os.lstat(directory), stat.S_ISDIR):
            raise PermissionError("%s is not private" % directory) from None


def write(path: str, content: bytes) -> None:
    """Replace the file, or make it, in one step; its directory is prepared. Raises OSError.

    It need not outlast a power failure, so nothing waits for a disk.
    """
    partial = "%s.%d" % (path, os.getpid())
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
            file.write(content)
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def _private(status: os.stat_result, kind: Callable[[int], bool]) -> bool:
    return kind(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
