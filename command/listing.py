# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A listing of what the kernel holds, as nft text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rempart.nftables.render import render_table

from .summary import count

#: a text in quotes, which stays as it is, or the counts of a counter
_COUNTS = re.compile(r'"[^"]*"|\bpackets (\d+) bytes (\d+)\b')

# ipchains(8) without -x, iptables print_num(): exact up to five digits, then rounded to K, M, G and T
_EXACT = 99_999
_SHORT = 9_999


def text(tables: Iterable[dict[str, Any]], exact: bool = False) -> str:
    """What ``inventory.tables`` found, as ``nft list ruleset`` writes it, with notes after ``#``.

    Counts are shortened to K, M, G and T unless ``exact``; with exact ones nft can load the text.
    """
    return "".join(_table(table, exact) for table in tables)


def short(number: int) -> str:
    """``99999``, ``100K``, ``10M``."""
    if number <= _EXACT:
        return str(number)
    for letter in "KMG":
        number = (number + 500) // 1000
        if number <= _SHORT:
            return "%d%s" % (number, letter)
    return "%dT" % ((number + 500) // 1000)


def _table(table: dict[str, Any], exact: bool) -> str:
    chains = [
        (chain, [(rule["expr"], rule.get("comment")) for rule in chain["rules"]]) for chain in table["chains"]
    ]
    sets = [{kind: one} for kind in ("set", "map") for one in table[kind + "s"]]
    sets.sort(key=lambda entity: [one["handle"] for one in entity.values()])
    text = render_table(table, chains, sets, table["objects"], table["flowtables"])
    references = {
        "\tchain %s {" % chain["name"]: " # " + count(chain["references"], "reference")
        for chain in table["chains"]
        if "references" in chain
    }
    text = "\n".join(line + references.get(line, "") for line in text.split("\n"))
    return text if exact else _COUNTS.sub(_shortened, text)


def _shortened(found: re.Match[str]) -> str:
    if found[1] is None:
        return found[0]
    return "packets %s bytes %s" % (short(int(found[1])), short(int(found[2])))
