# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nft is the judge of rendered text: the same lines as ``nft list``, and loaded again the same ruleset."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rempart.nftables.render import render_chain, render_priority, render_rule, render_table

from tests.support.namespaces import Namespace

CORPUS = Path(__file__).parent.parent / "data" / "nft_corpus"
FILES = sorted(one.stem for one in CORPUS.glob("*.nft"))
CHAINS = [
    (name, chain)
    for name in FILES
    if name != "containers"
    for chain in re.findall(r"^\tchain (\w+_rules) \{$", (CORPUS / (name + ".nft")).read_text(), re.MULTILINE)
]


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


DYNAMIC = ["dynamic"]
DYNAMIC_TIMEOUT = ["dynamic", "timeout"]
TYPED_KEY = {"concat": [payload("ip", "saddr"), {"meta": {"key": "l4proto"}}, payload("tcp", "dport")]}
# what the JSON of nft 1.0.6 leaves out, as newer versions have it
LEFT_OUT: dict[tuple[str, str], dict[str, Any]] = {
    ("table", "containers"): {"comment": "all containers"},
    ("chain", "other"): {"comment": "a user chain"},
    ("chain", "route_output"): {"comment": "tos"},
    ("chain", "ingress"): {"dev": "lo"},
    ("chain", "egress"): {"dev": "lo"},
    ("chain", "several"): {"dev": ["lo", "v0"]},
    ("set", "networks_merged"): {"auto-merge": True},
    ("set", "dynamic_set"): {"flags": DYNAMIC_TIMEOUT},
    ("set", "ctcount_elements"): {"flags": DYNAMIC},
    ("set", "everything"): {"flags": DYNAMIC_TIMEOUT},
    ("set", "concatenated_typeof"): {
        "type": {
            "typeof": {"concat": [payload("ip", "saddr"), payload("tcp", "dport"), {"meta": {"key": "mark"}}]}
        }
    },
    ("set", "typeof_one"): {"type": {"typeof": payload("ip", "dscp")}},
    ("set", "typeof_vlan"): {"type": {"typeof": payload("vlan", "id")}},
    ("set", "typeof_meta"): {"type": {"typeof": {"meta": {"key": "mark"}}}},
    ("set", "typeof_time"): {"type": {"typeof": {"meta": {"key": "hour"}}}},
    ("set", "typeof_ct"): {
        "type": {"typeof": {"concat": [{"ct": {"key": "mark"}}, {"ct": {"key": "state"}}]}}
    },
    ("map", "to_mark"): {
        "type": {"typeof": payload("ip", "saddr")},
        "map": {"typeof": {"meta": {"key": "mark"}}},
    },
    ("map", "to_range"): {"map": "interval ipv4_addr"},
    ("map", "concatenated_map"): {
        "type": {"typeof": {"concat": [payload("ip", "saddr"), payload("tcp", "dport")]}}
    },
    ("map", "everything_mapped"): {"flags": DYNAMIC_TIMEOUT},
    ("set", "blocked"): {"flags": DYNAMIC},
    ("set", "recent"): {"flags": DYNAMIC_TIMEOUT},
    ("set", "recentpair"): {"flags": DYNAMIC_TIMEOUT},
    ("set", "meters"): {"flags": DYNAMIC},
    ("set", "meterct"): {"flags": DYNAMIC},
    ("set", "metercnt"): {"flags": DYNAMIC},
    ("set", "quotas"): {"flags": DYNAMIC},
    ("set", "seen"): {"flags": DYNAMIC},
    ("set", "seen_for"): {"flags": DYNAMIC_TIMEOUT},
    ("set", "seen6"): {"flags": DYNAMIC_TIMEOUT},
    ("set", "counted"): {"flags": DYNAMIC},
    ("set", "crowded"): {"flags": DYNAMIC},
    ("map", "marks"): {"flags": DYNAMIC_TIMEOUT},
    ("map", "actions3"): {"type": {"typeof": TYPED_KEY}},
}


class Listing:
    """What nft says of one file of the corpus: its text, its JSON, and the text rendered from that."""

    def __init__(self, text: str, entities: list[dict[str, Any]]) -> None:
        self.text = text
        self.entities = entities
        self.rendered = "".join(render_entities(entities))


def render_entities(entities: list[dict[str, Any]]) -> list[str]:
    """The text of every table in a listing."""
    texts = []
    for found in entities:
        if "table" not in found:
            continue
        table = complete("table", found["table"])
        inside = [
            (kind, body)
            for one in entities
            for kind, body in one.items()
            if kind != "table" and (body["family"], body["table"]) == (table["family"], table["name"])
        ]
        chains = {body["name"]: (complete(kind, body), []) for kind, body in inside if kind == "chain"}
        for kind, body in inside:
            if kind == "rule":
                chains[body["chain"]][1].append((body["expr"], body.get("comment")))
        sets = [{kind: complete(kind, body)} for kind, body in inside if kind in ("set", "map")]
        objects = [{kind: body} for kind, body in inside if kind not in ("set", "map", "chain", "rule")]
        texts.append(render_table(table, chains.values(), sets, objects))
    return texts


def complete(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body with what nft's JSON left out."""
    if kind == "table" and body["family"] != "inet":
        return body
    return {**body, **LEFT_OUT.get((kind, body["name"]), {})}


def load(namespace: Namespace, text: str) -> list[dict[str, Any]]:
    """Load a ruleset, and list it as JSON."""
    namespace.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    namespace.nft(text)
    return [one for one in namespace.nft_json() if "metainfo" not in one]


@functools.cache
def listing(name: str) -> Listing:
    """One file of the corpus, listed by nft; asked for once in a run."""
    with Namespace() as namespace:
        namespace.up()
        entities = load(namespace, (CORPUS / (name + ".nft")).read_text())
        return Listing(namespace.run("nft", "list", "ruleset").stdout, entities)


def chain_lines(text: str, chain: str) -> list[str]:
    """The lines between a chain's braces."""
    _, _, rest = text.partition("\tchain %s {\n" % chain)
    return rest.partition("\n\t}\n")[0].split("\n")


@pytest.mark.parametrize(("name", "chain"), CHAINS)
def test_rules_look_as_nft_lists_them(name: str, chain: str) -> None:
    found = listing(name)
    assert chain_lines(found.rendered, chain) == chain_lines(found.text, chain)


@pytest.mark.parametrize("name", FILES)
def test_tables_look_as_nft_lists_them(name: str) -> None:
    found = listing(name)
    assert found.rendered.split("\n") == found.text.split("\n")


@pytest.mark.parametrize("name", FILES)
def test_rendered_text_loads_as_the_same_ruleset(name: str, netns: Namespace) -> None:
    found = listing(name)
    again = load(netns, found.rendered)
    wanted = [comparable(one) for one in found.entities]
    for one in wanted:
        for ct in ct_addresses(one):
            # nft's text has one word for two keys of the kernel that say the same
            ct["key"] = "%s %s" % (one["rule"]["family"], ct["key"])
    assert [comparable(one) for one in again] == wanted


def ct_addresses(value: Any) -> Iterator[dict[str, Any]]:
    """Every ct expression that loads an address and leaves its family to the table."""
    if isinstance(value, list):
        for one in value:
            yield from ct_addresses(one)
    elif isinstance(value, dict):
        if value.get("key") in ("saddr", "daddr") and value.get("dir") in ("original", "reply"):
            yield value
        for one in value.values():
            yield from ct_addresses(one)


def comparable(value: Any) -> Any:
    """JSON without handles, and with the elements of sets in one order: the kernel keeps none."""
    if isinstance(value, dict):
        return {
            key: sorted((comparable(one) for one in inner), key=json.dumps)
            if key in ("set", "elem") and isinstance(inner, list)
            else comparable(inner)
            for key, inner in value.items()
            if key != "handle"
        }
    return [comparable(one) for one in value] if isinstance(value, list) else value


def test_the_corpus_is_broad() -> None:
    distinct = {
        json.dumps(body["expr"])
        for name in FILES
        for one in listing(name).entities
        for kind, body in one.items()
        if kind == "rule"
    }
    assert len(distinct) >= 800


# statements as a person writes them; nft lists them in its own words
WRITTEN: list[tuple[str, list[dict[str, Any]]]] = [
    ("service name", [{"match": {"op": "==", "left": payload("tcp", "dport"), "right": "ssh"}}]),
    ("services", [{"match": {"op": "==", "left": payload("tcp", "dport"), "right": {"set": ["ssh", 80]}}}]),
    ("protocol number", [{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": 17}}]),
    ("protocol alias", [{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "icmpv6"}}]),
    ("mark", [{"match": {"op": "==", "left": {"meta": {"key": "mark"}}, "right": "0x2a"}}]),
    ("DSCP number", [{"match": {"op": "==", "left": payload("ip", "dscp"), "right": 46}}]),
    ("ICMP number", [{"match": {"op": "==", "left": payload("icmp", "type"), "right": 8}}]),
    ("ICMP range", [{"match": {"op": "==", "left": payload("icmp", "type"), "right": {"range": [0, 8]}}}]),
    ("long IPv6", [{"match": {"op": "==", "left": payload("ip6", "saddr"), "right": "2001:DB8:0:0::1"}}]),
    ("MAC", [{"match": {"op": "==", "left": payload("ether", "saddr"), "right": "00:11:22:AA:BB:CC"}}]),
    ("priority", [{"mangle": {"key": {"meta": {"key": "priority"}}, "value": "1:2"}}]),
    ("user", [{"match": {"op": "==", "left": {"meta": {"key": "skuid"}}, "right": "root"}}]),
    ("flag", [{"match": {"op": "==", "left": payload("tcp", "flags"), "right": "syn"}}]),
    ("flags", [{"match": {"op": "in", "left": payload("tcp", "flags"), "right": ["syn", "ack"]}}]),
    (
        "flags of a mask",
        [
            {
                "match": {
                    "op": "==",
                    "left": {"&": [payload("tcp", "flags"), {"|": [{"|": ["fin", "syn"]}, "ack"]}]},
                    "right": "syn",
                }
            }
        ],
    ),
    (
        "no flag of a mask",
        [
            {
                "match": {
                    "op": "==",
                    "left": {"&": [payload("tcp", "flags"), {"|": ["fin", "syn"]}]},
                    "right": 0,
                }
            }
        ],
    ),
    (
        "any flag of a mask",
        [
            {
                "match": {
                    "op": "!=",
                    "left": {"&": [payload("tcp", "flags"), {"|": ["fin", "syn"]}]},
                    "right": 0,
                }
            }
        ],
    ),
    ("states", [{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["new", "established"]}}]),
    (
        "not states",
        [{"match": {"op": "!=", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}],
    ),
    ("day", [{"match": {"op": "==", "left": {"meta": {"key": "day"}}, "right": "Saturday"}}]),
    ("events", [{"mangle": {"key": {"ct": {"key": "event"}}, "value": ["destroy", "new"]}}]),
    ("log", [{"log": {"prefix": "x", "level": "warn", "flags": ["ether", "skuid"]}}]),
    ("all log flags", [{"log": {"flags": ["ether", "skuid", "tcp sequence", "tcp options", "ip options"]}}]),
    ("limit", [{"limit": {"rate": 10, "per": "minute", "burst": 5}}]),
    ("kbytes", [{"limit": {"rate": 2048, "per": "second", "rate_unit": "kbytes", "burst": 0}}]),
    ("quota", [{"quota": {"val": 1048576, "val_unit": "bytes"}}]),
    ("reject", [{"reject": {"type": "icmpx", "expr": "port-unreachable"}}]),
    ("synproxy", [{"synproxy": {"mss": 1460, "wscale": 7, "flags": ["timestamp"]}}]),
]


@pytest.mark.parametrize("statements", [one[1] for one in WRITTEN], ids=[one[0] for one in WRITTEN])
def test_written_statements_look_as_nft_lists_them(
    statements: list[dict[str, Any]], netns: Namespace
) -> None:
    where = {"family": "inet", "table": "t"}
    commands = [
        {"add": {"table": {"family": "inet", "name": "t"}}},
        {"add": {"chain": {**where, "name": "c"}}},
        {"add": {"rule": {**where, "chain": "c", "expr": statements}}},
    ]
    netns.run("nft", "-j", "-f", "-", input=json.dumps({"nftables": commands}))
    listed = chain_lines(netns.run("nft", "list", "ruleset").stdout, "c")
    assert ["\t\t" + render_rule(statements)] == listed


PRIORITIES = [-401, -311, -310, -300, -295, -210, -200, -195, -150, -100, -95, -50, -11, -10, 0, 7, 10, 11]
PRIORITIES += [45, 50, 61, 95, 100, 110, 111, 300, 305]
HOOKS = {
    "inet": ("prerouting", "input", "forward", "output", "postrouting", "ingress"),
    "bridge": ("prerouting", "input", "forward", "output", "postrouting"),
    "arp": ("input", "output"),
    "netdev": ("ingress", "egress"),
}


@pytest.mark.parametrize("family", HOOKS)
def test_priorities_have_the_names_that_nft_gives_them(family: str, netns: Namespace) -> None:
    wanted = []
    lines = ["table %s t {" % family]
    for hook in HOOKS[family]:
        device = 'device "lo" ' if hook in ("ingress", "egress") else ""
        for priority in PRIORITIES:
            if abs(priority) == 300 and hook == "ingress":
                continue  # nft refuses none, but the kernel may keep these for itself
            name = "%s_%s" % (hook, str(priority).replace("-", "m"))
            base = "type filter hook %s %spriority" % (hook, device)
            lines.append("chain %s { %s %d; }" % (name, base, priority))
            wanted.append("%s %s; policy accept;" % (base, render_priority(priority, family, hook)))
    netns.nft("\n".join([*lines, "}\n"]))
    listed = [one.strip() for one in netns.run("nft", "list", "ruleset").stdout.split("\n") if "hook" in one]
    assert sorted(listed) == sorted(wanted)


def test_a_chain_of_its_own_is_nfts_too(netns: Namespace) -> None:
    netns.nft(
        "table ip t { chain c { type nat hook prerouting priority -100; tcp dport 80 redirect to :81; }\n }"
    )
    chain, rule = (one for one in netns.nft_json("chain", "ip", "t", "c") if "chain" in one or "rule" in one)
    lines = render_chain(chain["chain"], [(rule["rule"]["expr"], None)])
    assert lines == netns.run("nft", "list", "ruleset").stdout.split("\n")[1:-2]
