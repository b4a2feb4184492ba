# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of other owners stay byte for byte what they were, and are not even asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rempart.errors import KernelError
from rempart.netlink import messages as netlink
from rempart.netlink.attributes import table as attributes
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.ruleset import kernel, messages
from rempart.ruleset.desired import FAMILIES
from rempart.ruleset.reconcile import remove

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, raw

OURS = {(FAMILIES["inet"], "edge"), (FAMILIES["ip"], "inner")}

IPTABLES = """
*filter
:INPUT ACCEPT [5:300]
:DOCKER - [0:0]
-A INPUT -p tcp -m multiport --dports 22,80 -m comment --comment "by docker" -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j DOCKER
-A DOCKER -s 10.0.0.0/8 -i eth0 -j DROP
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"""

IP6TABLES = """
*filter
:FORWARD DROP [0:0]
-A FORWARD -s 2001:db8::/32 -p tcp -m tcp --dport 443 -j ACCEPT
-A FORWARD -j REJECT --reject-with icmp6-adm-prohibited
COMMIT
"""

NFT = """
table inet fail2ban {
  comment "not ours"
  counter hits { packets 7 bytes 420 }
  quota monthly { over 10 mbytes used 5 bytes }
  limit slow { rate 10/second burst 5 packets }
  set banned { type ipv4_addr; flags interval; auto-merge; elements = { 192.0.2.1, 198.51.100.0/24 } }
  set pairs {
    type ipv4_addr . inet_service; counter
    elements = { 192.0.2.1 . 22 counter packets 3 bytes 9 }
  }
  map ports { type inet_service : ipv4_addr; elements = { 80 : 10.0.0.1, 443 : 10.0.0.2 } }
  map verdicts { type inet_service : verdict; elements = { 22 : accept, 23 : jump deny } }
  chain deny { counter packets 11 bytes 1100 drop comment "no"; }
  chain input {
    type filter hook input priority filter + 5; policy accept;
    ip saddr @banned counter packets 4 bytes 240 drop
    ip saddr { 10.0.0.0/8, 192.168.0.0/16 } tcp dport { 22, 80-90 } counter accept
    tcp dport vmap @verdicts
    meta mark vmap { 1 : accept, 2 : jump deny }
    ip saddr . tcp dport @pairs counter name "hits" accept
    quota name "monthly" drop
  }
  chain nat {
    type nat hook prerouting priority dstnat; policy accept;
    dnat ip to tcp dport map @ports
  }
}
table ip6 edge {
  chain input { type filter hook input priority 0; ip6 saddr 2001:db8::1 counter drop; }
}
table arp edge {
  chain input { type filter hook input priority 0; arp operation request counter; }
}
table ip6 inner {
  set s { type ipv6_addr; elements = { 2001:db8::1 }; }
}
table ip edge_ {
  chain input { tcp dport 22 counter packets 1 bytes 1; }
}
table bridge inner {
  chain input { type filter hook input priority 0; policy drop; }
}
table inet sleeping {
  flags dormant
  chain input { type filter hook input priority 0; drop; }
}
"""


def document(number: int) -> dict[str, Any]:
    """Tables named as others' are in other families, and rules like theirs."""
    rules = [
        {"saddr": ["10.0.0.0/8", "192.168.0.0/16"], "protocol": "tcp", "dport": [22, 80 + number]},
        {"saddr": "@banned", "verdict": "drop"},
        *({"mark": mark, "counter": "hits"} for mark in range(number, number + 20)),
    ]
    edge = {
        "name": "edge",
        "counters": [{"name": "hits"}],
        "sets": [{"name": "banned", "type": "ipv4_addr", "elements": ["192.0.2.%d" % number]}],
        "chains": [
            {
                "name": "input",
                "hook": "input",
                "policy": "drop",
                "rules": [{**one, "log": True} for one in rules],
            },
            {"name": "chain%d" % number, "rules": [{"counter": True, "verdict": "accept"}]},
        ],
    }
    inner = {
        "name": "inner",
        "family": "ip",
        "chains": [{"name": "output", "hook": "output", "rules": rules[:1]}],
    }
    return {"tables": [edge, inner]}


#: compiles, and no kernel takes it: fwd is for netdev tables
REFUSED = {"expr": [{"fwd": {"dev": "lo"}}]}


def refused() -> dict[str, Any]:
    one = document(5)
    one["tables"][0]["chains"][0]["rules"].append(REFUSED)
    return one


def foreign(family: int, name: str) -> bool:
    return (family, name) not in OURS


def listed(where: Namespace) -> str:
    """``nft -a list`` and the saved form of every other owner's table."""
    with NetlinkSocket(where.name) as socket:
        places = [(one.family, one.name) for one in kernel.tables(socket) if foreign(one.family, one.name)]
    names = {number: name for name, number in FAMILIES.items()}
    texts = [where.run("nft", "-a", "list", "table", names[family], name).stdout for family, name in places]
    for program in ("iptables-nft-save", "ip6tables-nft-save"):
        saved = where.run(program, "-c").stdout
        texts += [line for line in saved.splitlines() if not line.startswith("#")]
    return "\n".join(texts)


@pytest.fixture
def others(make_netns: Callable[[], Namespace]) -> Namespace:
    """A namespace with the tables of iptables-nft, ip6tables-nft and nft; no packet moves their counters."""
    where = make_netns()
    where.run("iptables-nft-restore", "-c", input=IPTABLES)
    where.run("ip6tables-nft-restore", input=IP6TABLES)
    where.nft(NFT)
    return where


@contextlib.contextmanager
def overheard(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int, str | None]]]:
    """Every message to nf_tables that the block sends: its kind, family, and the table it names."""
    sent: list[tuple[int, int, str | None]] = []
    send = NetlinkSocket._send

    def listening(self: NetlinkSocket, data: bytes | bytearray) -> None:
        for kind, _flags, _sequence, start, stop in netlink.split(bytes(data)):
            if kind >> 8 == uapi.NFNL_SUBSYS_NFTABLES:
                body = bytes(data[start:stop])
                # NFTA_*_TABLE is attribute 1 of every message, but for that about the generation
                name = attributes(body, 4).get(1)
                sent.append((kind & 0xFF, body[0], None if name is None else name.rstrip(b"\0").decode()))
        send(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(NetlinkSocket, "_send", listening)
        yield sent


def check_run(where: Namespace) -> None:
    assert apply(document(2), where, check=True).changed


def full_comparison(where: Namespace) -> None:
    apply(document(1), where)
    assert not apply(document(1), where, full=True).changed


def change(where: Namespace) -> None:
    apply(document(1), where)
    assert apply(document(3), where).changed


def diff(where: Namespace) -> None:
    outcome = apply(document(4), where, check=True)
    assert outcome.changes() and outcome.diff()


def one_chain(where: Namespace) -> None:
    apply(document(1), where)
    part = {"tables": [{"name": "edge", "chains": [{"name": "more", "hook": "input", "rules": []}]}]}
    assert apply(part, where, partial=True).changed
    gone = {"tables": [{"name": "edge"}]}
    assert apply(gone, where, partial=True, remove_chains=["more"]).changed


def refusal(where: Namespace) -> None:
    with pytest.raises(KernelError, match="the kernel refused this rule"):
        apply(refused(), where)


def removal(where: Namespace) -> None:
    apply(document(1), where)
    assert remove([("inet", "edge"), ("ip", "inner")], where.name).changed


def removal_of_nothing(where: Namespace) -> None:
    remove([("inet", "edge"), ("ip", "inner")], where.name)
    assert not remove([("inet", "edge"), ("ip", "inner")], where.name).changed


def check_of_removal(where: Namespace) -> None:
    apply(document(1), where)
    assert remove([("inet", "edge")], where.name, check=True).changed


def zeroing(where: Namespace) -> None:
    apply(document(1), where)
    with NetlinkSocket(where.name) as socket:
        assert kernel.read_and_zero(socket, FAMILIES["inet"], "edge")


ACTIONS = [
    check_run,
    full_comparison,
    change,
    diff,
    one_chain,
    refusal,
    removal,
    removal_of_nothing,
    check_of_removal,
    zeroing,
]


def test_there_is_something_to_lose(others: Namespace) -> None:
    text = listed(others)
    for part in (
        "by docker",
        "docker0",
        "icmp6-adm-prohibited",
        "packets 11 bytes 1100",
        "192.0.2.1 . 22",
    ):
        assert part in text
    before = raw(others, foreign)
    others.run("nft", "reset", "counter", "inet", "fail2ban", "hits")
    after = raw(others, foreign)
    assert before != after
    others.run("nft", "add", "element", "ip6", "inner", "s", "{ 2001:db8::2 }")
    assert raw(others, foreign) != after


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
def test_tables_of_others_are_neither_touched_nor_asked_for(
    action: Callable[[Namespace], None], others: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = raw(others, foreign), listed(others)
    parsed: list[tuple[int, str]] = []
    parse = kernel.parse_chain

    def parsing(body: bytes) -> kernel.KernelChain:
        parsed.append((body[0], attributes(body, 4)[uapi.NFTA_CHAIN_TABLE].rstrip(b"\0").decode()))
        return parse(body)

    with monkeypatch.context() as patch, overheard(monkeypatch) as sent:
        patch.setattr(kernel, "parse_chain", parsing)
        action(others)
    assert (raw(others, foreign), listed(others)) == before
    assert sent
    for kind, family, name in sent:
        if name is None:
            # the generation, and names of chains, which the kernel gives for a whole family only
            assert kind in (uapi.NFT_MSG_GETGEN, uapi.NFT_MSG_GETCHAIN), kind
            assert kind == uapi.NFT_MSG_GETGEN or family in {one for one, _ in OURS}
        else:
            assert (family, name) in OURS
    assert set(parsed) <= OURS


def test_all_of_it_in_a_row(others: Namespace) -> None:
    before = raw(others, foreign), listed(others)
    for action in ACTIONS:
        action(others)
    assert (raw(others, foreign), listed(others)) == before
    with NetlinkSocket(others.name) as socket:
        assert {(one.family, one.name) for one in kernel.tables(socket)} >= OURS


def test_a_table_that_another_process_owns_is_an_error_and_stays(netns: Namespace) -> None:
    """NFT_TABLE_F_OWNER: the kernel lets nobody else change the table."""
    with NetlinkSocket(netns.name) as owner:
        owner.transact([messages.new_table(FAMILIES["inet"], "edge", uapi.NFT_TABLE_F_OWNER)])
        before = raw(netns)
        with pytest.raises(KernelError) as caught:
            apply(document(1), netns)
        (problem,) = caught.value.problems
        assert problem.place == "tables[0]"
        assert "table inet edge belongs to another process" in problem.message
        with pytest.raises(KernelError, match="table inet edge belongs to another process"):
            remove([("inet", "edge")], netns.name)
        assert raw(netns) == before
