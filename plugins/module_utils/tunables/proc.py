# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys below /proc/sys/net/netfilter, those of the network namespace that the thread is in."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from ..conntrack.requests import GET_STATS
from ..errors import HostError, KernelError, RempartError
from ..netlink.namespace import PRIVILEGE
from ..netlink.socket import NetlinkSocket

DIRECTORY = "/proc/sys/net/netfilter"

_FIRST = "nf_conntrack_buckets"
"""A key that is there wherever connections are tracked, and can be set in the first namespace only."""


def ensure() -> None:
    """Have connection tracking there. Raises HostError where the kernel has none.

    Its keys exist only once it is loaded, which a question to ctnetlink makes the kernel do.
    """
    if has(_FIRST):
        return
    # Whatever the answer: whether the keys are there now is what counts.
    with NetlinkSocket() as kernel, contextlib.suppress(KernelError):
        kernel.request(GET_STATS, socket.AF_UNSPEC)
    if not has(_FIRST):
        raise HostError(
            "this kernel tracks no connections",
            cure="load the module nf_conntrack (modprobe nf_conntrack), and see that /proc/sys is mounted",
        )


def has(key: str) -> bool:
    """Whether the kernel has the key now."""
    return os.path.exists(_path(key))


def initial() -> bool:
    """Whether this is the first network namespace, in which alone some keys can be set."""
    return _settable(_FIRST)


def read(key: str) -> int:
    """A key's number. Raises HostError."""
    try:
        with open(_path(key), encoding="ascii") as opened:
            return int(opened.read())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HostError("cannot read %s: %s" % (_path(key), reason)) from None


def probe(key: str) -> None:
    """Raise HostError where the key cannot be set; sets nothing."""
    try:
        os.close(os.open(_path(key), os.O_WRONLY | os.O_CLOEXEC))
    except OSError as error:
        raise _refused(key, error) from None


def write(key: str, number: int) -> None:
    """Set a key. Raises KernelError for a number that the kernel refuses, HostError for anything else."""
    try:
        handle = os.open(_path(key), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, b"%d\n" % number)
        finally:
            os.close(handle)
    except OSError as error:
        raise _refused(key, error, number) from None


def _refused(key: str, error: OSError, number: int | None = None) -> RempartError:
    if error.errno == errno.EROFS:
        return HostError(
            "%s is mounted read-only" % DIRECTORY,
            cure="set this outside of the container, or remount it: mount -o remount,rw /proc/sys",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        if not _settable(key):
            return HostError(
                "counts for all network namespaces together, and can be set in the first one only",
                cure="set it on the host itself, without netns",
            )
        return HostError("not allowed to set %s" % _path(key), cure=PRIVILEGE)
    return KernelError("the kernel refused %s: %s" % (key, error.strerror), error.errno or 0, 0, "", number)


def _settable(key: str) -> bool:
    """Whether the key can be set in this namespace by anybody at all."""
    try:
        return bool(os.stat(_path(key)).st_mode & 0o222)
    except OSError:
        return False


def _path(key: str) -> str:
    return "%s/%s" % (DIRECTORY, key)
