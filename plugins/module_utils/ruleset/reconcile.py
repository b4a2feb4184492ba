# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way from a document to a kernel that holds it: read, compare, plan, send, remember.

``reconcile`` is what modules and the command call. It sends nothing where nothing
differs, all of it in one transaction where something does, and plans anew when
another program changed the ruleset in between.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable

from ..errors import HostError
from ..links import interfaces
from ..netlink.socket import LostRace, NetlinkSocket, Refused
from ..version import VERSION
from . import memory
from .generation import generation as generation_of

try:
    # what hashlib gives as well, without the time that loading OpenSSL takes
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    from ..document.model import Table
    from .desired import DesiredTable
    from .kernel import Picture
    from .steps import Plan

# What compiling and planning need is imported where they begin: where the memory
# answers, loading it would cost more than everything else.

#: transactions begun before a ruleset that others keep changing is an error
_ATTEMPTS = 20


class Names:
    """What the names in a document stand for: the addresses of hosts, and what only the host's files tell.

    ``addresses`` by host name, ``numbers`` by data type and name, as of ``lookups.recording``.
    """

    __slots__ = ("addresses", "numbers")

    def __init__(self, addresses: dict[str, list[str]], numbers: dict[tuple[str, str], int]) -> None:
        self.addresses = addresses
        self.numbers = numbers


class Source:
    """A document that may not have been parsed yet.

    ``digest`` names its content; ``parse`` gives the mapping, and is not called where
    the kernel is known to hold this content already. ``names`` says what the names in it
    stand for, and then nothing is remembered of it; without, they are looked up.
    """

    __slots__ = ("digest", "names", "parse")

    def __init__(self, digest: str, parse: Callable[[], Any], names: Names | None = None) -> None:
        self.digest = digest
        self.parse = parse
        self.names = names

    @classmethod
    def of_bytes(cls, content: bytes, parse: Callable[[bytes], Any]) -> Source:
        """A document in its written form."""
        return cls(blake2b(content, digest_size=32).hexdigest(), lambda: parse(content))

    @classmethod
    def of_mapping(cls, document: Any) -> Source:
        """A document that is parsed already; equal documents with keys in equal order have equal digests."""
        import marshal

        try:
            # version 2 writes no back references, so equal values give equal bytes
            content = marshal.dumps(document, 2)
        except ValueError:
            import json

            content = json.dumps(document).encode()
        return cls(blake2b(content, digest_size=32).hexdigest(), lambda: document)


class Outcome:
    """What a run found and did.

    ``changed``: there was (with ``check``: would be) something to change.
    ``compared``: False where the remembered generation answered at once.
    ``attempts``: transactions tried, more than one after lost races.
    ``netns``: the namespace whose interfaces the plan speaks of.
    """

    __slots__ = ("attempts", "changed", "compared", "generation", "netns", "plan")

    def __init__(
        self,
        plan: Plan | None,
        generation: int,
        compared: bool,
        attempts: int = 0,
        netns: str | None = None,
    ) -> None:
        self.plan = plan
        self.netns = netns
        self.changed = plan is not None and plan.changed
        self.generation = generation
        self.compared = compared
        self.attempts = attempts

    def changes(self) -> list[dict[str, Any]]:
        """The changes for programs, as ``describe.changes`` lists them."""
        from . import describe

        with interfaces.of(self.netns):
            return describe.changes(self.plan) if self.plan is not None else []

    def diff(self) -> list[dict[str, str]]:
        """The difference for people, as Ansible's diff mode takes it."""
        from . import describe

        with interfaces.of(self.netns):
            return describe.differences(self.plan) if self.plan is not None else []


class Progress:
    """What a long run tells of itself; the command draws it. This one is silent."""

    def stage(self, name: str, total: int = 0) -> None:
        """A new stage begins: ``read``, ``compile``, ``compare``, ``send``; ``total`` counts its rules."""


def reconcile(
    source: Source,
    netns: str | None = None,
    check: bool = False,
    full: bool = False,
    partial: bool = False,
    remove_chains: Iterable[str] = (),
    progress: Progress | None = None,
    remove_objects: Iterable[tuple[str, str]] = (),
    remove_empty: bool = False,
    remove_others: bool = False,
    before_sending: Callable[[], None] | None = None,
) -> Outcome:
    """Make the kernel hold the document's tables.

    ``netns`` is a namespace's name or path, None for the caller's own. ``check``
    changes nothing. ``full`` compares even where the remembered generation says
    that nothing changed. ``partial`` leaves alone what the document does not name, but
    for ``remove_chains``, ``remove_objects`` (libnftables' word for the kind, such as
    "ct helper", and the name) and, with ``remove_empty``, a table in which nothing is
    left; with ``remove_others`` all chains and objects of such a table that it does not
    name go, and no memory is kept of that. ``before_sending`` is called once where there is
    something to send, and may change the ruleset: the difference is taken again after it.
    Raises DocumentError, HostError, KernelError.
    """
    progress = progress or Progress()
    leaving = (remove_chains, remove_objects, remove_empty, remove_others)
    with interfaces.of(netns), NetlinkSocket(netns) as kernel:
        key = None if partial else memory.key(kernel)
        digest = "%s:%s" % (VERSION, source.digest)
        if key is not None and not full:
            generation = _unchanged(kernel, key, digest)
            if generation is not None:
                return Outcome(None, generation, compared=False)
        with _collector_resting():
            return _compare(
                kernel, source, netns, key, digest, check, partial, leaving, progress, before_sending
            )


def _compare(
    kernel: NetlinkSocket,
    source: Source,
    netns: str | None,
    key: str | None,
    digest: str,
    check: bool,
    partial: bool,
    leaving: tuple[Iterable[str], Iterable[tuple[str, str]], bool, bool],
    progress: Progress,
    before_sending: Callable[[], None] | None,
) -> Outcome:
    """The long way: compile the document, read the kernel's tables, send the difference."""
    from ..document import hosts
    from ..document.model import load
    from ..nftables.datatypes import lookups
    from .desired import compile_tables
    from .plan import Leaving, make_plan

    names = source.names
    document = source.parse()
    # elements of sets are looked up while they are read, the rest while it is compiled
    with lookups.given(names.numbers if names else {}), lookups.recording() as numbers:
        tables = load(document, partial)
        progress.stage("compile", sum(len(chain.rules) for table in tables for chain in table.chains))
        addresses = names.addresses if names else hosts.resolve(hosts.names(tables))
        desired = compile_tables(tables, addresses, partial)
    wanted = [(table.number, table.name) for table in desired]
    gone = Leaving(*leaving)
    outcome = _apply(
        kernel,
        wanted,
        lambda picture: make_plan(desired, picture, gone),
        check,
        progress,
        netns,
        before_sending,
    )
    told = names is None and (not check or not outcome.changed)
    if key is not None and told and not any(map(_runs_out, desired)):
        known = {**addresses, **{"%s %s" % name: [str(number)] for name, number in numbers.items()}}
        _remember(kernel, key, digest, known, desired, outcome)
    return outcome


@contextmanager
def _collector_resting() -> Iterator[None]:
    """Ten thousand rules are a million objects without a cycle: looking for one takes time and finds none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _runs_out(table: DesiredTable) -> bool:
    """Whether elements of the table time out: that changes the ruleset without a new generation."""
    from ..nftables.uapi import NFT_SET_TIMEOUT

    return any(content.flags & NFT_SET_TIMEOUT and content.elements for content in table.sets.values())


def remove(tables: Iterable[tuple[str, str]], netns: str | None = None, check: bool = False) -> Outcome:
    """Remove tables, each given as (family, name); those that do not exist are no error."""
    from .desired import FAMILIES
    from .plan import plan_removal

    wanted = [(family, FAMILIES[family], name) for family, name in tables]
    places = [(number, name) for _unused, number, name in wanted]
    with interfaces.of(netns), NetlinkSocket(netns) as kernel:
        outcome = _apply(
            kernel, places, lambda picture: plan_removal(wanted, picture), check, Progress(), netns
        )
        if outcome.plan is not None and outcome.changed and not check:
            memory.carry_on(memory.key(kernel), outcome.plan.generation, outcome.generation, places)
        return outcome


def check_only(document: Any, partial: bool = False) -> list[Table]:
    """Load and compile a document without kernel or resolver; DocumentError if it is wrong.

    ``partial``: its tables hold more than it says, so what it refers to may be there.
    """
    from ..document import hosts
    from ..document.model import load
    from ..nftables.datatypes import lookups
    from .desired import compile_tables

    with lookups.elsewhere():
        tables = load(document, partial)
        placeholders = {name: list(_PLACEHOLDERS) for name in hosts.names(tables)}
        compile_tables(tables, placeholders, partial)
    return tables


#: stand for the addresses of host names where only the document is checked (RFC 5737, RFC 3849)
_PLACEHOLDERS = ("192.0.2.1", "2001:db8::1")


def _unchanged(kernel: NetlinkSocket, key: str, digest: str) -> int | None:
    """The generation at which the document is known to be in force; None where that is not known."""
    remembered = memory.load(key, digest)
    if remembered is None or remembered.engine != VERSION:
        return None
    generation = generation_of(kernel)
    if remembered.generation != generation:
        return None
    if remembered.hosts and not _names_mean_the_same(remembered.hosts):
        return None
    return generation


def _names_mean_the_same(known: dict[str, list[str]]) -> bool:
    """Whether host names still have their addresses, and "type name" entries their numbers."""
    from ..document import hosts
    from ..nftables.datatypes import TYPES, DatatypeError

    addresses = {name: one for name, one in known.items() if " " not in name}
    if addresses and hosts.resolve(dict.fromkeys(addresses, "")) != addresses:
        return False
    for name, numbers in known.items():
        kind, space, word = name.partition(" ")
        try:
            if space and [str(TYPES[kind].number_of(word))] != numbers:
                return False
        except DatatypeError:
            return False
    return True


def _remember(
    kernel: NetlinkSocket,
    key: str,
    digest: str,
    addresses: dict[str, list[str]],
    desired: list[DesiredTable],
    outcome: Outcome,
) -> None:
    generation = outcome.generation
    tables = [(table.number, table.name) for table in desired]
    before = outcome.plan.generation if outcome.plan is not None and outcome.changed else None
    memory.save(key, memory.Memory(generation, digest, VERSION, addresses, tables), before)


def _apply(
    kernel: NetlinkSocket,
    wanted: list[tuple[int, str]],
    planner: Callable[[Picture], Plan],
    check: bool,
    progress: Progress,
    netns: str | None,
    before_sending: Callable[[], None] | None = None,
) -> Outcome:
    from .kernel import read

    def current() -> Plan:
        progress.stage("read")
        picture = read(kernel, wanted)
        progress.stage("compare")
        return planner(picture)

    for attempt in range(1, _ATTEMPTS + 1):
        plan = current()
        if before_sending is not None and plan.changed and not check:
            before_sending()
            before_sending = None
            plan = current()
        if not plan.changed or check:
            return Outcome(plan, plan.generation, compared=True, attempts=attempt - 1, netns=netns)
        progress.stage("send", len(plan.batch))
        try:
            kernel.transact(plan.batch, generation=plan.generation)
        except LostRace:
            continue
        except Refused as error:
            from .refusal import explain

            raise explain(error, plan) from None
        return Outcome(plan, _next(plan.generation), compared=True, attempts=attempt, netns=netns)
    raise HostError(
        "the ruleset changed during each of %d attempts" % _ATTEMPTS,
        cure="find the program that keeps changing it (nft monitor), or try again",
    )


def _next(generation: int) -> int:
    """The generation after a commit: 32 bits, and never 0 (nf_tables_commit)."""
    return (generation + 1) & 0xFFFFFFFF or 1
