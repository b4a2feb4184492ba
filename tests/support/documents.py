# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hypothesis strategies for documents that the kernel takes.

``documents()`` draws tables of every family with base chains, user chains and rules
of flat keys and of statements, each rule fit for the chain it stands in. ``apart``
leaves out what nft cannot say: changes of the whole type-of-service byte.
"""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Rule = dict[str, Any]

NETWORKS = {
    "inet": ("ip", "ip6"),
    "ip": ("ip",),
    "ip6": ("ip6",),
    "bridge": ("ip", "ip6"),
    "netdev": ("ip", "ip6"),
}
TRACKED = ("inet", "ip", "ip6")  # a kernel may lack connection tracking for bridges
PORTS = ("tcp", "udp", "sctp", "dccp", "udplite")

#: (type, hook, priority) by family
BASES: dict[str, list[tuple[str, str, Any]]] = {
    "inet": [
        ("filter", "prerouting", "raw"),
        ("filter", "prerouting", -5),
        ("filter", "input", "filter"),
        ("filter", "forward", "filter + 10"),
        ("filter", "output", "security"),
        ("filter", "postrouting", "mangle"),
        ("filter", "ingress", "filter"),
        ("route", "output", "mangle"),
        ("nat", "prerouting", "dstnat"),
        ("nat", "output", -100),
        ("nat", "input", 100),
        ("nat", "postrouting", "srcnat"),
    ],
    "bridge": [
        ("filter", "prerouting", "dstnat"),
        ("filter", "input", "filter"),
        ("filter", "forward", "filter - 5"),
        ("filter", "output", "out"),
        ("filter", "postrouting", 7),
    ],
    "netdev": [("filter", "ingress", "filter"), ("filter", "egress", -3)],
    "arp": [("filter", "input", "filter"), ("filter", "output", 2)],
}
BASES["ip"] = BASES["ip6"] = [one for one in BASES["inet"] if one[1] != "ingress"]

REJECT_HOOKS = {
    "inet": ("prerouting", "input", "forward", "output", "ingress"),
    "ip": ("prerouting", "input", "forward", "output"),
    "ip6": ("prerouting", "input", "forward", "output"),
    "bridge": (),  # a kernel may lack CONFIG_NFT_BRIDGE_REJECT
    "netdev": ("ingress",),
    "arp": (),
}
NAT_HOOKS = {
    "masquerade": ("postrouting",),
    "redirect": ("prerouting", "output"),
    "snat": ("postrouting", "input"),
    "dnat": ("prerouting", "output"),
}

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# nft looks for variables behind a dollar sign, and for a wildcard at the end of a name
_PRINTABLE = st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters='"$\\*\x7f').filter(
    str.isprintable
)
texts = st.text(_PRINTABLE, min_size=1, max_size=40)
names = st.text(_LETTERS, min_size=2, max_size=10).map("n_".__add__)
interface_names = st.text(_LETTERS + "0123456789", min_size=1, max_size=10).map("v".__add__)
interfaces = interface_names | interface_names.map(lambda name: name + "+")
_ipv4 = st.ip_addresses(v=4).map(str)
_ipv6 = st.ip_addresses(v=6).map(str)
macs = st.binary(min_size=6, max_size=6).map(lambda one: ":".join("%02x" % byte for byte in one))
ports = st.integers(0, 65535)
marks = st.integers(0, 0xFFFFFFFF)


@functools.cache
def ranged(numbers: SearchStrategy[int], joint: str = "-") -> SearchStrategy[str]:
    """Two numbers in order, joined."""
    return st.tuples(numbers, numbers).map(lambda two: "%d%s%d" % (min(two), joint, max(two)))


def listed(values: SearchStrategy[Any]) -> SearchStrategy[Any]:
    """A value, a list of them, or their negation."""
    several = st.lists(values, min_size=1, max_size=5)
    return st.one_of(
        values,
        several,
        values.map(lambda one: "!%s" % one),
        several.map(lambda some: {"not": some}),
    )


@functools.cache
def addresses(network: str) -> SearchStrategy[Any]:
    """Addresses, networks and ranges of one network, alone and in lists."""
    one = _ipv4 if network == "ip" else _ipv6
    bits = 32 if network == "ip" else 128
    kind = st.ip_addresses(v=4 if network == "ip" else 6)
    prefixes = st.tuples(one, st.integers(1, bits)).map(lambda two: "%s/%d" % two)
    spans = st.tuples(kind, kind).map(lambda two: "%s-%s" % (min(two), max(two)))
    return listed(st.one_of(one, prefixes, spans))


@functools.cache
def numbers(low: int, high: int) -> SearchStrategy[Any]:
    """Numbers and ranges, alone and in lists."""
    inner = st.integers(low, high)
    return listed(inner | ranged(inner))


_states = st.sampled_from(["new", "established", "related", "invalid", "untracked"])
_status = st.sampled_from(["expected", "seen-reply", "assured", "confirmed", "snat", "dnat", "dying"])
_interface_values = listed(interfaces)
_existing_values = listed(st.just("lo"))
_packet_types = listed(st.sampled_from(["host", "broadcast", "multicast", "other"]))
_days = listed(st.sampled_from(["Monday", "Tuesday-Friday", "sat", "Saturday-Monday"]))
_hours = listed(st.sampled_from(["08:00", "08:00-17:00", "22:00-06:00", "12:00:01 - 12:30:59"]))
_dates = listed(st.sampled_from(["2026-01-31", "2026-02-01 12:00", "2026-03-01 - 2026-03-02 17:30:30"]))
_questions = st.sampled_from(
    [
        "daddr type local",
        "!daddr type local",
        "daddr type { local, broadcast, multicast }",
        "saddr type != unicast",
    ]
)
_mac_values = listed(macs)
_mark_values = st.one_of(numbers(0, 0xFFFFFFFF), st.just("0x10/0xff"), st.just("!0x1/0x3"))
_ct_mark_values = numbers(0, 0xFFFFFFFF) | st.just("0x4/0xff")
_ether_types = st.sampled_from(["arp", "vlan", "0x88cc", 0x1234])
_dscp_values = listed(st.sampled_from(["cs1", "af41", "ef", "le", 5, 63]))
_ecn_values = listed(st.sampled_from(["ect0", "ect1", "ce", "not-ect"]))
_icmp_types = listed(st.sampled_from(["echo-request", "echo-reply", "destination-unreachable", 13, 200]))
_icmpv6_types = listed(st.sampled_from(["echo-request", "packet-too-big", "nd-neighbor-solicit", 1, 222]))
_icmp_codes = listed(st.integers(0, 255))
_port_protocols = st.sampled_from(PORTS) | st.lists(st.sampled_from(PORTS), min_size=1)
_protocols = listed(st.integers(0, 255) | st.sampled_from(["icmp", "esp", "TCP", "gre"]))
_port_values = listed(ports | ranged(ports) | ranged(ports, ":") | ports.map("%d:".__mod__))
_state_values = listed(_states)
_status_values = listed(_status)
_directions = st.sampled_from(["original", "reply"])
_helpers = st.sampled_from(["ftp", "sip"])
_dscps = st.sampled_from(["cs1", "ef", 0, 63])
_ecns = st.sampled_from(["ce", "ect0", "not-ect"])
_priorities = st.sampled_from(["1:10", "ffff:1", "none", "root"])


def maybe(draw: DrawFn, rule: Rule, key: str, values: SearchStrategy[Any], one_in: int = 6) -> None:
    """Give the rule the key in one of so many cases."""
    if not draw(st.integers(0, one_in - 1)):
        rule[key] = draw(values)


@st.composite
def rules(
    draw: DrawFn,
    family: str,
    kind: str,
    hook: str,
    priority: int,
    targets: list[str],
    apart: bool = True,
    inner: bool = False,
    referring: bool = True,
) -> Rule:
    """A rule for a chain that packets reach by this hook; ``targets`` are chains to jump to.

    ``inner``: it stands in an inline chain itself. ``referring``: it may refer to what the
    documents declare.
    """
    if draw(st.integers(0, 9)) == 9:
        return draw(statements(family))
    if referring and draw(st.integers(0, 4)) == 4 and family in REFERRING:
        return draw(references(family))
    rule: Rule = {}
    maybe(draw, rule, "iifname", _interface_values)
    maybe(draw, rule, "oifname", _interface_values, 8)
    maybe(draw, rule, draw(st.sampled_from(["iif", "oif"])), _existing_values, 12)
    maybe(draw, rule, "pkttype", _packet_types, 12)
    maybe(draw, rule, "day", _days, 24)
    maybe(draw, rule, "hour", _hours, 24)
    maybe(draw, rule, "time", _dates, 24)
    if family == "arp":
        maybe(draw, rule, "saddr", addresses("ip"), 2)
        maybe(draw, rule, "daddr", addresses("ip"), 3)
        maybe(draw, rule, "ether_saddr", _mac_values, 3)
    else:
        _network(draw, rule, family)
        if family != "bridge" and (family, hook) != ("inet", "ingress"):
            maybe(draw, rule, "fib", _questions, 12)
        _transport(draw, rule, family)
    if family in TRACKED:
        _connection(draw, rule)
    maybe(draw, rule, "mark", _mark_values)
    maybe(draw, rule, "length", numbers(0, 70000), 12)
    if family in TRACKED and hook in ("output", "postrouting"):
        maybe(draw, rule, "skuid", numbers(0, 70000))
        maybe(draw, rule, "skgid", numbers(0, 70000), 10)
    maybe(draw, rule, "limit", limits(), 8)
    maybe(draw, rule, "counter", st.just(True), 2)
    maybe(draw, rule, "log", logs(), 8)
    _changes(draw, rule, family, hook, priority, apart)
    inside = None if inner else rules(family, kind, hook, priority, targets, apart, True, referring)
    _ending(draw, rule, family, kind, hook, targets, inside)
    if not rule.keys() - {"nfproto"}:
        rule["counter"] = True  # or there would be nothing to say in a table of that family
    if apart:
        _as_nft_reads(rule, family)
    maybe(draw, rule, "comment", texts, 4)
    maybe(draw, rule, "bidirectional", st.booleans(), 8)
    return rule


#: neighbours in a header: nft makes one comparison of two negated ones, and so says something else
_NEIGHBOURS = (("sport", "dport"), ("icmp_type", "icmp_code"), ("icmpv6_type", "icmpv6_code"))
_ARP_NEIGHBOURS = (("ether_saddr", "saddr"), ("ether_daddr", "daddr"))


def _as_nft_reads(rule: Rule, family: str) -> None:
    for first, second in _NEIGHBOURS if family != "arp" else _ARP_NEIGHBOURS:
        if _negated(rule.get(first)) and _negated(rule.get(second)):
            del rule[second]


def _negated(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and value.startswith("!"))


def _network(draw: DrawFn, rule: Rule, family: str) -> None:
    maybe(draw, rule, "ether_saddr", _mac_values, 12)
    if family == "bridge":
        maybe(draw, rule, "ether_type", _ether_types, 16)
        if "ether_type" in rule:
            return
    network = draw(st.sampled_from(NETWORKS[family]))
    maybe(draw, rule, "saddr", addresses(network), 3)
    maybe(draw, rule, "daddr", addresses(network), 3)
    maybe(draw, rule, "nfproto", st.just({"ip": "ipv4", "ip6": "ipv6"}[network]), 10)
    maybe(draw, rule, "ttl" if network == "ip" else "hoplimit", numbers(0, 255), 12)
    if rule.keys() & {"saddr", "daddr", "nfproto", "ttl", "hoplimit"} or len(NETWORKS[family]) == 1:
        maybe(draw, rule, "dscp", _dscp_values, 10)
        maybe(draw, rule, "ecn", _ecn_values, 12)
    rule_network = network if rule.keys() & {"saddr", "daddr", "nfproto", "ttl", "hoplimit"} else None
    choice = draw(st.integers(0, 11))
    if choice == 0:
        rule["fragment"] = draw(st.booleans())
    elif choice == 1:
        _icmp(draw, rule, rule_network or network)


def _icmp(draw: DrawFn, rule: Rule, network: str) -> None:
    if network == "ip":
        rule["icmp_type"] = draw(_icmp_types)
        maybe(draw, rule, "icmp_code", _icmp_codes, 3)
    else:
        rule["icmpv6_type"] = draw(_icmpv6_types)
        maybe(draw, rule, "icmpv6_code", _icmp_codes, 3)


def _transport(draw: DrawFn, rule: Rule, family: str) -> None:
    if rule.keys() & {"icmp_type", "icmpv6_type", "ether_type"}:
        return
    choice = draw(st.integers(0, 7))
    if choice < 3:
        first = rule.get("fragment") is not True
        rule["protocol"] = draw(_port_protocols)
        if first:
            maybe(draw, rule, "sport", _port_values, 3)
            maybe(draw, rule, "dport", _port_values, 2)
        if first and rule["protocol"] in ("tcp", ["tcp"]):
            maybe(draw, rule, "tcp_flags", _tcp_flags, 5)
            if "tcp_flags" not in rule:
                maybe(draw, rule, "syn", st.booleans(), 5)
    elif choice == 3:
        rule["protocol"] = draw(_protocols)


_flag = st.sampled_from(["fin", "syn", "rst", "psh", "ack", "urg"])
_flags = st.lists(_flag, min_size=1, max_size=4, unique=True).map(",".join)
_tcp_flags = st.one_of(
    _flags,
    _flags.map("!".__add__),
    st.lists(_flag, min_size=1, max_size=4, unique=True).map(
        lambda some: "%s / %s" % (some[0], ",".join(some))
    ),
    _flags.map("none / ".__add__),
)


def _connection(draw: DrawFn, rule: Rule) -> None:
    maybe(draw, rule, "ct_state", _state_values, 5)
    maybe(draw, rule, "ct_status", _status_values, 14)
    maybe(draw, rule, "ct_direction", _directions, 14)
    maybe(draw, rule, "ct_mark", _ct_mark_values, 8)
    maybe(draw, rule, "ct_helper", _helpers, 20)


@functools.cache
@st.composite
def limits(draw: DrawFn) -> Any:
    """Rates of packets and of bytes."""
    per = draw(st.sampled_from(["second", "minute", "hour", "day", "week"]))
    over = draw(st.sampled_from(["", "over "]))
    if draw(st.booleans()):
        text = "%s%d/%s" % (over, draw(st.integers(1, 100000)), per)
        return text + draw(st.just("") | st.integers(1, 1000).map(" burst %d packets".__mod__))
    # nft_limit_init(): the rate times the period in nanoseconds has to fit into 64 bits
    unit, per = draw(st.sampled_from([("bytes", per), ("kbytes", "minute"), ("mbytes", "second")]))
    text = "%s%d %s/%s" % (over, draw(st.integers(1, 3000)), unit, per)
    if unit == "bytes":
        return text + draw(st.just("") | st.integers(1, 1000).map(" burst %d bytes".__mod__))
    return text + draw(st.just("") | st.integers(1, 1000).map(" burst %d kbytes".__mod__))


@functools.cache
def logs() -> SearchStrategy[Any]:
    """To the kernel's log and to a group."""
    level = st.sampled_from(["emerg", "err", "warn", "info", "debug"])
    flag = st.sampled_from(["tcp sequence", "tcp options", "ip options", "skuid", "ether"])
    return st.one_of(
        st.just(True),
        texts,
        st.fixed_dictionaries(
            {}, optional={"prefix": texts, "level": level, "flags": st.lists(flag, min_size=1, max_size=5)}
        ).filter(bool),
        st.fixed_dictionaries(
            {"group": st.integers(0, 65535)},
            optional={
                "prefix": texts,
                "snaplen": st.integers(1, 65535),
                "queue_threshold": st.integers(1, 65535),
            },
        ),
    )


@functools.cache
def _marking(other: str | None) -> SearchStrategy[Any]:
    parts = st.fixed_dictionaries({}, optional={"and": marks, "or": marks, "xor": marks}).filter(bool)
    plain: SearchStrategy[Any] = marks | parts
    return plain | st.just(other) if other else plain


def _changes(draw: DrawFn, rule: Rule, family: str, hook: str, priority: int, apart: bool) -> None:
    done: Rule = {}
    maybe(draw, done, "mark", _marking("ct_mark" if family in TRACKED else None), 8)
    if family in TRACKED:
        maybe(draw, done, "ct_mark", _marking("mark"), 12)
    if family != "arp" and "ether_type" not in rule:
        maybe(draw, done, "dscp", _dscps, 16)
        maybe(draw, done, "ecn", _ecns, 20)
    maybe(draw, done, "priority", _priorities, 16)
    if done:
        rule["set"] = done
    if not apart and family != "arp" and "ether_type" not in rule:
        maybe(draw, rule, "tos", toses, 6)
    if family in TRACKED and hook in ("prerouting", "output") and priority < -200:
        maybe(draw, rule, "notrack", st.just(True), 4)


_bytes = st.integers(0, 255)
toses = st.one_of(
    st.sampled_from(["minimum-delay", "maximum-throughput", "maximum-reliability", "minimum-cost"]),
    st.fixed_dictionaries({"and": _bytes, "xor": _bytes}),
)


def _ending(
    draw: DrawFn,
    rule: Rule,
    family: str,
    kind: str,
    hook: str,
    targets: list[str],
    inside: SearchStrategy[Rule] | None,
) -> None:
    choice = draw(st.integers(0, 9))
    if choice < 4:
        rule["verdict"] = draw(st.sampled_from(["accept", "drop", "return", "continue"]))
    elif choice == 4 and inside is not None:
        rule[draw(st.sampled_from(["jump", "goto"]))] = draw(st.lists(inside, min_size=1, max_size=2))
    elif choice < 6 and targets:
        rule[draw(st.sampled_from(["jump", "goto"]))] = draw(st.sampled_from(targets))
    elif choice == 6 and hook in REJECT_HOOKS[family]:
        _reject(draw, rule, family)
    elif choice > 6 and kind == "nat":
        _translate(draw, rule, family, hook)


def _reject(draw: DrawFn, rule: Rule, family: str) -> None:
    kinds: list[Any] = []
    if family == "ip":
        kinds = ["icmp host-prohibited", "icmp net-unreachable"]
    elif family == "ip6":
        kinds = ["icmpv6 no-route", {"type": "icmpv6", "expr": "addr-unreachable"}]
    elif not rule.keys() & {"saddr", "daddr", "nfproto", "ttl", "hoplimit", "icmp_type", "icmpv6_type"}:
        kinds = ["icmpx admin-prohibited", "icmpx no-route"]
    if rule.get("protocol") == "tcp":
        kinds.append("tcp reset")
    choice = draw(st.sampled_from([None, *kinds]))
    if choice is None:
        rule["verdict"] = "reject"
    else:
        rule["reject"] = choice


def _translate(draw: DrawFn, rule: Rule, family: str, hook: str) -> None:
    what = draw(st.sampled_from([name for name, hooks in NAT_HOOKS.items() if hook in hooks]))
    flags = st.lists(
        st.sampled_from(["random", "fully-random", "persistent"]), min_size=1, max_size=3, unique=True
    )
    with_port = rule.get("protocol") in ("tcp", "udp")
    port = st.integers(1, 65535) | ranged(st.integers(1, 65535))
    if what in ("masquerade", "redirect"):
        options: dict[str, Any] = {}
        if with_port:
            maybe(draw, options, "to", port, 2)
        maybe(draw, options, "flags", flags, 3)
        rule[what] = options or True
        return
    for key in ("fragment", "icmp_type", "icmp_code", "icmpv6_type", "icmpv6_code"):
        rule.pop(key, None)
    for key in ("saddr", "daddr", "nfproto", "ttl", "hoplimit", "dscp", "ecn"):
        rule.pop(key, None)
    if isinstance(rule.get("set"), dict):
        for key in ("dscp", "ecn"):
            rule["set"].pop(key, None)
        if not rule["set"]:
            del rule["set"]
    network = draw(st.sampled_from(NETWORKS[family]))
    one = st.ip_addresses(v=4 if network == "ip" else 6)
    target: dict[str, Any] = {"addr": str(draw(one))}
    if draw(st.booleans()):
        first, last = sorted([draw(one), draw(one)])
        target["addr"] = "%s-%s" % (first, last)
    if with_port:
        maybe(draw, target, "port", port, 2)
    maybe(draw, target, "flags", flags, 3)
    rule[what] = target


@functools.cache
def statements(family: str) -> SearchStrategy[Rule]:
    """Rules given as libnftables JSON."""
    mark = {"meta": {"key": "mark"}}
    kinds: list[list[dict[str, Any]]] = [
        [{"counter": None}],
        [{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "v9"}}, {"drop": None}],
        [{"match": {"op": "<", "left": mark, "right": 77}}, {"counter": None}, {"accept": None}],
        [{"mangle": {"key": mark, "value": {"|": [mark, 8]}}}],
        [{"vmap": {"key": mark, "data": {"set": [[1, {"accept": None}], [2, {"drop": None}]]}}}],
        [{"match": {"op": "==", "left": mark, "right": {"set": [1, {"range": [5, 9]}]}}}, {"accept": None}],
        [{"quota": {"val": 10, "val_unit": "mbytes"}}, {"accept": None}],
    ]
    if family in ("inet", "ip"):
        port = {"payload": {"protocol": "tcp", "field": "dport"}}
        source = {"payload": {"protocol": "ip", "field": "saddr"}}
        pair = {"concat": ["10.0.0.1", 22]}
        kinds += [
            [{"match": {"op": "==", "left": {"concat": [source, port]}, "right": {"set": [pair]}}}],
            [{"mangle": {"key": mark, "value": {"map": {"key": port, "data": {"set": [[22, 1], [80, 2]]}}}}}],
        ]
    plain = st.sampled_from(kinds).map(lambda one: {"expr": one})
    commented = st.tuples(plain, texts).map(lambda two: {**two[0], "comment": two[1]})
    return plain | commented


REFERRING = ("inet", "ip", "ip6")
"""Families whose tables have what :func:`declarations` draws."""

_ENDINGS: SearchStrategy[Rule] = st.sampled_from(
    [{"counter": True}, {"verdict": "accept"}, {"verdict": "drop"}]
)


def _timed(draw: DrawFn, elements: list[str], times: SearchStrategy[int]) -> list[Any]:
    """Some of them with a timeout of their own."""
    return [{"elem": one, "timeout": draw(times)} if draw(st.booleans()) else one for one in elements]


@functools.cache
@st.composite
def declarations(draw: DrawFn, family: str) -> dict[str, Any]:
    """Sets, maps and objects by names that :func:`references` uses, with elements of every kind."""
    version = 6 if family == "ip6" else 4
    kind = {4: "ipv4_addr", 6: "ipv6_addr"}[version]
    address = _ipv4 if version == 4 else _ipv6
    times = st.integers(1000, 100000)  # none ends while a test runs
    some = st.lists(address, unique=True, max_size=5)
    plain = draw(some)
    bits = 32 if version == 4 else 128
    spans = draw(
        st.lists(st.tuples(address, st.integers(1, bits)).map(lambda two: "%s/%d" % two), max_size=5)
    )
    timed = _timed(draw, draw(some), times)
    commented = [{"elem": one, "comment": draw(texts)} for one in draw(some)]
    few = draw(st.lists(st.integers(0, 65535), min_size=1, max_size=4, unique=True).map(sorted))
    ranges = ["%d-%d" % (one, two - 1) for one, two in zip(few, few[1:]) if one < two - 1]
    pairs = [[one, draw(ports)] for one in draw(some)]
    wide = ["%s . %s" % (one, draw(ranged(marks))) for one in draw(some)]
    size = {"size": 1000, "elements": "keep"}
    return {
        "sets": [
            {"name": "plain", "type": kind, "elements": plain},
            {"name": "wide", "type": kind, "auto_merge": True, "elements": spans},
            {"name": "timed", "type": kind, "timeout": draw(times), "elements": timed},
            {"name": "commented", "type": kind, "elements": commented},
            {"name": "ports", "type": "inet_service", "elements": ranges},
            {
                "name": "timed_ports",
                "type": "inet_service",
                "flags": ["interval"],
                "timeout": draw(times),
                "elements": _timed(draw, ranges, times),
            },
            {"name": "marks", "type": "mark", "elements": [draw(ranged(marks))]},
            {"name": "names", "type": "ifname", "elements": ["lo", "veth*"]},
            {"name": "pairs", "type": kind + " . inet_service", "elements": pairs},
            {"name": "wide_pairs", "type": kind + " . mark", "flags": ["interval"], "elements": wide},
            {"name": "seen", "type": kind, **size},
            {"name": "seen_for", "type": kind, "timeout": draw(times), **size},
        ],
        "maps": [
            {
                "name": "verdicts",
                "type": "inet_service",
                "map": "verdict",
                "elements": dict.fromkeys(ranges, "drop"),
            },
            {"name": "to_mark", "type": kind, "map": "mark", "elements": {one: draw(marks) for one in plain}},
            {"name": "to_counter", "type": kind, "map": "counter", "elements": dict.fromkeys(plain, "hits")},
            {
                "name": "mark_counter",
                "type": "mark",
                "map": "counter",
                "elements": {draw(ranged(marks)): "hits"},
            },
            {"name": "learned", "type": kind, "map": "mark", **size},
        ],
        "counters": [{"name": "hits"}],
        "quotas": [{"name": "monthly", "quota": "over %d mbytes" % draw(st.integers(1, 100))}],
        "limits": [{"name": "slow", "rate": draw(limits())}],
    }


@functools.cache
@st.composite
def references(draw: DrawFn, family: str) -> Rule:
    """A rule that refers to what :func:`declarations` draws, in flat keys or as statements."""
    network = "ip6" if family == "ip6" else "ip"
    source = {"payload": {"protocol": network, "field": "saddr"}}
    port = {"payload": {"protocol": "tcp", "field": "dport"}}
    mark = {"meta": {"key": "mark"}}
    key = draw(st.sampled_from(["saddr", "daddr"]))
    single = draw(st.sampled_from(["plain", "wide", "timed", "commented"]))
    flat: list[Rule] = [
        {key: "@" + single},
        {key: "!@" + single},
        {"mark": "@marks"},
        {"iifname": "@names"},
        {"protocol": "tcp", "dport": "@ports"},
        {"protocol": "tcp", "lookup": {"key": [key, "dport"], "set": "@pairs"}},
        {"lookup": {"key": [key, "mark"], "set": "@wide_pairs"}},
        {"counter": {"map": {"key": key, "data": "@to_counter"}}},
        {"counter": {"map": {"key": "mark", "data": "@mark_counter"}}},
        {"set": {"mark": {"map": {"key": key, "data": "@to_mark"}}}},
        {"add": {"set": "seen", "key": key}},
        {"update": {"set": "seen_for", "key": key, "timeout": draw(st.integers(1, 1000))}},
        {"delete": {"set": "seen", "key": key}},
        {"update": {"map": "learned", "key": key, "data": draw(marks)}},
        {"add": {"map": "learned", "key": key, "data": {"key": "mark"}}},
        {"counter": "hits"},
        {"quota": "monthly"},
        {"limit": "@slow"},
    ]
    closed: list[Rule] = [{"protocol": "tcp", "vmap": {"key": "dport", "data": "@verdicts"}}]
    spoken: list[list[dict[str, Any]]] = [
        [{"match": {"op": "==", "left": source, "right": "@" + single}}],
        [{"match": {"op": "!=", "left": mark, "right": "@marks"}}, {"counter": "hits"}],
        [{"match": {"op": "==", "left": {"concat": [source, mark]}, "right": "@wide_pairs"}}],
        [{"vmap": {"key": port, "data": "@verdicts"}}],
        [{"mangle": {"key": mark, "value": {"map": {"key": source, "data": "@to_mark"}}}}],
        [{"map": {"op": "add", "elem": source, "data": draw(marks), "map": "@learned"}}],
        [{"set": {"op": "update", "elem": source, "set": "@seen_for"}}],
    ]
    choice = draw(st.integers(0, 3))
    if choice == 0:
        return {"expr": draw(st.sampled_from(spoken))}
    rule = draw(st.sampled_from(flat + closed))
    return {**rule, **draw(_ENDINGS)} if rule in flat and "counter" not in rule else rule


@st.composite
def tables(draw: DrawFn, family: str, name: str, apart: bool = True, most_rules: int = 4) -> dict[str, Any]:
    """A table: base chains, and user chains that are jumped to from exactly one hook."""
    bases = draw(st.lists(st.sampled_from(BASES[family]), max_size=3, unique_by=lambda one: one[:2]))
    table: dict[str, Any] = {"name": name, "chains": []}
    if family in REFERRING:
        table.update(draw(declarations(family)))
    if family != "inet" or draw(st.booleans()):
        table["family"] = family
    maybe(draw, table, "comment", texts, 6)
    maybe(draw, table, "flags", st.just(["dormant"]), 12)
    for number, (kind, hook, priority) in enumerate(bases):
        users = ["u%d_%d" % (number, one) for one in range(draw(st.integers(0, 2)))]
        chain: dict[str, Any] = {"name": "%s_%s_%d" % (hook, kind, number), "hook": hook}
        if kind != "filter" or draw(st.booleans()):
            chain["type"] = kind
        if priority != "filter" or draw(st.booleans()):
            chain["priority"] = priority
        if hook in ("ingress", "egress"):
            chain["device"] = "lo"
        maybe(draw, chain, "policy", st.sampled_from(["accept", "drop"]), 2)
        maybe(draw, chain, "comment", texts, 5)
        number_of = {"raw": -300, "mangle": -150, "dstnat": -300 if family == "bridge" else -100}
        level = priority if isinstance(priority, int) else number_of.get(priority, 0)
        place = {"family": family, "kind": kind, "hook": hook, "priority": level, "apart": apart}
        # a user chain leads only to those after it, so there is no loop
        for index, user in enumerate(users):
            below = users[index + 1 :]
            made = draw(st.lists(rules(targets=below, **place), max_size=most_rules))
            table["chains"].append({"name": user, "rules": made})
            maybe(draw, table["chains"][-1], "comment", texts, 6)
        chain["rules"] = draw(st.lists(rules(targets=users, **place), max_size=most_rules))
        table["chains"].append(chain)
    if draw(st.booleans()):
        table["chains"].reverse()
    if not table["chains"]:
        table["chains"].append({"name": "alone"})
    return table


@st.composite
def documents(draw: DrawFn, apart: bool = True) -> dict[str, Any]:
    """One or two tables, of different families or names."""
    places = draw(
        st.lists(
            st.tuples(st.sampled_from(sorted(BASES)), st.sampled_from(["t", "other"])),
            min_size=1,
            max_size=2,
            unique=True,
        )
    )
    return {"tables": [draw(tables(family, name, apart)) for family, name in places]}
