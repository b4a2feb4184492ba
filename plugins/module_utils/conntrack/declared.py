# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is declared of one connection: the tuple and the zone that name it, and what is said of it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import DocumentError, Problem, nearest
from ..netlink.attributes import BE16, attribute
from ..nftables.datatypes import TYPES, DatatypeError, address_family
from . import filter_values as values
from . import tuples, uapi
from .conditions import Item
from .fields import V4, V6
from .names import PROTOCOLS, STATES, STATUS

NAMING = (
    *("protocol", "saddr", "daddr", "sport", "dport"),
    *("icmp_type", "icmp_code", "icmp_id", "srckey", "dstkey", "zone"),
)
"""The options that name a connection."""

SETTINGS = ("timeout", "mark", "labels", "status", "helper", "tcp_state")
"""The options that say something of it."""

STATUS_SET = ("seen_reply", "assured", "fixed_timeout")
"""The words of a status that can be set. The kernel passes over the others (IPS_UNCHANGEABLE_MASK of
linux/netfilter/nf_conntrack_common.h), or refuses them."""

MOST_SECONDS = ((1 << 31) - 1) // 1000
"""The longest timeout: a signed 32-bit number of jiffies, of which a second has up to 1000
(nf_ct_expires() of net/netfilter/nf_conntrack.h)."""

_U16 = (1 << 16) - 1
_TCP = PROTOCOLS["tcp"]
_ICMP = {PROTOCOLS["icmp"]: "ip", PROTOCOLS["icmpv6"]: "ip6"}
_HELPER_SIZE = 16  # NF_CT_HELPER_NAME_LEN of net/netfilter/nf_conntrack_helper.h, its NUL included


class Declared:
    """What is declared of one connection.

    ``original`` is its tuple as of tuples.py, ``family`` ``ip`` or ``ip6``. None is what is not
    declared: ``timeout`` in seconds, ``mark`` as an item of value and mask, ``helper`` (empty for
    none), ``tcp_state``. ``labels`` and ``status`` are pairs of bits that shall be set and bits
    that shall not.
    """

    __slots__ = (
        "family",
        "helper",
        "labels",
        "mark",
        "original",
        "protonum",
        "status",
        "tcp_state",
        "timeout",
        "zone",
    )

    def __init__(self, options: Mapping[str, Any]) -> None:
        reading = _Reading(options)
        self.protonum = reading.protocol()
        self.family, self.original = reading.connection(self.protonum)
        self.zone = reading.number("zone", values.number(_U16, "a zone")) or 0
        self.timeout = reading.timeout()
        self.mark = reading.mark()
        self.labels = reading.labels()
        self.status = reading.status()
        self.helper = reading.helper()
        self.tcp_state = reading.tcp_state(self.protonum)
        reading.raise_problems()

    def key(self) -> bytes:
        """The attributes that find the connection."""
        problems: list[Problem] = []
        number = tuples.FAMILIES[self.family]
        found = tuples.encode(uapi.CTA_TUPLE_ORIG, self.original, number, self.protonum, problems)
        if problems:
            raise DocumentError.of(problems)
        return found + (attribute(uapi.CTA_ZONE, BE16.pack(self.zone)) if self.zone else b"")


def load(options: Mapping[str, Any], state: str = "present") -> Declared:
    """The declaration that options of :data:`NAMING` and :data:`SETTINGS` make; None is as good as absent.

    Raises DocumentError with all that is wrong.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if state == "absent":
        problems = [
            Problem("nothing is set of a connection that shall go", key, given[key], cure="leave it out")
            for key in SETTINGS
            if key in given
        ]
        if problems:
            raise DocumentError.of(problems)
    return Declared(given)


class _Reading:
    """Options on their way to a declaration, all their problems noted."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.problems: list[Problem] = []
        known = (*NAMING, *SETTINGS)
        for key in options:
            if key not in known:
                self.note("unknown key", key, options[key], ", ".join(known), nearest(str(key), known))

    def note(self, message: str, place: str, found: Any = None, allowed: str = "", cure: str = "") -> None:
        """One more problem."""
        self.problems.append(Problem(message, place, found, allowed, cure))

    def raise_problems(self) -> None:
        """Raise DocumentError if there are any."""
        if self.problems:
            raise DocumentError.of(self.problems)

    def number(self, key: str, read: Callable[[Any], list[Item]], place: str = "") -> int | None:
        """The one number of an option."""
        if key not in self.options:
            return None
        try:
            items = read(self.options[key])
        except DatatypeError as error:
            self.note(error.message, place or key, self.options[key], error.allowed, error.cure)
            return None
        item = items[0]
        if item.mask is not None or item.low != item.high:
            self.note("more than one value", key, self.options[key], "one value")
            return None
        return item.low

    def missing(self, key: str, allowed: str) -> None:
        """Note that an option is not there."""
        self.note("it is missing", key, None, allowed)

    def protocol(self) -> int:
        """The protocol's number."""
        if "protocol" not in self.options:
            self.missing("protocol", "the protocol by name or number")
        return self.number("protocol", values.protocol) or 0

    def connection(self, protonum: int) -> tuple[str, dict[str, Any]]:
        """The family, and the tuple of the original direction."""
        found: dict[str, Any] = {}
        families = {}
        for key in ("saddr", "daddr"):
            value = self.options.get(key)
            if value is None:
                self.missing(key, "an IPv4 or IPv6 address")
                continue
            family = address_family(value) if isinstance(value, str) else None
            if family is None:
                self.note("no address", key, value, "one IPv4 or IPv6 address")
                continue
            families[key] = family
            number = tuples.FAMILIES[family]
            found[key] = socket.inet_ntop(number, socket.inet_pton(number, value))
        word = next(iter(families.values()), "ip")
        if len(set(families.values())) > 1:
            self.note("an address of the other IP version than saddr", "daddr", self.options["daddr"])
        elif families and _ICMP.get(protonum, word) != word:
            self.note(
                "a protocol of the other IP version than the addresses",
                "protocol",
                self.options["protocol"],
                "icmp for IPv4, icmpv6 for IPv6",
            )
        if not protonum:
            return word, found
        wanted = tuples.keys_of(protonum)
        readers = self._readers(word)
        for key, read in readers.items():
            if key not in wanted:
                if key in self.options:
                    self.note(
                        "not a part of this protocol's connections",
                        key,
                        self.options[key],
                        ", ".join(wanted) or "none besides the addresses",
                    )
            elif key in self.options:
                found[key] = self.number(key, read) or 0
            elif key == "icmp_code":
                found[key] = 0
            else:
                self.missing(key, "a part of the name of a connection of this protocol")
        return word, {key: found[key] for key in tuples.KEYS if key in found}

    @staticmethod
    def _readers(family: str) -> dict[str, Callable[[Any], list[Item]]]:
        kind = V4 if family == "ip" else V6
        return {
            "sport": values.port,
            "dport": values.port,
            "srckey": values.number(_U16, "a key"),
            "dstkey": values.number(_U16, "a key"),
            "icmp_type": values.icmp("icmp_type", "icmpv6_type", kind),
            "icmp_code": values.icmp("icmp_code", "icmpv6_code", kind),
            "icmp_id": values.number(_U16, "an id"),
        }

    def timeout(self) -> int | None:
        """Seconds."""
        found = self.number("timeout", values.duration)
        if found is not None and not 0 < found <= MOST_SECONDS:
            allowed = "1 to %d seconds" % MOST_SECONDS
            self.note("a timeout out of range", "timeout", self.options["timeout"], allowed)
        return found

    def mark(self) -> Item | None:
        """The mark, and the mask of the bits that are said."""
        if "mark" not in self.options:
            return None
        try:
            (item,) = values.mark(self.options["mark"])
        except DatatypeError as error:
            self.note(error.message, "mark", self.options["mark"], error.allowed, error.cure)
            return None
        if item.low != item.high:
            self.note("more than one value", "mark", self.options["mark"], "one mark, or mark/mask")
        return item

    def labels(self) -> tuple[int, int]:
        """The labels that it shall have, and those that it shall not."""
        return self._pair("labels", lambda value: int(TYPES["ct_label"].number_of(value)))

    def status(self) -> tuple[int, int]:
        """The bits of the status that shall be set, and those that shall not."""

        def read(value: Any) -> int:
            word = str(value).strip().lower().replace("-", "_")
            if word not in STATUS_SET:
                raise DatatypeError(
                    "no bit of a status that can be set",
                    value,
                    ", ".join(STATUS_SET),
                    "" if word in STATUS else nearest(word, STATUS_SET),
                )
            return STATUS[word]

        return self._pair("status", read)

    def _pair(self, key: str, read: Callable[[Any], int]) -> tuple[int, int]:
        wanted = unwanted = 0
        if key in self.options:
            for piece in values.pieces(key, self.options[key]):
                value = piece.value
                if isinstance(value, str) and value.isdecimal():
                    value = int(value)
                try:
                    bits = read(value)
                except DatatypeError as error:
                    self.note(error.message, piece.place, piece.value, error.allowed, error.cure)
                    continue
                if piece.negated:
                    unwanted |= bits
                else:
                    wanted |= bits
            if wanted & unwanted:
                self.note("wanted and not wanted at once", key, self.options[key])
        return wanted, unwanted

    def helper(self) -> str | None:
        """The helper's name; empty for none."""
        value = self.options.get("helper")
        if value is None:
            return None
        if not isinstance(value, str) or len(value.encode()) >= _HELPER_SIZE or "\0" in value:
            self.note("no name of a helper", "helper", value, "up to %d bytes" % (_HELPER_SIZE - 1))
            return None
        return value

    def tcp_state(self, protonum: int) -> str | None:
        """The state of a TCP connection that is made."""
        value = self.options.get("tcp_state")
        if value is None:
            return None
        states = STATES[_TCP]
        word = str(value).upper().replace("-", "_")
        if word not in states:
            self.note("unknown state", "tcp_state", value, ", ".join(states), nearest(word, states))
            return None
        if protonum and protonum != _TCP:
            self.note("a state of TCP for another protocol", "tcp_state", value, cure="leave it out")
        return word
