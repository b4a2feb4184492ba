# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was last applied, so that "nothing changed" is known without reading the ruleset.

One file for each network namespace under /run/rempart, which a reboot empties, and of
which the latest are kept: nothing tells that a namespace is gone. It says
at which generation of the kernel's rulesets which documents were in force. A generation
that is still the kernel's proves that nobody changed any ruleset since. Whatever is
wrong with the file (missing, damaged, not root's own) it counts as absent: the price is
one full comparison, never a wrong answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from ..host import private_files
from ..netlink import namespace
from ..netlink.socket import NetlinkSocket

DIRECTORY = private_files.DIRECTORY

_FORMAT = 1
_MOST_ENTRIES = 64  # documents remembered for one namespace, the latest ones
_MOST_BYTES = 16 * 1024 * 1024  # a file beyond this is nothing that was written here
_MOST_FILES = 1024  # namespaces remembered, the latest ones


class Memory:
    """One document in force: ``digest`` names it, ``generation`` is the kernel's at that time.

    ``hosts`` are its host names with the addresses they stood for, ``tables`` the
    tables it owns as (family number, name), ``engine`` the version that applied it.
    """

    __slots__ = ("digest", "engine", "generation", "hosts", "tables")

    def __init__(
        self,
        generation: int,
        digest: str,
        engine: str,
        hosts: dict[str, list[str]] | None = None,
        tables: Iterable[tuple[int, str]] = (),
    ) -> None:
        self.generation = generation
        self.digest = digest
        self.engine = engine
        self.hosts = hosts or {}
        self.tables = sorted(tables)


def key(kernel: NetlinkSocket) -> str | None:
    """What names the socket's network namespace in this boot, or None.

    None on a kernel without SO_NETNS_COOKIE (before 5.14): there is no memory then.
    """
    cookie = namespace.cookie(kernel.socket)
    if cookie is None:
        return None
    try:
        return "%s-%x" % (namespace.boot_id(), cookie)
    except OSError:
        return None


def load(key: str | None, digest: str, directory: str = DIRECTORY) -> Memory | None:
    """What is remembered of a document. It is in force if its generation is the kernel's still."""
    for entry in _entries(key, directory):
        if entry.digest == digest:
            return entry
    return None


def save(key: str | None, memory: Memory, before: int | None = None, directory: str = DIRECTORY) -> bool:
    """Remember a document; whether that worked (it may not, on a read-only /run: no error).

    ``before`` is the generation that the caller's own transaction, which carried it in
    its begin message, changed into ``memory.generation``. Documents in force at that
    one, which own none of the same tables, are in force still.
    """
    if key is None:
        return False
    kept = []
    for entry in _entries(key, directory):
        if entry.digest == memory.digest or not set(entry.tables).isdisjoint(memory.tables):
            continue
        if before is not None and entry.generation == before and entry.tables and memory.tables:
            entry.generation = memory.generation
        kept.append(entry)
    return _write(key, [memory, *kept][:_MOST_ENTRIES], directory)


def carry_on(key: str | None, before: int, after: int, tables: Iterable[tuple[int, str]]) -> None:
    """Note that the caller's own transaction, which removed tables, led from one generation to the next.

    Documents in force at the first, which own none of the tables, are in force still.
    """
    gone = set(tables)
    entries = _entries(key, DIRECTORY)
    kept = [one for one in entries if one.generation == before and one.tables and gone.isdisjoint(one.tables)]
    for one in kept:
        one.generation = after
    if key is not None and kept:
        _write(key, entries, DIRECTORY)


def forget(key: str | None, directory: str = DIRECTORY) -> None:
    """Remember nothing of this namespace any more."""
    if key is not None:
        try:
            os.unlink(_path(key, directory))
        except OSError:
            return


def _path(key: str, directory: str) -> str:
    return os.path.join(directory, key + ".json")


def _entries(key: str | None, directory: str) -> list[Memory]:
    if key is None:
        return []
    try:
        content = json.loads(private_files.read(_path(key, directory), _MOST_BYTES))
        if content["format"] != _FORMAT or content["key"] != key:
            return []
        return [_entry(one) for one in content["documents"]]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []


def _entry(found: Any) -> Memory:
    """One entry; any of the errors that :func:`_entries` catches where it is not as written."""
    number, digest, engine = found["generation"], found["digest"], found["engine"]
    if not (
        isinstance(number, int)
        and not isinstance(number, bool)
        and isinstance(digest, str)
        and isinstance(engine, str)
    ):
        raise TypeError("not an entry")
    hosts = {}
    for name, addresses in found["hosts"].items():
        if not isinstance(addresses, list) or not all(isinstance(one, str) for one in addresses):
            raise TypeError("not a list of addresses")
        hosts[name] = addresses
    tables = []
    for family, name in found["tables"]:
        if not (isinstance(family, int) and not isinstance(family, bool) and isinstance(name, str)):
            raise TypeError("not a table")
        tables.append((family, name))
    return Memory(number, digest, engine, hosts, tables)


def _write(key: str, entries: list[Memory], directory: str) -> bool:
    content = {
        "format": _FORMAT,
        "key": key,
        "documents": [{name: getattr(one, name) for name in Memory.__slots__} for one in entries],
    }
    path = _path(key, directory)
    try:
        private_files.prepare(directory)
        if not os.path.lexists(path):
            _make_room(directory)
        private_files.write(path, json.dumps(content, ensure_ascii=True).encode("ascii"))
    except (OSError, ValueError, TypeError):
        return False
    return True


def _make_room(directory: str) -> None:
    """Take away the oldest files where there are as many as may be."""
    with os.scandir(directory) as found:
        files = [(one.stat(follow_symlinks=False).st_mtime, one.path) for one in found]
    for _unused, path in sorted(files)[: max(0, len(files) - _MOST_FILES + 1)]:
        os.unlink(path)
