# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's tables as a document: applied where they were captured, it changes nothing.

What a document has no form for is said in notes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..document.model import load
from ..errors import DocumentError
from ..netlink.socket import NetlinkSocket
from ..nftables import uapi
from . import kernel as state
from .capture_declared import Unsayable, declared, priority
from .capture_rules import RuleReader
from .desired import CHAIN_FLAGS, FAMILY_NAMES, HOOK_NAMES, POLICY_NAMES, TABLE_FLAGS, compile_tables
from .kernel import KernelChain, KernelTable, Picture
from .table_names import Names, find
from .userdata import comment_of, writable


class Note:
    """Something that the document does not say, or not as the kernel has it."""

    __slots__ = ("family", "message", "table")

    def __init__(self, family: str, table: str, message: str) -> None:
        self.family = family
        self.table = table
        self.message = message

    def __str__(self) -> str:
        return "table %s %s: %s" % (self.family, self.table, self.message)

    def as_dict(self) -> dict[str, str]:
        """The note for programs."""
        return {"family": self.family, "table": self.table, "message": self.message}


class Captured:
    """A document, what it leaves unsaid, and the generation of the ruleset that it shows."""

    __slots__ = ("document", "generation", "notes")

    def __init__(self, document: dict[str, Any], notes: list[Note], generation: int) -> None:
        self.document = document
        self.notes = notes
        self.generation = generation


def capture(
    kernel: NetlinkSocket,
    tables: Iterable[Names] | None = None,
    counts: bool = False,
    remaining: bool = False,
) -> Captured:
    """The tables named (all, if none are) as one consistent picture.

    ``counts``: with the counters of packets and bytes, and with the elements that packets
    added to sets; without, counters start at nought and such sets keep what they have
    (``elements: keep``). ``remaining``: with what is left of the elements' time (``expires``),
    which ``counts`` has too. Raises HostError for a table that does not exist, KernelError.
    """
    places = find(kernel, list(tables or ()))
    return of_picture(state.read(kernel, places), places, counts, remaining)


def of_picture(
    picture: Picture, places: list[tuple[int, str]], counts: bool = False, remaining: bool = False
) -> Captured:
    """The same of tables that were read already."""
    notes: list[Note] = []
    listed = []
    for place in places:
        table = picture.tables.get(place)
        if table is not None:
            body = _table(table, counts, counts or remaining, notes)
            if body is not None:
                listed.append(body)
    return Captured({"tables": listed}, notes, picture.generation)


def _table(table: KernelTable, counts: bool, remaining: bool, notes: list[Note]) -> dict[str, Any] | None:
    family = FAMILY_NAMES[table.family]

    def note(message: str) -> None:
        notes.append(Note(family, table.name, message))

    body: dict[str, Any] = {"name": table.name, "family": family}
    comment = comment_of(table.userdata)
    if comment:
        body["comment"] = comment
    flags = [name for name, bit in TABLE_FLAGS.items() if table.flags & bit]
    if flags:
        body["flags"] = flags
    unknown = table.flags & ~(uapi.NFT_TABLE_F_OWNER | sum(TABLE_FLAGS.values()))
    if unknown:
        note("it has flags that a document has no form for: 0x%x" % unknown)
    if table.flags & uapi.NFT_TABLE_F_OWNER:
        note("it belongs to a running program, which alone may change it")
    try:
        body.update(declared(table, counts, remaining))
    except Unsayable as error:
        note("it is left out, because a document cannot say it: %s" % error)
        return None
    chains = [_chain(chain, family) for chain in table.named_chains()]
    for held in table.named_chains():
        unknown = held.flags & ~(uapi.NFT_CHAIN_BASE | sum(CHAIN_FLAGS.values()))
        if unknown:
            note("chain %s has flags that a document has no form for: 0x%x" % (held.name, unknown))
    body["chains"] = chains
    spoilt = _without_spoilt_comments(body)
    if spoilt:
        note(
            "%s left out"
            % _count(
                spoilt, "comment that a document cannot say is", "comments that a document cannot say are"
            )
        )
    try:
        desired = compile_tables(load({"tables": [body]}))[0]
    except DocumentError as error:
        note("it is left out, because a document cannot say it: %s" % error.problems[0])
        return None
    reader = RuleReader(table, desired, counts)
    read = reader.read
    for chain, written in zip(table.named_chains(), chains):
        if chain.rules:
            written["rules"] = [read(rule) for rule in chain.rules]
    if reader.carried:
        note(
            "%s kept as the kernel's bytes"
            % _count(reader.carried, "rule that has no statements is", "rules that have no statements are")
        )
    if reader.stranded:
        words = ("of these leads to a chain of its own", "of these lead to chains of their own")
        note(_count(reader.stranded, *(one + ", and can be made only here" for one in words)))
    if reader.spoilt:
        note("%s user data that a document cannot say" % _count(reader.spoilt, "rule has", "rules have"))
    return body


def _without_spoilt_comments(body: dict[str, Any]) -> int:
    """Take away what holds a quotation mark or a control character; how many comments that were."""
    parts = [body, *(part for listed in body.values() if isinstance(listed, list) for part in listed)]
    for one in (*body.get("sets", ()), *body.get("maps", ())):
        if isinstance(one.get("elements"), list):
            parts += one["elements"]
    count = 0
    for part in parts:
        if isinstance(part, dict) and not writable(part.get("comment", "")):
            del part["comment"]
            count += 1
    return count


def _count(number: int, one: str, many: str) -> str:
    return "%s %s" % (format(number, ","), one if number == 1 else many)


def _chain(chain: KernelChain, family: str) -> dict[str, Any]:
    body: dict[str, Any] = {"name": chain.name}
    if chain.hook is not None:
        hook = HOOK_NAMES[family].get(chain.hook.number, str(chain.hook.number))
        body["type"] = chain.kind
        body["hook"] = hook
        if len(chain.hook.devices) == 1:
            body["device"] = chain.hook.devices[0]
        elif chain.hook.devices:
            body["devices"] = list(chain.hook.devices)
        flags = [name for name, bit in CHAIN_FLAGS.items() if chain.flags & bit]
        if flags:
            body["flags"] = flags
        body["priority"] = priority(chain.hook.priority, family, hook)
        body["policy"] = POLICY_NAMES.get(1 if chain.policy is None else chain.policy, "accept")
    comment = comment_of(chain.userdata)
    if comment:
        body["comment"] = comment
    return body
