# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface a packet came in by or leaves by: ``iifname`` and ``oifname``, ``iif`` and ``oif``.

The first two compare its name with every packet. The others compare its index, which is
looked up when the document is applied: the interface has to exist by then.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ...errors import DocumentError, nearest
from ...links import interfaces
from ...nftables.datatypes import TYPES
from .key import Draft, Key
from .values import Scalar, Statement, match_values, size_of

NAME_LENGTH = 15
"""IFNAMSIZ of linux/if.h, less the closing NUL."""

EXISTING = "the name of an interface that exists when the document is applied"

ALLOWED = "a name of 1 to 15 bytes, or a prefix of 1 to 14 with + or * behind it"


def name_of(item: Scalar) -> str:
    """An interface name as nft writes it: ``ppp+`` becomes ``ppp*``, a plain name stays the object it is.

    Raises DocumentError for what the kernel would not take as a device name (dev_valid_name()).
    """
    if not isinstance(item, str):
        raise DocumentError(
            "an interface is matched by its name", found=item, allowed=ALLOWED, cure="quote it"
        )
    wildcard = item.endswith(("+", "*")) and not item.endswith("\\*")
    bare = item[:-1] if wildcard else item
    if wildcard and not bare:
        raise DocumentError("every interface", found=item, allowed=ALLOWED, cure="leave the key out")
    size = size_of(bare)
    if size > NAME_LENGTH - wildcard:
        raise DocumentError(
            "the interface %s is too long: %d bytes" % ("prefix" if wildcard else "name", size),
            found=item,
            allowed=ALLOWED,
        )
    if bare in (".", "..") or any(
        letter in "/:" or letter.isspace() or not letter.isprintable() for letter in bare
    ):
        cure = "match the device, %r" % bare.partition(":")[0] if ":" in bare else ""
        raise DocumentError("no interface can have this name", found=item, allowed=ALLOWED, cure=cure)
    return bare + "*" if wildcard and item[-1] == "+" else item


def _by_name(selector: str) -> Key:
    left = {"meta": {"key": selector}}

    def lower(value: Any, draft: Draft) -> list[Statement]:
        return [match_values(left, value, name_of, draft.refer("ifname"))]

    return Key(lower)


def existing(item: Scalar, key: str) -> str:
    """The name of an interface that exists, the object it is; ``key`` would compare its index.

    Where the document is for another host, names are taken for known. Raises DocumentError.
    """
    if not isinstance(item, str):
        raise DocumentError("an interface is named", found=item, allowed=EXISTING)
    if name_of(item) != item or item.endswith("*"):
        raise DocumentError(
            "a prefix stands for no index", found=item, allowed=EXISTING, cure="write %sname" % key
        )
    if TYPES["iface_index"].named(item) is None:
        close = nearest(item, interfaces.names())
        later = "%sname also matches one that comes later" % key
        raise DocumentError(
            "no such interface", found=item, allowed=EXISTING, cure=" ".join(filter(None, (close, later)))
        )
    return item


def _by_index(selector: str) -> Key:
    left = {"meta": {"key": selector}}

    def lower(value: Any, draft: Draft) -> list[Statement]:
        return [match_values(left, value, partial(existing, key=selector), draft.refer("iface_index"))]

    return Key(lower)


MATCHES = {
    "iif": _by_index("iif"),
    "iifname": _by_name("iifname"),
    "oif": _by_index("oif"),
    "oifname": _by_name("oifname"),
}
