# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Deletion by either road against conntrack(8): what ``-L`` lists goes, and what ``-D`` leaves stays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.conntrack import deletion, scan
from rempart.conntrack.filters import Filter
from rempart.errors import DocumentError
from rempart.netlink.socket import NetlinkSocket

from tests.kernel.test_conntrack_deletion import ENTRIES
from tests.support import connections
from tests.support.connection_tables import Entry, inject
from tests.support.conntrack_tool import listing, still
from tests.support.namespaces import Namespace

# The filter's keys with values, and how conntrack says the same.
WORDS: dict[str, dict[Any, list[str]]] = {
    "protocol": {one: ["-p", one] for one in ("tcp", "udp", "sctp")},  # what ports need before them
    "saddr": {one: ["-s", one] for one in ("10.0.0.1", "10.0.0.2", "2001:db8::1", "10.0.0.0/30")},
    "daddr": {one: ["-d", one] for one in ("192.0.2.1", "2001:db8:1::2", "192.0.2.0/31")},
    "reply_saddr": {one: ["-r", one] for one in ("192.0.2.1", "192.0.2.2")},
    "dport": {one: ["--dport", str(one)] for one in (22, 80)},
    "sport": {one: ["--sport", str(one)] for one in (1, 2)},
    "mark": {one: ["-m", str(one)] for one in (1, "1/0xf", "0x10/0xf0")},
    "zone": {5: ["-w", "5"]},
    "status": {"assured": ["-u", "ASSURED"], "seen_reply": ["-u", "SEEN_REPLY"]},
    "family": {"ip": ["-f", "ipv4"], "ip6": ["-f", "ipv6"]},
}
FILTERS = st.fixed_dictionaries({}, optional={key: st.sampled_from(list(WORDS[key])) for key in WORDS})
LABELS = "table inet t { chain c { type filter hook output priority 0; ct label set 1; }; }"
LABEL_NAMES = "0 zero\n1 one\n64 far\n127 last\n"


def argv_of(asked: dict[str, Any]) -> list[str]:
    """The options of conntrack for a filter. Of addresses it wants to know the version."""
    words = [word for key in WORDS if key in asked for word in WORDS[key][asked[key]]]
    six = any(":" in str(value) for value in asked.values())
    if "family" not in asked and any(key.endswith("addr") for key in asked):
        words += ["-f", "ipv6" if six else "ipv4"]
    return words


def lines(namespace: Namespace, argv: Sequence[str] = ()) -> list[str]:
    """What conntrack -L lists, without what moves by itself."""
    return sorted(re.sub(r" use=N$", "", still(one)) for one in listing(namespace, *argv))


@settings(max_examples=25, deadline=None)
@given(st.lists(ENTRIES, min_size=1, max_size=20), FILTERS)
def test_what_the_tool_lists_goes_and_what_it_leaves_stays(
    entries: list[Entry], asked: dict[str, Any]
) -> None:
    if {"sport", "dport"} & set(asked):
        asked.setdefault("protocol", "tcp")  # conntrack has no ports without a protocol
    try:
        filter = Filter(asked)
    except DocumentError:
        return
    if filter.empty:
        return
    argv = argv_of(asked)
    unique = list({(one.original, one.protocol, one.zone): one for one in entries}.values())
    few, share = deletion._FEW, deletion._SHARE
    with Namespace() as namespace, NetlinkSocket(namespace.name) as kernel:
        inject(kernel, unique)
        whole, meant = lines(namespace), lines(namespace, argv)
        # -D says of each what it deletes; it needs a family, or takes IPv4
        for family in ["ipv4", "ipv6"] if "-f" not in argv else [argv[argv.index("-f") + 1]]:
            own = [word for word in argv if word not in ("-f", family)]
            namespace.run("conntrack", "-D", "-f", family, *own, check=False)
        rest = lines(namespace)
        assert rest == sorted(set(whole) - set(meant)) and len(rest) == len(whole) - len(meant)
        for trusted in (True, False):
            deletion.delete(kernel, Filter(), everything=True)
            inject(kernel, unique)
            deletion._FEW, deletion._SHARE = (0, 1 << 30) if trusted else (few, share)
            try:
                result = deletion.delete(kernel, filter)
            finally:
                deletion._FEW, deletion._SHARE = few, share
            assert (result.matched, result.deleted, result.already_gone) == (len(meant), len(meant), 0)
            assert lines(namespace) == rest


@pytest.mark.parametrize(
    ("labels", "names"),
    [(1, ["one"]), ("0+64", ["zero,far"]), (127, ["last"]), ("1+127", ["one,last"])],
    ids=str,
)
def test_labels_are_those_that_the_tool_lists(netns: Namespace, labels: Any, names: list[str]) -> None:
    netns.nft(LABELS)
    sets = [[], [0], [1], [0, 64], [0, 1, 64], [1, 127], [127], [64]]
    made = [connections.tcp(sport=1000 + number, labels=bits) for number, bits in enumerate(sets) if bits]
    connections.inject(netns, [connections.tcp(sport=1000), *made])
    listed = listing(netns, "-l", *names, labels=LABEL_NAMES)
    ports = sorted(int(line.partition("sport=")[2].split()[0]) for line in listed)
    assert 0 < len(ports) < len(sets)
    filter = Filter({"labels": labels})
    with NetlinkSocket(netns.name) as kernel:
        assert scan.count(kernel, filter) == len(ports)
        assert deletion.delete(kernel, filter).deleted == len(ports)
    left = [one["original"]["sport"] for one in connections.listed(netns)]
    assert sorted([*left, *ports]) == [1000 + number for number in range(len(sets))]
