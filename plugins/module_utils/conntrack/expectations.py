# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expected connections: those that a helper, or a program, announced as related to one that is there.

As a dictionary that JSON can carry:

    family      ``ip`` or ``ip6``
    protocol    and ``protonum``: of the connection expected, as of entries.py
    timeout     seconds left
    expected    the tuple that its first packet is to have (tuples.py)
    mask        which bits of that tuple count: addresses and numbers of ones and zeros
    master      the original tuple of the connection that expects it, with its ``protonum``
    zone        where the kernel says one, which Linux 6.18 does not
    flags       ``permanent``, ``inactive``, ``userspace``; a bit without a word as ``0x8``
    class       which of the helper's kinds of expectation (its number)
    helper      the helper, where one has announced it
    function    what the kernel calls when it comes, such as ``nat-follow-master``
    nat         ``direction`` (``original`` or ``reply``) and ``tuple``: how it will be translated
    id          the kernel's number for it

Source: net/netfilter/nf_conntrack_netlink.c, ctnetlink_exp_dump_expect() and ctnetlink_del_expect().
"""

from __future__ import annotations

import errno
import functools
import socket
from collections.abc import Iterator
from typing import Any

from ..errors import KernelError
from ..netlink import messages
from ..netlink.attributes import NESTED, attribute, table
from ..netlink.socket import NetlinkSocket
from . import entries, tuples, uapi
from . import table as connections
from .decoding import Decoder, Field, Fields, Nest, Tree, text
from .names import words_of
from .requests import DELETE_EXPECTED, GET_EXPECTED

FLAGS = {
    "permanent": uapi.NF_CT_EXPECT_PERMANENT,
    "inactive": uapi.NF_CT_EXPECT_INACTIVE,
    "userspace": uapi.NF_CT_EXPECT_USERSPACE,
}
"""The bits of CTA_EXPECT_FLAGS by the word for each."""

_DIRECTIONS = ("original", "reply")  # enum ip_conntrack_dir of linux/netfilter/nf_conntrack_tuple_common.h


def _direction(number: int) -> str:
    return _DIRECTIONS[number] if number < len(_DIRECTIONS) else str(number)


_FIELDS: Fields = {
    uapi.CTA_EXPECT_MASTER: Nest("master", tuples.FIELDS),
    uapi.CTA_EXPECT_TUPLE: Nest("expected", tuples.FIELDS),
    uapi.CTA_EXPECT_MASK: Nest("mask", tuples.FIELDS),
    uapi.CTA_EXPECT_TIMEOUT: Field("timeout", "I"),
    uapi.CTA_EXPECT_ID: Field("id", "I"),
    uapi.CTA_EXPECT_HELP_NAME: Field("helper", "s", text),
    uapi.CTA_EXPECT_ZONE: Field("zone", "H"),
    uapi.CTA_EXPECT_FLAGS: Field("flags", "I", functools.partial(words_of, words=FLAGS)),
    uapi.CTA_EXPECT_CLASS: Field("class", "I"),
    uapi.CTA_EXPECT_NAT: Nest(
        "nat",
        {
            uapi.CTA_EXPECT_NAT_DIR: Field("direction", "I", _direction),
            uapi.CTA_EXPECT_NAT_TUPLE: Nest("tuple", tuples.FIELDS),
        },
    ),
    uapi.CTA_EXPECT_FN: Field("function", "s", text),
}

_KEYS = (
    *("family", "protocol", "protonum", "timeout", "expected", "mask", "master"),
    *("zone", "flags", "class", "helper", "function", "nat", "id"),
)


def _arrange(tree: Tree, family: int) -> Tree:
    """The tree of an expectation, in the order of its keys."""
    tuples.check(tree, ("expected", "mask", "master"), family)
    tree["family"] = tuples.FAMILY_NAMES[family]
    tree["protonum"] = tree["expected"].pop("protonum")
    tree["mask"].pop("protonum")
    tree["protocol"] = tuples.PROTOCOL_NAMES.get(tree["protonum"], "unknown")
    return {key: tree[key] for key in _KEYS if key in tree}


_decoder = Decoder(_FIELDS, _arrange)


def decode(body: bytes) -> dict[str, Any]:
    """The expectation of a message of ctnetlink: a dump's, an event's or a get's body.

    Raises ValueError for what is no expectation.
    """
    return _decoder.decode(body)


def read(kernel: NetlinkSocket) -> Iterator[bytes]:
    """The body of every expectation, of IPv4 and IPv6, for :func:`decode`.

    The table may change while it is read, as table.read says of connections. Raises KernelError
    ENOBUFS where a piece was lost.
    """
    return connections.bodies(kernel, GET_EXPECTED, "expectations")


def delete(kernel: NetlinkSocket, body: bytes) -> bool:
    """Delete the one expectation that a dump showed; False where it was gone already.

    Its tuple goes back to the kernel as it came, and its id with it, so that another one of the
    same tuple is not taken for it. The kernel finds an expectation by tuple and zone but tells no
    zone: those of the connections that can be its master are tried, after the default one.
    Raises KernelError, HostError without the privilege, ValueError for what is no expectation.
    """
    master = decode(body)["master"]
    if _delete(kernel, body, 0):
        return True
    protonum = master["protonum"]
    tuple_ = {key: value for key, value in master.items() if key != "protonum"}
    zones: set[int] = set()
    for connection in connections.read(kernel):
        entry = entries.decode(connection)
        original = entry["original"]
        if entry["protonum"] == protonum and all(original.get(key) == tuple_[key] for key in tuple_):
            zones.update((entry.get("zone", 0), original.get("zone", 0)))
    return any(_delete(kernel, body, zone) for zone in sorted(zones - {0}))


def delete_of(kernel: NetlinkSocket, helper: str) -> None:
    """Delete every expectation that this helper announced. Raises as :func:`delete`."""
    if not helper:
        raise ValueError("no name of a helper")  # without one the kernel would delete them all
    name = helper.encode("utf-8", "surrogateescape") + b"\0"
    kernel.request(DELETE_EXPECTED, socket.AF_UNSPEC, attribute(uapi.CTA_EXPECT_HELP_NAME, name))


def delete_all(kernel: NetlinkSocket) -> None:
    """Empty the table of expectations, IPv4 and IPv6. Raises as :func:`delete`."""
    kernel.request(DELETE_EXPECTED, socket.AF_UNSPEC)


def _delete(kernel: NetlinkSocket, body: bytes, zone: int) -> bool:
    found = table(body, messages.ATTRIBUTES)
    # Without a tuple the kernel would delete them all.
    parts = [attribute(uapi.CTA_EXPECT_TUPLE | NESTED, found[uapi.CTA_EXPECT_TUPLE])]
    if zone:
        parts.append(attribute(uapi.CTA_EXPECT_ZONE, zone.to_bytes(2, "big")))
    if uapi.CTA_EXPECT_ID in found:
        parts.append(attribute(uapi.CTA_EXPECT_ID, found[uapi.CTA_EXPECT_ID]))
    try:
        kernel.request(DELETE_EXPECTED, body[0], b"".join(parts))
    except KernelError as error:
        if error.code == errno.ENOENT:
            return False
        raise
    return True
