# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nft is the judge: where each field lies, what number each name is, how each number is printed.

Every case is one rule with a comment of its own. All rules of a family go
through nft at once; ``--debug=netlink`` shows the bytes that it sends, the two
listings what it makes of them again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rempart.netlink.attributes import table
from rempart.netlink.messages import ATTRIBUTES
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.nftables.datatypes import BY_NUMBER, TYPES, DataType, interface_prefix, interface_wildcard
from rempart.nftables.datatypes.hostnames import HostTable, NamedByHost
from rempart.nftables.headers import EXTHDRS, HEADERS, IP_OPTIONS, SCTP_CHUNKS, TCP_OPTIONS, Field, Header

from tests.support.namespaces import Namespace

# nft 1.0.6 has no words for these headers
TUNNELS = {"gre", "gretap", "vxlan", "geneve"}
# nor for these fields, which have them since 1.0.9: test_headers_layout.py has where they lie
LATER = {("icmpv6", "taddr"), ("icmpv6", "daddr")}
SACK = tuple(TCP_OPTIONS["sack0"].fields)
FAMILIES = {"ether": "bridge", "vlan": "bridge", "arp": "arp"}
BASES = {"ll": "link header", "nh": "network header", "th": "transport header"}

LOADED = re.compile(r"\[ (.*) => reg 1 \]")
MASKED = re.compile(r"\[ bitwise reg 1 = \( reg 1 & ((?:0x[0-9a-f]+ ?)+)\)")
COMPARED = re.compile(r"\[ (?:cmp eq reg 1|immediate reg 1) ((?:0x[0-9a-f]+ ?)+)\]")
COMMENTED = re.compile(r"userdata = \{ \\x00\\x[0-9a-f]{2}(\w+)\\x00 \}")
LISTED = re.compile(r'^\s*(.*) comment "(\w+)"', re.MULTILINE)


class Sent:
    """What nft sent for one rule: the last load, the mask on it, the value compared with."""

    def __init__(self, lines: list[str]) -> None:
        self.load = self.mask = self.value = ""
        for line in lines:
            if found := LOADED.search(line):
                self.load, self.mask, self.value = found[1], "", ""
            elif found := MASKED.search(line):
                self.mask = found[1]
            elif found := COMPARED.search(line):
                self.value = found[1]

    def value_bytes(self, size: int) -> bytes:
        """The value compared with, as it lies in the register."""
        return octets(self.value, size)

    def mask_bytes(self, size: int) -> bytes | None:
        """The mask, as it lies in the register."""
        return octets(self.mask, size) if self.mask else None


def octets(words: str, size: int) -> bytes:
    """The bytes behind the 32-bit words that nft prints."""
    return b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words.split())[:size]


def sent(output: str) -> dict[str, Sent]:
    """By comment."""
    found, lines = {}, []
    for line in output.splitlines():
        lines.append(line)
        if comment := COMMENTED.search(line):
            found[comment[1]] = Sent(lines)
            lines = []
    return found


def in_register(number: int, field: Field) -> tuple[bytes, bytes | None]:
    """A field's value and mask as the bytes that its load fetches."""
    size = (field.offset % 8 + field.bits + 7) // 8
    shift = size * 8 - field.offset % 8 - field.bits
    mask = None if field.bits == size * 8 else (((1 << field.bits) - 1) << shift).to_bytes(size, "big")
    return (number << shift).to_bytes(size, "big"), mask


# --- header fields -----------------------------------------------------------


def fields() -> Iterator[tuple[str, str, Any, Field, str]]:
    """(id, family, JSON selector, field, the load nft must make) for every field there is."""

    def load(field: Field, skipped: int, layout: str) -> str:
        start = field.offset + skipped
        size = (start % 8 + field.bits + 7) // 8
        return layout % (size, start // 8)

    number = 0
    groups: list[tuple[str, dict[str, Header]]] = [
        ("payload", HEADERS),
        ("exthdr", EXTHDRS),
        ("tcp option", TCP_OPTIONS),
        ("ip option", IP_OPTIONS),
        ("sctp chunk", SCTP_CHUNKS),
    ]
    for kind, headers in groups:
        for header in headers.values():
            # rt0 and rt2: nft 1.0.6 reads neither in JSON
            if header.name in TUNNELS | {"rt0", "rt2"}:
                continue
            for field in header.fields.values():
                if (header.name, field.name) in LATER:
                    continue
                number += 1
                if kind == "payload":
                    selector = {"payload": {"protocol": header.name, "field": field.name}}
                    skipped = HEADERS["ether"].bits if header.name == "vlan" else 0
                    wanted = load(field, skipped, "payload load %%db @ %s + %%d" % BASES[header.base])
                else:
                    selector = {kind: {"name": header.name, "field": field.name}}
                    word = {"exthdr": " ipv6", "tcp option": " tcpopt", "ip option": " ipv4"}.get(kind, "")
                    wanted = load(field, 0, "exthdr load%s %%db @ %d + %%d" % (word, header.number))
                yield "f%d" % number, FAMILIES.get(header.name, "inet"), selector, field, wanted


def probe(field: Field) -> int:
    """A value with its highest and its lowest bit set, so that every shift shows."""
    return 1 << (field.bits - 1) | 1


def add_rules(family: str, rules: list[tuple[str, Any]]) -> str:
    """The JSON commands that make a chain of rules (comment, expressions)."""
    names = {"family": family, "table": "t"}
    commands: list[Any] = [
        {"add": {"table": {"family": family, "name": "t"}}},
        {"add": {"chain": {**names, "name": "c"}}},
    ]
    for comment, expressions in rules:
        commands.append({"add": {"rule": {**names, "chain": "c", "comment": comment, "expr": expressions}}})
    return json.dumps({"nftables": commands})


def test_every_field_lies_where_nft_says(netns: Namespace) -> None:
    cases = list(fields())
    output = ""
    for family in ("inet", "bridge", "arp"):
        rules = [
            (name, [{"match": {"op": "==", "left": selector, "right": field.datatype.json_of(probe(field))}}])
            for name, group, selector, field, _ in cases
            if group == family
        ]
        output += netns.run(
            "nft", "--json", "--debug=netlink", "-f", "-", input=add_rules(family, rules)
        ).stdout
    found = sent(output)
    wrong = []
    for name, _, selector, field, wanted in cases:
        value, mask = in_register(probe(field), field)
        rule = found[name]
        if (rule.load, rule.value_bytes(len(value)), rule.mask_bytes(len(value))) != (wanted, value, mask):
            wrong.append((selector, vars(rule), wanted, value, mask))
    assert not wrong
    assert len(cases) > 160


def test_every_field_is_listed_under_its_name(netns: Namespace) -> None:
    cases = list(fields())
    wrong = []
    for family in ("inet", "bridge", "arp"):
        group = [case for case in cases if case[1] == family and not ambiguous(case[2])]
        rules = [
            (name, [{"match": {"op": "==", "left": selector, "right": field.datatype.json_of(probe(field))}}])
            for name, _, selector, field, _ in group
        ]
        netns.run("nft", "--json", "-f", "-", input=add_rules(family, rules))
        objects = netns.nft_json()
        matches = {
            one["rule"]["comment"]: one["rule"]["expr"][-1]["match"]
            for one in objects
            if "rule" in one and one["rule"]["family"] == family
        }
        for name, _, selector, field, _ in group:
            match = matches[name]
            if match["left"] != selector or field.number_of(flat(match["right"])) != probe(field):
                wrong.append((selector, match))
    assert not wrong


def ambiguous(selector: Any) -> bool:
    """Whether two names mean the same bits, so that nft prints the other one."""
    (inner,) = selector.values()
    return inner in ({"protocol": "vlan", "field": "cfi"}, *({"name": "sack0", "field": one} for one in SACK))


def flat(value: Any) -> Any:
    """A list of flags as the text that number_of reads."""
    return ",".join(map(str, value)) if isinstance(value, list) else value


def test_field_words_of_nft_syntax(netns: Namespace) -> None:
    """Field.text is what nft's own parser reads where that differs from the JSON name."""
    special = [
        field for header in HEADERS.values() for field in header.fields.values() if field.text != field.name
    ]
    assert [field.name for field in special] == ["parameter-problem"]
    netns.nft("add table inet t; add chain inet t c; add rule inet t c icmpv6 %s 5" % special[0].text)
    (rule,) = [one["rule"] for one in netns.nft_json() if "rule" in one]
    assert rule["expr"][-1]["match"]["left"] == {
        "payload": {"protocol": "icmpv6", "field": "parameter-problem"}
    }


def test_type_0_routing_header(netns: Namespace) -> None:
    """nft reads it as text only, and lists it as the segment routing header that has the same bits."""
    header = EXTHDRS["rt0"]
    script = "add table inet t\nadd chain inet t c\n"
    for number, name in enumerate(header.fields):
        script += 'add rule inet t c rt0 %s ::1 comment "c%d"\n' % (name, number)
    found = sent(netns.run("nft", "--debug=netlink", "-f", "-", input=script).stdout)
    offsets = [field.offset // 8 for field in header.fields.values()]
    assert [rule.load for rule in found.values()] == [
        "exthdr load ipv6 16b @ 43 + %d" % one for one in offsets
    ]


def test_checksum_fields_are_those_nft_keeps_right(netns: Namespace) -> None:
    """A write names the checksum's place, if the header has one that the kernel updates."""
    rules = []
    for header in HEADERS.values():
        if header.base in ("nh", "th") and header.name not in TUNNELS | {"arp", "th"}:
            *_unused, field = [one for one in header.fields.values() if (header.name, one.name) not in LATER]
            selector = {"payload": {"protocol": header.name, "field": field.name}}
            value = field.datatype.json_of(1)
            rules.append((header.name, [{"mangle": {"key": selector, "value": value}}]))
    output = netns.run(
        "nft", "--json", "--check", "--debug=netlink", "-f", "-", input=add_rules("inet", rules)
    ).stdout
    found, csum = {}, ""
    for line in output.splitlines():
        if write := re.search(r"payload write .* csum_type (\d+) csum_off (\d+)", line):
            csum = write[2] if write[1] != "0" else ""
        elif comment := COMMENTED.search(line):
            found[comment[1]] = csum
    wanted = {}
    for name, _ in rules:
        header = HEADERS[name]
        wanted[name] = str(header.fields[header.checksum].offset // 8) if header.checksum else ""
    assert found == wanted


def test_next_headers_are_those_nft_follows(netns: Namespace) -> None:
    """Where one header names the next, nft needs no further match to look into that one."""
    rules = []
    for header in HEADERS.values():
        # nft 1.0.6 aborts on what follows the IPsec headers
        if header.next and header.base == "nh":
            name, following = header.next
            for number, upper in following.items():
                if upper in TUNNELS:
                    continue
                first = {"payload": {"protocol": header.name, "field": name}}
                field = next(iter(HEADERS[upper].fields.values()))
                second = {"payload": {"protocol": upper, "field": field.name}}
                matches = [
                    {"match": {"op": "==", "left": first, "right": number}},
                    {"match": {"op": "==", "left": second, "right": field.datatype.json_of(1)}},
                ]
                rules.append(("%s_%s" % (header.name, upper), matches))
    output = netns.run(
        "nft", "--json", "--check", "--debug=netlink", "-f", "-", input=add_rules("inet", rules)
    ).stdout
    seen, loads = set(), []
    for line in output.splitlines():
        if LOADED.search(line):
            loads.append(line)
        elif comment := COMMENTED.search(line):
            seen.add(comment[1])
            # beside the two fields only the dependency of the lower one
            extra = [line for line in loads if "payload" not in line]
            assert extra.count("  [ meta load l4proto => reg 1 ]") == (
                0 if comment[1].startswith("ip") else 1
            ), loads
            assert len(loads) - len(extra) == 2, loads
            loads = []
    assert len(seen) == len(rules)


# --- values ------------------------------------------------------------------

# By type: how nft lists the selector, its family, and bits in the register where they aren't the type's
SELECTORS: dict[str, tuple[str, str, int]] = {
    "nf_proto": ("meta nfproto", "inet", 8),
    "bitmask": ("comp flags", "inet", 8),
    "integer": ("ip id", "inet", 16),
    "string": ("ct helper", "inet", 128),
    "ipv4_addr": ("ip saddr", "inet", 32),
    "ipv6_addr": ("ip6 saddr", "inet", 128),
    "ether_addr": ("ether saddr", "bridge", 48),
    "ether_type": ("ether type", "bridge", 16),
    "arp_op": ("arp operation", "arp", 16),
    "inet_proto": ("meta l4proto", "inet", 8),
    "inet_service": ("th dport", "inet", 16),
    "icmp_type": ("icmp type", "inet", 8),
    "tcp_flag": ("tcp flags", "inet", 8),
    "dccp_pkttype": ("dccp type", "inet", 4),
    "mh_type": ("mh type", "inet", 8),
    "time": ("ct expiration", "inet", 32),
    "mark": ("meta mark", "inet", 32),
    "iface_index": ("iif", "inet", 32),
    "iface_type": ("meta iiftype", "inet", 16),
    "realm": ("meta rtclassid", "inet", 32),
    "classid": ("meta priority", "inet", 32),
    "uid": ("meta skuid", "inet", 32),
    "gid": ("meta skgid", "inet", 32),
    "ct_state": ("ct state", "inet", 32),
    "ct_dir": ("ct direction", "inet", 8),
    "ct_status": ("ct status", "inet", 32),
    "icmpv6_type": ("icmpv6 type", "inet", 8),
    "ct_label": ("ct label", "inet", 128),
    "pkt_type": ("meta pkttype", "inet", 8),
    "icmp_code": ("icmp code", "inet", 8),
    "icmpv6_code": ("icmpv6 code", "inet", 8),
    "devgroup": ("iifgroup", "inet", 32),
    "dscp": ("ip dscp", "inet", 6),
    "ecn": ("ip ecn", "inet", 2),
    "fib_addrtype": ("fib daddr type", "inet", 32),
    "boolean": ("exthdr frag", "inet", 8),
    "ct_event": ("ct event set", "inet", 32),
    "ifname": ("iifname", "inet", 128),
    "igmp_type": ("igmp type", "inet", 8),
    "date": ("meta time", "inet", 64),
    "hour": ("meta hour", "inet", 32),
    "day": ("meta day", "inet", 8),
}

# By type: what nft shall read, beside every symbolic constant. Text between quotes is quoted in nft's syntax.
EXAMPLES: dict[str, list[Any]] = {
    "nf_proto": [7],
    "bitmask": [0, 1, 5, 255],
    "integer": [0, 5, 65535],
    "string": ["ftp", "Q.931"],
    "ipv4_addr": ["0.0.0.0", "192.0.2.1", "255.255.255.255"],
    "ipv6_addr": ["::", "::1", "2001:db8::1:0:0:1", "::ffff:192.0.2.1", "::192.0.2.1", "fe80::", "::ffff"],
    "ether_addr": ["00:11:22:33:44:AA", "ff:ff:ff:ff:ff:ff", "0:0:0:0:0:1"],
    "ether_type": [0x1234, 0x0001],
    "arp_op": [99],
    "inet_proto": ["icmpv6", 7, 200, 255],
    "inet_service": ["ssh", "domain", "www", "pop-3", 0, 65535],
    "icmp_type": [77],
    "tcp_flag": ["fin,syn,rst,ack", "cwr,ecn", 0],
    "dccp_pkttype": [12],
    "mh_type": [99],
    "time": [1, "1h30m", "1d1h1m1s", "500ms", "90061s", 86400, "2d5ms"],
    "mark": [0, 5, 0x10000, 0xFFFFFFFF, "0x2a"],
    "iface_index": ["lo", 77, 0],
    "iface_type": [55, 65535],
    "realm": [5, 70000],
    "classid": ["1:10", "abcd:ffff", "0:5", "ffff:0", "1:0"],
    "uid": ["root", 0, 12345, 4294967295],
    "gid": ["root", 0, 12345],
    "ct_state": ["new,established", "invalid,untracked,related", 0x80, 0x180, 0x88, 0],
    "ct_dir": [1],
    "ct_status": ["snat,dnat", 0x40, 0x3FF],
    "icmpv6_type": [77],
    "ct_label": [0, 3, 64, 127, "3,5"],
    "pkt_type": [6],
    "icmp_code": [55, 3],
    "icmpv6_code": [55, 2],
    "devgroup": [0, 7],
    "dscp": [63, 45, 2],
    "fib_addrtype": [9, 55],
    "ct_event": ["new,destroy", 0xFFF],
    "ifname": ["lo", "ppp0", "fifteen-bytes-x", "odd\\*", "br-lan.10"],
    "igmp_type": [99],
    "date": ["2024-05-06 07:08:09", "2024-12-24 23:59:59", "2030-01-31 17:00:00", 0, 1700000000],
    "hour": ["17:00", "00:00", "23:59:59", "17:00:05", 100],
    "day": [3, 6],
}


class Case:
    """One value of one type: how it is given to nft, and what must come of it."""

    def __init__(self, name: str, type: DataType, given: Any) -> None:
        self.name = name
        self.type = type
        self.given = given
        self.selector, self.family, self.bits = SELECTORS[type.name]
        self.number = type.number_of(given, 0 if type.bits else self.bits)

    def __repr__(self) -> str:
        return "<%s %r>" % (self.type.name, self.given)

    @property
    def rule(self) -> str:
        """In nft's syntax, where a list of flags takes no quotes and a time does."""
        text = str(self.given)
        if self.type.name in ("string", "ifname", "date", "hour", "day") and isinstance(self.given, str):
            text = '"%s"' % text
        return '%s %s comment "%s"' % (self.selector, text, self.name)

    @property
    def bytes(self) -> tuple[bytes, bytes | None]:
        """The value and the mask that must be in the register."""
        order = "big" if self.type.byteorder == "big" else sys.byteorder
        field = {"dscp": HEADERS["ip"].fields["dscp"], "ecn": HEADERS["ip"].fields["ecn"]}.get(self.type.name)
        if self.type.name == "dccp_pkttype":
            field = HEADERS["dccp"].fields["type"]
        if field is not None:
            return in_register(self.number, field)
        raw = self.number.to_bytes(self.bits // 8, order)
        if self.type.bitmask and self.type.name != "ct_event":
            return bytes(len(raw)), raw
        return raw, None


def cases() -> list[Case]:
    """Every constant of every type, and the examples."""
    found: list[Case] = []
    for name in SELECTORS:
        type = TYPES[name]
        for given in [*type.constants, *EXAMPLES.get(name, [])]:
            if name == "ct_event" and given in ("helper", "mark", "secmark"):
                given = type.constants[given]  # nft's own syntax prints the word and does not read it
            found.append(Case("%s_%d" % (name, len(found)), type, given))
    return found


def load(
    netns: Namespace, rules: list[Case], environment: dict[str, str] | None = None
) -> tuple[str, str, Any]:
    """Load the rules; what nft sent, what it lists, what it lists in JSON."""
    script = []
    for family in sorted({case.family for case in rules}):
        script.append("add table %s t\nadd chain %s t c" % (family, family))
        script += ["add rule %s t c %s" % (family, case.rule) for case in rules if case.family == family]

    def run(*arguments: str, input: str = "") -> str:
        done = subprocess.run(
            netns.argv("nft", *arguments),
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **(environment or {})},
        )
        assert not done.returncode, done.stderr
        return done.stdout

    sent = run("--debug=netlink", "-f", "-", input="\n".join(script) + "\n")
    return sent, run("list", "ruleset"), json.loads(run("--json", "list", "ruleset"))


def listed(objects: Any) -> dict[str, Any]:
    """By comment, the value that a rule of a JSON listing matches or sets."""
    found = {}
    for one in objects["nftables"]:
        if "rule" in one:
            statement = one["rule"]["expr"][-1]
            match = statement.get("match")
            found[one["rule"]["comment"]] = match["right"] if match else statement["mangle"]["value"]
    return found


def test_every_value_is_the_number_nft_sends_and_the_words_it_prints(netns: Namespace) -> None:
    everything = cases()
    output, text, objects = load(netns, everything)
    numbers, values = sent(output), listed(objects)
    texts = {name: rule for rule, name in LISTED.findall(text)}
    wrong: list[Any] = []
    for case in everything:
        value, mask = case.bytes
        rule = numbers[case.name]
        if case.type.bitmask and case.type.name != "ct_event":
            # an implied operator: (register & flags) != 0
            if rule.mask_bytes(len(value)) != mask and case.number:
                wrong.append((case, "mask", vars(rule), mask))
        elif (rule.value_bytes(len(value)), rule.mask_bytes(len(value))) != (value, mask):
            wrong.append((case, "value", vars(rule), value, mask))
        # the interface index is the namespace's own: lo is 1 in each
        if not texts[case.name].endswith("%s %s" % (case.selector, case.type.text_of(case.number))):
            wrong.append((case, "text", texts[case.name], case.type.text_of(case.number)))
        if json.dumps(values[case.name]) != json.dumps(case.type.json_of(case.number)):
            wrong.append((case, "json", values[case.name], case.type.json_of(case.number)))
        if (
            case.type.number_of(flat(values[case.name]), case.bits) != case.number
            and case.type.name != "time"
        ):
            wrong.append((case, "round trip", values[case.name]))
    assert not wrong
    assert len(everything) > 350


def test_reject_codes(netns: Namespace) -> None:
    """icmpx_code has no selector of its own: the reject statement is where it stands."""
    rules = ["reject with icmpx %s" % name for name in TYPES["icmpx_code"].constants]
    script = "add table inet t\nadd chain inet t c { type filter hook input priority 0; }\n"
    script += "".join("add rule inet t c %s\n" % rule for rule in rules)
    output = netns.run("nft", "--debug=netlink", "-f", "-", input=script).stdout
    codes = [int(code) for code in re.findall(r"\[ reject type 2 code (\d+) \]", output)]
    assert codes == [TYPES["icmpx_code"].number_of(name) for name in TYPES["icmpx_code"].constants]


@pytest.mark.parametrize("zone", ["XYZ-3", "XYZ5", "EST5EDT,M3.2.0,M11.1.0"])
def test_times_are_local(netns: Namespace, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        rules = [
            Case("c%d" % index, TYPES[name], given)
            for index, (name, given) in enumerate(
                [("date", given) for given in EXAMPLES["date"]]
                + [("date", "2024-07-01 12:00:00"), ("date", "2024-01-01 12:00:00")]
                + [("hour", given) for given in EXAMPLES["hour"]]
                + [("hour", "02:00"), ("hour", "21:30")]
            )
        ]
        output, text, objects = load(netns, rules, {"TZ": zone})
        numbers, values = sent(output), listed(objects)
        texts = {name: rule for rule, name in LISTED.findall(text)}
        for case in rules:
            assert numbers[case.name].value_bytes(case.bits // 8) == case.bytes[0], case
            if case.type.name == "hour" and time.localtime().tm_gmtoff < 0:
                continue  # nft 1.0.6 prints 1193046:28:15 for what is yesterday in local time
            assert texts[case.name] == "%s %s" % (case.selector, case.type.text_of(case.number))
            assert values[case.name] == case.type.json_of(case.number)
            assert case.type.number_of(values[case.name]) == case.number
    finally:
        monkeypatch.undo()
        time.tzset()


def test_interface_wildcards(netns: Namespace) -> None:
    netns.nft('add table inet t; add chain inet t c; add rule inet t c iifname "ppp*"')
    prefix = interface_prefix("ppp+")
    assert prefix == interface_prefix("ppp*") == b"ppp"
    (rule,) = [one["rule"] for one in netns.nft_json() if "rule" in one]
    assert rule["expr"][0]["match"]["right"] == interface_wildcard(prefix)
    output = netns.run("nft", "--debug=netlink", "list", "ruleset").stdout
    assert int.from_bytes(prefix, "little") == int(re.search(r"cmp eq reg 1 (0x\w+)", output)[1], 16)  # type: ignore[index]


def test_names_from_the_hosts_files(netns: Namespace, tmp_path: Path) -> None:
    """nft reads them below /etc: there it gets a directory of ours, in a mount namespace of its own."""
    files = {
        "rt_marks": "# marks\n5 five\n0x10 sixteen\n",
        "rt_realms": "0 unknown\n7 lucky # seven\n",
        "group": "0 default\n9 dmz\n",
        "connlabel.conf": "1 eth0-in\n100 bulk\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    folders = (str(tmp_path),)
    label = type(TYPES["ct_label"])("ct_label", 30, 128, HostTable("connlabel.conf", folders))  # type: ignore[arg-type]
    types = {
        "mark": (NamedByHost("mark", 19, 32, HostTable("rt_marks", folders), form="0x%08x"), "meta mark"),
        "realm": (
            NamedByHost("realm", 22, 32, HostTable("rt_realms", folders), json_numbers=False),
            "meta rtclassid",
        ),
        "devgroup": (NamedByHost("devgroup", 35, 32, HostTable("group", folders)), "iifgroup"),
        "ct_label": (label, "ct label"),
    }
    given = [
        ("mark", "five"), ("mark", "sixteen"), ("mark", 6),
        ("realm", "lucky"), ("realm", 0), ("realm", 8),
        ("devgroup", "dmz"), ("devgroup", "default"), ("devgroup", 8),
        ("ct_label", "bulk"), ("ct_label", "eth0-in"), ("ct_label", 2),
    ]  # fmt: skip
    rules = "".join(
        'add rule t c %s %s comment "c%d"\n'
        % (types[name][1], '"%s"' % value if isinstance(value, str) else value, index)
        for index, (name, value) in enumerate(given)
    )
    (tmp_path / "rules").write_text("add table t\nadd chain t c\n" + rules)
    script = (
        "mount -t tmpfs none /etc && mkdir /etc/iproute2 && cp {0}/* /etc/iproute2 && "
        "cp {0}/connlabel.conf /etc && nft --debug=netlink -f {0}/rules && echo ==== && "
        "nft list ruleset && echo ==== && nft -j list ruleset"
    ).format(tmp_path)
    output, text, objects = netns.run("unshare", "--mount", "sh", "-c", script).stdout.split("====\n")
    numbers, values = sent(output), listed(json.loads(objects))
    texts = {name: rule for rule, name in LISTED.findall(text)}
    for index, (name, value) in enumerate(given):
        type_, selector = types[name]
        number = type_.number_of(value)
        rule = numbers["c%d" % index]
        raw = number.to_bytes(type_.bits // 8, sys.byteorder)
        found = rule.mask_bytes(len(raw)) if type_.bitmask else rule.value_bytes(len(raw))
        assert found == raw, (name, value)
        assert texts["c%d" % index] == "%s %s" % (selector, type_.text_of(number))
        assert values["c%d" % index] == type_.json_of(number)


def test_control_groups(netns: Namespace) -> None:
    """A path below /sys/fs/cgroup is its inode; nft prints the path again."""
    root = Path("/sys/fs/cgroup")
    inodes: dict[int, list[str]] = {}
    for folder, inner, _ in os.walk(root):
        for name in inner:
            path = Path(folder, name)
            inodes.setdefault(path.lstat().st_ino, []).append(str(path.relative_to(root)))
    number, (name,) = next((inode, paths) for inode, paths in inodes.items() if len(paths) == 1)
    type = TYPES["cgroupsv2"]
    assert type.number_of(name) == number
    script = "add table inet t; add chain inet t c\n"
    script += 'add rule inet t c socket cgroupv2 level 1 "%s" comment "c0"\n' % name

    def run(*arguments: str, input: str = "") -> str:
        # not `ip netns exec`, which mounts a /sys of its own
        argv = ["nsenter", "--net=%s" % netns.path, "nft", *arguments]
        return subprocess.run(argv, input=input, capture_output=True, text=True, check=True).stdout

    found = sent(run("--debug=netlink", "-f", "-", input=script))
    assert found["c0"].value_bytes(8) == number.to_bytes(8, sys.byteorder)
    values = listed(json.loads(run("--json", "list", "ruleset")))
    assert values["c0"] == type.json_of(number) == name
    assert type.text_of(number) == '"%s"' % name
    assert type.text_of(max(inodes) + 1) == str(max(inodes) + 1)


def test_type_numbers_and_widths(netns: Namespace) -> None:
    """A set's key type, as the kernel hands it back."""
    unfit = {
        "invalid",
        "verdict",
        "bitmask",
        "integer",
        "string",
        "ll_addr",
        "boolean",
        "ct_event",
        "date",
        "cgroupsv2",
    }
    typeof = {
        "cgroupsv2": "socket cgroupv2 level 1",
        "ct_label": "ct label",
        "date": "meta time",
        "day": "meta day",
        "hour": "meta hour",
        "integer": "ip id",
    }
    names = [name for name in TYPES if name not in unfit | set(typeof)]
    script = "add table inet t\n" + "".join(
        "add set inet t s_%s { type %s; }\n" % (name, name) for name in names
    )
    script += "".join("add set inet t s_%s { typeof %s; }\n" % pair for pair in typeof.items())
    netns.nft(script)
    with NetlinkSocket(netns.name) as kernel:
        bodies = kernel.dump(uapi.NFNL_SUBSYS_NFTABLES << 8 | uapi.NFT_MSG_GETSET, uapi.NFPROTO_INET)
    found = {}
    for body in bodies:
        one = table(body, ATTRIBUTES)
        name = one[uapi.NFTA_SET_NAME].rstrip(b"\0").decode()[2:]
        numbers = (one[uapi.NFTA_SET_KEY_TYPE], one[uapi.NFTA_SET_KEY_LEN])
        found[name] = tuple(int.from_bytes(number, "big") for number in numbers)
    wanted = {name: (TYPES[name].number, (TYPES[name].bits + 7) // 8) for name in [*names, *typeof]}
    wanted["integer"] = (4, 2)
    assert found == wanted
    assert all(BY_NUMBER[number].name == name for name, (number, _) in wanted.items())
