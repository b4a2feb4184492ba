# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document kept for boot: its tables, and what the names in them stood for when it was written.

At boot no resolver and no directory service answers yet. So the addresses of hosts and the
numbers of users and groups are kept beside the tables.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ..document import hosts
from ..document.model import load
from ..errors import DocumentError, HostError
from ..host import files
from ..nftables.datatypes import TYPES, DatatypeError, lookups
from ..ruleset.desired import compile_tables
from ..ruleset.reconcile import Names
from ..version import VERSION

DIRECTORY = "/etc/rempart/boot"
"""Where the documents lie: on the file system that boot begins with, for root alone."""

SUFFIX = ".json"
FORMAT = 1
HEADER = "rempart"
"""The key beside ``tables``, as in what ``rempart save`` writes: ``rempart restore`` reads these too."""

_KINDS = ("uid", "gid")
"""The data types whose names a directory service may know; files tell of all others at boot as well.

An interface's index is none of them: it is another one after a reboot.
"""

_CURE = "have it written anew, with the role firewall or the module boot"


class Document:
    """Tables as the document has them, and what their names stand for."""

    __slots__ = ("names", "tables")

    def __init__(self, tables: list[Any], names: Names) -> None:
        self.tables = tables
        self.names = names

    def text(self) -> str:
        """What the file holds; equal documents have equal texts."""
        addresses, numbers = self.names.addresses, self.names.numbers
        header = {
            "format": FORMAT,
            "version": VERSION,
            "addresses": {name: addresses[name] for name in sorted(addresses)},
            "numbers": {"%s %s" % name: numbers[name] for name in sorted(numbers)},
        }
        return json.dumps({HEADER: header, "tables": self.tables}, ensure_ascii=False, indent=1) + "\n"


def of_tables(tables: list[Any], before: Document | None = None) -> Document:
    """The document of tables, its names looked up now.

    ``before`` is the one kept so far: of the same tables nothing is compiled again.
    Raises DocumentError, with every name that stands for nothing.
    """
    if before is not None and before.tables == tables:
        return Document(tables, _again(before.names))
    with lookups.recording() as numbers:
        loaded = load({"tables": tables})
        addresses = hosts.resolve(hosts.names(loaded))
        compile_tables(loaded, addresses)
    return Document(tables, Names(addresses, {one: numbers[one] for one in numbers if one[0] in _KINDS}))


def _again(names: Names) -> Names:
    """What the same names stand for by now."""
    addresses = hosts.resolve(dict.fromkeys(names.addresses, "")) if names.addresses else {}
    numbers = {}
    for kind, word in names.numbers:
        try:
            numbers[kind, word] = TYPES[kind].number_of(word)
        except DatatypeError as error:
            raise DocumentError(error.message, found=word, allowed=error.allowed, cure=error.cure) from None
    return Names(addresses, numbers)


def parse(content: bytes, name: str) -> Document:
    """The document in a file's bytes; ``name`` is the file's, for messages. Raises DocumentError."""
    try:
        found = json.loads(content)
        header = found[HEADER]
        number = header["format"]
        names = Names(_addresses(header["addresses"]), _numbers(header["numbers"]))
        tables = found["tables"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DocumentError("not a document kept for boot (%r)" % error, name, cure=_CURE) from None
    if number != FORMAT or not isinstance(tables, list):
        raise DocumentError("a format that this version does not know", name, number, str(FORMAT), _CURE)
    return Document(tables, names)


def _addresses(given: Mapping[str, Any]) -> dict[str, list[str]]:
    return {str(name): [str(one) for one in addresses] for name, addresses in given.items()}


def _numbers(given: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    numbers = {}
    for name, number in given.items():
        kind, _unused, word = name.partition(" ")
        numbers[kind, word] = int(number)
    return numbers


def read(path: str, name: str) -> Document:
    """The document in a file that messages call ``name``. Raises DocumentError, HostError."""
    return parse(files.read_bytes(path) or b"", name)


def kept(directory: str) -> list[str]:
    """The names of the documents' files in a directory, in their order; none where there is no directory."""
    try:
        found = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError("cannot read the directory: %s" % error.strerror, directory) from None
    return sorted(one for one in found if one.endswith(SUFFIX) and not one.startswith("."))
