# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network namespaces: entering one for a while, and telling one from another.

A namespace is named as ip-netns(8) names it (a file in /run/netns) or given as a
path, such as /proc/1234/ns/net. Entering moves the calling thread only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from ..errors import HostError, nearest

DIRECTORY = "/run/netns"  # ip-netns(8)
PRIVILEGE = "run as root, or with the capability CAP_NET_ADMIN (in containers also CAP_SYS_ADMIN)"

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_SIOCGSKNS = 0x894C  # linux/sockios.h: the network namespace of a socket, as a file descriptor
_SO_NETNS_COOKIE = 71  # asm-generic/socket.h, since Linux 5.14
_MOST_NAMES = 10  # names listed in an error
_OWN = "/proc/thread-self/ns/net"


class Entered:
    """``with Entered("blue"):`` runs its block in that network namespace; None stays here.

    Raises HostError where there is no such namespace or no privilege to enter it.
    What was opened inside (a socket, say) belongs to that namespace for good.
    """

    __slots__ = ("_home", "_namespace")

    def __init__(self, namespace: str | None) -> None:
        self._namespace = namespace
        self._home = -1

    def __enter__(self) -> Entered:
        if self._namespace is None:
            return self
        target = _open(self._namespace)
        try:
            self._home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
            try:
                _setns(target)
            except OSError as error:
                os.close(self._home)
                self._home = -1
                raise _refused(self._namespace, error) from error
        finally:
            os.close(target)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._home < 0:
            return
        try:
            _setns(self._home)
        except OSError as error:
            raise HostError(
                "cannot return to the network namespace of before: %s" % error.strerror
            ) from error
        finally:
            os.close(self._home)
            self._home = -1


def path_of(namespace: str) -> str:
    """The file that stands for a namespace: a name lies in /run/netns, a path is itself."""
    return namespace if "/" in namespace else "%s/%s" % (DIRECTORY, namespace)


def is_own(descriptor: int) -> bool:
    """Whether an open namespace is the one that the calling thread is in (namespaces(7))."""
    found, own = os.fstat(descriptor), os.stat(_OWN)
    return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


@contextmanager
def of_socket(opened: socket.socket) -> Iterator[int]:
    """Inside the block, the network namespace that a socket belongs to, as an open descriptor.

    Raises OSError where the kernel does not hand it out, without the privilege EPERM.
    """
    descriptor = fcntl.ioctl(opened.fileno(), _SIOCGSKNS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def path_of_descriptor(descriptor: int) -> str:
    """The file that stands for an open namespace, as long as it is open."""
    return "/proc/self/fd/%d" % descriptor


def fresh() -> None:
    """Put the calling thread into a network namespace of its own, which ends with what uses it.

    Only for a thread that ends there. Raises OSError, without the privilege EPERM.
    """
    native = getattr(os, "unshare", None)  # Python 3.12
    if native is not None:
        native(_CLONE_NEWNET)
        return
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(ctypes.c_int(_CLONE_NEWNET)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def boot_id() -> str:
    """The id of this boot (random(4)), the same in every namespace and container."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def cookie(of: socket.socket) -> int | None:
    """The id, unique within this boot, of the namespace that a socket belongs to.

    None on a kernel before 5.14, which has no SO_NETNS_COOKIE.
    """
    try:
        raw = of.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
    except OSError:
        return None
    return int(struct.unpack("=Q", raw)[0]) if len(raw) == 8 else None


def _open(namespace: str) -> int:
    if namespace in ("", ".", "..") or "\0" in namespace:
        raise HostError(
            "not the name of a network namespace", found=namespace, allowed="a name of ip-netns(8), or a path"
        )
    path = path_of(namespace)
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(namespace, error) from error


def _refused(namespace: str, error: OSError) -> HostError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        known = _known()
        cure = "" if "/" in namespace else nearest(namespace, known)
        if not cure and "/" not in namespace:
            cure = "make it with: ip netns add %s" % namespace
        return HostError(
            "no such network namespace",
            found=namespace,
            allowed=", ".join(_some(namespace, known)),
            cure=cure,
        )
    if error.errno in (errno.EPERM, errno.EACCES):
        return HostError("not allowed to enter the network namespace", found=namespace, cure=PRIVILEGE)
    if error.errno == errno.EINVAL:
        return HostError(
            "%s is not a network namespace" % path_of(namespace),
            found=namespace,
            cure="remove what ip netns left there and make it anew: ip netns add"
            if "/" not in namespace
            else "",
        )
    return HostError("cannot enter the network namespace: %s" % error.strerror, found=namespace)


def _known() -> list[str]:
    try:
        return sorted(os.listdir(DIRECTORY))
    except OSError:
        return []


def _some(namespace: str, known: list[str]) -> list[str]:
    """The known names, of many only those most like the one asked for."""
    if len(known) <= _MOST_NAMES:
        return known
    import difflib

    return difflib.get_close_matches(namespace, known, _MOST_NAMES, 0.0)


def _setns(descriptor: int) -> None:
    native = getattr(os, "setns", None)  # Python 3.12
    if native is not None:
        native(descriptor, _CLONE_NEWNET)
        return
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(ctypes.c_int(descriptor), ctypes.c_int(_CLONE_NEWNET)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
