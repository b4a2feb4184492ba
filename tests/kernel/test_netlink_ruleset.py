# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the builders make and what is read back, against nft on the same kernel."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest
from rempart.errors import KernelError
from rempart.netlink.attributes import BE32, BE64, attribute, walk
from rempart.netlink.socket import NetlinkSocket, Refused
from rempart.nftables import uapi
from rempart.ruleset import kernel as ruleset
from rempart.ruleset import messages as changes
from rempart.ruleset.generation import generation as generation_of

from tests.kernel.test_netlink_socket import ACCEPT, Interrupting, expression, mark_is, verdict
from tests.support.namespaces import Namespace

INET = uapi.NFPROTO_INET
ACCEPT_DATA = attribute(uapi.NFTA_DATA_VERDICT, attribute(uapi.NFTA_VERDICT_CODE, BE32.pack(uapi.NF_ACCEPT)))
COUNTER = expression(
    "counter",
    attribute(uapi.NFTA_COUNTER_BYTES, bytes(8)),
    attribute(uapi.NFTA_COUNTER_PACKETS, bytes(8)),
)


@pytest.fixture
def kernel(netns: Namespace) -> Iterator[NetlinkSocket]:
    with NetlinkSocket(netns.name) as found:
        yield found


def read(kernel: NetlinkSocket, family: int = INET, name: str = "t") -> ruleset.KernelTable:
    return ruleset.read(kernel, [(family, name)]).tables[family, name]


def elements_of(kernel: NetlinkSocket, name: str) -> list[bytes]:
    return ruleset.elements(kernel, INET, "t", ruleset.sets(kernel, INET, "t")[name])


def comment(text: str) -> bytes:
    return bytes((0, len(text) + 1)) + text.encode() + b"\0"


def comment_of(userdata: bytes) -> str:
    return userdata[2:].rstrip(b"\0").decode()


def test_tables_come_and_go(kernel: NetlinkSocket, netns: Namespace) -> None:
    kernel.transact(
        [
            changes.new_table(INET, "t", uapi.NFT_TABLE_F_DORMANT, comment("wall")),
            changes.new_table(uapi.NFPROTO_ARP, "a"),
            changes.new_chain(INET, "t", "c"),
        ]
    )
    assert 'comment "wall"' in netns.nft_text("table", "inet", "t")
    found = {(one.family, one.name): one for one in ruleset.tables(kernel)}
    one = found[INET, "t"]
    assert (one.flags, one.use, comment_of(one.userdata), one.owner) == (1, 1, "wall", 0)
    assert set(found) == {(INET, "t"), (uapi.NFPROTO_ARP, "a")}
    kernel.transact([changes.new_table(INET, "t", 0)])
    assert read(kernel).flags == 0
    with pytest.raises(Refused) as caught:
        kernel.transact([changes.new_table(INET, "t", exclusive=True)])
    assert caught.value.code == errno.EEXIST
    kernel.transact(
        [changes.delete_table(INET, "t", one.handle), changes.delete_table(uapi.NFPROTO_ARP, "a")]
    )
    assert ruleset.tables(kernel) == []


def test_base_chains_are_what_nft_lists(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.run("ip", "link", "add", "d0", "type", "veth", "peer", "name", "d1")
    hook = changes.Hook
    kernel.transact(
        [
            changes.new_table(INET, "t"),
            changes.new_chain(INET, "t", "in", hook(uapi.NF_INET_LOCAL_IN, -5), policy=uapi.NF_DROP),
            changes.new_chain(INET, "t", "nat", hook(uapi.NF_INET_POST_ROUTING, 100), "nat"),
            changes.new_chain(INET, "t", "ro", hook(uapi.NF_INET_LOCAL_OUT, -150), "route"),
            changes.new_chain(INET, "t", "own", userdata=comment("mine")),
            changes.new_table(uapi.NFPROTO_NETDEV, "n"),
            changes.new_chain(uapi.NFPROTO_NETDEV, "n", "one", hook(uapi.NF_NETDEV_INGRESS, 1, ["lo"])),
            changes.new_chain(uapi.NFPROTO_NETDEV, "n", "two", hook(uapi.NF_NETDEV_EGRESS, 2, ["d0", "d1"])),
        ]
    )
    text = netns.nft_text("table", "inet", "t")
    assert "type filter hook input priority filter - 5; policy drop;" in text
    assert "type nat hook postrouting priority srcnat; policy accept;" in text
    assert "type route hook output priority mangle; policy accept;" in text
    assert 'comment "mine"' in text
    text = netns.nft_text("table", "netdev", "n")
    assert 'type filter hook ingress device "lo" priority filter + 1;' in text
    assert "type filter hook egress devices = { d0, d1 } priority filter + 2;" in text

    chains = read(kernel).chains
    base = chains["in"]
    assert base.hook is not None
    assert (base.hook.number, base.hook.priority, base.hook.devices) == (uapi.NF_INET_LOCAL_IN, -5, ())
    assert (base.kind, base.policy, base.flags) == ("filter", uapi.NF_DROP, uapi.NFT_CHAIN_BASE)
    assert (chains["own"].hook, chains["own"].kind, chains["own"].policy) == (None, None, None)
    assert comment_of(chains["own"].userdata) == "mine"
    netdev = read(kernel, uapi.NFPROTO_NETDEV, "n").chains
    assert [each.hook and each.hook.devices for each in netdev.values()] == [("lo",), ("d0", "d1")]


def test_a_device_prefix_is_written_and_read(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.run("ip", "link", "add", "ppp7", "type", "veth", "peer", "name", "ppp8")
    kernel.transact(
        [
            changes.new_table(uapi.NFPROTO_NETDEV, "n"),
            changes.new_chain(
                uapi.NFPROTO_NETDEV, "n", "c", changes.Hook(uapi.NF_NETDEV_INGRESS, 0, ["ppp*"])
            ),
        ]
    )
    chain = read(kernel, uapi.NFPROTO_NETDEV, "n").chains["c"]
    assert chain.hook is not None
    assert chain.hook.devices == ("ppp*",)


def test_a_policy_changes_without_touching_rules(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.nft("table inet t { chain c { type filter hook input priority 0; counter accept; }; }")
    before = read(kernel).chains["c"]
    kernel.transact([changes.new_chain(INET, "t", "c", policy=uapi.NF_DROP)])
    after = read(kernel).chains["c"]
    assert (before.policy, after.policy) == (uapi.NF_ACCEPT, uapi.NF_DROP)
    assert [rule.handle for rule in before.rules] == [rule.handle for rule in after.rules]


def test_a_chain_still_jumped_to_cannot_go(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.nft("table inet t { chain u { }; chain c { jump u; }; }")
    with pytest.raises(Refused) as caught:
        kernel.transact([changes.delete_chain(INET, "t", "u")])
    assert caught.value.code == errno.EBUSY
    found = read(kernel).chains
    assert found["u"].use == 1
    kernel.transact([changes.flush_chain(INET, "t", "c"), changes.delete_chain(INET, "t", "u")])
    kernel.transact([changes.delete_chain(INET, "t", "c", found["c"].handle)])
    assert read(kernel).chains == {}


def marks(kernel: NetlinkSocket) -> list[int]:
    by_bytes = {mark_is(number) + ACCEPT: number for number in range(20)}
    return [by_bytes[rule.expressions] for rule in read(kernel).chains["c"].rules]


def rule(number: int, **place: int | bool | bytes) -> bytes:
    return changes.new_rule(INET, "t", "c", mark_is(number) + ACCEPT, **place)  # type: ignore[arg-type]


def test_rules_are_put_where_they_belong(kernel: NetlinkSocket, netns: Namespace) -> None:
    kernel.transact([changes.new_table(INET, "t"), changes.new_chain(INET, "t", "c"), rule(1), rule(2)])
    one, two = read(kernel).chains["c"].rules
    kernel.transact([rule(0, first=True), rule(5, after=one.handle), rule(6, before=one.handle), rule(9)])
    assert marks(kernel) == [0, 6, 1, 5, 2, 9]
    kernel.transact([rule(7, replace=two.handle), changes.delete_rule(INET, "t", "c", one.handle)])
    assert marks(kernel) == [0, 6, 5, 7, 9]
    kernel.transact([rule(10, rule_id=77), rule(12), rule(11, after_id=77)])
    assert marks(kernel) == [0, 6, 5, 7, 9, 10, 11, 12]
    kernel.transact([changes.flush_chain(INET, "t", "c"), rule(3, userdata=comment("three"))])
    assert 'accept comment "three"' in netns.nft_text("chain", "inet", "t", "c")
    assert comment_of(read(kernel).chains["c"].rules[0].userdata) == "three"


@pytest.mark.parametrize(("count", "chains"), [(4_000, 1), (4_000, 3), (4_000, 40), (90, 3)])
def test_rules_of_many_chains_are_each_read_once(kernel: NetlinkSocket, count: int, chains: int) -> None:
    batch = [changes.new_table(INET, "t")]
    batch += [changes.new_chain(INET, "t", "c%d" % number) for number in range(chains)]
    for number in range(count):
        batch.append(changes.new_rule(INET, "t", "c%d" % (number % chains), mark_is(number) + ACCEPT))
    kernel.transact([*batch, changes.new_table(INET, "other"), changes.new_chain(INET, "other", "c0")])
    kernel.transact([changes.new_rule(INET, "other", "c0", ACCEPT)])
    found = read(kernel).chains
    for number, chain in enumerate(found.values()):
        assert [one.expressions for one in chain.rules] == [
            mark_is(value) + ACCEPT for value in range(number, count, chains)
        ]
        assert {one.chain for one in chain.rules} == {chain.name}


def test_only_what_was_asked_for_is_read(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.nft(
        "table ip t { chain a { accept; }; }\n"
        "table ip6 t { chain b { drop; }; }\n"
        "table ip tt { chain z { accept; }; }"
    )
    picture = ruleset.read(
        kernel, [(uapi.NFPROTO_IPV4, "t"), (uapi.NFPROTO_IPV6, "no"), (uapi.NFPROTO_IPV4, "t")]
    )
    assert list(picture.tables) == [(uapi.NFPROTO_IPV4, "t")]
    assert list(picture.tables[uapi.NFPROTO_IPV4, "t"].chains) == ["a"]
    assert picture.generation == generation_of(kernel)
    assert ruleset.rules(kernel, uapi.NFPROTO_IPV4, "no") == {}
    assert list(ruleset.rules(kernel, uapi.NFPROTO_IPV6, "t", "b")) == ["b"]


SETS = """
table inet t {
    set plain { type ipv4_addr; size 512; timeout 5m; gc-interval 7s; policy memory; }
    set ranges { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 80-90 }; }
    set counted { type inet_service; counter; elements = { 22 counter packets 3 bytes 4 comment "ssh" }; }
    map verdicts { type inet_service : verdict; elements = { 80 : accept, 81 : jump u }; }
    map objects { type ipv4_addr : counter; elements = { 192.0.2.1 : "cnt" }; }
    counter cnt { packets 3 bytes 4; }
    chain u { }
    chain c { tcp dport { 1, 2 } accept; }
}
"""


def test_sets_are_read_as_nft_made_them(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.nft(SETS)
    table = read(kernel)
    found = table.sets
    plain = found["plain"]
    assert (plain.size, plain.timeout, plain.gc_interval) == (512, 300_000, 7_000)
    assert (plain.policy, plain.key_length, plain.elements) == (uapi.NFT_SET_POL_MEMORY, 4, [])
    ranges = found["ranges"]
    assert (ranges.fields, ranges.key_length, len(ranges.elements or ())) == ((4, 2), 8, 1)
    assert ranges.flags & uapi.NFT_SET_INTERVAL
    (carried,) = found["counted"].expressions
    assert dict(walk(carried))[uapi.NFTA_EXPR_NAME] == b"counter\0"
    verdicts = found["verdicts"]
    assert (verdicts.data_type, len(verdicts.elements or ())) == (uapi.NFT_DATA_VERDICT, 2)
    assert found["objects"].object_type == uapi.NFT_OBJECT_COUNTER
    (anonymous,) = (one for one in found.values() if one.flags & uapi.NFT_SET_ANONYMOUS)
    assert anonymous.name.startswith("__set")
    cnt = table.objects[uapi.NFT_OBJECT_COUNTER, "cnt"]
    assert (cnt.name, cnt.use) == ("cnt", 1)
    assert dict(walk(cnt.data))[uapi.NFTA_COUNTER_PACKETS] == BE64.pack(3)
    assert table.flowtables == {}

    bare = ruleset.read(kernel, [(INET, "t")], elements=False).tables[INET, "t"].sets
    assert bare["ranges"].elements is None
    assert bare[anonymous.name].elements == anonymous.elements


def again(table: ruleset.KernelTable, name: str) -> list[bytes]:
    """The messages that make each set, object and chain of a table anew in another one."""
    found = [changes.new_table(INET, name)]
    found += [changes.new_chain(INET, name, chain.name) for chain in table.chains.values()]
    found += [
        changes.new_object(INET, name, one.name, one.kind, one.data, one.userdata)
        for one in table.objects.values()
    ]
    for number, one in enumerate(table.sets.values(), 1):
        if one.flags & uapi.NFT_SET_ANONYMOUS:
            continue
        found.append(
            changes.new_set(
                INET,
                name,
                one.name,
                number,
                one.key_type,
                one.key_length,
                one.flags,
                one.data_type,
                one.data_length,
                one.object_type,
                one.timeout,
                one.gc_interval,
                one.policy,
                one.size,
                one.fields,
                one.expressions,
                one.userdata,
            )
        )
        found += changes.new_elements(INET, name, one.name, one.elements or [], number)
    return found


def test_sets_and_objects_made_from_what_was_read_are_the_same_to_nft(
    kernel: NetlinkSocket, netns: Namespace
) -> None:
    netns.nft(SETS)
    kernel.transact(again(read(kernel), "copy"))
    netns.nft("flush table inet t")
    original = netns.nft_text("table", "inet", "t").replace("table inet t", "table inet copy")
    assert netns.nft_text("table", "inet", "copy") == original
    one, other = read(kernel).sets, read(kernel, name="copy").sets
    assert {name: sorted(each.elements or ()) for name, each in one.items()} == {
        name: sorted(each.elements or ()) for name, each in other.items()
    }


def test_elements_built_are_the_bytes_that_the_kernel_dumps(kernel: NetlinkSocket) -> None:
    element = changes.element
    jump = attribute(
        uapi.NFTA_DATA_VERDICT,
        attribute(uapi.NFTA_VERDICT_CODE, BE32.pack(uapi.NFT_JUMP & 0xFFFFFFFF))
        + attribute(uapi.NFTA_VERDICT_CHAIN, b"u\0"),
    )
    counter = dict(walk(COUNTER))[uapi.NFTA_LIST_ELEM]
    wanted = {
        "map": [element(b"\0\x50", data=ACCEPT_DATA, userdata=comment("web")), element(b"\0\x51", data=jump)],
        "counted": [element(b"\0\x16", expressions=[counter], timeout=60_000, userdata=comment("x"))],
        "ranges": [element(b"\1\2\3\4" + b"\0\1\0\0", key_end=b"\1\2\3\xff" + b"\0\2\0\0")],
        "interval": [element(b"\0\5", flags=uapi.NFT_SET_ELEM_INTERVAL_END), element(b"\0\1")],
        "any": [element(None, flags=uapi.NFT_SET_ELEM_CATCHALL)],
        "objects": [element(b"\0\1", objref="cnt")],
    }
    data = attribute(uapi.NFTA_COUNTER_BYTES, bytes(8)) + attribute(uapi.NFTA_COUNTER_PACKETS, bytes(8))
    kernel.transact(
        [
            changes.new_table(INET, "t"),
            changes.new_chain(INET, "t", "u"),
            changes.new_object(INET, "t", "cnt", uapi.NFT_OBJECT_COUNTER, data),
            changes.new_set(INET, "t", "map", 1, 13, 2, uapi.NFT_SET_MAP, uapi.NFT_DATA_VERDICT),
            changes.new_set(
                INET,
                "t",
                "counted",
                2,
                13,
                2,
                uapi.NFT_SET_TIMEOUT | uapi.NFT_SET_EXPR,
                expressions=[counter],
            ),
            changes.new_set(
                INET, "t", "ranges", 3, 461, 8, uapi.NFT_SET_INTERVAL | uapi.NFT_SET_CONCAT, fields=(4, 2)
            ),
            changes.new_set(INET, "t", "interval", 4, 13, 2, uapi.NFT_SET_INTERVAL),
            changes.new_set(INET, "t", "any", 5, 13, 2),
            changes.new_set(
                INET, "t", "objects", 6, 13, 2, uapi.NFT_SET_OBJECT, object_type=uapi.NFT_OBJECT_COUNTER
            ),
            *(
                message
                for number, (name, elements) in enumerate(wanted.items(), 1)
                for message in changes.new_elements(INET, "t", name, elements, number)
            ),
        ]
    )
    for name, elements in wanted.items():
        found = elements_of(kernel, name)
        if name == "counted":  # the kernel adds what is left of the time
            left = attribute(uapi.NFTA_SET_ELEM_EXPIRATION, bytes(8))[:4]
            found = [one[: one.index(left)] + one[one.index(left) + 12 :] for one in found]
        assert sorted(found) == sorted(elements), name


def test_an_anonymous_set_lives_and_dies_with_its_rule(kernel: NetlinkSocket) -> None:
    flags = uapi.NFT_SET_ANONYMOUS | uapi.NFT_SET_CONSTANT
    lookup = expression(
        "meta",
        attribute(uapi.NFTA_META_KEY, BE32.pack(uapi.NFT_META_MARK)),
        attribute(uapi.NFTA_META_DREG, BE32.pack(uapi.NFT_REG_1)),
    ) + expression(
        "lookup",
        attribute(uapi.NFTA_LOOKUP_SET, b"__set%d\0"),
        attribute(uapi.NFTA_LOOKUP_SREG, BE32.pack(uapi.NFT_REG_1)),
        attribute(uapi.NFTA_LOOKUP_SET_ID, BE32.pack(9)),
    )
    elements = [changes.element(BE32.pack(number)) for number in range(5_000)]
    kernel.transact(
        [
            changes.new_table(INET, "t"),
            changes.new_chain(INET, "t", "c"),
            changes.new_set(INET, "t", "__set%d", 9, 19, 4, flags, size=5_000),
            *changes.new_elements(INET, "t", "__set%d", elements, 9),
            changes.new_rule(INET, "t", "c", lookup + ACCEPT),
        ]
    )
    table = read(kernel)
    (found,) = table.sets.values()
    assert found.size == 5_000
    assert sorted(found.elements or ()) == sorted(elements)
    kernel.transact([changes.delete_rule(INET, "t", "c", table.chains["c"].rules[0].handle)])
    assert read(kernel).sets == {}


def test_elements_and_sets_come_and_go(kernel: NetlinkSocket) -> None:
    element = changes.element
    kernel.transact([changes.new_table(INET, "t"), changes.new_set(INET, "t", "s", 1, 13, 2)])
    every = [element(number.to_bytes(2, "big")) for number in range(9_000)]
    kernel.transact(changes.new_elements(INET, "t", "s", every))
    assert sorted(elements_of(kernel, "s")) == every
    kernel.transact(changes.delete_elements(INET, "t", "s", every[5:]))
    assert sorted(elements_of(kernel, "s")) == every[:5]
    with pytest.raises(Refused) as caught:
        kernel.transact(changes.delete_elements(INET, "t", "s", every[5:6]))
    assert caught.value.code == errno.ENOENT
    kernel.transact([changes.flush_set(INET, "t", "s")])
    assert elements_of(kernel, "s") == []
    kernel.transact([changes.delete_set(INET, "t", "s", read(kernel).sets["s"].handle)])
    assert read(kernel).sets == {}


def test_an_object_in_use_cannot_go(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.nft("table inet t { counter n { }; chain c { counter name n; }; }")
    remove = [changes.delete_object(INET, "t", "n", uapi.NFT_OBJECT_COUNTER)]
    with pytest.raises(Refused) as caught:
        kernel.transact(remove)
    assert caught.value.code == errno.EBUSY
    kernel.transact([changes.flush_chain(INET, "t", "c"), *remove])
    assert read(kernel).objects == {}


def packets(kernel: NetlinkSocket, zero: bool) -> list[int]:
    reader = ruleset.read_and_zero if zero else ruleset.rules
    found = []
    for one in reader(kernel, INET, "t")["c"]:
        for _, each in walk(one.expressions):
            parts = dict(walk(each))
            if parts[uapi.NFTA_EXPR_NAME] == b"counter\0":
                data = dict(walk(parts[uapi.NFTA_EXPR_DATA]))
                found.append(int.from_bytes(data[uapi.NFTA_COUNTER_PACKETS], "big"))
    return found


def send(netns: Namespace, count: int) -> None:
    with netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(b"x", ("127.0.0.1", 9))


COUNTING = """
table inet t {
    chain c { type filter hook input priority 0; udp dport 9 counter; udp dport 9 counter drop; }
}
"""


def test_counters_are_read_and_zeroed_in_one_step(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.nft(COUNTING + "table inet other { chain c { type filter hook input priority -1; counter; }; }")
    send(netns, 7)
    before = generation_of(kernel)
    assert packets(kernel, False) == [7, 7]
    assert packets(kernel, True) == [7, 7]
    assert packets(kernel, True) == [0, 0]
    send(netns, 2)
    assert packets(kernel, True) == [2, 2]
    assert generation_of(kernel) == before
    assert "packets 9" in netns.run("nft", "list", "table", "inet", "other").stdout


def test_no_packet_is_lost_from_the_count_by_a_change_meanwhile(netns: Namespace) -> None:
    netns.nft(COUNTING)
    with NetlinkSocket(netns.name) as writer, Interrupting(netns.name) as kernel:
        kernel.times = 0
        writer.transact([changes.new_rule(INET, "t", "c", mark_is(1) + ACCEPT) for _ in range(1_000)])
        writer.transact([changes.new_rule(INET, "t", "c", COUNTER + verdict(uapi.NF_DROP))])
        send(netns, 5)
        changed = []

        def change() -> None:
            changed.append(1)
            writer.transact([changes.new_chain(INET, "t", "x%d" % len(changed))])
            send(netns, 3)

        kernel.change = change
        kernel.times = 2
        first = packets(kernel, True)
        assert changed == [1, 1]
        rest = packets(kernel, True)
        total = [one + other for one, other in zip(first, rest)]
        assert total == [11, 11, 0]


def test_zeroing_a_table_that_is_not_there_reads_nothing(kernel: NetlinkSocket) -> None:
    assert ruleset.read_and_zero(kernel, INET, "absent") == {}


def test_reading_a_set_that_is_not_there_is_an_error(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.nft("add table inet t")
    with pytest.raises(KernelError) as caught:
        ruleset.elements(kernel, INET, "t", ruleset.KernelSet("absent", 0, 0, b""))
    assert caught.value.code == errno.ENOENT
