# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every rule of the corpus, listed by nft as JSON and compiled by us: the kernel's own dump of it.

Some listings do not say all that nft told the kernel. They stand, with the reason,
in tests/data/two_roads/corpus_exceptions.json; a rule that leaves that list or
joins it fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from rempart.document.model import load
from rempart.errors import DocumentError
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables.expressions import Expression, decode_list, encode_list
from rempart.nftables.sets import VERDICT_TYPE, SetContent
from rempart.nftables.statements import compile_rule
from rempart.ruleset import canonical, kernel
from rempart.ruleset.capture_declared import declared
from rempart.ruleset.desired import FAMILY_NAMES, compile_tables

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, listed_byteorders, rules_of, set_of, table_of

DATA = Path(__file__).parent.parent / "data"
FILES = sorted(path.stem for path in (DATA / "nft_corpus").glob("*.nft"))
EXCEPTIONS: list[dict[str, Any]] = json.loads((DATA / "two_roads" / "corpus_exceptions.json").read_text())

VERDICT_LENGTH = 16  # sizeof(struct nft_verdict) of net/netfilter/nf_tables.h


def dumped(where: Namespace) -> dict[tuple[str, str, str, int], tuple[kernel.KernelTable, bytes]]:
    """The expressions of every rule by family, table, chain and handle, each with its table."""
    found = {}
    with NetlinkSocket(where.name) as socket:
        places = [(one.family, one.name) for one in kernel.tables(socket)]
        for (family, name), table in kernel.read(socket, places).tables.items():
            for chain in table.chains.values():
                for rule in chain.rules:
                    key = (FAMILY_NAMES[family], name, chain.name, rule.handle)
                    found[key] = (table, rule.expressions)
    return found


def compiled_set(content: SetContent) -> tuple[Any, ...]:
    """What ``set_of`` gives for the set that the kernel makes of this one."""
    kinds = (content.flags, content.key_type, content.key_length)
    length = VERDICT_LENGTH if content.data_type == VERDICT_TYPE else content.data_length
    data = (content.data_type, length, content.object_type or 0)
    orders = listed_byteorders(content.userdata(), content.key_length, length)
    return (*kinds, *data, 0, tuple(content.fields), (), orders, tuple(sorted(content.elements)))


def by_kernel(table: kernel.KernelTable, expressions: bytes) -> canonical.Canonical:
    return canonical.of_kernel(expressions, b"", lambda name: set_of(table.sets[name]))


def declaration(table: kernel.KernelTable) -> dict[str, Any]:
    """A dumped table as a document's, without rules: its sets, maps and objects, and chains without hooks.

    What a chain's hook allows is not the question here.
    """
    found = declared(table, True)
    chains = [{"name": chain.name, "rules": []} for chain in table.named_chains()]
    return {"family": FAMILY_NAMES[table.family], "name": table.name, **found, "chains": chains}


def by_us(
    statements: list[dict[str, Any]], family: str, sets: Mapping[str, SetContent] | None = None
) -> canonical.Canonical:
    made = compile_rule(statements, family, sets)
    contents = {"__%d" % one.set_id: compiled_set(one) for one in made.sets}
    decoded: list[Expression] = decode_list(encode_list(made.expressions))
    for expression in decoded:
        number = expression.__dict__.get("set_id")
        if number:
            # the set of a meter has a name of its own
            if expression.set.startswith("__"):
                expression.set = "__set%d" % number
            expression.set_id = None
    return canonical.of_kernel(
        encode_list(decoded), b"", lambda name: contents["__" + name.removeprefix("__set")]
    )


def loaded(where: Namespace, name: str) -> Namespace:
    """The namespace with one file of the corpus in it."""
    where.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    where.nft((DATA / "nft_corpus" / (name + ".nft")).read_text())
    return where


def excepted(name: str) -> set[tuple[str, str]]:
    return {(one["chain"], json.dumps(one["expr"])) for one in EXCEPTIONS if one["file"] == name}


@pytest.mark.parametrize("name", FILES)
def test_what_nft_lists_compiles_to_what_the_kernel_holds(name: str, netns: Namespace) -> None:
    held = dumped(loaded(netns, name))
    different: dict[tuple[str, str], str] = {}
    tables = {id(table): table for table, _ in held.values()}
    sets = {
        number: compile_tables(load({"tables": [declaration(table)]}))[0].sets
        for number, table in tables.items()
    }
    count = 0
    for one in netns.nft_json():
        if "rule" not in one:
            continue
        rule = one["rule"]
        table, expressions = held[rule["family"], rule["table"], rule["chain"], rule["handle"]]
        count += 1
        place = rule["chain"], json.dumps(rule["expr"])
        wanted = by_kernel(table, expressions)
        try:
            found = by_us(rule["expr"], rule["family"], sets[id(table)])
        except DocumentError as error:
            different[place] = str(error)
            continue
        if found != wanted:
            different[place] = "%s\n%s\n%s\n%s" % (
                decode_list(found[0]), decode_list(wanted[0]), found[1], wanted[1]
            )  # fmt: skip
    assert count == len(held) and count
    known = excepted(name)
    assert not {key: text for key, text in different.items() if key not in known}
    assert not known - different.keys()


@pytest.mark.parametrize("name", FILES)
def test_what_the_kernel_dumps_decodes_and_encodes_to_the_same_bytes(name: str, netns: Namespace) -> None:
    for _, expressions in dumped(loaded(netns, name)).values():
        assert encode_list(decode_list(expressions)) == expressions


@pytest.mark.parametrize("name", FILES)
def test_the_engine_puts_into_the_kernel_what_nft_put_there(
    name: str, make_netns: Callable[[], Namespace]
) -> None:
    nfts, ours = loaded(make_netns(), name), make_netns()
    ours.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    held = dumped(nfts)
    tables = {}
    for table, _ in held.values():
        tables[FAMILY_NAMES[table.family], table.name] = declaration(table)
    wanted: dict[tuple[str, str, str], list[canonical.Canonical]] = {}
    left_out = excepted(name)
    for one in nfts.nft_json():
        if "rule" not in one:
            continue
        body = one["rule"]
        key = (body["family"], body["table"], body["chain"])
        table, expressions = held[(*key, body["handle"])]
        if (body["chain"], json.dumps(body["expr"])) in left_out:
            continue
        (chain,) = (chain for chain in tables[key[:2]]["chains"] if chain["name"] == key[2])
        chain["rules"].append({"expr": body["expr"]})
        wanted.setdefault(key, []).append(by_kernel(table, expressions))
    document = {"tables": list(tables.values())}
    apply(document, ours)
    for (family, table_name, chain), rules in wanted.items():
        assert rules_of(table_of(ours, family, table_name), chain) == rules
    assert not apply(document, ours, full=True).changed
