# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nft is the judge of decoding: what the kernel holds, read over netlink, against ``nft -j list``."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rempart.errors import DocumentError
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.nftables.datatypes import BY_NUMBER
from rempart.nftables.declared.sets import compile_set
from rempart.nftables.decode import SetView, decode_elements, decode_rule
from rempart.nftables.expressions import decode_list, encode_list
from rempart.nftables.sets import SetContent
from rempart.nftables.statements import compile_rule
from rempart.nftables.statements.stateful import OBJECT_TYPES
from rempart.ruleset import kernel
from rempart.ruleset.canonical import effective
from rempart.ruleset.messages import new_rule

from tests.support.namespaces import Namespace

CORPUS = Path(__file__).parent.parent / "data" / "nft_corpus"
FILES = sorted(one.stem for one in CORPUS.glob("*.nft"))
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

Statements = list[dict[str, Any]]


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


def payload(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


# Rules that nft lists otherwise: nft's JSON as the key, with the reason that ours differs.
DIFFERENT = {
    json.dumps([{"counter": {"packets": -1, "bytes": 1}}]): (
        "nft prints counters over 2^63 as negative numbers",
        [{"counter": {"packets": 18446744073709551615, "bytes": 1}}],
    ),
    json.dumps(
        [
            match({"meta": {"key": "l4proto"}}, "tcp"),
            {
                "mangle": {
                    "key": {"tcp option": {"name": "maxseg", "field": "size"}},
                    "value": {"map": {"key": payload("th", "dport"), "data": {"set": [[22, 1400]]}}},
                }
            },
        ]
    ): (
        "nft does not look for header names in the value of a TCP option",
        [
            {
                "mangle": {
                    "key": {"tcp option": {"name": "maxseg", "field": "size"}},
                    "value": {"map": {"key": payload("tcp", "dport"), "data": {"set": [[22, 1400]]}}},
                }
            },
        ],
    ),
}

# Rules whose JSON stands for more than one list of expressions, by what shows it.
NOT_UNIQUE = {
    '"field": "flags"}}, "right": 0}': "a mask over the whole field changes nothing, and is left out",
    '"field": "daddr"}}, "right": "10.0.0.2"': "a raw load of both addresses at once",
    '"field": "dscp"}}, "right": 4}': "a raw load of fields that are no whole bytes",
    '{"prefix": {"addr": 0, "len": 8}}': "a raw load that ends within a field",
    '"right": "ftp*"': "the compiler knows prefixes of interface names alone",
    '"log": {"group": 1, "snaplen": 0}': "nft sends a length of 0, which means the same as none",
    '"quota": {"val": 0, "val_unit": "bytes"}': "the kernel marks a quota of 0 as used up",
    '{"ct": {"key": "saddr", "dir": "original"}}': "the old key for addresses of either family",
    '"field": "dscp"}}, "right": "@classes"': "nft before 1.1.0 looks up something else",
    '"set": "@meters", "stmt": [{"counter": null}, {"quota"': "nft leaves out the flag of several statements",
}


# Matches that imply others or don't, values at their limits, maps of every form: more than the corpus has.
COMBINED = """
table inet combined {
	map natmap { type ipv4_addr : ipv4_addr . inet_service; }
	map rangemap { type ipv4_addr : interval ipv4_addr; flags interval; }
	set s4 { typeof ip version; elements = { 4 } }
	set dd { type ipv4_addr . inet_service; flags dynamic; }
	set iv { type mark; flags interval; elements = { 1-4 } }
	chain rules {
		snat ip prefix to ip saddr map { 10.141.11.0/24 : 192.168.2.0/24, 10.141.12.0/24 : 192.168.3.0/24 }
		snat ip prefix to ip saddr map @rangemap
		dnat ip to ip saddr . tcp dport map { 1.2.3.4 . 80 : 1.1.1.1 . 8080, 1.2.3.0/24 . 1-9 : 1.1.1.1 . 81 }
		dnat ip6 to ip6 saddr . tcp dport map { ::1 . 80 : ::2 . 8080 }
		dnat ip6 addr . port to ip6 saddr . tcp dport map { ::1 . 80 : ::2 . 8080 }
		meta l4proto tcp dnat ip6 to ip6 saddr map { ::1 : ::2 }
		meta l4proto tcp dnat ip to ip saddr map @natmap
		meta l4proto tcp dnat ip to 10.0.0.1:tcp dport map { 22 : 33 }
		ct mark set ct original packets
		meta mark @iv
		ip version @s4
		ip saddr . tcp dport @dd accept
		add @dd { ip saddr . tcp dport }
		meta l4proto tcp tcp option maxseg exists
		ip protocol tcp tcp option maxseg exists
		icmp type echo-request tcp option maxseg exists
		meta nfproto ipv6 exthdr hbh exists
		meta nfproto ipv4 ip option rr exists
		meta nfproto ipv4 meta l4proto icmp
		meta nfproto ipv4 meta l4proto icmp counter
		ct protocol tcp tcp dport 22
		meta nfproto ipv4 counter ip saddr 10.0.0.1
		ip protocol 6 tcp dport 22
		ip6 nexthdr 6 tcp dport 22
		meta l4proto tcp iifname "eth0" tcp dport 22
		meta protocol ip ip saddr 10.0.0.1
		meta protocol ip6 ip6 saddr ::1
		ip saddr 10.0.0.0/9
		ip saddr 10.0.0.0/23 ip daddr 10.0.0.0/16
		ip6 saddr fe80::/9
		ip6 saddr fe80::/16 ip6 daddr 1::/24
		ether saddr 00:11:22:33:44:55 ether type ip ip saddr 1.1.1.1
		ether type ip ether saddr 00:11:22:33:44:55
		ether type vlan ip saddr 10.0.0.1
		tcp sport 1 tcp dport 2 tcp sequence 3
		udp sport 1 udp dport 2 udp length 3
		ip ttl 3 ip protocol 6
		ip id 4 ip frag-off 0
		ip saddr 1.1.1.1 ip daddr 2.2.2.2 ip ttl 2
		icmp type 8 icmp code 0
		icmp type echo-reply icmp id 2
		icmp type destination-unreachable icmp mtu 3
		icmp type redirect icmp gateway 3
		icmp mtu 3 icmp code 4
		icmpv6 type packet-too-big icmpv6 mtu 3
		icmpv6 type mld-listener-query icmpv6 max-delay 2
		icmpv6 type echo-reply icmpv6 id 2 icmpv6 sequence 3
		th sport 1 th dport 2
		meta l4proto != tcp th dport 2
		@nh,8,16 0x1234
		meta nfproto ipv4 @nh,96,32 0x0a000001
		meta nfproto ipv4 @nh,96,64 0x0a0000010a000002
		meta nfproto ipv4 @nh,8,8 0x12
		meta nfproto ipv4 @nh,8,8 set 0x12
		meta l4proto tcp @th,0,32 0x00160017
		meta l4proto tcp @th,0,24 0x001600
		meta l4proto tcp @th,104,8 0x12
		meta l4proto tcp @th,0,32 { 0x00160017 }
		meta mark & 0xff != { 1, 2 }
		meta mark & 0xff < 5
		meta mark and 0xf0 xor 0x10 == 0x20
		ct label 1,2
		ct event set new | destroy
		meta hour >= "10:00" meta hour < "12:00"
		meta mark > 3 meta mark < 9
		meta mark >= 3 ct mark <= 9
		ip dscp 3-9
		ip6 dscp set cs0
		ip dscp set 0x3f
		ip ecn set ce
		ip ecn set 0
		ip6 ecn set 0
		ip hdrlength set 5
		ip version set 4
		tcp doff set 5
		tcp flags set syn
		tcp flags set syn|ack
		vlan id set 5
		vlan dei set 1
		vlan dei set 0
		ip6 flowlabel set 0
		ip6 hoplimit set 3
		ip frag-off set 0
		ct mark set 1 ct state new accept
		meta skuid { 0-5, 7 }
		meta nfproto ipv4 reject with tcp reset
		ip saddr 1.1.1.1 reject with icmpx type admin-prohibited
		ip protocol tcp reject with tcp reset
		meta nfproto ipv4 reject
		ip protocol icmp reject
		log prefix "x" group 0 snaplen 5
		ip6 saddr . ip6 daddr . tcp dport { ::1 . ::2 . 1 }
		meta mark . iifname . ip saddr { 1 . "eth0" . 1.1.1.1 }
		iifname . ip saddr { "eth*" . 1.1.1.0/24 }
		iifname { "eth*", "wlan0" }
		iifname vmap { "eth*" : accept, "wlan0" : drop, * : return }
		ip saddr vmap { 10.0.0.0/8 : accept, * : drop }
		ip daddr 10.0.0.1 limit rate 3/second counter tcp dport 22 accept
		meta mark set 0x1 meta l4proto tcp tcp dport 22
		meta l4proto tcp meta mark set 0x1 tcp dport 22
	}
}
"""


def type_names(number: int) -> list[str]:
    """The types of a concatenation, six bits each."""
    names: list[str] = []
    while number:
        names.insert(0, BY_NUMBER[number & 0x3F].name)
        number >>= 6
    return names


class Rule:
    """One rule of the corpus: nft's word for it and the kernel's."""

    def __init__(
        self,
        family: str,
        place: str,
        listed: Statements,
        expressions: bytes,
        sets: dict[str, kernel.KernelSet],
    ) -> None:
        self.family = family
        self.place = place
        self.listed = listed
        self.expressions = expressions
        self.sets = sets

    def view(self, name: str) -> SetView | None:
        found = self.sets.get(name)
        return None if found is None else SetView.of(found)

    def declared(self) -> dict[str, SetContent]:
        """What the compiler must know of the table's sets, where their types say it."""
        contents = {}
        for name, one in self.sets.items():
            body = {"name": name, "type": type_names(one.key_type)}
            if one.flags & uapi.NFT_SET_INTERVAL:
                body["flags"] = ["interval"]
            if one.object_type:
                body["map"] = next(word for word, kind in OBJECT_TYPES.items() if kind == one.object_type)
            elif one.data_type == uapi.NFT_DATA_VERDICT:
                body["map"] = "verdict"
            elif one.data_type is not None:
                body["map"] = type_names(one.data_type)
            with contextlib.suppress(DocumentError):
                contents[name] = compile_set(body, self.family, elements=False)
        return contents

    def decoded(self, written_out: bool = False) -> Statements:
        return decode_rule(decode_list(self.expressions), self.family, self.view, written_out)


class Corpus:
    """All rules and declared sets of the corpus and those combined here, out of one namespace."""

    def __init__(self, listing: list[dict[str, Any]], picture: kernel.Picture) -> None:
        listed = {}
        declared = {}
        for one in listing:
            ((kind, body),) = one.items()
            if kind == "rule":
                place = (body["family"], body["table"], body["chain"], body["handle"])
                listed[place] = body["expr"]
            elif kind in ("set", "map"):
                declared[body["family"], body["table"], body["name"]] = body.get("elem", [])
        self.rules: list[Rule] = []
        self.sets: list[tuple[str, kernel.KernelSet, list[Any]]] = []
        for (number, name), table in picture.tables.items():
            family = FAMILIES[number]
            for chain in table.chains.values():
                for rule in chain.rules:
                    expected = listed.pop((family, name, chain.name, rule.handle))
                    place = "%s %s %s" % (family, name, chain.name)
                    self.rules.append(Rule(family, place, expected, rule.expressions, table.sets))
            for one in table.sets.values():
                if (family, name, one.name) in declared:
                    elements = declared.pop((family, name, one.name))
                    self.sets.append(("%s %s %s" % (family, name, one.name), one, elements))
        assert not listed and not declared


@functools.lru_cache(maxsize=1)
def corpus() -> Corpus:
    with Namespace() as namespace:
        namespace.up().run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        for name in FILES:
            namespace.run("nft", "-f", str(CORPUS / (name + ".nft")))
        namespace.nft(COMBINED)
        with NetlinkSocket(namespace.name) as socket:
            places = [(one.family, one.name) for one in kernel.tables(socket)]
            return Corpus(namespace.nft_json(), kernel.read(socket, places))


@pytest.fixture(autouse=True)
def interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interface indices are named as in a namespace with its loopback device alone."""
    monkeypatch.setattr("socket.if_indextoname", {1: "lo"}.__getitem__)
    monkeypatch.setattr("socket.if_nametoindex", {"lo": 1}.__getitem__)


def test_every_rule_is_decoded_as_nft_lists_it(record_property: Callable[[str, object], None]) -> None:
    rules = corpus().rules
    agreed = 0
    different = set()
    wrong = []
    for rule in rules:
        decoded = rule.decoded()
        if decoded == rule.listed:
            agreed += 1
            continue
        key = json.dumps(rule.listed)
        if key in DIFFERENT and DIFFERENT[key][1] == decoded:
            different.add(key)
        else:
            wrong.append("%s\n  nft     %s\n  decoded %s" % (rule.place, key, json.dumps(decoded)))
    print(
        "%d of %d rules decoded as nft lists them, %d known to differ" % (agreed, len(rules), len(different))
    )
    record_property("agreed", agreed)
    assert not wrong, "\n".join(wrong)
    assert different == set(DIFFERENT), "no longer different: %s" % (set(DIFFERENT) - different)
    assert agreed > 1100


def test_every_declared_set_has_the_elements_that_nft_lists() -> None:
    sets = corpus().sets
    wrong = [
        "%s\n  nft     %s\n  decoded %s" % (place, elements, decode_elements(SetView.of(one)))
        for place, one, elements in sets
        if decode_elements(SetView.of(one)) != elements
    ]
    assert not wrong, "\n".join(wrong)
    assert sum(bool(elements) for _, _, elements in sets) > 60


def comparable(expressions: list[Any]) -> list[Any]:
    """Expressions without the names of anonymous sets and without counts."""
    for one in expressions:
        if hasattr(one, "set_id"):
            one.set_id = None
        if one.name in ("lookup", "objref") and (one.set or "").startswith("__"):
            one.set = "anonymous"
    return expressions


def unordered(value: Any) -> Any:
    """The same JSON with the elements of sets in one order."""
    if isinstance(value, dict):
        return {
            name: sorted(map(unordered, one), key=json.dumps)
            if name == "set" and isinstance(one, list)
            else unordered(one)
            for name, one in value.items()
        }
    return [unordered(one) for one in value] if isinstance(value, list) else value


def compiles_back(rule: Rule, statements: Statements) -> bool:
    try:
        compiled = compile_rule(statements, rule.family, rule.declared())
    except (DocumentError, ValueError):
        return False
    for one in compiled.expressions:
        if getattr(one, "set_id", None) is not None:
            one.set = "__%d" % one.set_id  # the number that the kernel puts into the name
    sets = {"__%d" % one.set_id: SetView.of(one) for one in compiled.sets}
    again = decode_rule(compiled.expressions, rule.family, lambda name: sets.get(name) or rule.view(name))
    if comparable(compiled.expressions) != comparable(decode_list(effective(rule.expressions))):
        return False
    assert unordered(again) == unordered(rule.decoded())
    return True


def test_what_is_decoded_compiles_to_the_same_expressions() -> None:
    rules = corpus().rules
    wrong = []
    reasons = set()
    plain = written_out = 0
    for rule in rules:
        text = json.dumps(rule.decoded())
        known = [one for one in NOT_UNIQUE if one in text]
        if compiles_back(rule, rule.decoded()):
            plain += 1
        elif compiles_back(rule, rule.decoded(written_out=True)):
            written_out += 1
        elif known:
            reasons.update(known)
        else:
            wrong.append("%s %s" % (rule.place, text))
    print(
        "%d of %d rules compile back, %d more with implied matches written out"
        % (plain, len(rules), written_out)
    )
    assert not wrong, "\n".join(wrong)
    assert reasons == set(NOT_UNIQUE), "unique now: %s" % (set(NOT_UNIQUE) - reasons)
    assert plain > 1000 and written_out


MASKS = (0x00, 0x01, 0x03, 0xE3, 0xFC, 0xFF)
CHANGES = (0x00, 0x02, 0x08, 0x10, 0xB8, 0xFF)
NUMBERS = {"ip": uapi.NFPROTO_IPV4, "ip6": uapi.NFPROTO_IPV6, "inet": uapi.NFPROTO_INET}


@functools.lru_cache(maxsize=1)
def tos_rules() -> dict[tuple[str, int, int], Rule]:
    """Every TOS change, put into a kernel and dumped."""
    rules = {}
    asked = [(mask, change) for mask in MASKS for change in CHANGES]
    with Namespace() as namespace:
        namespace.nft("".join("table %s t { chain c { }; }\n" % family for family in NUMBERS))
        with NetlinkSocket(namespace.name) as socket:
            for family, number in NUMBERS.items():
                before = [match({"meta": {"key": "nfproto"}}, "ipv4")] if family == "inet" else []
                batch = []
                for mask, change in asked:
                    compiled = compile_rule([*before, {"tos": {"and": mask, "xor": change}}], family)
                    batch.append(new_rule(number, "t", "c", encode_list(compiled.expressions)))
                socket.transact(batch)
                found = kernel.rules(socket, number, "t")["c"]
                assert len(found) == len(asked)
                for place, rule in zip(asked, found):
                    rules[(family, *place)] = Rule(family, "t", [], rule.expressions, {})
    return rules


@pytest.mark.parametrize("family", NUMBERS)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_tos_change_comes_back_from_the_kernel(family: str, mask: int, change: int) -> None:
    rule = tos_rules()[family, mask, change]
    ((name, body),) = [item for one in rule.decoded() for item in one.items() if item[0] != "match"]
    if name == "tos":
        assert body == {"and": mask, "xor": change}
    else:
        field = body["key"]["payload"]
        assert field["protocol"] == ("ip6" if family == "ip6" else "ip")
        # exactly this field's bits are replaced, no other is touched
        bits = {"dscp": 0xFC, "ecn": 0x03}[field["field"]]
        assert mask == 0xFF ^ bits
        assert change & ~bits == 0
    assert compiles_back(rule, rule.decoded())


def test_iptables_extensions_are_named_as_nft_names_them(netns: Namespace) -> None:
    netns.run("iptables-nft", "-A", "INPUT", "-m", "length", "--length", "5:9", "-j", "ACCEPT")
    netns.run("iptables-nft", "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "LOG")
    with NetlinkSocket(netns.name) as socket:
        rules = kernel.rules(socket, uapi.NFPROTO_IPV4, "filter")["INPUT"]
    listed = [one["rule"]["expr"] for one in netns.nft_json() if "rule" in one]
    assert [decode_rule(decode_list(one.expressions), "ip", lambda name: None) for one in rules] == listed
    assert listed[1][0] == {"xt": {"type": "match", "name": "conntrack"}}
