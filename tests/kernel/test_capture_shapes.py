# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What nft makes of unusual words: captured, it changes nothing at home, and makes the same elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rempart.command import listing
from rempart.errors import DocumentError
from rempart.netlink.attributes import attribute
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.nftables.expressions import Expression, decode_list, encode_list
from rempart.nftables.expressions.registers import Cmp, Range
from rempart.ruleset import inventory
from rempart.ruleset import kernel as state
from rempart.ruleset.capture import Captured, capture, of_picture
from rempart.ruleset.messages import new_table
from rempart.ruleset.userdata import comment_userdata

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, table_of, watched

#: what stands in a table inet, by what is unusual about it
SHAPES = {
    # nft 1.0.6 swaps the one byte of meta l4proto, which later versions leave alone
    "one byte in a concatenation with intervals": """
        set open { type inet_proto . inet_service; flags interval; elements = { tcp . 60-70 } }
        chain c {
            meta l4proto . th dport @open accept
            meta l4proto . th dport { tcp . 22-23, udp . 53 } accept
            ct direction . tcp dport { original . 22-23 } accept
            meta l4proto . ct direction . meta mark { 6-17 . reply . 1-5 } counter packets 3 bytes 4 drop
            meta l4proto . th dport vmap { tcp . 22-23 : drop }
            meta mark set meta l4proto . th dport map { tcp . 22-23 : 5 }
        }
    """,
    "sets whose elements count and are limited": """
        set talkers {
            type ipv4_addr; flags dynamic,timeout; timeout 1m; limit rate over 10/minute counter
        }
        set movers { type ipv4_addr; flags dynamic; quota over 10 mbytes counter
        }
    """,
    "elements that count": """
        set counted { type ipv4_addr; counter
            elements = { 192.0.2.1 counter packets 3 bytes 4 }
        }
    """,
    # nft takes no "type integer": it notes the typeof beside the set, and without the note cannot list it
    "sets of numbers of any width": """
        set tags { typeof vlan id; elements = { 5, 7 } }
        set sizes { typeof tcp option maxseg size; elements = { 1460 } }
        set pieces { typeof frag frag-off; elements = { 1, 2 } }
        set zones { typeof ct zone; elements = { 5 } }
        set raw { typeof @nh,8,16; elements = { 0x1234 } }
        set lengths { typeof udp length . @ih,32,32; elements = { 30 . 0x1e, 20 . 0x24 } }
        set tagged { typeof ether type . vlan id; elements = { ip . 5 } }
        set systems { typeof osf name; elements = { "Linux" } }
        set times { typeof meta day . meta hour; elements = { 1 . "10:00" } }
        map zone_of { typeof ip saddr . ct zone : ct zone; elements = { 192.0.2.1 . 3 : 4 } }
        chain c {
            udp length . @ih,32,32 @lengths accept
            frag frag-off @pieces drop
            vlan id @tags accept
        }
    """,
    "bits of a byte": """
        set classes { type dscp; elements = { cs1, ef } }
        set versions { typeof ip version; elements = { 4 } }
        set offsets { typeof tcp doff; elements = { 5, 6 } }
        chain c {
            ip dscp @classes accept
            ip version @versions accept
            tcp doff @offsets accept
        }
    """,
    "numbers in a rule's own concatenation": """
        chain c {
            vlan id . ip saddr { 5 . 192.0.2.1, 6 . 192.0.2.2 } accept
            udp length . @ih,32,32 { 30 . 0x1e, 20 . 0x24 } drop
        }
    """,
    "an element that a rule names": """
        set seen { type ipv4_addr; flags dynamic,timeout; }
        map marks { type ipv4_addr : mark; flags dynamic,timeout; }
        chain c {
            tcp dport 22 add @seen { 192.0.2.1 timeout 1m }
            update @marks { 192.0.2.1 : 0x00000002 }
        }
    """,
    "a chain without rules inside a rule": """
        chain c {
            tcp dport 22 jump { }
        }
    """,
    "several flags in one element": """
        set answers { type tcp_flag; elements = { syn | ack } }
        map marked { type tcp_flag . inet_service : verdict; elements = { fin | rst . 80 : drop } }
    """,
}

#: what nft lists and nobody could type: a description of a set's type that only its maker needs
NOTED = ("numgen inc mod 2 . ip saddr", "ipsec in reqid", "symhash mod 4", "rt classid", "ct label", "ct id")

#: header fields, elements of a set of them
BITS = {"ip dscp": ["ef", 1], "ip version": [4], "tcp doff": [5], "vlan pcp": [3], "frag frag-off": [9]}


def captured(where: Namespace) -> Captured:
    with NetlinkSocket(where.name) as kernel:
        return capture(kernel, counts=True)


def rules_of(found: Captured) -> Iterator[dict[str, Any]]:
    for table in found.document["tables"]:
        for chain in table["chains"]:
            yield from chain.get("rules", ())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_unusual_shape_is_read_and_made_again(shape: str, make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere, shown = make_netns(), make_netns(), make_netns()
    home.nft("table inet t {\n%s\n}\n" % shape)
    wanted, listed = content(home), home.nft_text()
    found = captured(home)
    assert found.notes == []
    assert not [rule for rule in rules_of(found) if "raw" in str(rule)]
    with watched() as traffic:
        assert not apply(found.document, home, full=True).changed
    assert traffic.batches == []
    apply(found.document, elsewhere)
    assert content(elsewhere) == wanted
    assert elsewhere.nft_text() == listed
    shown.nft(listing.text(inventory.tables(home.name, []), exact=True))
    assert content(shown) == wanted
    assert shown.nft_text() == listed


@pytest.mark.parametrize("expression", NOTED)
def test_what_nft_noted_of_a_type_is_read(expression: str, make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere, shown = make_netns(), make_netns(), make_netns()
    home.nft("table inet t {\n set s { typeof %s; }\n}\n" % expression)
    found = captured(home)
    assert found.notes == []
    assert not apply(found.document, home, full=True).changed
    apply(found.document, elsewhere)
    shown.nft(listing.text(inventory.tables(home.name, []), exact=True))
    assert content(elsewhere) == content(shown) == content(home)


def test_a_type_that_nft_left_unsaid_is_no_difference(make_netns: Callable[[], Namespace]) -> None:
    """nft 1.0.6 knows no type of the ports of ct, and tells the kernel none."""
    home, elsewhere = make_netns(), make_netns()
    home.nft(
        """table inet t {
            set s { typeof ct original ip saddr . ct original proto-dst; }
            map m { typeof ip saddr : ct original proto-dst; }
        }
        """
    )
    found = captured(home)
    assert found.notes == []
    assert found.document["tables"][0]["sets"][0]["typeof"] == "ct original ip saddr . ct original proto-dst"
    assert not apply(found.document, home, full=True).changed
    apply(found.document, elsewhere)
    assert not apply(captured(home).document, elsewhere, full=True).changed


@pytest.mark.parametrize(("field", "elements"), BITS.items())
def test_a_set_of_bits_holds_them_as_nft_has_it(
    field: str, elements: list[Any], make_netns: Callable[[], Namespace]
) -> None:
    """A rule looks such bits up as a number: elements that keep their place in the byte never match."""
    ours, theirs = make_netns(), make_netns()
    apply(
        {"tables": [{"name": "t", "sets": [{"name": "s", "typeof": field, "elements": elements}]}]},
        ours,
    )
    listed = ", ".join(str(one) for one in elements)
    theirs.nft("table inet t {\n set s { typeof %s; elements = { %s } }\n}\n" % (field, listed))
    assert content(ours) == content(theirs)
    assert ours.nft_text() == theirs.nft_text()


def test_an_element_has_bounds_of_its_own(make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere = make_netns(), make_netns()
    both = {"name": "both", "type": "ipv4_addr", "flags": ["dynamic"], "limit": "5/second", "counter": True}
    own = {"name": "own", "type": "ipv4_addr", "quota": "over 5 mbytes"}
    document = {
        "tables": [
            {
                "name": "t",
                "family": "inet",
                "sets": [
                    {**both, "elements": [{"elem": "192.0.2.1", "counter": {"packets": 3, "bytes": 4}}]},
                    {
                        **own,
                        "elements": [
                            {"elem": "192.0.2.1", "quota": "over 2 mbytes used 1 mbytes"},
                            "192.0.2.2",
                        ],
                    },
                ],
                "chains": [],
            }
        ]
    }
    apply(document, home)
    found = captured(home)
    assert found.document == document
    apply(found.document, elsewhere)
    assert content(elsewhere) == content(home)
    with NetlinkSocket(home.name) as kernel:
        fresh = capture(kernel).document["tables"][0]["sets"]
    assert [one["elements"] for one in fresh] == [
        "keep",
        [{"elem": "192.0.2.1", "quota": "over 2 mbytes"}, "192.0.2.2"],
    ]


def test_the_order_of_what_elements_carry_is_no_difference(netns: Namespace) -> None:
    netns.nft("table inet t { set s { type ipv4_addr; flags dynamic; counter limit rate 5/second\n }\n}\n")
    assert not apply(captured(netns).document, netns, full=True).changed


def test_when_a_packet_last_came_by_is_state(make_netns: Callable[[], Namespace]) -> None:
    """What nft has in sets and elements since 1.0.8: kept with counts, else begun anew."""
    home, elsewhere = make_netns(), make_netns()
    met = {"elem": "192.0.2.2", "last": {"used": 86400}}
    rule = {"expr": [{"last": {"used": 86400000}}, {"accept": None}]}
    document = {
        "tables": [
            {
                "name": "t",
                "family": "inet",
                "sets": [
                    {"name": "a", "type": "ipv4_addr", "last": True, "elements": ["192.0.2.1", met]},
                    {"name": "b", "type": "ipv4_addr", "flags": ["dynamic"], "elements": "keep"},
                ],
                "maps": [
                    {
                        "name": "m",
                        "type": "mark",
                        "map": "mark",
                        "last": True,
                        "elements": [{"key": 1, "last": {"used": 86400}, "value": 2}],
                    }
                ],
                "chains": [
                    {"name": "c", "rules": [{"add": {"set": "b", "key": "saddr", "last": True}}, rule]}
                ],
            }
        ]
    }
    apply(document, home)
    with watched() as traffic:
        assert not apply(document, home, full=True).changed
        assert not apply(captured(home).document, home, full=True).changed
    assert traffic.batches == []
    with NetlinkSocket(home.name) as kernel:
        (fresh,) = capture(kernel).document["tables"]
    assert [one["elements"] for one in (*fresh["sets"], *fresh["maps"])] == [
        ["192.0.2.1", "192.0.2.2"],
        "keep",
        {1: 2},
    ]
    assert fresh["chains"][0]["rules"] == [
        {"add": {"set": "b", "key": "saddr", "last": True}},
        {"expr": [{"last": None}, {"accept": None}]},
    ]
    apply(captured(home).document, elsewhere)
    for where in (home, elsewhere):
        shown = listing.text(inventory.tables(where.name, []), exact=True)
        assert shown.count("last used 1d") == 3
        assert shown.count("last used never") == 4


def test_what_elements_carry_keeps_its_order(make_netns: Callable[[], Namespace]) -> None:
    home, elsewhere = make_netns(), make_netns()
    home.nft(
        """table inet t {
            set s { type ipv4_addr; limit rate 5/second counter
                elements = { 192.0.2.1 }
            }
            set r { type ipv4_addr; counter limit rate 5/second
                elements = { 192.0.2.1 }
            }
            set d { type ipv4_addr; flags dynamic; }
            chain c {
                add @d { ip saddr counter limit rate 5/second }
                add @d { ip saddr limit rate 5/second counter }
            }
        }
        """
    )
    apply(captured(home).document, elsewhere)
    assert content(elsewhere) == content(home)
    assert elsewhere.nft_text() == home.nft_text()
    sets = captured(home).document["tables"][0]["sets"]
    assert [[key for key in one if key in ("counter", "limit")] for one in sets] == [
        ["limit", "counter"],
        ["counter", "limit"],
        [],
    ]
    table = captured(home).document["tables"][0]
    table["sets"][0]["limit"] = table["sets"][0].pop("limit")
    assert list(table["sets"][0])[-1] == "limit"
    assert not apply({"tables": [table]}, home, full=True).changed


def test_a_comment_that_no_document_can_say_costs_nothing_but_itself(netns: Namespace) -> None:
    netns.nft(
        """table inet t { comment "a\ttab";
            counter k { comment "b\ttab"; }
            set s { type ipv4_addr; comment "c\ttab"; elements = { 192.0.2.1 comment "d\ttab" } }
            map m { type mark : mark; elements = { 1 comment "e\ttab" : 2 } }
            chain c { comment "f\ttab"; counter comment "fine"; }
        }
        """
    )
    found = captured(netns)
    assert [str(note) for note in found.notes] == [
        "table inet t: 6 comments that a document cannot say are left out"
    ]
    assert found.document["tables"] == [
        {
            "name": "t",
            "family": "inet",
            "sets": [{"name": "s", "type": "ipv4_addr", "elements": [{"elem": "192.0.2.1"}]}],
            "maps": [{"name": "m", "type": "mark", "map": "mark", "elements": [{"key": 1, "value": 2}]}],
            "counters": [{"name": "k"}],
            "chains": [{"name": "c", "rules": [{"counter": True, "comment": "fine"}]}],
        }
    ]


def test_a_comment_that_no_document_can_say_is_left_alone(netns: Namespace) -> None:
    netns.nft(
        """table inet t { comment "a\ttab";
            counter k { comment "b\ttab"; }
            set s { type ipv4_addr; comment "c\ttab"; }
            chain c { comment "f\ttab";
                counter comment "g\ttab"
                tcp dport 22 jump { drop comment "h\ttab"; }
            }
        }
        """
    )
    document = captured(netns).document
    with watched() as traffic:
        assert not apply(document, netns, full=True).changed
    assert traffic.batches == []
    chain = document["tables"][0]["chains"][0]
    chain["rules"][0]["comment"] = "mine"
    assert apply(document, netns, full=True).changed
    assert captured(netns).document["tables"][0]["chains"][0] == chain


def test_what_a_later_version_of_nft_notes_beside_a_table_is_left_alone(netns: Namespace) -> None:
    """nft 1.1.6 notes its own version there, and with it what a comment would be."""
    noted = bytes((1, 4, 1, 1, 6, 0)) + comment_userdata("mine") + bytes((2, 2, 7, 7))
    with NetlinkSocket(netns.name) as kernel:
        kernel.transact([new_table(uapi.NFPROTO_INET, "t", userdata=noted)])
    document = captured(netns).document
    assert document == {"tables": [{"name": "t", "family": "inet", "comment": "mine", "chains": []}]}
    assert not apply(document, netns, full=True).changed
    del document["tables"][0]["comment"]
    assert apply(document, netns, full=True).changed


def test_a_table_with_a_set_that_no_document_can_say_is_left_out_as_a_whole(netns: Namespace) -> None:
    """A document without the set would take it away where it is applied."""
    netns.nft("table inet t { set s { type ipv4_addr; }\n}\ntable inet u { set s { type mark; }\n}")
    with NetlinkSocket(netns.name) as kernel:
        places = [(1, "t"), (1, "u")]
        picture = state.read(kernel, places)
    # what nft calls ll_addr has no size
    picture.tables[1, "u"].sets["s"].key_type = 6
    found = of_picture(picture, places)
    assert [one["name"] for one in found.document["tables"]] == ["t"]
    assert [str(note) for note in found.notes] == [
        "table inet u: it is left out, because a document cannot say it: set s: there is no name for its type"
    ]


def test_a_table_with_an_object_that_cannot_be_read_is_left_out_as_a_whole(netns: Namespace) -> None:
    netns.nft("table ip t { ct timeout c { protocol tcp; policy = { established : 9 }; }; }")
    with NetlinkSocket(netns.name) as kernel:
        places = [(2, "t")]
        picture = state.read(kernel, places)
    ((key, one),) = picture.tables[2, "t"].objects.items()
    protocol = attribute(uapi.NFTA_CT_TIMEOUT_L4PROTO, b"\x06")
    assert protocol in one.data
    # no document has the states of this one
    one.data = one.data.replace(protocol, attribute(uapi.NFTA_CT_TIMEOUT_L4PROTO, b"\x01"))
    found = of_picture(picture, places)
    assert found.document == {"tables": []}
    assert [str(note) for note in found.notes] == [
        "table ip t: it is left out, because a document cannot say it: "
        "object c is of a kind (%d) that a document has no form for" % key[0]
    ]


def test_a_range_as_later_versions_of_nft_write_it_is_read(netns: Namespace) -> None:
    """nft 1.1.3 compares with both bounds at once."""
    table: dict[str, Any] = {"name": "t", "family": "inet"}
    document = {
        "tables": [
            {
                **table,
                "chains": [
                    {"name": "c", "rules": [{"protocol": "tcp", "dport": "22-80", "verdict": "drop"}]}
                ],
            }
        ]
    }
    apply(document, netns)
    held = table_of(netns).chains["c"].rules[0].expressions
    found: list[Expression] = []
    for one in decode_list(held):
        if isinstance(one, Cmp) and one.op == uapi.NFT_CMP_LTE:
            low = found.pop()
            assert isinstance(low, Cmp)
            one = Range(sreg=one.sreg, op=uapi.NFT_RANGE_EQ, from_data=low.data, to_data=one.data)
        found.append(one)
    text = base64.b64encode(encode_list(found)).decode()
    raw = [{"expr": [{"raw": {"expressions": text}}]}]
    netns.nft("flush ruleset")
    apply({"tables": [{**table, "chains": [{"name": "c", "rules": raw}]}]}, netns)
    assert table_of(netns).chains["c"].rules[0].expressions == encode_list(found)
    assert captured(netns).document == document
    assert not apply(document, netns, full=True).changed


def test_the_interfaces_of_iptables_are_read(make_netns: Callable[[], Namespace]) -> None:
    """iptables-nft compares a name up to its NUL, nft all that the kernel has behind it."""
    home, elsewhere = make_netns(), make_netns()
    for words in ("INPUT -i lo", "INPUT -i ppp+", "INPUT ! -i eth0", "OUTPUT -o br-lan", "OUTPUT ! -o p+"):
        chain, *match = words.split()
        home.run("iptables-nft", "-A", chain, *match, "-j", "ACCEPT")
    found = captured(home)
    assert found.notes == []
    counted = {"counter": {"packets": 0, "bytes": 0}, "verdict": "accept"}
    assert [{**rule, "counter": {"packets": 0, "bytes": 0}} for rule in rules_of(found)] == [
        {"iifname": "lo", **counted},
        {"iifname": "ppp*", **counted},
        {"iifname": "!eth0", **counted},
        {"oifname": "br-lan", **counted},
        {"oifname": "!p*", **counted},
    ]
    with watched() as traffic:
        assert not apply(found.document, home, full=True).changed
    assert traffic.batches == []
    apply(found.document, elsewhere)
    assert content(elsewhere) == content(home)


ICMPV6_TYPE = {"payload": {"protocol": "icmpv6", "field": "type"}}
TARGET = {"payload": {"protocol": "icmpv6", "field": "taddr"}}
HOP = {"ip option": {"name": "lsrr", "field": "addr"}}
SUBTYPE = {"tcp option": {"name": "mptcp", "field": "subtype"}}


def match(left: Any, right: Any, op: str = "==") -> dict[str, Any]:
    return {"match": {"op": op, "left": left, "right": right}}


#: by what nft lists: family, statements that only later versions of nft have, and as captured where not so
LATER: dict[str, tuple[str, list[dict[str, Any]], list[dict[str, Any]] | None]] = {
    "icmpv6 type nd-neighbor-solicit icmpv6 taddr 2001:db8::133": (
        "inet",
        [match(ICMPV6_TYPE, "nd-neighbor-solicit"), match(TARGET, "2001:db8::133")],
        None,
    ),
    "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } icmpv6 taddr != 2001:db8::/32": (
        "inet",
        [
            match(ICMPV6_TYPE, {"set": ["nd-neighbor-solicit", "nd-neighbor-advert"]}),
            match(TARGET, {"prefix": {"addr": "2001:db8::", "len": 32}}, "!="),
        ],
        None,
    ),
    "icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, "
    "nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } icmpv6 taddr ff02::1": (
        "ip6",
        [match(TARGET, "ff02::1")],
        [
            match(
                ICMPV6_TYPE,
                {
                    "set": [
                        "mld-listener-query",
                        "mld-listener-report",
                        "mld-listener-done",
                        "nd-neighbor-solicit",
                        "nd-neighbor-advert",
                        "nd-redirect",
                    ]
                },
            ),
            match(TARGET, "ff02::1"),
        ],
    ),
    "icmpv6 daddr 2001:db8::1": (
        "ip6",
        [match({"payload": {"protocol": "icmpv6", "field": "daddr"}}, "2001:db8::1")],
        None,
    ),
    "ip option lsrr addr 16909060": ("ip", [match(HOP, "1.2.3.4")], [match(HOP, 16909060)]),
    "tcp option mptcp subtype 0": ("ip", [match(SUBTYPE, "mp-capable")], [match(SUBTYPE, 0)]),
    "tcp option mptcp subtype { 1, 8 }": (
        "ip",
        [match(SUBTYPE, {"set": ["mp-join", "mp-tcprst"]})],
        [match(SUBTYPE, {"set": [1, 8]})],
    ),
}


@pytest.mark.parametrize("shown", LATER)
def test_what_later_versions_of_nft_name(shown: str, netns: Namespace) -> None:
    family, statements, lifted = LATER[shown]
    chain = {"name": "c", "rules": [{"expr": statements}]}
    document = {"tables": [{"name": "t", "family": family, "chains": [chain]}]}
    apply(document, netns)
    assert not apply(document, netns, full=True).changed
    found = captured(netns)
    assert found.notes == []
    assert list(rules_of(found)) == [{"expr": lifted or statements}]
    assert not apply(found.document, netns, full=True).changed
    (rule,) = inventory.tables(netns.name, [])[0]["chains"][0]["rules"]
    assert rule["rule"] == shown


def test_a_set_takes_the_names_of_a_field(netns: Namespace) -> None:
    """nft 1.0.6 reads only the numbers."""
    one = {"name": "s", "typeof": "tcp option mptcp subtype", "elements": ["mp-join", "dss"]}
    document = {"tables": [{"name": "t", "family": "inet", "sets": [one]}]}
    apply(document, netns)
    assert not apply(document, netns, full=True).changed
    (found,) = captured(netns).document["tables"][0]["sets"]
    assert found["elements"] == [1, 2]
    other = {**one, "elements": ["mp-joni"]}
    with pytest.raises(DocumentError, match="mp-join"):
        apply({"tables": [{"name": "t", "family": "inet", "sets": [other]}]}, netns)


DSCP = {"payload": {"protocol": "ip", "field": "dscp"}}
DSCP6 = {"payload": {"protocol": "ip6", "field": "dscp"}}
PORT = {"payload": {"protocol": "tcp", "field": "dport"}}
WORD = {"payload": {"base": "nh", "offset": 96, "len": 32}}
MARK = {"meta": {"key": "mark"}}

#: by what nft lists: what a mark is set to, as nft has it since 1.0.8
COMPUTED: dict[str, dict[str, Any]] = {
    "ip dscp << 2": {"<<": [DSCP, 2]},
    "ip dscp << 26 | 16": {"|": [{"<<": [DSCP, 26]}, 16]},
    "(ip dscp & 0x0f) << 8": {"<<": [{"&": [DSCP, 15]}, 8]},
    "ip6 dscp": DSCP6,
    "ip6 dscp << 26": {"<<": [DSCP6, 26]},
    "ip6 dscp | 256": {"|": [DSCP6, 256]},
    "tcp dport << 4": {"<<": [PORT, 4]},
    "tcp dport & 255": {"&": [PORT, 255]},
    "@nh,96,32": WORD,
    "@nh,96,32 << 3": {"<<": [WORD, 3]},
    "@nh,96,32 & 0xff": {"&": [WORD, 255]},
    "meta mark & 0x000000ff | ip dscp << 8": {"|": [{"&": [MARK, 255]}, {"<<": [DSCP, 8]}]},
    "meta mark ^ meta l4proto": {"^": [MARK, {"meta": {"key": "l4proto"}}]},
    "ct mark << 3 | 0x00000005": {"|": [{"<<": [{"ct": {"key": "mark"}}, 3]}, 5]},
}


@pytest.mark.parametrize("shown", COMPUTED)
def test_a_mark_is_computed_from_narrower_values(shown: str, netns: Namespace) -> None:
    rule = {"expr": [{"mangle": {"key": MARK, "value": COMPUTED[shown]}}]}
    document = {"tables": [{"name": "t", "family": "inet", "chains": [{"name": "c", "rules": [rule]}]}]}
    apply(document, netns)
    assert not apply(document, netns, full=True).changed
    assert captured(netns).document == document
    (found,) = inventory.tables(netns.name, [])[0]["chains"][0]["rules"]
    assert found["rule"] == "meta mark set " + shown


FLAGS = {"payload": {"protocol": "tcp", "field": "flags"}}
HOPS = {"payload": {"protocol": "ip", "field": "ttl"}}

#: by what nft lists: a field, and what it is set to
CHANGED: dict[str, tuple[dict[str, Any], Any]] = {
    "tcp flags set tcp flags | syn": (FLAGS, {"|": [FLAGS, "syn"]}),
    "tcp flags set tcp flags & (fin | syn)": (FLAGS, {"&": [FLAGS, {"|": ["fin", "syn"]}]}),
    "tcp flags set tcp flags ^ rst": (FLAGS, {"^": [FLAGS, "rst"]}),
    "tcp flags set syn": (FLAGS, "syn"),
    "ip ttl set ip ttl & 3": (HOPS, {"&": [HOPS, 3]}),
    "tcp dport set tcp dport | 1": (PORT, {"|": [PORT, 1]}),
    "udp dport set 53": ({"payload": {"protocol": "udp", "field": "dport"}}, 53),
    "udp checksum set 0": ({"payload": {"protocol": "udp", "field": "checksum"}}, 0),
    "ip protocol set 6": ({"payload": {"protocol": "ip", "field": "protocol"}}, "tcp"),
}


@pytest.mark.parametrize("shown", CHANGED)
def test_a_field_is_changed_as_later_versions_of_nft_have_it(shown: str, netns: Namespace) -> None:
    key, value = CHANGED[shown]
    rule = {"expr": [{"mangle": {"key": key, "value": value}}]}
    document = {"tables": [{"name": "t", "family": "inet", "chains": [{"name": "c", "rules": [rule]}]}]}
    apply(document, netns)
    assert not apply(document, netns, full=True).changed
    assert captured(netns).document == document
    (found,) = inventory.tables(netns.name, [])[0]["chains"][0]["rules"]
    assert found["rule"] == shown


def test_a_change_of_udp_by_an_earlier_version_of_nft_is_the_same(netns: Namespace) -> None:
    """nft before 1.1.1 has the checksum mended in another way."""
    netns.nft("table inet t {\n chain c {\n udp dport set 53\n }\n}\n")
    found = captured(netns)
    assert found.notes == []
    assert not apply(found.document, netns, full=True).changed
    assert "udp dport set 53" in listing.text(inventory.tables(netns.name, []), exact=True)


ADDRESS = {"payload": {"protocol": "ip6", "field": "saddr"}}


@pytest.mark.parametrize(
    ("mask", "shown"), [("ffff::", "ip6 saddr 2001::/16"), ("ffff::ffff", "ip6 saddr & ffff::ffff == 2001::")]
)
def test_a_masked_address_stays_one(mask: str, shown: str, netns: Namespace) -> None:
    """nft lists it as a network where it is one, of which it would compare the first bytes only."""
    rule = {"expr": [match({"&": [ADDRESS, mask]}, "2001::"), {"drop": None}]}
    document: dict[str, Any] = {
        "tables": [{"name": "t", "family": "inet", "chains": [{"name": "c", "rules": [rule]}]}]
    }
    apply(document, netns)
    assert not apply(document, netns, full=True).changed
    (rule,) = rules_of(captured(netns))
    assert rule["expr"][-2:] == document["tables"][0]["chains"][0]["rules"][0]["expr"]
    (found,) = inventory.tables(netns.name, [])[0]["chains"][0]["rules"]
    assert found["rule"] == shown + " drop"


SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}

#: by what nft lists: the statement, in a table with the sets of :data:`GIVEN_SETS`
GIVEN = {
    "update @m { ip saddr : 10.0.0.1 . tcp dport }": {
        "map": {"op": "update", "elem": SOURCE, "map": "@m", "data": {"concat": ["10.0.0.1", PORT]}}
    },
    "add @s { ip saddr . 10.180.0.4 . 80 }": {
        "set": {"op": "add", "elem": {"concat": [SOURCE, "10.180.0.4", 80]}, "set": "@s"}
    },
    "update @s { 192.0.2.1 . 10.180.0.4 . tcp dport }": {
        "set": {"op": "update", "elem": {"concat": ["192.0.2.1", "10.180.0.4", PORT]}, "set": "@s"}
    },
}
GIVEN_SETS = {
    "sets": [{"name": "s", "type": "ipv4_addr . ipv4_addr . inet_service", "flags": ["dynamic"]}],
    "maps": [
        {"name": "m", "type": "ipv4_addr", "map": "ipv4_addr . inet_service", "flags": ["dynamic"]},
    ],
}


@pytest.mark.parametrize("shown", GIVEN)
def test_packets_give_only_some_parts(shown: str, netns: Namespace) -> None:
    table = {"name": "t", "family": "ip", **GIVEN_SETS}
    document = {"tables": [{**table, "chains": [{"name": "c", "rules": [{"expr": [GIVEN[shown]]}]}]}]}
    apply(document, netns)
    assert not apply(document, netns, full=True).changed
    found = captured(netns)
    assert list(rules_of(found)) == document["tables"][0]["chains"][0]["rules"]
    assert not apply(found.document, netns, full=True).changed
    (rule,) = inventory.tables(netns.name, [])[0]["chains"][0]["rules"]
    assert rule["rule"] == shown


def test_a_part_that_packets_do_not_give_is_of_its_type(netns: Namespace) -> None:
    wrong = {"op": "add", "elem": {"concat": [SOURCE, "10.180.0.4", "sshh"]}, "set": "@s"}
    table = {
        "name": "t",
        "family": "ip",
        **GIVEN_SETS,
        "chains": [{"name": "c", "rules": [{"expr": [{"set": wrong}]}]}],
    }
    with pytest.raises(DocumentError, match="sshh"):
        apply({"tables": [table]}, netns)


@pytest.mark.parametrize("symbol", ["&", "|", "^"])
def test_two_marks_are_combined(symbol: str, netns: Namespace) -> None:
    """What nft has since 1.1.1, and the kernel since 6.13."""
    mark, tracked = {"meta": {"key": "mark"}}, {"ct": {"key": "mark"}}
    rules = [
        {"expr": [{"mangle": {"key": mark, "value": {symbol: [tracked, mark]}}}]},
        {"expr": [{"match": {"op": "==", "left": {symbol: [mark, tracked]}, "right": 5}}, {"drop": None}]},
    ]
    document = {"tables": [{"name": "t", "family": "inet", "chains": [{"name": "c", "rules": rules}]}]}
    apply(document, netns)
    assert not apply(document, netns, full=True).changed
    assert captured(netns).document == document
    shown = inventory.tables(netns.name, [])[0]["chains"][0]["rules"]
    assert [one["rule"] for one in shown] == [
        "meta mark set ct mark %s meta mark" % symbol,
        "meta mark %s ct mark == 0x00000005 drop" % symbol,
    ]


def test_values_of_different_widths_are_not_combined(netns: Namespace) -> None:
    wrong = {"|": [{"meta": {"key": "mark"}}, {"meta": {"key": "l4proto"}}]}
    rule = {"expr": [match(wrong, 5)]}
    with pytest.raises(DocumentError, match="two values of different widths; found '32 and 8 bits'"):
        apply({"tables": [{"name": "t", "chains": [{"name": "c", "rules": [rule]}]}]}, netns)


@pytest.mark.parametrize("key", ["protocol", "l3proto", "bytes", "zone"])
def test_a_direction_that_the_kernel_does_not_keep_is_no_difference(key: str, netns: Namespace) -> None:
    match = {"op": "!=", "left": {"ct": {"key": key, "dir": "original"}}, "right": 2}
    rule = {"expr": [{"match": match}, {"accept": None}]}
    document = {"tables": [{"name": "t", "chains": [{"name": "c", "rules": [rule]}]}]}
    apply(document, netns)
    assert not apply(document, netns, full=True).changed
