# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tunnel objects without a kernel: document, libnftables JSON, bytes and text, each from the other."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.document.tunnels import tunnel_form, tunnel_of
from rempart.errors import DocumentError
from rempart.netlink.attributes import BE32, attribute, nested
from rempart.nftables import uapi
from rempart.nftables.declared.objects import compile_object, decode_object, object_identity
from rempart.nftables.declared.tunnels import FLAGS, compile_tunnel, decode_tunnel
from rempart.nftables.render import render_object

FOUR = st.ip_addresses(v=4).map(str)
SIX = st.ip_addresses(v=6).map(lambda one: socket.inet_ntop(socket.AF_INET6, one.packed))
ERSPAN = st.one_of(
    st.fixed_dictionaries({"version": st.just(1), "index": st.integers(0, 0xFFFFF)}),
    st.fixed_dictionaries(
        {"version": st.just(2), "direction": st.sampled_from(["ingress", "egress"]), "id": st.integers(0, 63)}
    ),
)
GENEVE = st.lists(
    st.fixed_dictionaries(
        {
            "class": st.integers(0, 0xFFFF),
            "opt-type": st.integers(0, 0xFF),
            "data": st.integers(1, 7).flatmap(
                lambda words: st.binary(min_size=4 * words, max_size=4 * words)
            ),
        }
    ).map(lambda one: {**one, "data": "0x" + one["data"].hex()}),
    min_size=1,
    max_size=7,
)
KINDS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"vxlan": st.fixed_dictionaries({"gbp": st.integers(0, 0xFFFFFFFF)})}),
    st.fixed_dictionaries({"erspan": ERSPAN}),
    st.fixed_dictionaries({"geneve": GENEVE}),
)
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "sport": st.integers(1, 0xFFFF),
    "dport": st.integers(1, 0xFFFF),
    "tos": st.integers(1, 0xFF),
    "ttl": st.integers(0, 0xFE),
    "flags": st.sets(st.sampled_from(list(FLAGS)), min_size=1).map(
        lambda chosen: [flag for flag in FLAGS if flag in chosen]
    ),
}


def given_at_all(address: str) -> bool:
    """Whether an address is not the one that stands for none."""
    return address not in ("0.0.0.0", "::")


TUNNELS = st.tuples(
    st.fixed_dictionaries({"id": st.integers(0, 0xFFFFFFFF)}, optional=SETTINGS),
    st.one_of(
        st.fixed_dictionaries({"daddr": FOUR}, optional={"saddr": FOUR.filter(given_at_all)}),
        st.fixed_dictionaries(
            {"daddr": SIX}, optional={"saddr": SIX.filter(given_at_all), "flowlabel": st.integers(1, 0xFFFFF)}
        ),
    ),
    KINDS,
).map(lambda parts: {**parts[0], **parts[1], **parts[2]})


@given(TUNNELS)
def test_every_tunnel_comes_back_from_its_bytes_as_it_was_written(tunnel: dict[str, Any]) -> None:
    json = tunnel_of(tunnel, "netdev")
    data = compile_tunnel(dict(json))
    assert decode_tunnel(data) == json
    assert tunnel_form(decode_tunnel(data)) == tunnel
    assert object_identity(uapi.NFT_OBJECT_TUNNEL, data) == data


@given(TUNNELS, st.binary(max_size=40), st.integers(0, 200), st.integers(0, 255))
def test_damaged_bytes_are_told_from_a_tunnel(
    tunnel: dict[str, Any], tail: bytes, at: int, byte: int
) -> None:
    data = bytearray(compile_tunnel(dict(tunnel_of(tunnel, "netdev"))) + tail)
    data[at % len(data)] = byte
    damaged = bytes(data)
    shown = decode_object(uapi.NFT_OBJECT_TUNNEL, damaged)
    assert set(shown) == {"unknown"} or compile_object("tunnel", {"name": "t", **shown}).data
    assert isinstance(object_identity(uapi.NFT_OBJECT_TUNNEL, damaged), bytes)


def test_what_kernels_write_differently_is_the_same_tunnel() -> None:
    bare = compile_tunnel({"id": 1, "dst-ipv4": "192.0.2.2"})
    with_empty_options = bare + nested(uapi.NFTA_TUNNEL_KEY_OPTS)
    assert object_identity(uapi.NFT_OBJECT_TUNNEL, with_empty_options) == bare
    mirror = {"id": 1, "dst-ipv4": "192.0.2.2", "type": "erspan", "tunnel": {"version": 1, "index": 5}}
    index = attribute(uapi.NFTA_TUNNEL_KEY_ERSPAN_V1_INDEX, BE32.pack(5))
    without_flag_bits = attribute(
        uapi.NFTA_TUNNEL_KEY_OPTS, attribute(uapi.NFTA_TUNNEL_KEY_OPTS_ERSPAN, index)
    )
    assert object_identity(uapi.NFT_OBJECT_TUNNEL, bare + without_flag_bits) == compile_tunnel(mirror)


def test_the_text_is_that_of_nft() -> None:
    body = {
        "name": "y",
        "comment": "to the branch",
        "id": 10,
        "src-ipv4": "192.0.2.1",
        "dst-ipv4": "192.0.2.2",
        "sport": 10,
        "dport": 20,
        "tos": 16,
        "ttl": 10,
        "flags": ["dont-fragment"],
        "type": "erspan",
        "tunnel": {"version": 2, "dir": "egress", "hwid": 4},
    }
    assert "\n".join(render_object({"tunnel": body})).expandtabs(4) == (
        """\
    tunnel y {
        comment "to the branch"
        id 10
        ip saddr 192.0.2.1
        ip daddr 192.0.2.2
        sport 10
        dport 20
        tos 16
        ttl 10
        # flags dont-fragment
        erspan {
            version 2
            direction egress
            id 4
        }
    }"""
    )


def test_options_have_two_digits_a_byte() -> None:
    told = [
        {"class": 1, "opt-type": 2, "data": "0x01020304"},
        {"class": 255, "opt-type": 3, "data": "0xff00ff00"},
    ]
    body = {"name": "y", "id": 1, "dst-ipv6": "2001:db8::2", "flowlabel": 7, "type": "geneve", "tunnel": told}
    assert [line.strip() for line in render_object({"tunnel": body})] == [
        "tunnel y {",
        "id 1",
        "ip6 daddr 2001:db8::2",
        "# flowlabel 7",
        "geneve {",
        'class 0x1 opt-type 0x2 data "0x01020304"',
        'class 0xff opt-type 0x3 data "0xff00ff00"',
        "}",
        "}",
    ]


@pytest.mark.parametrize(
    ("json", "place", "message"),
    [
        ({"id": 1}, "", "one destination is due"),
        ({"id": 1, "dst-ipv4": "192.0.2.2", "dst-ipv6": "::1"}, "", "one destination is due"),
        ({"id": 1, "dst-ipv4": "192.0.2.2", "src-ipv6": "::1"}, "src-ipv6", "two families"),
        ({"id": 1, "dst-ipv6": "::1", "src-ipv4": "192.0.2.2"}, "src-ipv4", "two families"),
        ({"id": 1, "dst-ipv4": "::1"}, "dst-ipv4", "this is an IPv6 address"),
        ({"id": 1, "dst-ipv4": "192.0.2.2", "flowlabel": 1}, "flowlabel", "no flow label"),
        ({"id": 1, "dst-ipv4": "192.0.2.2", "type": "gre", "tunnel": {}}, "type", "unknown name"),
        ({"id": 1, "dst-ipv4": "192.0.2.2", "type": "vxlan"}, "tunnel.gbp", "fits"),
        (
            {"id": 1, "dst-ipv4": "192.0.2.2", "type": "erspan", "tunnel": {"version": 1, "hwid": 1}},
            "tunnel.hwid",
            "unknown key",
        ),
        ({"id": 1, "dst-ipv4": "192.0.2.2", "type": "geneve", "tunnel": []}, "tunnel", "no list of options"),
        ({"id": 1 << 32, "dst-ipv4": "192.0.2.2"}, "id", "fits"),
    ],
)
def test_json_that_is_no_tunnel_is_refused(json: dict[str, Any], place: str, message: str) -> None:
    with pytest.raises(DocumentError) as caught:
        compile_object("tunnel", {"name": "t", **json})
    assert caught.value.problems[0].place == place
    assert message in str(caught.value)
