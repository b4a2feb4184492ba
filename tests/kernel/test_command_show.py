# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``show``: the kernel's rulesets as text and as JSON, with nft as the judge."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.command import rempart, rempart_json
from tests.support.namespaces import Namespace

CORPUS = Path(__file__).parent.parent / "data" / "nft_corpus"

RULESET = """
table inet edge {
	comment "the edge"
	counter web { packets 250000 bytes 2000000000 }
	set blocked { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 } }
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related counter packets 1234567 bytes 98765432109 accept
		tcp dport { 22, 80 } counter packets 12 bytes 720 accept comment "packets 1234567 bytes 1234567"
		jump services
		ip saddr @blocked jump services
		meta l4proto vmap { tcp : goto services, udp : drop }
	}
	chain services { counter packets 3 bytes 180 drop; }
	chain unused { }
}
table ip edge {
	chain c { accept; }
}
table ip6 six {
	chain c { drop; }
}
"""


@pytest.fixture
def loaded(netns: Namespace) -> Namespace:
    netns.nft(RULESET)
    return netns


def listed(netns: Namespace, *what: str) -> str:
    return netns.run("nft", "list", *(what or ("ruleset",))).stdout


def without_references(text: str) -> str:
    return re.sub(r" # \d+ references?$", "", text, flags=re.MULTILINE)


def test_exact_text_is_nft_s_own(loaded: Namespace) -> None:
    shown = rempart("show", "--netns", loaded.name, "-x")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert without_references(shown.stdout) == listed(loaded)


def test_exact_text_loads_as_what_it_shows(loaded: Namespace) -> None:
    shown = rempart("show", "--netns", loaded.name, "-x").stdout
    with Namespace() as other:
        other.nft(shown)
        assert listed(other) == listed(loaded)


# The values of rules are for the decoder's own tests.
@pytest.mark.parametrize("name", sorted({one.stem for one in CORPUS.glob("*.nft")} - {"inet_values"}))
def test_every_kind_of_rule_set_and_object_is_nft_s_own(name: str, netns: Namespace) -> None:
    netns.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    netns.nft((CORPUS / (name + ".nft")).read_text())
    shown = rempart("show", "--netns", netns.name, "-x")
    assert (shown.returncode, shown.stderr) == (0, "")
    found = without_references(shown.stdout).splitlines()
    wanted = listed(netns).splitlines()
    assert len(found) == len(wanted)
    different = [pair for pair in zip(found, wanted) if pair[0] != pair[1]]
    # The kernel keeps devices in an order of its own.
    assert [pair for pair in different if " devices = " not in pair[1]] == []


def test_counters_are_short_for_people(loaded: Namespace) -> None:
    shown = rempart("show", "edge", "--netns", loaded.name).stdout
    assert "counter packets 1235K bytes 99G accept\n" in shown
    assert 'counter packets 12 bytes 720 accept comment "packets 1234567 bytes 1234567"\n' in shown
    assert "\t\tpackets 250K bytes 2000M\n" in shown


def test_a_chain_tells_what_refers_to_it(loaded: Namespace) -> None:
    shown = rempart("show", "--netns", loaded.name).stdout
    assert "\tchain services { # 3 references\n" in shown
    assert "\tchain unused { # 0 references\n" in shown
    assert "\tchain input {\n" in shown


@pytest.mark.parametrize(
    ("names", "tables"),
    [
        ((), ["inet edge", "ip edge", "ip6 six"]),
        (("edge",), ["inet edge", "ip edge"]),
        (("ip:edge",), ["ip edge"]),
        (("six", "inet:edge"), ["ip6 six", "inet edge"]),
        (("edge", "ip:edge"), ["inet edge", "ip edge"]),
    ],
)
def test_tables_are_chosen_by_name(names: tuple[str, ...], tables: list[str], loaded: Namespace) -> None:
    shown = rempart("show", *names, "--netns", loaded.name)
    assert re.findall(r"^table (.*) \{$", shown.stdout, re.MULTILINE) == tables
    code, found = rempart_json("show", *names, "--netns", loaded.name)
    assert code == 0
    assert ["%(family)s %(name)s" % table for table in found["tables"]] == tables


def test_a_table_that_does_not_exist(loaded: Namespace) -> None:
    done = rempart("show", "egde", "--netns", loaded.name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "rempart: no such table; found 'egde'; allowed: inet:edge, ip:edge, ip6:six; did you mean 'edge'?\n"
    )
    wrong = rempart("show", "inet4:edge", "--netns", loaded.name)
    assert wrong.returncode == 1
    assert "no family 'inet4': one of inet, ip, arp" in wrong.stderr


def test_an_empty_namespace_shows_nothing(netns: Namespace) -> None:
    done = rempart("show", "--netns", netns.name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_json_has_exact_counters_statements_and_references(loaded: Namespace) -> None:
    code, found = rempart_json("show", "inet:edge", "--netns", loaded.name)
    assert (code, found["errors"]) == (0, [])
    (table,) = found["tables"]
    assert (table["family"], table["name"], table["comment"]) == ("inet", "edge", "the edge")
    chains = {chain["name"]: chain for chain in table["chains"]}
    assert {name: chain.get("references") for name, chain in chains.items()} == {
        "input": None,
        "services": 3,
        "unused": 0,
    }
    assert {key: chains["input"][key] for key in ("type", "hook", "prio", "policy")} == {
        "type": "filter",
        "hook": "input",
        "prio": 0,
        "policy": "drop",
    }
    by_nft = [one["rule"] for one in loaded.nft_json("table", "inet", "edge") if "rule" in one]
    ours = [rule for name in ("input", "services") for rule in chains[name]["rules"]]
    assert [(rule["handle"], rule["expr"], rule.get("comment")) for rule in ours] == [
        (rule["handle"], rule["expr"], rule.get("comment")) for rule in by_nft
    ]
    assert ours[0]["expr"][1] == {"counter": {"packets": 1234567, "bytes": 98765432109}}
    assert ours[2]["rule"] == "jump services"
    assert table["sets"][0]["elem"] == [{"prefix": {"addr": "192.0.2.0", "len": 24}}, "198.51.100.7"]
    assert table["objects"][0]["counter"]["packets"] == 250000


def test_zero_shows_the_counters_and_starts_them_anew(loaded: Namespace) -> None:
    before = rempart("show", "-x", "--netns", loaded.name).stdout
    shown = rempart("show", "-x", "--zero", "inet:edge", "--netns", loaded.name).stdout
    assert shown == before.partition("table ip edge")[0]
    after = listed(loaded, "table", "inet", "edge")
    assert re.findall(r"\bcounter packets (\d+)", after) == ["0", "0", "0"]
    # A named counter is not a rule's.
    assert "packets 250000 bytes 2000000000" in after


def test_zero_leaves_other_tables_alone(netns: Namespace) -> None:
    for name in ("a", "b"):
        netns.nft("table ip %s {\nchain c { counter packets 5 bytes 6; }\n}" % name)
    rempart("show", "--zero", "a", "--netns", netns.name)
    assert re.findall(r"packets (\d+)", listed(netns)) == ["0", "5"]
