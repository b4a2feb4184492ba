# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the running kernel makes of a filter, found out where it does no harm.

A kernel that doesn't know a part of a filter may pass over it and list, or delete, what was not
meant; some get a part wrong (in Linux 6.18 an IPv6 address as a filter means every connection
that has another one). Versions tell little, since distributions take changes back and forth.
So a filter of the same form is tried first, in a network namespace that nobody else has: on
one connection that it means, and on one for each of its parts that differs in that part only.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from collections.abc import Mapping
from typing import Callable

from ..errors import HostError, KernelError
from ..netlink import messages
from ..netlink.attributes import attribute, nested, table
from ..netlink.private import private_socket
from ..netlink.socket import NetlinkSocket
from . import uapi
from .requests import DELETE, GET, NEW

WHOLE_MARK = 0xFFFFFFFF

Values = Mapping[str, int]
"""Parts of a filter, or of a connection, by name: numbers, addresses as one number in network order.

``family`` an AF_ number, ``protocol``, ``saddr`` ``daddr`` ``sport`` ``dport`` and the same with
``reply_``, ``mark`` and ``mark_mask``, ``status`` and ``status_mask``, ``zone``. A connection may
have ``orig_zone`` or ``reply_zone`` in its place.
"""

_ENDS = {
    "": (uapi.CTA_TUPLE_ORIG, uapi.CTA_FILTER_ORIG_FLAGS),
    "reply_": (uapi.CTA_TUPLE_REPLY, uapi.CTA_FILTER_REPLY_FLAGS),
}
_FLAGS = {
    "saddr": uapi.CTA_FILTER_F_CTA_IP_SRC,
    "daddr": uapi.CTA_FILTER_F_CTA_IP_DST,
    "protocol": uapi.CTA_FILTER_F_CTA_PROTO_NUM,
    "sport": uapi.CTA_FILTER_F_CTA_PROTO_SRC_PORT,
    "dport": uapi.CTA_FILTER_F_CTA_PROTO_DST_PORT,
}
_BE16, _BE32 = struct.Struct(">H"), struct.Struct(">I")

_SEEN, _ASSURED = uapi.IPS_SEEN_REPLY, uapi.IPS_ASSURED
_STATUS = uapi.IPS_CONFIRMED | _SEEN


def asking(family: int, values: Values) -> bytes:
    """The attributes of a filter: the parts of a tuple that count, mark, status and zone."""
    parts = []
    flags = []
    for prefix, (direction, flag) in _ENDS.items():
        bits = 0
        for name, bit in _FLAGS.items():
            if prefix + name in values:
                bits |= bit
        if bits & ~_FLAGS["protocol"] and "protocol" in values:
            bits |= _FLAGS["protocol"]
        if prefix and not bits & ~_FLAGS["protocol"]:
            bits = 0
        if bits:
            parts.append(_tuple(family, direction, prefix, values))
            flags.append(attribute(flag, struct.pack("=I", bits)))
    parts.append(nested(uapi.CTA_FILTER, *flags))
    for name, kind, under in (
        ("mark", uapi.CTA_MARK, uapi.CTA_MARK_MASK),
        ("status", uapi.CTA_STATUS, uapi.CTA_STATUS_MASK),
    ):
        if name in values:
            parts.append(attribute(kind, _BE32.pack(values[name])))
            parts.append(attribute(under, _BE32.pack(values[name + "_mask"])))
    if "zone" in values:
        parts.append(attribute(uapi.CTA_ZONE, _BE16.pack(values["zone"])))
    return b"".join(parts)


def _tuple(family: int, direction: int, prefix: str, values: Values, zone: int = 0) -> bytes:
    v4 = family == socket.AF_INET
    size = 4 if v4 else 16
    addresses = []
    for name, kind in (
        ("saddr", uapi.CTA_IP_V4_SRC if v4 else uapi.CTA_IP_V6_SRC),
        ("daddr", uapi.CTA_IP_V4_DST if v4 else uapi.CTA_IP_V6_DST),
    ):
        if prefix + name in values:
            addresses.append(attribute(kind, values[prefix + name].to_bytes(size, "big")))
    proto = []
    if "protocol" in values:
        proto.append(attribute(uapi.CTA_PROTO_NUM, bytes((values["protocol"],))))
    for name, kind in (("sport", uapi.CTA_PROTO_SRC_PORT), ("dport", uapi.CTA_PROTO_DST_PORT)):
        if prefix + name in values:
            proto.append(attribute(kind, _BE16.pack(values[prefix + name])))
    parts = []
    if addresses:
        parts.append(nested(uapi.CTA_TUPLE_IP, *addresses))
    if proto:
        parts.append(nested(uapi.CTA_TUPLE_PROTO, *proto))
    if zone:
        parts.append(attribute(uapi.CTA_TUPLE_ZONE, _BE16.pack(zone)))
    return nested(direction, *parts)


class Trial:
    """A namespace of its own to try filters in. ``with Trial() as trial: ...``

    ``available`` is False where none can be made, which takes CAP_SYS_ADMIN: then nothing is
    known of the kernel. ``certain`` is whether every answer so far came of what the kernel does,
    and would be the same at any other time: not of memory, say, that it did not have.
    """

    __slots__ = ("_kernel", "certain")

    def __init__(self) -> None:
        self.certain = True
        self._kernel: NetlinkSocket | None = None
        with contextlib.suppress(HostError):
            self._kernel = private_socket()

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *error: object) -> None:
        if self._kernel is not None:
            self._kernel.close()

    @property
    def available(self) -> bool:
        """Whether there is a namespace to try in."""
        return self._kernel is not None

    def lists(self, asked: frozenset[str], family: int, protocol: int) -> bool:
        """Whether a dump filtered by these parts lists what they mean, and each part narrows it.

        ``family`` is what the request says, 0 for both IP versions; ``protocol`` is the sample's.
        """
        return self._passes(asked, family, protocol, self._listed)

    def deletes(self, asked: frozenset[str], family: int, protocol: int) -> bool:
        """Whether a deletion by these parts takes what they mean, and nothing that one of them doesn't."""
        return self._passes(asked, family, protocol, self._deleted, True)

    def _passes(
        self,
        asked: frozenset[str],
        family: int,
        protocol: int,
        taken: Callable[[NetlinkSocket, int, bytes, list[Values]], list[bool]],
        exactly: bool = False,
    ) -> bool:
        kernel = self._kernel
        if kernel is None:
            self.certain = False
            return False
        sample = _sample(family or int(socket.AF_INET), protocol)
        attributes = asking(family, {name: sample[name] for name in sample if name in asked})
        others: list[Values] = [{**sample, **other} for other in _others(sample, asked)]
        if exactly and "zone" in asked:
            plain = {name: value for name, value in sample.items() if name != "zone"}
            others += [{**plain, "orig_zone": sample["zone"]}, {**plain, "reply_zone": sample["zone"]}]
        try:
            if "zone" not in asked:
                # Each in a zone of its own, so that the rest of them may be the same.
                zoned = [{**one, "zone": number} for number, one in enumerate([sample, *others], 1)]
                return taken(kernel, family, attributes, list(zoned)) == [True] + [False] * len(others)
            return taken(kernel, family, attributes, [sample]) == [True] and not any(
                taken(kernel, family, attributes, [one])[0] for one in others
            )
        except KernelError as error:
            self.certain = self.certain and error.code in (errno.EINVAL, errno.EOPNOTSUPP)
            with contextlib.suppress(KernelError):
                kernel.request(DELETE, 0)
            return False

    def _listed(
        self, kernel: NetlinkSocket, family: int, attributes: bytes, entries: list[Values]
    ) -> list[bool]:
        """Which of these connections a filtered dump lists; they are gone afterwards."""
        known = [_made(kernel, one) for one in entries]
        found = [_identity(body) for body in kernel.dump(GET, family, attributes)]
        for one in entries:
            kernel.request(DELETE, one["family"], _address(one))
        return [one in found for one in known]

    def _deleted(
        self, kernel: NetlinkSocket, family: int, attributes: bytes, entries: list[Values]
    ) -> list[bool]:
        """Which of these connections a filtered deletion takes; they are gone afterwards."""
        for one in entries:
            _made(kernel, one)
        kernel.request(DELETE, family, attributes)
        gone = []
        for one in entries:
            try:
                kernel.request(DELETE, one["family"], _address(one))
                gone.append(False)
            except KernelError as error:
                if error.code != errno.ENOENT:
                    raise
                gone.append(True)
        return gone


def _made(kernel: NetlinkSocket, values: Values) -> bytes:
    """Put a connection into the table; its identity. Raises KernelError."""
    attributes = [
        _address(values),
        _tuple(values["family"], uapi.CTA_TUPLE_REPLY, "reply_", values, values.get("reply_zone", 0)),
        attribute(uapi.CTA_STATUS, _BE32.pack(values["status"] | uapi.IPS_CONFIRMED)),
        attribute(uapi.CTA_TIMEOUT, _BE32.pack(600)),
        attribute(uapi.CTA_MARK, _BE32.pack(values["mark"])),
    ]
    flags = messages.NLM_F_CREATE | messages.NLM_F_EXCL
    kernel.request(NEW, values["family"], b"".join(attributes), flags)
    (body,) = kernel.request(GET, values["family"], _address(values))
    return _identity(body)


def _address(values: Values) -> bytes:
    """What finds one connection: its original tuple, in its zone."""
    found = _tuple(values["family"], uapi.CTA_TUPLE_ORIG, "", values, values.get("orig_zone", 0))
    if values.get("zone"):
        found += attribute(uapi.CTA_ZONE, _BE16.pack(values["zone"]))
    return found


def _identity(body: bytes) -> bytes:
    """The id that the kernel gives a connection."""
    return table(body, messages.ATTRIBUTES)[uapi.CTA_ID]


def _sample(family: int, protocol: int) -> dict[str, int]:
    """A connection made up from addresses kept for documentation (RFC 5737, RFC 3849)."""
    base = 0xC0000200 if family == socket.AF_INET else 0x20010DB8 << 96
    return {
        "family": family,
        "protocol": protocol,
        "saddr": base + 1,
        "daddr": base + 2,
        "sport": 40001,
        "dport": 443,
        "reply_saddr": base + 3,
        "reply_daddr": base + 4,
        "reply_sport": 8443,
        "reply_dport": 50001,
        "mark": 0x12,
        "mark_mask": 0xFF,
        "status": _SEEN,
        "status_mask": _SEEN | _ASSURED,
        "zone": 7,
    }


def _others(sample: Values, asked: frozenset[str]) -> list[dict[str, int]]:
    """For each part asked, what makes the sample one that is not meant."""
    found: list[dict[str, int]] = []
    if "family" in asked:
        other = socket.AF_INET6 if sample["family"] == socket.AF_INET else socket.AF_INET
        found.append(_sample(int(other), sample["protocol"]))
    for name in sorted(asked):
        if name == "protocol":
            found.append({name: 17 if sample[name] == 6 else 6})
        elif name == "status":
            found += [{name: _SEEN | _ASSURED}, {name: 0}]
        elif name == "mark":
            found += [{name: sample[name] ^ 1}, {name: 0}]
        elif name not in ("family", "mark_mask", "status_mask"):
            found.append({name: sample[name] + 4})
    return found
