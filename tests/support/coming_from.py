# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/coming-from/ is made of, and what its test runs: the rows of tests/data/coming_from/.

A row says what was written of old, what is written here, and how the two are compared.

``old``         the command of old, or several that come to the same; ``case`` is words instead
``chain``       the chain of the page's frame that ``rules`` stand in; ``policy`` is its policy
``rules``       the rules there; ``before`` are those that stood there until then
``chains``      several chains by name, with their rules; one that the frame has not is a user chain
``conntrack``   the document's key of this name
``tables``      the document's key of this name, as a block
``command``     a command line
``task``        an Ansible task
``here``        words
``note``        words more
``iptables``    the same in iptables, which packets are compared with: one command after another
``packets``     packets as of :mod:`tests.support.fates`, each with what becomes of it: ``is``, and ``then``,
                what is to be seen of one that passes
``counts``      whether the rules' counters are compared too
``listing``     what ``nft list`` shows of the rule
``run``         the options of conntrack(8) that ``command`` is compared with
``proof``       the test's function that proves the row, where none of the above says how
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "coming_from"
NAMES = ("ipchains", "iptables", "conntrack", "sysctl")

Row = dict[str, Any]


def load(name: str) -> dict[str, Any]:
    """One page's data."""
    found: dict[str, Any] = yaml.safe_load((DATA / (name + ".yml")).read_text(encoding="utf-8"))
    return found


def rows(name: str) -> Iterator[Row]:
    """The rows of a page."""
    for section in load(name)["sections"]:
        yield from section["rows"]


def commands(row: Row) -> list[str]:
    """What a row says of old."""
    old = row.get("old", [])
    return [old] if isinstance(old, str) else list(old)


def label(row: Row) -> str:
    """A row's name for people."""
    return (commands(row) or [row.get("case", "")])[0]


def frame(name: str) -> list[dict[str, Any]]:
    """The chains that a page's words stand for: those of the document that its introduction shows."""
    block = re.search(r" *```yaml\n(.*?) *```", load(name)["intro"], re.DOTALL)
    if block is None:
        return []
    (table,) = yaml.safe_load(block.group(1))["tables"]
    chains: list[dict[str, Any]] = table["chains"]
    return chains


def document(name: str, row: Row, rules: str = "rules") -> dict[str, Any]:
    """The document that a row means; ``rules="before"`` the one before it."""
    wanted = {row["chain"]: row[rules]} if rules in row and "chain" in row else {}
    if rules == "rules":
        wanted = {**wanted, **row.get("chains", {})}
    known = [one["name"] for one in frame(name)]
    chains = [{"name": one, "rules": wanted[one]} for one in wanted if one not in known]
    for one in frame(name):
        chain = {**one, "rules": wanted.get(one["name"], [])}
        if "policy" in row and one["name"] == row["chain"]:
            chain["policy"] = row["policy"]
        chains.append(chain)
    # A chain of type nat has connections tracked, as the table nat of iptables does: only where it is used.
    chains = [one for one in chains if one.get("type") != "nat" or one["rules"]]
    return {"tables": [{"name": "edge", "chains": chains}]}
