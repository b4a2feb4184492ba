# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that boot runs: it makes the kernel hold the documents kept for boot.

All documents take effect in one transaction. If the kernel refuses one table, the others
shall stand all the same: then each is tried by itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from ..document.devices import is_prefix
from ..errors import KernelError, RempartError
from ..netlink import namespace
from ..ruleset.reconcile import Names, Source, reconcile
from .documents import DIRECTORY, Document, kept, read

REHEARSE = "--rehearse"
"""The argument with which the documents are tried in a network namespace that ends with the program."""

DONE, FAILED, NOT_REHEARSED = 0, 1, 3
"""Exit codes; the last one where no network namespace can be made to rehearse in."""


class Applied:
    """What came of it: the tables in force as (family, name), and a line for each thing that went wrong."""

    __slots__ = ("complaints", "tables")

    def __init__(self) -> None:
        self.tables: list[tuple[str, str]] = []
        self.complaints: list[str] = []


def apply(directory: str) -> Applied:
    """Make the kernel hold every document in the directory. What is wrong with one stops no other."""
    applied = Applied()
    documents = []
    for name in kept(directory):
        path = os.path.join(directory, name)
        try:
            documents.append(read(path, path))
        except RempartError as error:
            applied.complaints.append(str(error))
    _apply(documents, applied)
    return applied


def rehearse(directory: str) -> Applied:
    """The same in a new network namespace, which this process stays in: it must end after it.

    Tables bound to devices are left out, since the namespace has none. Raises OSError where no
    namespace can be made.
    """
    namespace.fresh()
    applied = Applied()
    documents = []
    for name in kept(directory):
        path = os.path.join(directory, name)
        found = read(path, path)
        documents.append(Document([one for one in found.tables if not devices_of([one])], found.names))
    _apply(documents, applied)
    return applied


def _apply(documents: list[Document], applied: Applied) -> None:
    tables = [table for one in documents for table in one.tables]
    names = Names(
        {name: found for one in documents for name, found in one.names.addresses.items()},
        {name: found for one in documents for name, found in one.names.numbers.items()},
    )
    wrong = _attempt(tables, names, applied)
    if wrong and len(tables) < 2:
        applied.complaints.append(wrong)
    elif wrong:
        for one in documents:
            for table in one.tables:
                wrong = _attempt([table], one.names, applied)
                if wrong:
                    applied.complaints.append(wrong)


def _attempt(tables: list[Any], names: Names, applied: Applied) -> str:
    """Have the kernel hold these tables; what went wrong, in words."""
    try:
        _reconcile(tables, names)
    except Exception as error:  # whatever it is: at boot it shall stop nothing else
        return _said(tables, error)
    applied.tables += map(_name, tables)
    return ""


def _reconcile(tables: list[Any], names: Names) -> None:
    source = Source.of_mapping({"tables": tables})
    source.names = names
    # A device that went and came back has lost its chains, which no generation tells of.
    reconcile(source, full=True)


def _name(table: Any) -> tuple[str, str]:
    if not isinstance(table, dict):
        return ("", repr(table))
    return (str(table.get("family", "inet")), str(table.get("name")))


def _said(tables: list[Any], error: Exception) -> str:
    text = str(error) if isinstance(error, RempartError) else "internal error: %r" % error
    if not tables:
        return text
    devices = sorted(devices_of(tables)) if isinstance(error, KernelError) else []
    if devices:
        text += " (it needs the device %s)" % ", ".join(devices)
    return "table %s %s: %s" % (*_name(tables[0]), text)


def devices_of(tables: list[Any]) -> set[str]:
    """The devices that chains and flowtables of tables need.

    Those that a prefix stands for are none of them: the kernel binds them as they come.
    """
    found: set[str] = set()
    for table in tables:
        for key in ("chains", "flowtables"):
            for one in table.get(key) or ():
                given = one.get("devices", one.get("device", ()))
                listed = [given] if isinstance(given, str) else given
                found.update(one for one in listed if not is_prefix(one))
    return found


def main(arguments: list[str] | None = None) -> int:
    """``[--rehearse] [DIRECTORY]``: tell what is in force, and on standard error what is not."""
    given = sys.argv[1:] if arguments is None else arguments
    directories = [one for one in given if one != REHEARSE] or [DIRECTORY]
    try:
        applied = (rehearse if REHEARSE in given else apply)(directories[0])
    except OSError as error:
        sys.stderr.write("cannot make a network namespace: %s\n" % error.strerror)
        return NOT_REHEARSED
    except RempartError as error:
        sys.stderr.write("%s\n" % error)
        return FAILED
    for family, name in applied.tables:
        sys.stdout.write("table %s %s is in force\n" % (family, name))
    for complaint in applied.complaints:
        sys.stderr.write(complaint + "\n")
    return FAILED if applied.complaints else DONE
