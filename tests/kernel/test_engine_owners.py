# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of other owners stay as they are to the byte, whatever happens to ours."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from rempart.errors import DocumentError, KernelError
from rempart.ruleset.reconcile import remove

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, raw

#: made by nft, with one of each kind of thing; one has our name in another family
OTHERS = """
table ip t {
	counter hits { packets 3 bytes 4; }
	quota usage { over 10 mbytes; }
	ct helper ftp-standard { type "ftp" protocol tcp; l3proto ip; }
	set blocked { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.1 } }
	map ways { type inet_service : verdict; elements = { 22 : jump inner, 80 : drop } }
	chain inner { counter packets 5 bytes 6; }
	chain input {
		type filter hook input priority 0; policy drop;
		ip saddr @blocked counter name hits drop
		tcp dport vmap @ways
		tcp dport { 22, 80, 1000-2000 } limit rate 5/second accept
		ct state established,related accept comment "theirs"
	}
}
table inet docker {
	comment "someone else's"
	chain forward { type filter hook forward priority -5; iifname { "docker0", "br-*" } accept; }
}
table bridge t {
	chain x { type filter hook forward priority 0; }
}
table arp t { }
"""

RULES = [{"saddr": ["10.0.0.1", "10.0.0.2"], "counter": True}, {"protocol": "tcp", "dport": 22, "jump": "u"}]


def document(*rules: dict[str, Any]) -> dict[str, Any]:
    chains = [
        {"name": "input", "hook": "input", "rules": [*RULES, *rules]},
        {"name": "u", "rules": [{"verdict": "return"}]},
    ]
    return {"tables": [{"name": "t", "chains": chains}, {"name": "t", "family": "netdev"}]}


def theirs(where: Namespace) -> tuple[list[bytes], list[str]]:
    """All but our tables: the dumped bytes, and what nft lists with handles and counters."""
    ours = {(1, "t"), (5, "t")}
    listed = []
    for family, name in (("ip", "t"), ("inet", "docker"), ("bridge", "t"), ("arp", "t"), ("ip", "filter")):
        listed.append(where.run("nft", "-a", "list", "table", family, name).stdout)
    saved = where.run("iptables-nft-save", "-c").stdout
    listed += [line for line in saved.splitlines() if not line.startswith("#")]
    listed.append(where.run("ip6tables-nft", "-S", "-v").stdout)
    return raw(where, lambda family, name: (family, name) not in ours), listed


@pytest.fixture
def shared(netns: Namespace) -> Namespace:
    """A namespace with tables of nft's, iptables-nft's and ip6tables-nft's."""
    netns.nft(OTHERS)
    for command in (
        ("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT"),
        ("iptables-nft", "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"),
        ("iptables-nft", "-N", "DOCKER"),
        ("iptables-nft", "-I", "FORWARD", "-j", "DOCKER"),
        ("iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE"),
        ("ip6tables-nft", "-A", "INPUT", "-s", "2001:db8::/32", "-j", "REJECT"),
    ):
        netns.run(*command)
    # packets that their counters have counted
    with netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", 9))
    return netns


def test_applying_changing_and_removing_leaves_others_alone(shared: Namespace) -> None:
    before = theirs(shared)
    assert len(before[0]) > 40
    apply(document(), shared)
    assert theirs(shared) == before
    apply(document({"verdict": "drop"}), shared)
    assert theirs(shared) == before
    apply(document(), shared, full=True)
    apply(document({"counter": True}), shared, check=True)
    assert theirs(shared) == before
    apply({"tables": [{"name": "t", "comment": "made anew", "chains": []}]}, shared)
    assert theirs(shared) == before
    remove([("inet", "t"), ("netdev", "t"), ("ip6", "t")], shared.name)
    assert theirs(shared) == before
    assert "table inet t" not in shared.nft_text()


def test_errors_leave_others_alone(shared: Namespace) -> None:
    apply(document(), shared)
    before = raw(shared)
    with pytest.raises(DocumentError):
        apply(document({"jump": "nowhere"}), shared)
    # the kernel refuses it: the rate times its period does not fit (nft_limit_init)
    with pytest.raises(KernelError):
        apply(document({"limit": "3000 mbytes/week", "verdict": "drop"}), shared)
    assert raw(shared) == before


def test_a_table_of_another_family_is_another_table(shared: Namespace) -> None:
    before = theirs(shared)
    assert apply({"tables": [{"name": "t", "family": "inet"}]}, shared).changed
    assert theirs(shared) == before
    remove([("inet", "t")], shared.name)
    assert theirs(shared) == before
