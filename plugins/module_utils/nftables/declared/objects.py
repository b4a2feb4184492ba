# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named objects: counters, quotas, limits, and what connection tracking is told by rules."""

from __future__ import annotations

from typing import Any, Callable

from ...errors import DocumentError
from ...netlink.attributes import BE16, BE32, TEXT, U8, U32, attribute, nested, table
from .. import uapi
from ..datatypes import TYPES, DatatypeError, milliseconds_of
from ..parameters import checked, choice, whole
from ..stateful import STATEFUL
from ..statements.actions import synproxy_expression
from ..statements.stateful import OBJECT_TYPES
from .tunnels import compile_tunnel, decode_tunnel

NETWORKS = {"ip": 2, "ip6": 10, "inet": 1}  # NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_INET

#: seconds in each state where a policy does not say (nft's own table, which is the
#: kernel's: net/netfilter/nf_conntrack_proto_tcp.c and _udp.c), in the order of
#: enum ctattr_timeout_tcp and _udp (linux/netfilter/nfnetlink_cttimeout.h)
TIMEOUTS: dict[str, dict[str, int]] = {
    "tcp": {
        "syn_sent": 120,
        "syn_recv": 60,
        "established": 432000,
        "fin_wait": 120,
        "close_wait": 60,
        "last_ack": 30,
        "time_wait": 120,
        "close": 10,
        "syn_sent2": 120,
        "retrans": 300,
        "unack": 300,
    },
    "udp": {"unreplied": 30, "replied": 120},
}


class ObjectContent:
    """An object, wire-ready: ``kind`` is NFT_OBJECT_*, ``data`` the payload of NFTA_OBJ_DATA."""

    __slots__ = ("comment", "data", "kind", "name", "type")

    def __init__(self, type: str, name: str, data: bytes, comment: str) -> None:
        self.type = type
        self.kind = OBJECT_TYPES[type]
        self.name = name
        self.data = data
        self.comment = comment

    def identity(self) -> bytes:
        """What a changed object differs in: its data without what packets count."""
        return object_identity(self.kind, self.data)


def object_identity(kind: int, data: bytes) -> bytes:
    """An object's data with the counts of packets blanked out."""
    if kind == uapi.NFT_OBJECT_COUNTER:
        return b""
    if kind == uapi.NFT_OBJECT_QUOTA:
        found = table(data)
        over = BE32.unpack(found[uapi.NFTA_QUOTA_FLAGS]) & uapi.NFT_QUOTA_F_INV
        return found[uapi.NFTA_QUOTA_BYTES] + BE32.pack(over)
    if kind == uapi.NFT_OBJECT_TUNNEL:
        # kernels differ in the flag bits of nests and in the options of a tunnel without any
        try:
            return compile_tunnel(decode_tunnel(data))
        except (ValueError, KeyError, DocumentError):
            return data
    return data


def _protocol(value: Any) -> int:
    try:
        return TYPES["inet_proto"].number_of(value)
    except DatatypeError as error:
        raise DocumentError(
            error.message, place="protocol", found=value, allowed=error.allowed, cure=error.cure
        ) from None


def _counter(value: dict[str, Any]) -> bytes:
    return STATEFUL["counter"](value or None).payload()


def _quota(value: dict[str, Any]) -> bytes:
    mapping = dict(value)
    # libnftables lists a quota object with "bytes" and "used"; a statement has "val"
    if "bytes" in mapping:
        mapping["val"] = mapping.pop("bytes")
    return STATEFUL["quota"](mapping).payload()


def _limit(value: dict[str, Any]) -> bytes:
    return STATEFUL["limit"](value).payload()


def _ct_helper(value: dict[str, Any]) -> bytes:
    mapping = checked(value, ("type", "protocol", "l3proto"))
    name = mapping.get("type")
    if not isinstance(name, str) or not 0 < len(name) < 16:
        raise DocumentError(
            "not a helper's name", place="type", found=name, allowed="1 to 15 bytes, such as ftp"
        )
    return (
        attribute(uapi.NFTA_CT_HELPER_NAME, TEXT.pack(name))
        + attribute(uapi.NFTA_CT_HELPER_L4PROTO, U8.pack(_protocol(mapping.get("protocol"))))
        + attribute(
            uapi.NFTA_CT_HELPER_L3PROTO,
            BE16.pack(choice(mapping.get("l3proto", "inet"), NETWORKS, "l3proto")),
        )
    )


def _ct_timeout(value: dict[str, Any]) -> bytes:
    mapping = checked(value, ("protocol", "l3proto", "policy"))
    protocol = mapping.get("protocol")
    states = choice(protocol, TIMEOUTS, "protocol")
    policy = checked(mapping.get("policy"), tuple(states))
    listed = b""
    for number, (state, default) in enumerate(states.items(), 1):
        seconds = milliseconds_of(str(policy.get(state, default)))
        if seconds is None:
            raise DocumentError(
                "not a time", place="policy.%s" % state, found=policy[state], allowed="seconds, or like 1h30m"
            )
        listed += attribute(number, BE32.pack(seconds // 1000))
    return (
        attribute(uapi.NFTA_CT_TIMEOUT_L4PROTO, U8.pack(_protocol(protocol)))
        + attribute(
            uapi.NFTA_CT_TIMEOUT_L3PROTO, BE16.pack(choice(mapping.get("l3proto", "ip"), NETWORKS, "l3proto"))
        )
        + nested(uapi.NFTA_CT_TIMEOUT_DATA, listed)
    )


def _ct_expectation(value: dict[str, Any]) -> bytes:
    mapping = checked(value, ("protocol", "l3proto", "dport", "timeout", "size"))
    timeout = mapping.get("timeout")
    # libnftables lists milliseconds as a number; a text is a time with units
    lasting = timeout if isinstance(timeout, int) else milliseconds_of(str(timeout))
    if lasting is None:
        raise DocumentError(
            "not a time", place="timeout", found=timeout, allowed="milliseconds, or like 1h30m"
        )
    return (
        attribute(
            uapi.NFTA_CT_EXPECT_L3PROTO, BE16.pack(choice(mapping.get("l3proto", "ip"), NETWORKS, "l3proto"))
        )
        + attribute(uapi.NFTA_CT_EXPECT_L4PROTO, U8.pack(_protocol(mapping.get("protocol"))))
        + attribute(uapi.NFTA_CT_EXPECT_DPORT, BE16.pack(whole(mapping.get("dport"), "dport", 0xFFFF)))
        + attribute(uapi.NFTA_CT_EXPECT_TIMEOUT, U32.pack(lasting))
        + attribute(uapi.NFTA_CT_EXPECT_SIZE, U8.pack(whole(mapping.get("size"), "size", 0xFF)))
    )


def _synproxy(value: dict[str, Any]) -> bytes:
    return synproxy_expression(checked(value, ("mss", "wscale", "flags"))).payload()


def _secmark(value: dict[str, Any]) -> bytes:
    mapping = checked(value, ("context",))
    context = mapping.get("context")
    if not isinstance(context, str) or not 0 < len(context) <= 256:
        raise DocumentError(
            "not a security context", place="context", found=context, allowed="1 to 256 bytes"
        )
    return attribute(uapi.NFTA_SECMARK_CTX, TEXT.pack(context))


_COMPILERS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "counter": _counter,
    "quota": _quota,
    "limit": _limit,
    "ct helper": _ct_helper,
    "ct timeout": _ct_timeout,
    "ct expectation": _ct_expectation,
    "synproxy": _synproxy,
    "secmark": _secmark,
    "tunnel": compile_tunnel,
}


def compile_object(type: str, value: dict[str, Any]) -> ObjectContent:
    """An object of libnftables JSON, its ``type`` the key it stands under. Raises DocumentError."""
    compiler = choice(type, _COMPILERS, "")
    rest = {
        key: one for key, one in value.items() if key not in ("name", "comment", "family", "table", "handle")
    }
    return ObjectContent(type, str(value["name"]), compiler(rest), str(value.get("comment", "")))


def decode_object(kind: int, data: bytes) -> dict[str, Any]:
    """An object's data as libnftables JSON lists them; ``unknown`` and the bytes where that fails."""
    decoder = _DECODERS.get(kind)
    if decoder is not None:
        try:
            return decoder(data)
        except (ValueError, KeyError, IndexError):
            pass
    return {"unknown": data.hex()}


_NETWORK_NAMES = {number: name for name, number in NETWORKS.items()}


def _names(found: dict[int, bytes], l3: int, l4: int) -> dict[str, Any]:
    return {
        "protocol": TYPES["inet_proto"].json_of(U8.unpack(found[l4])),
        "l3proto": _NETWORK_NAMES.get(BE16.unpack(found[l3]), BE16.unpack(found[l3])),
    }


def _decode_counter(data: bytes) -> dict[str, Any]:
    found = table(data)
    return {
        "packets": int.from_bytes(found[uapi.NFTA_COUNTER_PACKETS], "big"),
        "bytes": int.from_bytes(found[uapi.NFTA_COUNTER_BYTES], "big"),
    }


def _decode_quota(data: bytes) -> dict[str, Any]:
    found = table(data)
    return {
        "bytes": int.from_bytes(found[uapi.NFTA_QUOTA_BYTES], "big"),
        "used": int.from_bytes(found.get(uapi.NFTA_QUOTA_CONSUMED, b""), "big"),
        "inv": bool(BE32.unpack(found[uapi.NFTA_QUOTA_FLAGS]) & uapi.NFT_QUOTA_F_INV),
    }


def _decode_ct_helper(data: bytes) -> dict[str, Any]:
    found = table(data)
    return {
        "type": TEXT.unpack(found[uapi.NFTA_CT_HELPER_NAME]),
        **_names(found, uapi.NFTA_CT_HELPER_L3PROTO, uapi.NFTA_CT_HELPER_L4PROTO),
    }


def _decode_ct_timeout(data: bytes) -> dict[str, Any]:
    found = table(data)
    shown = _names(found, uapi.NFTA_CT_TIMEOUT_L3PROTO, uapi.NFTA_CT_TIMEOUT_L4PROTO)
    states = TIMEOUTS[shown["protocol"]]
    listed = table(found[uapi.NFTA_CT_TIMEOUT_DATA])
    shown["policy"] = {
        state: BE32.unpack(listed[number])
        for number, (state, default) in enumerate(states.items(), 1)
        if number in listed and BE32.unpack(listed[number]) != default
    }
    return shown


def _decode_ct_expectation(data: bytes) -> dict[str, Any]:
    found = table(data)
    return {
        **_names(found, uapi.NFTA_CT_EXPECT_L3PROTO, uapi.NFTA_CT_EXPECT_L4PROTO),
        "dport": BE16.unpack(found[uapi.NFTA_CT_EXPECT_DPORT]),
        "timeout": U32.unpack(found[uapi.NFTA_CT_EXPECT_TIMEOUT]),
        "size": U8.unpack(found[uapi.NFTA_CT_EXPECT_SIZE]),
    }


def _decode_secmark(data: bytes) -> dict[str, Any]:
    return {"context": TEXT.unpack(table(data)[uapi.NFTA_SECMARK_CTX])}


_DECODERS: dict[int, Callable[[bytes], dict[str, Any]]] = {
    uapi.NFT_OBJECT_COUNTER: _decode_counter,
    uapi.NFT_OBJECT_QUOTA: _decode_quota,
    uapi.NFT_OBJECT_CT_HELPER: _decode_ct_helper,
    uapi.NFT_OBJECT_CT_TIMEOUT: _decode_ct_timeout,
    uapi.NFT_OBJECT_CT_EXPECT: _decode_ct_expectation,
    uapi.NFT_OBJECT_SECMARK: _decode_secmark,
    uapi.NFT_OBJECT_TUNNEL: decode_tunnel,
}
