# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables in a file: saved from a host's kernel, put back later.

The file holds a document beneath a header that says where it comes from, as JSON or
YAML. It is root's alone, and is replaced as a whole or not at all. Tables come back in
one transaction; of a table that is there and differs, somebody has to decide.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterable
from typing import Any, Callable

from ..document import hosts, validation
from ..document.model import load
from ..errors import DocumentError, HostError, Problem, nearest
from ..host import files
from ..links import interfaces
from ..netlink.socket import LostRace, NetlinkSocket, Refused
from ..nftables.datatypes import lookups
from ..version import VERSION
from . import kernel as state
from .capture import capture
from .desired import compile_tables
from .plan import make_plan
from .refusal import explain
from .steps import Plan, TablePlan
from .table_names import Names

FORMAT = 1
DEFAULT = "/var/lib/rempart/tables.json"
"""The file where none is named (file-hierarchy(7): state that outlasts a reboot)."""

HEADER = "rempart"

RESTORED, SAME, REPLACED, SKIPPED = "restored", "same", "replaced", "skipped"
SKIP, REPLACE = "skip", "replace"

_ATTEMPTS = 20

Decide = Callable[[list[TablePlan]], dict[Names, str]]
"""What becomes of tables that are there and differ: "skip" or "replace" for each, by family and name."""


class Saved:
    """Tables as they were saved.

    ``header``: ``format``, ``version`` of the engine, ``saved`` (UTC, ISO 8601), ``host``,
    ``kernel``, and ``notes`` of what the document leaves unsaid.
    """

    __slots__ = ("document", "header")

    def __init__(self, document: dict[str, Any], header: dict[str, Any]) -> None:
        self.document = document
        self.header = header

    def as_dict(self) -> dict[str, Any]:
        """What the file holds."""
        return {HEADER: self.header, **self.document}

    def as_json(self) -> str:
        """The file's text in JSON, which is YAML as well."""
        return "%s\n" % json.dumps(self.as_dict(), ensure_ascii=False, indent=1)

    def tables_text(self) -> str:
        """The tables without the header, to be compared by people."""
        return "%s\n" % json.dumps(self.document, ensure_ascii=False, indent=1)

    def holds(self, other: Saved) -> bool:
        """Whether the tables are those of the other, but for what is left of their elements' time."""
        return _lasting(self.document) == _lasting(other.document)

    def names(self) -> list[Names]:
        """Family and name of each table."""
        return [(table.get("family", "inet"), table["name"]) for table in self.document["tables"]]

    def only(self, wanted: Iterable[Names]) -> Saved:
        """The tables of these names, whose families may be empty; all without any name. Raises HostError."""
        names = list(wanted)
        if not names:
            return self
        kept = []
        known = self.names()
        for family, name in names:
            matching = [index for index, one in enumerate(known) if one[1] == name and family in ("", one[0])]
            if not matching:
                asked = "%s:%s" % (family, name) if family else name
                held = ["%s:%s" % one for one in known]
                cure = nearest(asked, held if family else [one for _unused, one in known])
                raise HostError("no such table in the file", found=asked, allowed=", ".join(held), cure=cure)
            kept += [index for index in matching if index not in kept]
        tables = self.document["tables"]
        return Saved({**self.document, "tables": [tables[index] for index in sorted(kept)]}, self.header)


class Restored:
    """What a restoring did (with ``check``, would do): for each table one of the words above.

    ``plan`` is that of the tables that were restored or replaced.
    """

    __slots__ = ("plan", "tables")

    def __init__(self, tables: list[tuple[str, str, str]], plan: Plan) -> None:
        self.tables = tables
        self.plan = plan

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return self.plan.changed


def take(kernel: NetlinkSocket, tables: Iterable[Names] = (), counts: bool = False) -> Saved:
    """The kernel's tables (all, if none are named), ready to be written.

    Of elements that time out, with what is left of their time.
    """
    captured = capture(kernel, tables, counts, remaining=True)
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "saved": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": socket.gethostname(),
        "kernel": os.uname().release,
    }
    if captured.notes:
        header["notes"] = [str(note) for note in captured.notes]
    return Saved(captured.document, header)


def write(path: str, text: str) -> None:
    """Put the text into a file of root's alone (0600), which is replaced in one step. Raises HostError."""
    if path == DEFAULT:
        try:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        except OSError as error:
            raise HostError("cannot write the file: %s" % error.strerror, path) from None
    files.write(path, text)


def _lasting(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The tables of a document without what is left of elements' time."""
    tables = []
    for table in document["tables"]:
        sets = {
            kind: [_without_rests(one) for one in table[kind]] for kind in ("sets", "maps") if kind in table
        }
        tables.append({**table, **sets})
    return tables


def _without_rests(one: dict[str, Any]) -> dict[str, Any]:
    elements = one.get("elements")
    if not isinstance(elements, list):
        return one
    kept = [
        {key: each[key] for key in each if key != "expires"} if isinstance(each, dict) else each
        for each in elements
    ]
    return {**one, "elements": kept}


def parse(content: str | bytes, name: str = "") -> Saved:
    """What a file holds; ``name`` is its own, for messages. Raises DocumentError.

    Names that only the host knows, such as interfaces, are for :func:`restore` to look up.
    """
    found = validation.read(content, name)
    header = found.get(HEADER)
    if not isinstance(header, dict):
        raise DocumentError(
            "not a file that rempart saved",
            name,
            allowed="the key %r beside 'tables'" % HEADER,
            cure="a document is applied: rempart apply",
        )
    if header.get("format") != FORMAT:
        raise DocumentError(
            "a format that this version does not know",
            "%s.format" % HEADER,
            header.get("format"),
            str(FORMAT),
            "restore with rempart %s" % header.get("version", "of the version that saved it"),
        )
    document = {key: one for key, one in found.items() if key != HEADER}
    with lookups.elsewhere():
        load(document)
    return Saved(document, header)


def restore(
    saved: Saved,
    decide: Decide,
    netns: str | None = None,
    check: bool = False,
) -> Restored:
    """Put the tables back in one transaction. Tables of other names stay as they are.

    ``decide`` is asked once, about all tables that are there and differ, and may raise.
    Raises DocumentError, HostError, KernelError.
    """
    answers: dict[Names, str] = {}
    with interfaces.of(netns), NetlinkSocket(netns) as kernel:
        tables = load(saved.document)
        desired = compile_tables(tables, hosts.resolve(hosts.names(tables)))
        wanted = [(table.number, table.name) for table in desired]
        for _unused in range(_ATTEMPTS):
            picture = state.read(kernel, wanted)
            plans = make_plan(desired, picture).tables
            clashing = [table for table in plans if table.kernel is not None and table.changed]
            unanswered = [table for table in clashing if (table.family, table.name) not in answers]
            if unanswered:
                answers.update(decide(unanswered))
            results = []
            chosen = []
            for table, planned in zip(desired, plans):
                result = _result(planned, answers)
                results.append((table.family, table.name, result))
                if result in (RESTORED, REPLACED):
                    chosen.append(table)
            plan = make_plan(chosen, picture)
            if check or not plan.changed:
                return Restored(results, plan)
            try:
                kernel.transact(plan.batch, generation=plan.generation)
            except LostRace:
                continue
            except Refused as error:
                raise explain(error, plan) from None
            return Restored(results, plan)
    raise HostError(
        "the ruleset changed during each of %d attempts" % _ATTEMPTS,
        cure="find the program that keeps changing it (nft monitor), or try again",
    )


def _result(plan: TablePlan, answers: dict[Names, str]) -> str:
    if plan.kernel is None:
        return RESTORED
    if not plan.changed:
        return SAME
    return REPLACED if answers[plan.family, plan.name] == REPLACE else SKIPPED


def always(answer: str) -> Decide:
    """The same answer, "skip" or "replace", for every table."""
    return lambda tables: {(table.family, table.name): answer for table in tables}


def refuse(cure: str) -> Decide:
    """An error that names every such table, and this cure."""

    def decide(tables: list[TablePlan]) -> dict[Names, str]:
        raise HostError.of(
            [
                Problem(
                    "table %s %s is there already, and differs from the saved one"
                    % (table.family, table.name),
                    cure=cure,
                )
                for table in tables
            ]
        )

    return decide


__all__ = [
    "DEFAULT",
    "Decide",
    "Restored",
    "Saved",
    "always",
    "parse",
    "refuse",
    "restore",
    "take",
    "write",
]
