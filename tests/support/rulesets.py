# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rulesets of test namespaces: applied by the engine, read back as bytes, watched on their way."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rempart.document.declared import DeclaredFlowtable
from rempart.document.model import Chain, load
from rempart.netlink.attributes import attribute, walk
from rempart.netlink.attributes import table as attributes
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.nftables.declared.objects import object_identity
from rempart.nftables.render import render_table
from rempart.ruleset import canonical, kernel
from rempart.ruleset.desired import FAMILIES, FAMILY_NAMES, compile_tables, rule_statements
from rempart.ruleset.generation import generation as generation_of
from rempart.ruleset.kernel import KernelSet, KernelTable
from rempart.ruleset.reconcile import Outcome, Source, reconcile

from tests.support.namespaces import Namespace

_SUBSYSTEM = uapi.NFNL_SUBSYS_NFTABLES << 8
_KINDS = (
    uapi.NFT_MSG_GETTABLE,
    uapi.NFT_MSG_GETCHAIN,
    uapi.NFT_MSG_GETRULE,
    uapi.NFT_MSG_GETSET,
    uapi.NFT_MSG_GETOBJ,
    uapi.NFT_MSG_GETFLOWTABLE,
)
_SETS = _SUBSYSTEM | uapi.NFT_MSG_GETSETELEM


def apply(document: Any, where: Namespace, **options: Any) -> Outcome:
    """Have the engine make the namespace hold the document; ``options`` are those of ``reconcile``."""
    return reconcile(Source.of_mapping(document), where.name, **options)


def table_of(where: Namespace, family: str = "inet", name: str = "t") -> KernelTable:
    """One table of the namespace with all that is in it; KeyError where there is none."""
    with NetlinkSocket(where.name) as socket:
        number = FAMILIES[family]
        return kernel.read(socket, [(number, name)]).tables[number, name]


def generation(where: Namespace) -> int:
    """The number that every committed change of the namespace's rulesets increments."""
    with NetlinkSocket(where.name) as socket:
        return generation_of(socket)


def handles(where: Namespace, chain: str, family: str = "inet", name: str = "t") -> list[int]:
    """The handles of a chain's rules in their order."""
    return [rule.handle for rule in table_of(where, family, name).chains[chain].rules]


def rules_of(table: KernelTable, chain: str) -> list[canonical.Canonical]:
    """A chain's rules without counts, and with the content of sets and chains without names in them."""

    def identity(name: str) -> Any:
        if name in table.sets:
            return set_of(table.sets[name])
        return rules_of(table, name) if table.inline(name) else None

    return [
        canonical.of_kernel(rule.expressions, rule.userdata, identity) for rule in table.chains[chain].rules
    ]


def set_of(one: KernelSet) -> tuple[Any, ...]:
    """All that a set is but for its name: what packets meet in it, and how nft lists it."""
    kinds = (one.flags, one.key_type, one.key_length, one.data_type, one.data_length, one.object_type)
    elements = tuple(sorted(_lasting(payload) for payload in one.elements or ()))
    orders = listed_byteorders(one.userdata, one.key_length, one.data_length)
    return (*kinds, one.policy, one.fields, one.expressions, orders, elements)


def _lasting(element: bytes) -> bytes:
    """An element without how long it has left."""
    if uapi.NFTA_SET_ELEM_EXPIRATION not in attributes(element):
        return element
    kept = [one for one in walk(element) if one[0] != uapi.NFTA_SET_ELEM_EXPIRATION]
    return b"".join(attribute(kind, data) for kind, data in kept)


def listed_byteorders(userdata: bytes, key_length: int, data_length: int) -> dict[int, bytes]:
    """The byte orders of keys (0) and data (1) of more than one byte, as nft notes them for itself.

    libnftnl's NFTNL_UDATA_SET_*; what else nft notes is how the set was written.
    """
    found = {}
    start = 0
    while start < len(userdata):
        kind, length = userdata[start : start + 2]
        if {0: key_length, 1: data_length}.get(kind, 0) > 1:
            found[kind] = userdata[start + 2 : start + 2 + length]
        start += 2 + length
    return found


def content(where: Namespace) -> dict[Any, Any]:
    """Every table of the namespace, comparable: all but handles, counts and names the kernel gave."""
    with NetlinkSocket(where.name) as socket:
        places = [(one.family, one.name) for one in kernel.tables(socket)]
        found = kernel.read(socket, places).tables
    return {(FAMILY_NAMES[family], name): _content(table) for (family, name), table in found.items()}


def _content(table: KernelTable) -> dict[str, Any]:
    chains = {}
    for chain in table.named_chains():
        name, hook = chain.name, chain.hook
        place = hook and (hook.number, hook.priority, tuple(sorted(hook.devices)))
        chains[name] = (place, chain.kind, chain.policy, chain.userdata, rules_of(table, name))
    sets = {name: set_of(one) for name, one in table.sets.items() if not name.startswith("__")}
    objects = {key: (object_identity(one.kind, one.data), one.userdata) for key, one in table.objects.items()}
    return {
        "flags": table.flags,
        "userdata": table.userdata,
        "chains": chains,
        "sets": sets,
        "objects": objects,
        "flowtables": sorted(table.flowtables),
    }


def raw(where: Namespace, mine: Callable[[int, str], bool] = lambda family, name: True) -> list[bytes]:
    """Every message body of a dump of all tables that are ``mine``, handles and counts included.

    Only the generation id is blanked out, which the kernel writes into every message.
    """
    found = []
    with NetlinkSocket(where.name) as socket:
        for kind in _KINDS:
            for body in socket.dump(_SUBSYSTEM | kind, uapi.NFPROTO_UNSPEC):
                names = attributes(body, 4)
                if not mine(body[0], names[1].rstrip(b"\0").decode()):
                    continue
                found.append(body[:2] + b"\0\0" + body[4:])
                if kind == uapi.NFT_MSG_GETSET:
                    asked = attribute(1, names[1]) + attribute(2, names[2])
                    found += [one[:2] + b"\0\0" + one[4:] for one in socket.dump(_SETS, body[0], asked)]
    return found


def text_of(document: Any) -> str:
    """The document in nft syntax."""
    parts = []
    for table in compile_tables(load(document)):
        chains = []
        for chain in table.chains.values():
            rules = [
                (rule_statements(table, chain, rule), chain.source.rules[rule.index].get("comment"))
                for rule in chain.rules
            ]
            chains.append((_chain_json(chain.source), rules))
        head: dict[str, Any] = {"family": table.family, "name": table.name}
        if table.source.comment:
            head["comment"] = table.source.comment
        if table.source.flags:
            head["flags"] = list(table.source.flags)
        source = table.source
        sets = [{"map" if one.is_map else "set": one.json} for one in source.sets]
        objects = [{one.type: one.json} for one in source.objects]
        flowtables = [_flowtable_json(one) for one in source.flowtables]
        parts.append(render_table(head, chains, sets, objects, flowtables))
    return "".join(parts)


def _flowtable_json(flowtable: DeclaredFlowtable) -> dict[str, Any]:
    return {
        "name": flowtable.name,
        "hook": flowtable.hook,
        "prio": flowtable.priority,
        "dev": list(flowtable.devices),
        "flags": list(flowtable.flags),
    }


def _chain_json(chain: Chain) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": chain.name}
    if chain.comment:
        shown["comment"] = chain.comment
    if chain.hook:
        shown.update(type=chain.type, hook=chain.hook, prio=chain.priority, policy=chain.policy)
        shown["dev"] = list(chain.devices)
    return shown


class Traffic:
    """What went to netfilter: ``requests`` counts messages by their kind, ``batches`` are transactions."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        self.dumps: Counter[int] = Counter()
        self.batches: list[Sequence[bytes]] = []
        self.before_commit: list[Callable[[], None]] = []


@contextlib.contextmanager
def watched() -> Iterator[Traffic]:
    """Count what every NetlinkSocket of this process sends while the block runs.

    Each of ``before_commit`` is called once, just before the next transaction is sent.
    """
    seen = Traffic()
    request, pieces, transact = NetlinkSocket.request, NetlinkSocket.pieces, NetlinkSocket.transact

    def counted_request(self: NetlinkSocket, kind: int, *arguments: Any, **options: Any) -> list[bytes]:
        seen.requests[kind & 0xFF] += 1
        return request(self, kind, *arguments, **options)

    def counted_pieces(self: NetlinkSocket, kind: int, *arguments: Any, **options: Any) -> Any:
        seen.dumps[kind & 0xFF] += 1
        return pieces(self, kind, *arguments, **options)

    def counted_transact(self: NetlinkSocket, batch: Sequence[bytes], *rest: Any, **options: Any) -> None:
        if seen.before_commit:
            seen.before_commit.pop(0)()
        seen.batches.append(batch)
        transact(self, batch, *rest, **options)

    NetlinkSocket.request = counted_request  # type: ignore[method-assign]
    NetlinkSocket.pieces = counted_pieces  # type: ignore[method-assign]
    NetlinkSocket.transact = counted_transact  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        NetlinkSocket.request = request  # type: ignore[method-assign]
        NetlinkSocket.pieces = pieces  # type: ignore[method-assign]
        NetlinkSocket.transact = transact  # type: ignore[method-assign]
