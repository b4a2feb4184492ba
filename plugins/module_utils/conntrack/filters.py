# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection filter: which connections are meant, in the words that a module or the command gives.

A filter is a mapping of the keys in :data:`KEYS` to values; every key given must hold. A value is
one or several (a list, or a text with commas): one of them must be the connection's. A ``!`` before
a value negates it: none of the negated may be the connection's. ``["!a", "!b"]`` is neither a nor b.

What a connection's message lacks is the default that the kernel means by leaving it out (mark 0,
zone 0, no labels); without a default it meets nothing that is wanted and everything negated.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..errors import DocumentError, Problem, nearest
from ..nftables.datatypes import TYPES, DatatypeError
from . import fields, names
from . import filter_values as values
from .conditions import ANY, Age, Condition, Field, Item, Side, Total, Translation, Values, Words
from .fields import V4, V6

_U16, _U32 = (1 << 16) - 1, (1 << 32) - 1

_ICMP, _ICMPV6 = names.PROTOCOLS["icmp"], names.PROTOCOLS["icmpv6"]
_WITH_PORTS = [number for number in names.PROTOCOLS.values() if number not in (_ICMP, _ICMPV6)]
"""Protocols whose tuples have ports; of GRE these are the call ids."""

FAMILIES = {"ip": int(socket.AF_INET), "ip6": int(socket.AF_INET6)}
"""nft's words for the IP versions, and the nfgenmsg family of each."""

_NEVER = "what is asked for is negated as well, so that no connection can match"

KEYS = (
    "family",
    "protocol",
    *fields.ADDRESSES,
    *fields.PORTS,
    *fields.ICMP,
    *fields.NAT,
    "mark",
    *fields.ZONES,
    "labels",
    "secctx",
    "status",
    "state",
    "helper",
    "timeout",
    "age",
    *fields.TOTALS,
    *fields.COUNTERS,
    "ids",
)
"""What a filter may ask about.

``family``                 ip or ip6
``protocol``               name in any case, or number
``saddr`` ``daddr``        of the original direction; ``reply_saddr`` ``reply_daddr`` of the reply
``address``                either end in either direction
``sport`` ``dport``        likewise, with ``reply_sport``, ``reply_dport`` and ``port``
``icmp_type`` ``icmp_code`` ``icmp_id``   of the original direction
``snat`` ``dnat`` ``nat``  true, false, or the address that an end is translated to
``mark``                   a number, or number/mask
``zone``                   of a connection that has one zone in both directions; ``orig_zone`` and
                           ``reply_zone`` of one that has a zone in that direction alone
``labels``                 bit numbers or names; ``a+b`` is both
``secctx``                 the security context, as the kernel writes it
``status``                 words of :data:`names.STATUS`, and ``unreplied``; ``a+b`` is both
``state``                  of the protocol, such as ESTABLISHED
``helper``                 its name
``timeout``                what remains, in seconds or as 1h30m: ``<30``, ``>=1h``, ``10-20``
``age``                    since it began, if the kernel notes that (nf_conntrack_timestamp)
``packets`` ``bytes``      of both directions together, or of one: ``packets_original`` and so on,
                           if the kernel counts them (nf_conntrack_acct)
``ids``                    the kernel's numbers, as listings show them
"""


class Choice:
    """What one key asks for. ``texts`` are the values as they were written."""

    __slots__ = ("texts", "unwanted", "unwanted_texts", "wanted")

    def __init__(self) -> None:
        self.wanted: list[Item] = []
        self.unwanted: list[Item] = []
        self.texts: list[str] = []
        self.unwanted_texts: list[str] = []

    @property
    def only(self) -> Item | None:
        """The one item that is asked for, where it is one and nothing is negated."""
        return self.wanted[0] if len(self.wanted) == 1 and not self.unwanted else None


class Filter:
    """Which connections are meant. ``Filter({"saddr": "10.0.0.0/8", "dport": [22, 80]})``

    ``conditions`` must all hold; ``choices`` has what each key asks for in numbers (``helper``,
    ``secctx`` and a ``nat`` of true or false are none). ``family`` is the nfgenmsg family that the
    whole of it implies, or 0. Raises DocumentError with everything wrong at once, each at its key;
    ``place`` comes before it. A value of None is one of them: read as "any", it would widen the filter.
    """

    __slots__ = ("_given", "choices", "conditions", "family")

    def __init__(self, arguments: Mapping[str, Any] | None = None, place: str = "") -> None:
        reading = _Reading({} if arguments is None else arguments)
        if reading.problems:
            raise DocumentError.of([one.at(place) for one in reading.problems] if place else reading.problems)
        self.choices: dict[str, Choice] = reading.choices
        self.conditions: list[Condition] = reading.conditions
        self.family: int = reading.family
        self._given: dict[str, Choice] = reading.given

    @property
    def empty(self) -> bool:
        """Whether it asks for nothing, so that every connection is meant."""
        return not self.conditions

    def describe(self) -> str:
        """A line for people: ``protocol tcp, saddr 10.0.0.0/8 or 192.0.2.1, dport not 22``."""
        if self.empty:
            return "every connection"
        parts = []
        for key in KEYS:
            choice = self._given.get(key)
            if choice is None:
                continue
            text = " or ".join(choice.texts)
            if choice.unwanted_texts:
                text += "%snot %s" % (" but " if text else "", " or ".join(choice.unwanted_texts))
            parts.append("%s %s" % (key, text))
        return ", ".join(parts)

    def __repr__(self) -> str:
        return "<Filter: %s>" % self.describe()


class _Reading:
    """One mapping on its way to a filter, its problems noted and none fatal."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self.conditions: list[Condition] = []
        self.choices: dict[str, Choice] = {}
        self.given: dict[str, Choice] = {}
        self.family = 0
        self.protocols: list[int] = []
        if not isinstance(arguments, Mapping):
            self.note("no filter", "", arguments, "a mapping of keys to values")
            return
        for key in arguments:
            if key not in KEYS:
                self.note("unknown key", str(key), arguments[key], ", ".join(KEYS), nearest(str(key), KEYS))
            elif arguments[key] is None:
                self.note("null, which says nothing", key, None, "", "leave the key out to mean any")
        self.values = {key: arguments[key] for key in KEYS if arguments.get(key) is not None}
        self.read_all()
        # What a message has first is asked first.
        self.conditions.sort(key=lambda one: 0 if isinstance(one, Values) else 1)
        self.note_contradictions()

    def read_all(self) -> None:
        """Every key, those first that say how others are to be read."""
        self.read_family()
        self.read("protocol", values.protocol, fields.PROTOCOL)
        if "protocol" in self.choices:
            self.protocols = [one.low for one in self.choices["protocol"].wanted]
        self.settle_family()
        for key, ends in fields.ADDRESSES.items():
            self.read(key, values.address, *ends)
        for key, ends in fields.PORTS.items():
            self.read(key, values.port, *ends)
        kind = {FAMILIES["ip"]: V4, FAMILIES["ip6"]: V6}.get(self.family, ANY)
        self.read("icmp_type", values.icmp("icmp_type", "icmpv6_type", kind), fields.ICMP_TYPE)
        self.read("icmp_code", values.icmp("icmp_code", "icmpv6_code", kind), fields.ICMP_CODE)
        self.read("icmp_id", values.number(_U16, "id"), fields.ICMP_ID)
        for key, sides in fields.NAT.items():
            self.read_nat(key, sides)
        self.read("mark", values.mark, fields.MARK)
        for key, field in fields.ZONES.items():
            self.read(key, values.number(_U16, "zone"), field)
        self.read("labels", values.label, fields.LABELS)
        self.read("status", values.status, fields.STATUS)
        stateful = [one for one in self.protocols if one in names.STATES]
        self.read("state", values.state(stateful), fields.STATE)
        self.read("timeout", values.duration, fields.TIMEOUT)
        for key, field in fields.COUNTERS.items():
            self.read(key, values.amount, field)
        self.read("ids", values.number(_U32, "id"), fields.ID)
        for key, paths in fields.TOTALS.items():
            choice = self.choose(key, values.amount)
            if choice is not None:
                self.conditions.append(Total(key, paths, choice.wanted, choice.unwanted))
        choice = self.choose("age", values.duration)
        if choice is not None:
            self.conditions.append(Age("age", choice.wanted, choice.unwanted))
        for key, path in fields.TEXTS.items():
            self.read_texts(key, path)

    def note(self, message: str, place: str, found: Any, allowed: str = "", cure: str = "") -> None:
        """One more problem."""
        self.problems.append(Problem(message, place, found, allowed, cure))

    def pieces(self, key: str, commas: bool = True) -> list[values.Piece]:
        """What stands under a key. An empty list, read as "any", would widen what it was to narrow."""
        found = list(values.pieces(key, self.values[key], commas))
        if not found:
            self.note(
                "an empty list, which no connection can match",
                key,
                self.values[key],
                "one value or more",
                "leave the key out to mean any",
            )
        return found

    def choose(self, key: str, read: values.Reader) -> Choice | None:
        """What a key asks for; None where it is not given or nothing of it can be read."""
        if key not in self.values:
            return None
        choice = Choice()
        for piece in self.pieces(key):
            try:
                items = read(piece.value)
            except DatatypeError as error:
                self.note(error.message, piece.place, piece.value, error.allowed, error.cure)
                continue
            (choice.unwanted if piece.negated else choice.wanted).extend(items)
            (choice.unwanted_texts if piece.negated else choice.texts).append(_text(piece.value))
        if not choice.wanted and not choice.unwanted:
            return None
        self.choices[key] = self.given[key] = choice
        if choice.wanted and all(_covered(one, choice.unwanted) for one in choice.wanted):
            self.note(_NEVER, key, self.values[key])
        return choice

    def read(self, key: str, read: values.Reader, *of: Field) -> None:
        """A key whose values are numbers of these fields."""
        choice = self.choose(key, read)
        if choice is not None:
            self.conditions.append(Values(key, of, choice.wanted, choice.unwanted))

    def read_family(self) -> None:
        """The IP version, which is one word."""
        if "family" not in self.values:
            return
        word = self.values["family"]
        if not isinstance(word, str) or word not in FAMILIES:
            cure = {"ipv4": "did you mean 'ip'?", "ipv6": "did you mean 'ip6'?"}.get(str(word).lower(), "")
            cure = cure or nearest(str(word), FAMILIES)
            self.note("unknown family", "family", word, ", ".join(FAMILIES), cure)
            return
        self.family = FAMILIES[word]
        self.read("family", lambda word: [Item(FAMILIES[word])], fields.FAMILY)

    def settle_family(self) -> None:
        """The IP version that the addresses and protocols leave, so that the kernel lists only it."""
        possible = {V4, V6} if not self.family else {V4 if self.family == FAMILIES["ip"] else V6}
        only = set(self.protocols)
        implied = {V4} if only == {_ICMP} else {V6} if only == {_ICMPV6} else possible
        if possible & implied:
            possible &= implied
        else:
            self.note(
                "a protocol of the other IP version, so that no connection can match",
                "protocol",
                self.values["protocol"],
                cure="icmp belongs to ip, icmpv6 to ip6",
            )
        for key in (*fields.ADDRESSES, *fields.NAT):
            if key in self.values:
                possible = self.narrowed(possible, key)
        if len(possible) == 1:
            self.family = FAMILIES["ip"] if V4 in possible else FAMILIES["ip6"]

    def narrowed(self, possible: set[int], key: str) -> set[int]:
        """The IP versions that a key's addresses leave of those possible."""
        wanted = set()
        for piece in values.pieces(key, self.values[key]):
            if _truth(piece.value) is not None:
                continue
            try:
                (item,) = values.address(piece.value)
            except DatatypeError:
                continue  # noted where the key is read
            if item.kind not in possible:
                self.note(
                    "an address of the other IP version than the rest of the filter",
                    piece.place,
                    piece.value,
                    "an IPv%d address" % min(possible),
                )
            elif not piece.negated:
                wanted.add(item.kind)
        return possible & wanted or possible

    def read_nat(self, key: str, sides: Sequence[Side]) -> None:
        """True, false, or the addresses translated to."""
        if key not in self.values:
            return
        truth = _truth(self.values[key])
        if truth is not None:
            self.given[key] = Choice()
            self.given[key].texts.append(_text(truth))
            self.conditions.append(Translation(key, sides, () if truth else None, None if truth else ()))
            return
        choice = self.choose(key, _nat_address)
        if choice is not None:
            self.conditions.append(Translation(key, sides, choice.wanted or None, choice.unwanted or None))

    def read_texts(self, key: str, path: tuple[int, ...]) -> None:
        """A key whose values are texts. In a security context a comma is part of the text."""
        if key not in self.values:
            return
        choice = Choice()
        wanted: list[bytes] = []
        unwanted: list[bytes] = []
        for piece in self.pieces(key, commas=key != "secctx"):
            try:
                (unwanted if piece.negated else wanted).append(values.word(piece.value))
            except DatatypeError as error:
                self.note(error.message, piece.place, piece.value, error.allowed, error.cure)
                continue
            (choice.unwanted_texts if piece.negated else choice.texts).append(str(piece.value))
        if wanted and set(wanted) <= set(unwanted):
            self.note(_NEVER, key, self.values[key])
        if wanted or unwanted:
            self.given[key] = choice
            self.conditions.append(Words(key, path, wanted, unwanted))

    def note_contradictions(self) -> None:
        """Keys that no connection can meet together."""
        ports = [key for key in fields.PORTS if key in self.values]
        icmp = [key for key in fields.ICMP if key in self.values]
        if self.protocols:
            shown = _text(self.values["protocol"])
            if not set(self.protocols) & set(_WITH_PORTS):
                for key in ports:
                    self.note("protocol %s has no ports" % shown, key, self.values[key])
            if not set(self.protocols) & {_ICMP, _ICMPV6}:
                for key in icmp:
                    self.note("protocol %s is no ICMP" % shown, key, self.values[key])
            if "state" in self.values and not set(self.protocols) & set(names.STATES):
                known = ", ".join(TYPES["inet_proto"].text_of(one) for one in names.STATES)
                self.note("protocol %s has no states" % shown, "state", self.values["state"], known)
        elif ports and icmp:
            self.note(
                "no connection has both ports and an ICMP type, code or id", icmp[0], self.values[icmp[0]]
            )
        elif "state" in self.values and icmp:
            self.note("ICMP has no states", "state", self.values["state"])
        self.note_zones()
        self.note_translations()

    def note_zones(self) -> None:
        """A connection has a zone in both directions or in one: never two."""
        named = [
            key
            for key in fields.ZONES
            if key in self.choices
            and self.choices[key].wanted
            and not any(one.low == 0 for one in self.choices[key].wanted)
        ]
        for key in named[1:]:
            self.note(
                "a connection has one zone, in both directions or in one; %s asks for another" % named[0],
                key,
                self.values[key],
                cure="give one of %s" % ", ".join(named),
            )

    def note_translations(self) -> None:
        """Translated somewhere and nowhere."""
        truths = {key: _truth(self.values.get(key)) for key in fields.NAT}
        if truths["nat"] is False:
            for key in ("snat", "dnat"):
                if key in self.values and truths[key] is not False:
                    self.note("what is not translated at all can't be so at one end", key, self.values[key])
        elif "nat" in self.values and truths["snat"] is False and truths["dnat"] is False:
            self.note("translated at neither end, and yet translated", "nat", self.values["nat"])


def _nat_address(value: Any) -> list[Item]:
    try:
        return values.address(value)
    except DatatypeError as error:
        raise DatatypeError(error.message, value, "true, false, or %s" % error.allowed) from None


def _truth(value: Any) -> bool | None:
    """A truth value as YAML or a command line has it; None where it is none."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(
            value.strip().lower()
        )
    return None


def _covered(item: Item, others: Iterable[Item]) -> bool:
    """Whether every number of an item is among those of one other."""
    for one in others:
        if one == item:
            return True
        if one.kind not in (ANY, item.kind) or item.mask is not None:
            continue
        if one.mask is None:
            if one.low <= item.low and item.high <= one.high:
                return True
        elif item.low == item.high and item.low & one.mask == one.low:
            return True
    return False


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(one) for one in value)
    return str(value)
