# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tunnel objects: the outer header that a rule gives a packet on its way into a tunnel device.

The JSON is that of libnftables (nftables 1.1.6), which has no words for ``flags`` and
``flowlabel``; they stand beside its keys.
"""

from __future__ import annotations

import socket
from typing import Any, Callable

from ...errors import DocumentError
from ...netlink.attributes import BE16, BE32, U8, attribute, nested, table, walk
from .. import uapi
from ..datatypes import TYPES, DatatypeError
from ..parameters import checked, choice, whole

FLAGS = {
    "zero-csum-tx": uapi.NFT_TUNNEL_F_ZERO_CSUM_TX,
    "dont-fragment": uapi.NFT_TUNNEL_F_DONT_FRAGMENT,
    "seq-number": uapi.NFT_TUNNEL_F_SEQ_NUMBER,
}
"""enum nft_tunnel_flags of linux/netfilter/nf_tables.h."""

DIRECTIONS = {"ingress": 0, "egress": 1}
"""The direction bit of ERSPAN's version 2 (draft-foschiano-erspan)."""

_DIRECTION_NAMES = {number: name for name, number in DIRECTIONS.items()}

DEFAULT_TTL = 255
"""What the kernel takes where no ttl is given (nft_tunnel_obj_init() of net/netfilter/nft_tunnel.c)."""

HIGHEST_LABEL = 0xFFFFF  # 20 bits (RFC 8200)
HIGHEST_INDEX = 0xFFFFF  # 20 bits, ERSPAN's version 1
HIGHEST_HARDWARE = 0x3F  # 6 bits, ERSPAN's version 2

LONGEST_OPTION = 124
"""Bytes of one Geneve option: a count of 31 words (RFC 8926)."""

LONGEST_OPTIONS = 255
"""Bytes of all options, four of each option's head included (IP_TUNNEL_OPTS_MAX of net/ip_tunnels.h)."""

_OPTION_HEAD = 4

Mapping = dict[str, Any]

_KEYS = (
    "id", "src-ipv4", "dst-ipv4", "src-ipv6", "dst-ipv6", "flowlabel", "sport", "dport", "flags", "tos",
    "ttl", "type", "tunnel",
)  # fmt: skip


def compile_tunnel(value: Mapping) -> bytes:
    """The payload of NFTA_OBJ_DATA, in the order of the kernel's dumps. Raises DocumentError."""
    value = checked(value, _KEYS)
    flags = 0
    for flag in value.get("flags", ()):
        flags |= choice(flag, FLAGS, "flags")
    parts = [
        attribute(uapi.NFTA_TUNNEL_KEY_ID, BE32.pack(whole(value.get("id"), "id"))),
        _outer(value),
        attribute(uapi.NFTA_TUNNEL_KEY_SPORT, BE16.pack(whole(value.get("sport", 0), "sport", 0xFFFF))),
        attribute(uapi.NFTA_TUNNEL_KEY_DPORT, BE16.pack(whole(value.get("dport", 0), "dport", 0xFFFF))),
        attribute(uapi.NFTA_TUNNEL_KEY_FLAGS, BE32.pack(flags)),
        attribute(uapi.NFTA_TUNNEL_KEY_TOS, U8.pack(whole(value.get("tos", 0), "tos", 0xFF))),
        attribute(uapi.NFTA_TUNNEL_KEY_TTL, U8.pack(whole(value.get("ttl", DEFAULT_TTL), "ttl", 0xFF))),
    ]
    if "type" in value:
        parts.append(_options(choice(value["type"], _OPTIONS, "type"), value.get("tunnel")))
    return b"".join(parts)


def _outer(value: Mapping) -> bytes:
    """The addresses: those of one family, the destination at least."""
    six = "dst-ipv6" in value
    if six == ("dst-ipv4" in value):
        raise DocumentError("one destination is due", allowed="dst-ipv4 or dst-ipv6")
    source, destination = ("src-ipv6", "dst-ipv6") if six else ("src-ipv4", "dst-ipv4")
    other = ("src-ipv4", "src-ipv6")[not six]
    if other in value:
        raise DocumentError(
            "addresses of two families", other, value[other], "%s beside %s" % (source, destination)
        )
    size, name = (16, "ipv6_addr") if six else (4, "ipv4_addr")
    nothing = socket.inet_ntop(socket.AF_INET6 if six else socket.AF_INET, bytes(size))
    found = []
    for key in (source, destination):
        try:
            found.append(TYPES[name].number_of(value.get(key, nothing)).to_bytes(size, "big"))
        except DatatypeError as error:
            raise DocumentError(error.message, key, value[key], error.allowed, error.cure) from None
    if six:
        label = whole(value.get("flowlabel", 0), "flowlabel", HIGHEST_LABEL)
        return nested(
            uapi.NFTA_TUNNEL_KEY_IP6,
            attribute(uapi.NFTA_TUNNEL_KEY_IP6_SRC, found[0]),
            attribute(uapi.NFTA_TUNNEL_KEY_IP6_DST, found[1]),
            attribute(uapi.NFTA_TUNNEL_KEY_IP6_FLOWLABEL, BE32.pack(label)),
        )
    if "flowlabel" in value:
        raise DocumentError(
            "IPv4 has no flow label", "flowlabel", value["flowlabel"], "flowlabel beside dst-ipv6"
        )
    return nested(
        uapi.NFTA_TUNNEL_KEY_IP,
        attribute(uapi.NFTA_TUNNEL_KEY_IP_SRC, found[0]),
        attribute(uapi.NFTA_TUNNEL_KEY_IP_DST, found[1]),
    )


def _options(make: Callable[[Any], list[bytes]], value: Any) -> bytes:
    try:
        return nested(uapi.NFTA_TUNNEL_KEY_OPTS, *make(value))
    except DocumentError as error:
        raise error.at("tunnel") from None


def _vxlan(value: Any) -> list[bytes]:
    group = whole(checked(value, ("gbp",)).get("gbp"), "gbp")
    return [
        nested(uapi.NFTA_TUNNEL_KEY_OPTS_VXLAN, attribute(uapi.NFTA_TUNNEL_KEY_VXLAN_GBP, BE32.pack(group)))
    ]


def _erspan(value: Any) -> list[bytes]:
    mapping = checked(value, ("version", "index", "dir", "hwid"))
    version = whole(mapping.get("version"), "version", 2, 1)
    checked(value, ("version", "index") if version == 1 else ("version", "dir", "hwid"))
    parts = [attribute(uapi.NFTA_TUNNEL_KEY_ERSPAN_VERSION, BE32.pack(version))]
    if version == 1:
        index = whole(mapping.get("index"), "index", HIGHEST_INDEX)
        parts.append(attribute(uapi.NFTA_TUNNEL_KEY_ERSPAN_V1_INDEX, BE32.pack(index)))
    else:
        hardware = whole(mapping.get("hwid"), "hwid", HIGHEST_HARDWARE)
        parts.append(attribute(uapi.NFTA_TUNNEL_KEY_ERSPAN_V2_HWID, U8.pack(hardware)))
        direction = choice(mapping.get("dir"), DIRECTIONS, "dir")
        parts.append(attribute(uapi.NFTA_TUNNEL_KEY_ERSPAN_V2_DIR, U8.pack(direction)))
    return [nested(uapi.NFTA_TUNNEL_KEY_OPTS_ERSPAN, *parts)]


def _geneve(value: Any) -> list[bytes]:
    if not isinstance(value, list) or not value:
        raise DocumentError("no list of options", found=value, allowed="a list of class, opt-type and data")
    parts = []
    sizes = []
    for index, one in enumerate(value):
        try:
            mapping = checked(one, ("class", "opt-type", "data"))
            data = option_data(mapping.get("data"))
            parts.append(
                nested(
                    uapi.NFTA_TUNNEL_KEY_OPTS_GENEVE,
                    attribute(
                        uapi.NFTA_TUNNEL_KEY_GENEVE_CLASS,
                        BE16.pack(whole(mapping.get("class"), "class", 0xFFFF)),
                    ),
                    attribute(
                        uapi.NFTA_TUNNEL_KEY_GENEVE_TYPE,
                        U8.pack(whole(mapping.get("opt-type"), "opt-type", 0xFF)),
                    ),
                    attribute(uapi.NFTA_TUNNEL_KEY_GENEVE_DATA, data),
                )
            )
        except DocumentError as error:
            raise error.at("[%d]" % index) from None
        sizes.append(len(data))
    check_options(sizes)
    return parts


def check_options(sizes: list[int]) -> None:
    """Whether Geneve options with so many bytes of data each fit together. Raises DocumentError."""
    size = sum(sizes) + _OPTION_HEAD * len(sizes)
    if size > LONGEST_OPTIONS:
        raise DocumentError(
            "the options are too long: %d bytes, with %d of each option's head" % (size, _OPTION_HEAD),
            allowed="at most %d bytes" % LONGEST_OPTIONS,
        )


def option_data(value: Any) -> bytes:
    """The data of a Geneve option, ``0x`` and two digits a byte. Raises DocumentError."""
    if isinstance(value, str) and value[:2] in ("0x", "0X"):
        try:
            data = bytes.fromhex(value[2:])
        except ValueError:
            data = b""
        if data and len(data) % 4 == 0 and len(data) <= LONGEST_OPTION and len(value) == 2 + 2 * len(data):
            return data
    raise DocumentError(
        "no data of an option",
        "data",
        value,
        "a text of 0x and 8, 16, ... up to %d hexadecimal digits" % (2 * LONGEST_OPTION),
        "quote it" if isinstance(value, int) else "",
    )


_OPTIONS: dict[str, Callable[[Any], list[bytes]]] = {"vxlan": _vxlan, "erspan": _erspan, "geneve": _geneve}


def decode_tunnel(data: bytes) -> Mapping:
    """A dumped tunnel as libnftables JSON, without what is as if not given. Raises ValueError, KeyError."""
    found = table(data)
    body: Mapping = {"id": BE32.unpack(found[uapi.NFTA_TUNNEL_KEY_ID])}
    six = uapi.NFTA_TUNNEL_KEY_IP6 in found
    addresses = table(found[uapi.NFTA_TUNNEL_KEY_IP6 if six else uapi.NFTA_TUNNEL_KEY_IP])
    family, version = (socket.AF_INET6, "ipv6") if six else (socket.AF_INET, "ipv4")
    # source and destination have the same numbers in both
    for number, side in ((uapi.NFTA_TUNNEL_KEY_IP_SRC, "src-"), (uapi.NFTA_TUNNEL_KEY_IP_DST, "dst-")):
        if side == "dst-" or any(addresses.get(number, b"")):
            body[side + version] = socket.inet_ntop(family, addresses[number])
    label = BE32.unpack(addresses[uapi.NFTA_TUNNEL_KEY_IP6_FLOWLABEL]) if six else 0
    if label:
        body["flowlabel"] = label
    for key, number, codec, default in (
        ("sport", uapi.NFTA_TUNNEL_KEY_SPORT, BE16, 0),
        ("dport", uapi.NFTA_TUNNEL_KEY_DPORT, BE16, 0),
        ("tos", uapi.NFTA_TUNNEL_KEY_TOS, U8, 0),
        ("ttl", uapi.NFTA_TUNNEL_KEY_TTL, U8, DEFAULT_TTL),
    ):
        given = codec.unpack(found[number]) if number in found else default
        if given != default:
            body[key] = given
    flags = BE32.unpack(found.get(uapi.NFTA_TUNNEL_KEY_FLAGS, bytes(4)))
    if flags & ~uapi.NFT_TUNNEL_F_MASK:
        raise ValueError("unknown flags: %#x" % flags)
    if flags:
        body["flags"] = [name for name, bit in FLAGS.items() if flags & bit]
    options = walk(found.get(uapi.NFTA_TUNNEL_KEY_OPTS, b""))
    if options:
        body["type"], body["tunnel"] = _decode_options(options)
    return body


def _decode_options(options: list[tuple[int, bytes]]) -> tuple[str, Any]:
    kind = options[0][0]
    tables = [table(data) for number, data in options if number == kind]
    if kind == uapi.NFTA_TUNNEL_KEY_OPTS_VXLAN:
        return "vxlan", {"gbp": BE32.unpack(tables[0][uapi.NFTA_TUNNEL_KEY_VXLAN_GBP])}
    if kind == uapi.NFTA_TUNNEL_KEY_OPTS_ERSPAN:
        return "erspan", _decode_erspan(tables[0])
    if kind == uapi.NFTA_TUNNEL_KEY_OPTS_GENEVE:
        return "geneve", [
            {
                "class": BE16.unpack(one[uapi.NFTA_TUNNEL_KEY_GENEVE_CLASS]),
                "opt-type": U8.unpack(one[uapi.NFTA_TUNNEL_KEY_GENEVE_TYPE]),
                "data": "0x" + one[uapi.NFTA_TUNNEL_KEY_GENEVE_DATA].hex(),
            }
            for one in tables
        ]
    raise ValueError("unknown options: %d" % kind)


def _decode_erspan(found: dict[int, bytes]) -> Mapping:
    if uapi.NFTA_TUNNEL_KEY_ERSPAN_V1_INDEX in found:
        return {"version": 1, "index": BE32.unpack(found[uapi.NFTA_TUNNEL_KEY_ERSPAN_V1_INDEX])}
    direction = U8.unpack(found[uapi.NFTA_TUNNEL_KEY_ERSPAN_V2_DIR])
    return {
        "version": 2,
        "dir": _DIRECTION_NAMES[direction],
        "hwid": U8.unpack(found[uapi.NFTA_TUNNEL_KEY_ERSPAN_V2_HWID]),
    }
