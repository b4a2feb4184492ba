# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The transmit queue length of a device (txqueuelen): how many packets wait for a slow link.

pyroute2 reads and sets it. It is imported here only when called: most runs do without it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any

from ..errors import DocumentError, HostError, KernelError, Problem, RempartError, nearest
from ..netlink.namespace import PRIVILEGE, Entered

LONGEST = 0xFFFFFFFF
"""IFLA_TXQLEN has 32 bits (linux/if_link.h)."""

_NAME = 15  # bytes: IFNAMSIZ of linux/if.h, less the closing NUL


class Change:
    """A device whose queue length is to change, by its name and index."""

    __slots__ = ("after", "before", "index", "interface")

    def __init__(self, interface: str, index: int, before: int, after: int) -> None:
        self.interface = interface
        self.index = index
        self.before = before
        self.after = after


def check(lengths: Any) -> None:
    """Raise DocumentError with everything wrong with ``{device: packets}``, which needs no host."""
    if not isinstance(lengths, Mapping):
        raise DocumentError("no queue lengths", found=lengths, allowed="a mapping of devices to packets")
    problems = []
    for name, length in lengths.items():
        place = str(name)
        if not isinstance(name, str) or not 0 < len(name.encode()) <= _NAME or "/" in name:
            problems.append(
                Problem("not the name of a device", place, name, "an interface name of 1 to 15 bytes")
            )
        elif isinstance(length, bool) or not isinstance(length, int) or not 0 <= length <= LONGEST:
            problems.append(Problem("no queue length", place, length, "packets, from 0 to %d" % LONGEST))
    if problems:
        raise DocumentError.of(problems)


def compare(lengths: Mapping[str, int], netns: str | None = None) -> list[Change]:
    """What differs between the lengths wanted and those that the devices of a namespace have.

    Raises HostError for devices that are not there, or without pyroute2.
    """
    with _iproute(netns) as links:
        found = {}
        for link in links.get_links():
            found[link.get_attr("IFLA_IFNAME")] = (link["index"], link.get_attr("IFLA_TXQLEN") or 0)
    problems = [
        Problem(
            "no such device",
            name,
            name,
            ", ".join(sorted(found)),
            nearest(name, found) or "run this when the link is up",
        )
        for name in lengths
        if name not in found
    ]
    if problems:
        raise HostError.of(problems)
    return [
        Change(name, found[name][0], found[name][1], length)
        for name, length in lengths.items()
        if found[name][1] != length
    ]


def apply(changes: list[Change], netns: str | None = None) -> None:
    """Set the lengths. Raises KernelError where the kernel refuses one, HostError without privilege."""
    if not changes:
        return
    with _iproute(netns) as links:
        from pyroute2.netlink.exceptions import NetlinkError

        for change in changes:
            try:
                links.link("set", index=change.index, txqlen=change.after)
            except NetlinkError as error:
                raise _refusal(change, error) from error


def _refusal(change: Change, error: Any) -> RempartError:
    code = int(getattr(error, "code", 0) or 0)
    if code in (errno.EPERM, errno.EACCES):
        return HostError("not allowed to set a queue length", change.interface, cure=PRIVILEGE)
    return KernelError(
        "the kernel refused the queue length: %s" % os.strerror(code), code, 0, change.interface, change.after
    )


def _iproute(netns: str | None) -> Any:
    """pyroute2's IPRoute, 0.7 or 0.9: its socket stays in the namespace that it was made in."""
    try:
        from pyroute2.iproute.linux import IPRoute
    except ImportError as error:
        raise HostError(
            "pyroute2 is not there, which sets queue lengths (%s)" % error,
            cure="install python3-pyroute2 on the managed host, for the Python that Ansible uses there",
        ) from None
    with Entered(netns):
        return IPRoute()
