# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel holds: tables and what is in them, as bytes wherever bytes will do.

Nothing is decoded that a comparison does not need: expressions, set elements, objects
and user data stay the payloads that the kernel sent. A table that was not asked for is
never parsed. What the kernel sends, and in which order: net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from typing import Callable

from ..errors import HostError, KernelError
from ..netlink import messages
from ..netlink.attributes import TYPE_MASK, attribute, nested, table, walk
from ..netlink.lists import payloads
from ..netlink.socket import NetlinkSocket
from ..nftables import uapi
from .generation import generation as generation_of
from .messages import Hook

_SUBSYSTEM = uapi.NFNL_SUBSYS_NFTABLES << 8
_BODY = messages.ATTRIBUTES
_READS = 20  # pictures begun before a ruleset that keeps changing is an error

# A dump sends 32 KiB pieces and walks from the start for each: rules squared. Asking
# chain by chain walks less, but is one more dump a chain. Measured on Linux 6.18: a
# dump costs about as much as walking over so many pairs of rules.
_PAIRS_PER_DUMP = 60_000

_KEYS = (uapi.NFTA_SET_ELEM_KEY, uapi.NFTA_SET_ELEM_KEY_END, uapi.NFTA_SET_ELEM_FLAGS)

_ATTRIBUTE = struct.Struct("=HH")
_BE64 = struct.Struct(">Q")
_HANDLE = _ATTRIBUTE.pack(12, uapi.NFTA_RULE_HANDLE)
_POSITION = _ATTRIBUTE.pack(12, uapi.NFTA_RULE_POSITION)

# Before a rule's expressions the kernel dumps its handle and, of all but the first of a
# chain, the handle of the one before: an attribute of 12 bytes each.
_AFTER_HANDLES = (24, 12)


class KernelRule:
    """A rule, which is read when its ``handle``, ``expressions`` or ``userdata`` are first asked for.

    Until then it is where it stands in what was received; :meth:`holds` needs no more.
    """

    __slots__ = ("_data", "_expressions", "_handle", "_start", "_stop", "_userdata", "chain")

    def __init__(self, chain: str, data: bytes, start: int, stop: int) -> None:
        self.chain = chain
        self._data = data
        self._start = start  # of the attributes after table and chain
        self._stop = stop
        self._expressions: bytes | None = None

    @property
    def handle(self) -> int:
        """The number by which the kernel knows it."""
        if self._expressions is None:
            self.read()
        return self._handle

    @property
    def expressions(self) -> bytes:
        """The payload of NFTA_RULE_EXPRESSIONS."""
        return self.read() if self._expressions is None else self._expressions

    @property
    def userdata(self) -> bytes:
        """The payload of NFTA_RULE_USERDATA."""
        if self._expressions is None:
            self.read()
        return self._userdata

    def holds(self, attributes: bytes, lasting: Callable[[bytes], object] | None) -> bool:
        """Whether it ends in the attributes of these expressions and this user data (``rule_bytes``).

        ``lasting`` takes what packets do not change out of such attributes, None where that is all.
        False means only that a closer look is needed.
        """
        data = self._data
        start = self._stop - len(attributes)
        if start - self._start not in _AFTER_HANDLES:
            return False
        if data.startswith(attributes, start):
            return True
        return lasting is not None and lasting(attributes) == lasting(data[start : self._stop])

    def add_counts(self, earlier: bytes) -> None:
        """Have it count on from an earlier reading of its expressions."""
        self._expressions = add_counters(earlier, self.expressions)

    def read(self) -> bytes:
        """Read the attributes, and return the expressions; ValueError for bytes that are none.

        Written out, since it runs for every rule of a ruleset that is shown. Nearly every rule
        begins with its handle and the handle of the one before.
        """
        data, start, end = self._data, self._start, self._stop
        unpack = _ATTRIBUTE.unpack_from
        handle = 0
        expressions = userdata = b""
        if data.startswith(_HANDLE, start) and data.startswith(_POSITION, start + 12, end):
            handle = _BE64.unpack_from(data, start + 4)[0]
            start += 24
        while start + 4 <= end:
            length, kind = unpack(data, start)
            stop = start + length
            if length < 4 or stop > end:
                raise ValueError("rule attribute %d: length %d does not fit" % (kind, length))
            kind &= TYPE_MASK
            if kind == 4:  # NFTA_RULE_EXPRESSIONS
                expressions = data[start + 4 : stop]
            elif kind == 7:  # NFTA_RULE_USERDATA
                userdata = data[start + 4 : stop]
            elif kind == 3:  # NFTA_RULE_HANDLE
                handle = int.from_bytes(data[start + 4 : stop], "big")
            start = (stop + 3) & ~3
        self._handle, self._expressions, self._userdata = handle, expressions, userdata
        return expressions


class KernelChain:
    """A chain, with its rules in order; ``hook``, ``kind`` and ``policy`` are None but for a base chain.

    ``use`` counts its rules and what jumps to it. ``flags`` are NFT_CHAIN_*.
    """

    __slots__ = ("flags", "handle", "hook", "kind", "name", "policy", "rules", "use", "userdata")

    def __init__(self, name: str, handle: int, flags: int, use: int, userdata: bytes) -> None:
        self.name = name
        self.handle = handle
        self.flags = flags
        self.use = use
        self.userdata = userdata
        self.hook: Hook | None = None
        self.kind: str | None = None
        self.policy: int | None = None
        self.rules: list[KernelRule] = []


class KernelSet:
    """A set or map; the members are named and measured as :func:`messages.new_set` takes them.

    ``expressions`` are payloads of NFTA_SET_EXPR or NFTA_LIST_ELEM. ``elements`` are
    payloads of NFTA_LIST_ELEM in the kernel's order, None if they were not read.
    """

    __slots__ = (
        "data_length",
        "data_type",
        "elements",
        "expressions",
        "fields",
        "flags",
        "gc_interval",
        "handle",
        "key_length",
        "key_type",
        "name",
        "object_type",
        "policy",
        "size",
        "timeout",
        "userdata",
    )

    def __init__(self, name: str, handle: int, flags: int, userdata: bytes) -> None:
        self.name = name
        self.handle = handle
        self.flags = flags
        self.userdata = userdata
        self.key_type = 0
        self.key_length = 0
        self.data_type: int | None = None
        self.data_length = 0
        self.object_type = 0
        self.timeout = 0
        self.gc_interval = 0
        self.policy = uapi.NFT_SET_POL_PERFORMANCE
        self.size = 0
        self.fields: tuple[int, ...] = ()
        self.expressions: tuple[bytes, ...] = ()
        self.elements: list[bytes] | None = None


class KernelObject:
    """A stateful object: ``kind`` is NFT_OBJECT_*, ``data`` the payload of NFTA_OBJ_DATA."""

    __slots__ = ("data", "handle", "kind", "name", "use", "userdata")

    def __init__(self, name: str, kind: int, handle: int, use: int, data: bytes, userdata: bytes) -> None:
        self.name = name
        self.kind = kind
        self.handle = handle
        self.use = use
        self.data = data
        self.userdata = userdata


class KernelFlowtable:
    """A flowtable: its hook with the devices, and NFT_FLOWTABLE_* flags."""

    __slots__ = ("flags", "handle", "hook", "name", "use")

    def __init__(self, name: str, handle: int, hook: Hook, flags: int, use: int) -> None:
        self.name = name
        self.handle = handle
        self.hook = hook
        self.flags = flags
        self.use = use


class KernelTable:
    """A table: the header alone from :func:`tables`, with its content from :func:`read`.

    ``owner`` is the netlink port of the process that alone may change it, or 0. The
    dictionaries are by name, objects by (kind, name).
    """

    __slots__ = (
        "chains",
        "family",
        "flags",
        "flowtables",
        "handle",
        "name",
        "objects",
        "owner",
        "sets",
        "use",
        "userdata",
    )

    def __init__(
        self, family: int, name: str, handle: int, flags: int, use: int, owner: int, userdata: bytes
    ) -> None:
        self.family = family
        self.name = name
        self.handle = handle
        self.flags = flags
        self.use = use
        self.owner = owner
        self.userdata = userdata
        self.chains: dict[str, KernelChain] = {}
        self.sets: dict[str, KernelSet] = {}
        self.objects: dict[tuple[int, str], KernelObject] = {}
        self.flowtables: dict[str, KernelFlowtable] = {}

    def inline(self, name: str) -> KernelChain | None:
        """The chain of that name if it is an inline one, which belongs to the rule that leads to it."""
        found = self.chains.get(name)
        return found if found is not None and found.flags & uapi.NFT_CHAIN_BINDING else None

    def named_chains(self) -> list[KernelChain]:
        """The chains without the inline ones."""
        return [one for one in self.chains.values() if not one.flags & uapi.NFT_CHAIN_BINDING]


class Picture:
    """Some tables as they were at one generation; a table that does not exist is not in it."""

    __slots__ = ("generation", "tables")

    def __init__(self, generation: int, found: dict[tuple[int, str], KernelTable]) -> None:
        self.generation = generation
        self.tables = found


def tables(kernel: NetlinkSocket) -> list[KernelTable]:
    """Every table of the namespace, without its content."""
    return [
        parse_table(body) for body in kernel.dump(_SUBSYSTEM | uapi.NFT_MSG_GETTABLE, uapi.NFPROTO_UNSPEC)
    ]


def read(kernel: NetlinkSocket, wanted: Iterable[tuple[int, str]], elements: bool = True) -> Picture:
    """The tables named by (family, name), with all that is in them, as one consistent picture.

    Without ``elements`` those of named sets stay unread; those of anonymous sets, which
    are part of a rule, are read always. Raises KernelError EINTR where the ruleset
    changed during every attempt.
    """
    places = list(dict.fromkeys(wanted))
    before = generation_of(kernel)
    for _unused in range(_READS):
        found: dict[tuple[int, str], KernelTable] | None = {}
        try:
            found = _read_all(kernel, places, elements)
        except KernelError as error:
            if error.code != errno.ENOENT:
                raise
            found = None  # something went away between being listed and being read
        after = generation_of(kernel)
        if found is not None and after == before:
            return Picture(before, found)
        before = after
    raise KernelError(
        "the ruleset changed during each of %d attempts to read it" % _READS,
        errno.EINTR,
        cure="try again when no other program is changing it",
    )


def rules(
    kernel: NetlinkSocket, family: int, name: str, chain: str | None = None
) -> dict[str, list[KernelRule]]:
    """The rules of a table, or of one chain of it, in order, by chain; of no table none."""
    return _group_rules(
        kernel.spans(_SUBSYSTEM | uapi.NFT_MSG_GETRULE, family, _rules_request(name, chain)), chain
    )


def read_and_zero(kernel: NetlinkSocket, family: int, name: str) -> dict[str, list[KernelRule]]:
    """The rules of a table with their counters as they were, and these set to zero in the same step.

    No packet is lost from the count, nor counted twice, also where the ruleset changes
    meanwhile: what is read in several attempts is added up. Raises HostError before
    Linux 6.2, KernelError EINTR where it changed during every attempt.
    """
    earlier: dict[int, bytes] = {}
    for _unused in range(_READS):
        spans: list[messages.Span] = []
        whole = True
        try:
            for piece in kernel.pieces(_SUBSYSTEM | uapi.NFT_MSG_GETRULE_RESET, family, _rules_request(name)):
                if piece is None:
                    raise KernelError(
                        "a part of the counters was lost after it was set to zero", errno.ENOBUFS
                    )
                for kind, flags, _sequence, start, stop in messages.split(piece):
                    if flags & messages.NLM_F_DUMP_INTR:
                        whole = False
                    if kind == _SUBSYSTEM | uapi.NFT_MSG_NEWRULE:
                        spans.append((piece, start, stop))
        except KernelError as error:
            if error.code in (errno.EINVAL, errno.EOPNOTSUPP):
                raise HostError(
                    "this kernel cannot read and zero counters in one step", cure="use Linux 6.2 or later"
                ) from error
            raise
        grouped: dict[str, list[KernelRule]] = {}
        for chain, found in _group_rules(spans, None).items():
            kept: dict[int, KernelRule] = {}
            for rule in found:
                if rule.handle in earlier:
                    rule.add_counts(earlier[rule.handle])
                earlier[rule.handle] = rule.expressions
                kept[rule.handle] = rule
            grouped[chain] = list(kept.values())
        if whole:
            return grouped
    raise KernelError(
        "the ruleset changed during each of %d attempts to read it" % _READS,
        errno.EINTR,
        cure="try again when no other program is changing it",
    )


def sets(kernel: NetlinkSocket, family: int, name: str) -> dict[str, KernelSet]:
    """The sets and maps of a table, anonymous ones too, without their elements."""
    asked = _text_attribute(uapi.NFTA_SET_TABLE, name)
    bodies = kernel.dump(_SUBSYSTEM | uapi.NFT_MSG_GETSET, family, asked)
    return {one.name: one for one in (parse_set(body) for body in bodies if body.startswith(asked, _BODY))}


def elements(kernel: NetlinkSocket, family: int, name: str, held: KernelSet) -> list[bytes]:
    """The elements of one set, as payloads of NFTA_LIST_ELEM; KernelError ENOENT where there is none."""
    asked = _text_attribute(uapi.NFTA_SET_ELEM_LIST_TABLE, name) + _text_attribute(
        uapi.NFTA_SET_ELEM_LIST_SET, held.name
    )
    found: list[bytes] = []
    for body in kernel.dump(_SUBSYSTEM | uapi.NFT_MSG_GETSETELEM, family, asked):
        for kind, payload in walk(body, _BODY):
            if kind == uapi.NFTA_SET_ELEM_LIST_ELEMENTS:
                found += payloads(payload)
    return [timed(one) for one in found] if held.timeout else found


def find_elements(
    kernel: NetlinkSocket, family: int, name: str, held: KernelSet, element: bytes
) -> list[bytes]:
    """The one element with the key of ``element`` (both payloads of NFTA_LIST_ELEM), or none.

    For sets of single values and of concatenations: no dump is needed.
    """
    key = [attribute(kind, data) for kind, data in walk(element) if kind in _KEYS]
    asked = (
        _text_attribute(uapi.NFTA_SET_ELEM_LIST_TABLE, name)
        + _text_attribute(uapi.NFTA_SET_ELEM_LIST_SET, held.name)
        + nested(uapi.NFTA_SET_ELEM_LIST_ELEMENTS, nested(uapi.NFTA_LIST_ELEM, *key))
    )
    try:
        bodies = kernel.request(_SUBSYSTEM | uapi.NFT_MSG_GETSETELEM, family, asked)
    except KernelError as error:
        if error.code == errno.ENOENT:
            return []
        raise
    found: list[bytes] = []
    for body in bodies:
        for kind, payload in walk(body, _BODY):
            if kind == uapi.NFTA_SET_ELEM_LIST_ELEMENTS:
                found += payloads(payload)
    return [timed(one) for one in found] if held.timeout else found


def timed(element: bytes) -> bytes:
    """An element of a set with a timeout, the same from every kernel.

    One that never expires has the time 0 for its own, the point behind an interval has no time.
    From 6.12 on kernels tell the 0 of both, before of neither (nf_tables_fill_setelem() of
    net/netfilter/nf_tables_api.c).
    """
    attributes = walk(element)
    found = dict(attributes)
    if uapi.NFTA_SET_ELEM_EXPIRATION in found:
        return element
    flags = int.from_bytes(found.get(uapi.NFTA_SET_ELEM_FLAGS, b""), "big")
    wanted = not flags & uapi.NFT_SET_ELEM_INTERVAL_END
    if wanted == (uapi.NFTA_SET_ELEM_TIMEOUT in found):
        return element
    if wanted:
        place = len(attributes) - (uapi.NFTA_SET_ELEM_USERDATA in found)
        attributes.insert(place, (uapi.NFTA_SET_ELEM_TIMEOUT, bytes(8)))
    else:
        attributes = [one for one in attributes if one[0] != uapi.NFTA_SET_ELEM_TIMEOUT]
    return b"".join(attribute(kind, data) for kind, data in attributes)


def objects(kernel: NetlinkSocket, family: int, name: str) -> dict[tuple[int, str], KernelObject]:
    """The stateful objects of a table, by (kind, name)."""
    asked = _text_attribute(uapi.NFTA_OBJ_TABLE, name)
    bodies = kernel.dump(_SUBSYSTEM | uapi.NFT_MSG_GETOBJ, family, asked)
    found = (parse_object(body) for body in bodies if body.startswith(asked, _BODY))
    return {(one.kind, one.name): one for one in found}


def flowtables(kernel: NetlinkSocket, family: int, name: str) -> dict[str, KernelFlowtable]:
    """The flowtables of a table."""
    asked = _text_attribute(uapi.NFTA_FLOWTABLE_TABLE, name)
    bodies = kernel.dump(_SUBSYSTEM | uapi.NFT_MSG_GETFLOWTABLE, family, asked)
    found = (parse_flowtable(body) for body in bodies if body.startswith(asked, _BODY))
    return {one.name: one for one in found}


def parse_table(body: bytes) -> KernelTable:
    """The table that an NFT_MSG_NEWTABLE body describes; ValueError for bytes that are none."""
    found = _attributes(body)
    return KernelTable(
        body[0],
        _name(found, uapi.NFTA_TABLE_NAME),
        _number(found, uapi.NFTA_TABLE_HANDLE),
        _number(found, uapi.NFTA_TABLE_FLAGS),
        _number(found, uapi.NFTA_TABLE_USE),
        _number(found, uapi.NFTA_TABLE_OWNER),
        found.get(uapi.NFTA_TABLE_USERDATA, b""),
    )


def parse_chain(body: bytes) -> KernelChain:
    """The chain that an NFT_MSG_NEWCHAIN body describes; ValueError for bytes that are none."""
    found = _attributes(body)
    chain = KernelChain(
        _name(found, uapi.NFTA_CHAIN_NAME),
        _number(found, uapi.NFTA_CHAIN_HANDLE),
        _number(found, uapi.NFTA_CHAIN_FLAGS),
        _number(found, uapi.NFTA_CHAIN_USE),
        found.get(uapi.NFTA_CHAIN_USERDATA, b""),
    )
    if uapi.NFTA_CHAIN_HOOK in found:
        hook = table(found[uapi.NFTA_CHAIN_HOOK])
        chain.hook = Hook(
            _number(hook, uapi.NFTA_HOOK_HOOKNUM),
            _signed(hook, uapi.NFTA_HOOK_PRIORITY),
            _device_names(hook, uapi.NFTA_HOOK_DEVS, uapi.NFTA_HOOK_DEV),
        )
        chain.kind = _name(found, uapi.NFTA_CHAIN_TYPE)
        chain.policy = _number(found, uapi.NFTA_CHAIN_POLICY)
    return chain


def parse_rule(body: bytes) -> KernelRule:
    """The rule that an NFT_MSG_NEWRULE body describes; ValueError for bytes that are none."""
    chain, start = _rule_place(body, 0, len(body))
    rule = KernelRule(chain, body, start, len(body))
    rule.read()
    return rule


def parse_set(body: bytes) -> KernelSet:
    """The set that an NFT_MSG_NEWSET body describes; ValueError for bytes that are none."""
    found = _attributes(body)
    one = KernelSet(
        _name(found, uapi.NFTA_SET_NAME),
        _number(found, uapi.NFTA_SET_HANDLE),
        _number(found, uapi.NFTA_SET_FLAGS),
        found.get(uapi.NFTA_SET_USERDATA, b""),
    )
    one.key_type = _number(found, uapi.NFTA_SET_KEY_TYPE)
    one.key_length = _number(found, uapi.NFTA_SET_KEY_LEN)
    if uapi.NFTA_SET_DATA_TYPE in found:
        one.data_type = _number(found, uapi.NFTA_SET_DATA_TYPE)
        one.data_length = _number(found, uapi.NFTA_SET_DATA_LEN)
    one.object_type = _number(found, uapi.NFTA_SET_OBJ_TYPE)
    one.timeout = _number(found, uapi.NFTA_SET_TIMEOUT)
    one.gc_interval = _number(found, uapi.NFTA_SET_GC_INTERVAL)
    one.policy = _number(found, uapi.NFTA_SET_POLICY)
    description = table(found.get(uapi.NFTA_SET_DESC, b""))
    one.size = _number(description, uapi.NFTA_SET_DESC_SIZE)
    one.fields = tuple(
        _number(table(field), uapi.NFTA_SET_FIELD_LEN)
        for _unused, field in walk(description.get(uapi.NFTA_SET_DESC_CONCAT, b""))
    )
    if uapi.NFTA_SET_EXPR in found:
        one.expressions = (found[uapi.NFTA_SET_EXPR],)
    else:
        one.expressions = tuple(each for _unused, each in walk(found.get(uapi.NFTA_SET_EXPRESSIONS, b"")))
    return one


def parse_object(body: bytes) -> KernelObject:
    """The object that an NFT_MSG_NEWOBJ body describes; ValueError for bytes that are none."""
    found = _attributes(body)
    return KernelObject(
        _name(found, uapi.NFTA_OBJ_NAME),
        _number(found, uapi.NFTA_OBJ_TYPE),
        _number(found, uapi.NFTA_OBJ_HANDLE),
        _number(found, uapi.NFTA_OBJ_USE),
        found.get(uapi.NFTA_OBJ_DATA, b""),
        found.get(uapi.NFTA_OBJ_USERDATA, b""),
    )


def parse_flowtable(body: bytes) -> KernelFlowtable:
    """The flowtable that an NFT_MSG_NEWFLOWTABLE body describes; ValueError for bytes that are none."""
    found = _attributes(body)
    hook = table(found.get(uapi.NFTA_FLOWTABLE_HOOK, b""))
    return KernelFlowtable(
        _name(found, uapi.NFTA_FLOWTABLE_NAME),
        _number(found, uapi.NFTA_FLOWTABLE_HANDLE),
        Hook(
            _number(hook, uapi.NFTA_FLOWTABLE_HOOK_NUM),
            _signed(hook, uapi.NFTA_FLOWTABLE_HOOK_PRIORITY),
            _device_names(hook, uapi.NFTA_FLOWTABLE_HOOK_DEVS),
        ),
        _number(found, uapi.NFTA_FLOWTABLE_FLAGS),
        _number(found, uapi.NFTA_FLOWTABLE_USE),
    )


# The 64-bit numbers that zeroing a rule's state sets back, by expression.
_ZEROED = {
    b"counter\0": (uapi.NFTA_COUNTER_BYTES, uapi.NFTA_COUNTER_PACKETS),
    b"quota\0": (uapi.NFTA_QUOTA_CONSUMED,),
}


def add_counters(first: bytes, second: bytes) -> bytes:
    """Two readings of one rule's expressions as one: counters and used quota added, the rest the second's."""
    one, other = walk(first), walk(second)
    if len(one) != len(other):
        return second
    parts = []
    for (_unused, before), (kind, after) in zip(one, other):
        name, numbers = _counted(before)
        if numbers and _counted(after)[0] == name:
            inner = [
                attribute(key, _BE64.pack((numbers[key] + int.from_bytes(value, "big")) & 0xFFFFFFFFFFFFFFFF))
                if key in numbers
                else attribute(key, value)
                for key, value in walk(table(after)[uapi.NFTA_EXPR_DATA])
            ]
            after = _replace_data(after, b"".join(inner))
        parts.append(_ATTRIBUTE.pack(len(after) + 4, kind) + after + bytes(-len(after) & 3))
    return b"".join(parts)


def _counted(expression: bytes) -> tuple[bytes, dict[int, int]]:
    """An expression's name and those of its numbers that zeroing sets back."""
    found = table(expression)
    name = found.get(uapi.NFTA_EXPR_NAME, b"")
    numbers = {}
    if name in _ZEROED:
        data = table(found.get(uapi.NFTA_EXPR_DATA, b""))
        numbers = {key: int.from_bytes(data[key], "big") for key in _ZEROED[name] if key in data}
    return name, numbers


def _replace_data(expression: bytes, data: bytes) -> bytes:
    return b"".join(
        attribute(kind, data if kind == uapi.NFTA_EXPR_DATA else payload)
        for kind, payload in walk(expression)
    )


def _read_all(
    kernel: NetlinkSocket, places: list[tuple[int, str]], with_elements: bool
) -> dict[tuple[int, str], KernelTable]:
    found: dict[tuple[int, str], KernelTable] = {}
    chains: dict[int, list[bytes]] = {}
    for family, name in places:
        one = _header(kernel, family, name)
        if one is None:
            continue
        # The kernel cannot dump the chains of one table: names of others pass by unread.
        if family not in chains:
            chains[family] = kernel.dump(_SUBSYSTEM | uapi.NFT_MSG_GETCHAIN, family)
        mine = _text_attribute(uapi.NFTA_CHAIN_TABLE, name)
        for body in chains[family]:
            if body.startswith(mine, _BODY):
                chain = parse_chain(body)
                one.chains[chain.name] = chain
        _fill_rules(kernel, one)
        one.sets = sets(kernel, family, name)
        for each in one.sets.values():
            if with_elements or each.flags & uapi.NFT_SET_ANONYMOUS:
                each.elements = elements(kernel, family, name, each)
        one.objects = objects(kernel, family, name)
        one.flowtables = flowtables(kernel, family, name)
        found[family, name] = one
    return found


def _header(kernel: NetlinkSocket, family: int, name: str) -> KernelTable | None:
    try:
        bodies = kernel.request(
            _SUBSYSTEM | uapi.NFT_MSG_GETTABLE, family, _text_attribute(uapi.NFTA_TABLE_NAME, name)
        )
    except KernelError as error:
        if error.code == errno.ENOENT:
            return None
        raise
    return parse_table(bodies[0]) if bodies else None


def _fill_rules(kernel: NetlinkSocket, one: KernelTable) -> None:
    uses = [chain.use for chain in one.chains.values()]
    total = sum(uses)
    if not total:
        return
    dumps: list[str | None] = [None]
    if total * total - sum(use * use for use in uses) > _PAIRS_PER_DUMP * len(uses):
        dumps = [chain.name for chain in one.chains.values() if chain.use]
    for asked in dumps:
        for name, found in rules(kernel, one.family, one.name, asked).items():
            if name in one.chains:
                one.chains[name].rules = found


def _rules_request(name: str, chain: str | None = None) -> bytes:
    asked = _text_attribute(uapi.NFTA_RULE_TABLE, name)
    return asked if chain is None else asked + _text_attribute(uapi.NFTA_RULE_CHAIN, chain)


def _group_rules(spans: Iterable[messages.Span], only: str | None) -> dict[str, list[KernelRule]]:
    """Rules by chain. Neighbours are mostly of one chain: the bytes that name it are read once."""
    grouped: dict[str, list[KernelRule]] = {}
    place = b"\0"
    chain = ""
    length = 0
    into: list[KernelRule] = []
    for data, start, stop in spans:
        if not data.startswith(place, start + _BODY, stop):
            chain, end = _rule_place(data, start, stop)
            length = end - start
            place = data[start + _BODY : end]
            into = grouped.setdefault(chain, [])
        into.append(KernelRule(chain, data, start + length, stop))
    if only is not None:
        return {name: found for name, found in grouped.items() if name == only}
    return grouped


def _rule_place(data: bytes, start: int, stop: int) -> tuple[str, int]:
    """The chain of the rule that stands there, and where the attributes after table and chain start.

    nf_tables_fill_rule_info() puts these two first.
    """
    start += _BODY
    chain = None
    for due in (uapi.NFTA_RULE_TABLE, uapi.NFTA_RULE_CHAIN):
        if start + 4 > stop:
            raise ValueError("a rule without table and chain")
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if kind & TYPE_MASK != due or length < 4 or start + length > stop:
            raise ValueError("a rule whose attribute %d is not table or chain" % kind)
        chain = data[start + 4 : start + length]
        start += (length + 3) & ~3
    return _decode(chain or b""), start


def _attributes(body: bytes) -> dict[int, bytes]:
    if len(body) < _BODY:
        raise ValueError("a netfilter message of %d bytes" % len(body))
    return table(body, _BODY)


def _decode(payload: bytes) -> str:
    return payload.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _name(found: dict[int, bytes], kind: int) -> str:
    return _decode(found.get(kind, b""))


def _number(found: dict[int, bytes], kind: int) -> int:
    """A number in network order, of whatever size; 0 where the kernel sent none."""
    return int.from_bytes(found.get(kind, b""), "big")


def _signed(found: dict[int, bytes], kind: int) -> int:
    return int.from_bytes(found.get(kind, b""), "big", signed=True)


def _device_names(hook: dict[int, bytes], several: int, one: int = 0) -> tuple[str, ...]:
    if several in hook:
        return tuple(
            _decode(payload) + "*" if kind == uapi.NFTA_DEVICE_PREFIX else _whole_name(payload)
            for kind, payload in walk(hook[several])
        )
    return (_whole_name(hook[one]),) if one in hook else ()


def _whole_name(payload: bytes) -> str:
    """A device's name; a star at its end is written ``\\*``, since another stands for any ending."""
    name = _decode(payload)
    return name[:-1] + "\\*" if name.endswith("*") else name


def _text_attribute(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode("utf-8", "surrogateescape") + b"\0")
