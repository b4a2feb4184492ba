# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Host names in a document: which there are, and the addresses they stand for.

Names are looked up once for a document, on the machine that applies it; the
addresses then go to ``flat.lower``.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from ..errors import DocumentError, Problem
from ..nftables.datatypes import address_family
from .by_keys import having
from .flat.addresses import host_name, well_formed
from .flat.values import values_of
from .inline import HOLDING, place_of, with_inner
from .model import Chain, Table

_FIELDS = ("saddr", "daddr")
_NUMERIC = "0123456789./-"

Lookup = Callable[[str], Iterable[str]]


def names(tables: Iterable[Table]) -> dict[str, str]:
    """Every host name in ``saddr`` and ``daddr``, with the first place where it stands."""
    found: dict[str, str] = {}
    for table in tables:
        for chain in table.chains:
            for index in sorted({*having(chain.by_keys, HOLDING), *_perhaps_named(chain)}):
                for below, rule in with_inner(chain.rules[index]):
                    for field in filter(rule.__contains__, _FIELDS):
                        for suffix, name in _names_of(rule[field]):
                            place = "%s.%s.%s%s" % (chain.place, place_of(index, below), field, suffix)
                            found.setdefault(name, place)
    return found


def _perhaps_named(chain: Chain) -> Iterator[int]:
    """The indices of a chain's rules in whose addresses a name may be: nearly all write them in digits."""
    for keys, indices in chain.by_keys.items():
        for field in _FIELDS:
            if keys and field in keys:
                for index in indices:
                    value = chain.rules[index][field]
                    if value.__class__ is not str or (value.strip(_NUMERIC) and not _is_literal(value)):
                        yield index


def resolve(names: dict[str, str], lookup: Lookup | None = None) -> dict[str, list[str]]:
    """The addresses of each name: IPv4 before IPv6, sorted, none twice.

    ``names`` maps a name to the place to complain about. Raises DocumentError with
    every name that does not resolve.
    """
    lookup = lookup or system_lookup
    addresses: dict[str, list[str]] = {}
    problems: list[Problem] = []
    for name, place in names.items():
        try:
            unique = {one: _order(one) for one in lookup(name)}
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            problems.append(
                Problem(
                    "the host name does not resolve (%s)" % reason,
                    place,
                    name,
                    cure="check the name and the resolver, or write the address",
                )
            )
            continue
        addresses[name] = sorted(unique, key=unique.__getitem__)
    if problems:
        raise DocumentError.of(problems)
    return addresses


def system_lookup(name: str) -> list[str]:
    """The addresses that the host's resolver knows, of both families. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return [str(one[4][0]).partition("%")[0] for one in found]


def _order(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _is_literal(text: str) -> bool:
    """Whether a text is clearly no name."""
    return not text.strip(_NUMERIC) or ":" in text or address_family(text) is not None


def _names_of(value: Any) -> list[tuple[str, str]]:
    """The host names of one value with their places below the key; a malformed value has none."""
    if isinstance(value, str) and _is_literal(value):
        return []
    try:
        items = values_of(value).items
    except DocumentError:
        return []
    return [
        ("" if not place else place if place.startswith("[") else "." + place, item)
        for place, item in items
        if isinstance(item, str) and host_name(item) and well_formed(item)
    ]
