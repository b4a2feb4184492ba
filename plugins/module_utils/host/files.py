# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of the host, replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ..errors import HostError


def write(path: str, content: str | bytes, mode: int = 0o600) -> None:
    """Put a text or bytes into a file in one step: a reader sees the old one or the new one, whole.

    ``mode`` are its permissions. Its directory must be there. Raises HostError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _replaced(path, "write the file") as temporary:
        handle = os.open(temporary, flags, 0o600)
        with open(handle, "wb") as opened:
            os.fchmod(handle, mode)
            opened.write(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)
            opened.flush()
            os.fsync(handle)


def link(path: str, target: str) -> None:
    """Have a symbolic link lead to ``target``, in one step too, whatever was there. Raises HostError."""
    with _replaced(path, "make the link") as temporary:
        os.symlink(target, temporary)


@contextlib.contextmanager
def _replaced(path: str, doing: str) -> Iterator[str]:
    """A name beside ``path`` for the block to make; what it made takes the place of ``path``."""
    directory = os.path.dirname(os.path.abspath(path))
    temporary = os.path.join(directory, ".%s.%d" % (os.path.basename(path), os.getpid()))
    try:
        yield temporary
        os.replace(temporary, path)
        _sync(directory)
    except OSError as error:
        raise HostError("cannot %s: %s" % (doing, error.strerror), path) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def remove(path: str) -> bool:
    """Take a file away; whether it was there. Raises HostError."""
    try:
        os.unlink(path)
        _sync(os.path.dirname(os.path.abspath(path)))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise HostError("cannot remove the file: %s" % error.strerror, path) from None
    return True


def read(path: str) -> str | None:
    """A file's text, None where there is no file. Raises HostError."""
    content = read_bytes(path)
    return None if content is None else content.decode("utf-8", "surrogateescape")


def read_bytes(path: str) -> bytes | None:
    """A file's bytes, None where there is no file. Raises HostError."""
    try:
        with open(path, "rb") as opened:
            return opened.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError("cannot read the file: %s" % error.strerror, path) from None


def put(path: str, text: str | None, mode: int = 0o644) -> None:
    """Have the file hold the text, and its directory be there; with None, have no file. Raises HostError."""
    if text is None:
        remove(path)
        return
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    except OSError as error:
        raise HostError("cannot make the directory: %s" % error.strerror, path) from None
    write(path, text, mode)


def _sync(directory: str) -> None:
    """Have a name, or its going, outlast a power failure."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
