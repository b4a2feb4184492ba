# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files and links that shall be on the host, or below a directory that is an image of one.

Everything is compared first. What differs is then written file by file, and if one of them
fails those before it are put back.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from ..errors import HostError, RempartError
from . import files


class Placed:
    """A file or link as it shall be, and as it was found.

    ``path`` is the host's; ``content`` are a file's bytes, the target of a link, or None where
    there shall be nothing. ``mode`` is a file's, and ``directory_mode`` that of a directory made for it.
    """

    __slots__ = ("before", "before_mode", "content", "directory_mode", "mode", "path", "real")

    def __init__(
        self,
        path: str,
        content: bytes | str | None,
        mode: int = 0o644,
        directory_mode: int = 0o755,
        root: str = "/",
    ) -> None:
        self.path = path
        self.content = content
        self.mode = mode
        self.directory_mode = directory_mode
        self.real = below(root, path)
        self.before, self.before_mode = _found(self.real)

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        if self.before != self.content:
            return True
        return isinstance(self.content, bytes) and self.before_mode != self.mode

    def put(self) -> None:
        """Have it as it shall be. Raises HostError."""
        self._put(self.content, self.mode)

    def put_back(self) -> None:
        """Have it as it was found. Raises HostError."""
        self._put(self.before, self.before_mode)

    def _put(self, content: bytes | str | None, mode: int) -> None:
        if content is None:
            files.remove(self.real)
            return
        try:
            _make_directory(os.path.dirname(self.real), self.directory_mode)
        except OSError as error:
            raise HostError("cannot make the directory: %s" % error.strerror, self.path) from None
        if isinstance(content, bytes):
            files.write(self.real, content, mode)
        else:
            files.link(self.real, content)


def put(placed: Iterable[Placed]) -> None:
    """Have each as it shall be; all of them, or where that fails none. Raises HostError."""
    done: list[Placed] = []
    for one in placed:
        if not one.changed:
            continue
        done.append(one)
        try:
            one.put()
        except BaseException:
            for other in reversed(done):
                with contextlib.suppress(RempartError):
                    other.put_back()
            raise


def below(root: str, path: str) -> str:
    """A path of the host below the root, and nowhere else whatever symbolic links say. Raises HostError."""
    top = os.path.realpath(root)
    if not os.path.isabs(root) or not os.path.isdir(top):
        raise HostError("no directory", "root", root, "the absolute path of a directory")
    real = os.path.join(top, path.lstrip("/"))
    directory = os.path.realpath(os.path.dirname(real))
    if os.path.commonpath([top, directory]) != top:
        raise HostError("leads out of the root, to %s" % directory, path)
    return real


def _make_directory(path: str, mode: int) -> None:
    """Make a directory, and those above it that are missing with 0755."""
    if not os.path.isdir(path):
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        os.mkdir(path, mode)
        os.chmod(path, mode)  # whatever the umask is


def _found(path: str) -> tuple[bytes | str | None, int]:
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            return os.readlink(path), 0
        with open(path, "rb") as opened:
            return opened.read(), stat.S_IMODE(status.st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None, 0
    except OSError as error:
        raise HostError("cannot read the file: %s" % error.strerror, path) from None
