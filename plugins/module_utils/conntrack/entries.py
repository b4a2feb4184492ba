# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection as a dictionary that JSON can carry: all that the kernel says of it, and back.

    family      ``ip`` or ``ip6``
    protocol    its name as of names.py, ``unknown`` for any other; ``protonum`` is its number
    timeout     seconds left
    state       of TCP, SCTP, DCCP: as of names.py
    original    the tuple of the first packet's direction (tuples.py), and of that direction:
                ``packets`` and ``bytes`` where accounting is on, ``wscale`` and ``tcp_flags``
                (TCP), ``vtag`` (SCTP), ``seq_adj`` (``correction_pos``, ``offset_before``,
                ``offset_after``)
    reply       the same of the other direction
    status      words of names.STATUS; a bit without a word as ``0x10000``
    assured     whether it is kept when the table is full; ``unreplied`` whether no answer was seen
    nat         ``snat``, ``dnat``: what its tuples show to be translated
    mark, zone, helper, secctx
    labels      numbers of the bits that are set; labels.add_names() puts ``label_names`` beside them
    start, stop when it began and ended: nanoseconds since the epoch, where timestamps are on
    event_time  when an event happened, likewise (Linux 6.14)
    master      the tuple of the connection that expected this one, ``protonum`` with it
    synproxy    ``isn``, ``its``, ``tsoff``
    role        of DCCP: ``client`` or ``server``; ``handshake_seq``
    use, id     how many hold it; the kernel's number for it

What the kernel does not say is not there: no ``zone`` is zone 0. What only a helper understands
(CTA_HELP_INFO) is left out. Numbers of a direction's sequence adjustment are signed, all others
are not. Source: net/netfilter/nf_conntrack_netlink.c, ctnetlink_fill_info().
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping
from typing import Any

from ..errors import DocumentError, Problem, nearest
from ..netlink.attributes import attribute, nested
from ..netlink.messages import NLM_F_CREATE, NLM_F_REQUEST
from ..netlink.messages import message as netlink_message
from . import labels, tuples, uapi
from .decoding import Decoder, Field, Fields, Nest, Tree, text
from .names import DCCP_STATES, PROTOCOLS, SCTP_STATES, STATES, STATUS, TCP_STATES, words_of
from .requests import NEW

TCP_FLAGS = {
    "window_scale": uapi.IP_CT_TCP_FLAG_WINDOW_SCALE,
    "sack_perm": uapi.IP_CT_TCP_FLAG_SACK_PERM,
    "close_init": uapi.IP_CT_TCP_FLAG_CLOSE_INIT,
    "be_liberal": uapi.IP_CT_TCP_FLAG_BE_LIBERAL,
    "data_unacknowledged": uapi.IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED,
    "maxack_set": uapi.IP_CT_TCP_FLAG_MAXACK_SET,
}
"""The bits of CTA_PROTOINFO_TCP_FLAGS_* by the word for each."""

DCCP_ROLES = ("client", "server")
"""By number: enum ct_dccp_roles, in the kernel up to Linux 6.17."""

_TCP, _SCTP = 6, 132
_HELPER_SIZE = 16  # NF_CT_HELPER_NAME_LEN of net/netfilter/nf_conntrack_helper.h, its NUL included
_MOST_32 = 0xFFFFFFFF
_WORD = struct.Struct(">I")
_HALF = struct.Struct(">H")
_NUMBERS = (  # what is written as one number: its key, attribute, packing and bound
    ("timeout", uapi.CTA_TIMEOUT, _WORD, _MOST_32),
    ("mark", uapi.CTA_MARK, _WORD, _MOST_32),
    ("zone", uapi.CTA_ZONE, _HALF, 0xFFFF),
)


_STATUS_WORDS: dict[int, tuple[str, ...]] = {}
_TCP_FLAG_WORDS = tuple(tuple(words_of(bits, TCP_FLAGS)) for bits in range(256))


def _status(bits: int) -> list[str]:
    found = _STATUS_WORDS.get(bits)
    if found is None:
        found = tuple(words_of(bits, STATUS))
        if len(_STATUS_WORDS) < 4096:
            _STATUS_WORDS[bits] = found
    return list(found)


def _tcp_flags(value: int) -> list[str]:
    return list(_TCP_FLAG_WORDS[value >> 8])  # struct nf_ct_tcp_flags: flags, mask


def _state(states: tuple[str, ...], number: int) -> str:
    return states[number] if number < len(states) else str(number)


_COUNTERS: Fields = {
    uapi.CTA_COUNTERS_PACKETS: Field("packets", "Q"),
    uapi.CTA_COUNTERS_BYTES: Field("bytes", "Q"),
}
_SEQ_ADJ: Fields = {
    uapi.CTA_SEQADJ_CORRECTION_POS: Field("correction_pos", "I"),
    uapi.CTA_SEQADJ_OFFSET_BEFORE: Field("offset_before", "i"),
    uapi.CTA_SEQADJ_OFFSET_AFTER: Field("offset_after", "i"),
}
_PROTOINFO: Fields = {
    uapi.CTA_PROTOINFO_TCP: Nest(
        "",
        {
            uapi.CTA_PROTOINFO_TCP_STATE: Field("state", "B", functools.partial(_state, TCP_STATES)),
            uapi.CTA_PROTOINFO_TCP_WSCALE_ORIGINAL: Field("original.wscale", "B"),
            uapi.CTA_PROTOINFO_TCP_WSCALE_REPLY: Field("reply.wscale", "B"),
            uapi.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL: Field("original.tcp_flags", "H", _tcp_flags),
            uapi.CTA_PROTOINFO_TCP_FLAGS_REPLY: Field("reply.tcp_flags", "H", _tcp_flags),
        },
    ),
    uapi.CTA_PROTOINFO_DCCP: Nest(
        "",
        {
            uapi.CTA_PROTOINFO_DCCP_STATE: Field("state", "B", functools.partial(_state, DCCP_STATES)),
            uapi.CTA_PROTOINFO_DCCP_ROLE: Field("role", "B", functools.partial(_state, DCCP_ROLES)),
            uapi.CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ: Field("handshake_seq", "Q"),
        },
    ),
    uapi.CTA_PROTOINFO_SCTP: Nest(
        "",
        {
            uapi.CTA_PROTOINFO_SCTP_STATE: Field("state", "B", functools.partial(_state, SCTP_STATES)),
            uapi.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL: Field("original.vtag", "I"),
            uapi.CTA_PROTOINFO_SCTP_VTAG_REPLY: Field("reply.vtag", "I"),
        },
    ),
}
_FIELDS: Fields = {
    uapi.CTA_TUPLE_ORIG: Nest("original", tuples.FIELDS),
    uapi.CTA_TUPLE_REPLY: Nest("reply", tuples.FIELDS),
    uapi.CTA_STATUS: Field("status", "I", _status),
    uapi.CTA_PROTOINFO: Nest("", _PROTOINFO),
    uapi.CTA_HELP: Nest("", {uapi.CTA_HELP_NAME: Field("helper", "s", text)}),
    uapi.CTA_TIMEOUT: Field("timeout", "I"),
    uapi.CTA_MARK: Field("mark", "I"),
    uapi.CTA_COUNTERS_ORIG: Nest("original", _COUNTERS),
    uapi.CTA_COUNTERS_REPLY: Nest("reply", _COUNTERS),
    uapi.CTA_USE: Field("use", "I"),
    uapi.CTA_ID: Field("id", "I"),
    uapi.CTA_TUPLE_MASTER: Nest("master", tuples.FIELDS),
    uapi.CTA_SEQ_ADJ_ORIG: Nest("original.seq_adj", _SEQ_ADJ),
    uapi.CTA_SEQ_ADJ_REPLY: Nest("reply.seq_adj", _SEQ_ADJ),
    uapi.CTA_ZONE: Field("zone", "H"),
    uapi.CTA_SECCTX: Nest("", {uapi.CTA_SECCTX_NAME: Field("secctx", "s", text)}),
    uapi.CTA_TIMESTAMP: Nest(
        "", {uapi.CTA_TIMESTAMP_START: Field("start", "Q"), uapi.CTA_TIMESTAMP_STOP: Field("stop", "Q")}
    ),
    uapi.CTA_LABELS: Field("labels", "s", labels.bits),
    uapi.CTA_SYNPROXY: Nest(
        "synproxy",
        {
            uapi.CTA_SYNPROXY_ISN: Field("isn", "I"),
            uapi.CTA_SYNPROXY_ITS: Field("its", "I"),
            uapi.CTA_SYNPROXY_TSOFF: Field("tsoff", "I"),
        },
    ),
    uapi.CTA_TIMESTAMP_EVENT: Field("event_time", "Q"),
}

_KEYS = (
    *("family", "protocol", "protonum", "timeout", "state", "original", "reply"),
    *("status", "unreplied", "assured", "nat", "mark", "zone", "helper", "labels", "secctx"),
    *("start", "stop", "event_time", "master", "synproxy", "role", "handshake_seq", "use", "id"),
)
_KNOWN = frozenset((*_KEYS, "unreplied", "assured", "nat", "label_names"))
_DIRECTION = (*tuples.KEYS, "packets", "bytes", "wscale", "tcp_flags", "vtag", "seq_adj")


def _arrange(tree: Tree, family: int) -> Tree:
    """The tree of an entry, in the order of its keys."""
    tuples.check(tree, ("original", "reply"), family)
    for path in [path for path in tree if "." in path]:
        direction, key = path.split(".")
        tree[direction][key] = tree.pop(path)
    tree["family"] = tuples.FAMILY_NAMES[family]
    tree["protonum"] = tree["original"].pop("protonum")
    tree["reply"].pop("protonum")
    tree["protocol"] = tuples.PROTOCOL_NAMES.get(tree["protonum"], "unknown")
    if "status" in tree:
        tree["unreplied"] = tree["assured"] = None
    tree["nat"] = None
    for direction in ("original", "reply"):
        tree[direction] = {key: tree[direction][key] for key in _DIRECTION if key in tree[direction]}
    return {key: tree[key] for key in _KEYS if key in tree}


def _finish(entry: dict[str, Any]) -> None:
    status = entry.get("status")
    if status is None:
        entry["nat"] = translations(entry)
        return
    entry["unreplied"] = "seen_reply" not in status
    entry["assured"] = "assured" in status
    entry["nat"] = translations(entry) if "snat_done" in status or "dnat_done" in status else []


_decoder = Decoder(_FIELDS, _arrange, _finish)


def decode(body: bytes) -> dict[str, Any]:
    """The entry of a message of ctnetlink: a dump's, an event's or a get's body (nfgenmsg, attributes).

    Raises ValueError for what is no connection.
    """
    return _decoder.decode(body)


def arranged(body: bytes) -> tuple[Tree, bytearray]:
    """The entry with a :class:`.decoding.Slot` for each value that the body's layout leaves open.

    ``unreplied``, ``assured`` and ``nat`` follow from values and are None. With it goes a mask of the
    bytes that make up the layout. Raises ValueError as :func:`decode`.
    """
    return _decoder.arranged(body)


def translations(entry: Mapping[str, Any]) -> list[str]:
    """``snat`` and ``dnat``, as far as an entry's two tuples show them.

    Translated is where the reply's tuple is not the opposite of the original's and the status,
    if there is one, says that this side was looked at. conntrack(8) finds the same, but takes
    any ICMP connection for a translated one.
    """
    original, reply = entry["original"], entry["reply"]
    status = entry.get("status")
    found = []
    if (status is None or "snat_done" in status) and (
        original.get("saddr") != reply.get("daddr")
        or original.get("sport") != reply.get("dport")
        or original.get("srckey") != reply.get("dstkey")
        or original.get("icmp_id") != reply.get("icmp_id")
    ):
        found.append("snat")
    if (status is None or "dnat_done" in status) and (
        original.get("daddr") != reply.get("saddr")
        or original.get("dport") != reply.get("sport")
        or original.get("dstkey") != reply.get("srckey")
    ):
        found.append("dnat")
    return found


def delta_time(entry: Mapping[str, Any], now: float) -> int | None:
    """Whole seconds that a connection has lasted, or did last; None without timestamps.

    ``now`` is time.time(). Each end is cut to a second before, as conntrack(8) does.
    """
    start = entry.get("start")
    if start is None:
        return None
    stop = entry.get("stop", 0)
    return (int(stop // 1_000_000_000) if stop else int(now)) - int(start // 1_000_000_000)


def message(entry: Mapping[str, Any], flags: int = NLM_F_REQUEST | NLM_F_CREATE) -> bytes:
    """The message that makes this connection, or with other flags updates it.

    NLM_F_CREATE makes one that is not there and updates one that is, NLM_F_EXCL with it refuses
    one that is there, neither only updates. Raises DocumentError as :func:`encode`.
    """
    packed = encode(entry)
    return netlink_message(NEW, flags, tuples.FAMILIES[family(entry)], packed)


def family(entry: Mapping[str, Any]) -> str:
    """The entry's family: as it says, or as its first address shows."""
    word = entry.get("family")
    if word is None:
        original = entry.get("original")
        address = original.get("saddr") if isinstance(original, Mapping) else None
        return "ip6" if isinstance(address, str) and ":" in address else "ip"
    return str(word)


def encode(entry: Mapping[str, Any]) -> bytes:
    """The attributes of an IPCTNL_MSG_CT_NEW message that makes or updates this connection.

    Taken from the entry: both tuples (without ``reply`` it is the opposite of ``original``),
    ``protonum`` or ``protocol``, ``timeout`` (a new one needs it), ``state`` with what belongs to
    it, ``status`` (always with ``confirmed``, which the kernel insists on), ``mark``, ``zone``,
    ``helper``, ``labels``. What the kernel alone sets is passed over. Raises DocumentError with all
    that is wrong.
    """
    problems = [
        Problem("no part of a connection", key, entry[key], cure=nearest(key, _KNOWN))
        for key in entry
        if key not in _KNOWN
    ]
    word = family(entry)
    protonum = _protonum(entry, problems)
    original = entry.get("original")
    if word not in tuples.FAMILIES:
        problems.append(Problem("no such family", "family", word, "ip, ip6", nearest(word, tuples.FAMILIES)))
    if not isinstance(original, Mapping):
        problems.append(
            Problem("a connection needs the tuple of its original direction", "original", original)
        )
    if problems or not isinstance(original, Mapping):
        raise DocumentError.of(problems)
    family_number = tuples.FAMILIES[word]
    parts = [_tuple(uapi.CTA_TUPLE_ORIG, "original", original, family_number, protonum, problems)]
    reply = entry.get("reply")
    if reply is not None:
        parts.append(_tuple(uapi.CTA_TUPLE_REPLY, "reply", reply, family_number, protonum, problems))
    elif not problems:
        reply = tuples.opposite(original, protonum)
        parts.append(_tuple(uapi.CTA_TUPLE_REPLY, "reply", reply, family_number, protonum, problems))
    if "status" in entry:
        bits = _bits(entry["status"], STATUS, "status", problems) | uapi.IPS_CONFIRMED
        parts.append(attribute(uapi.CTA_STATUS, _WORD.pack(bits)))
    for key, kind, packing, most in _NUMBERS:
        if key in entry:
            parts.append(attribute(kind, packing.pack(tuples.number(entry, key, most, problems))))
    if not problems and isinstance(reply, Mapping) and ("state" in entry or protonum == _SCTP):
        parts.append(_protoinfo(entry, protonum, original, reply, problems))
    if "helper" in entry:
        helper = entry["helper"]
        if isinstance(helper, str) and 0 < len(helper.encode("utf-8", "surrogateescape")) < _HELPER_SIZE:
            name = attribute(uapi.CTA_HELP_NAME, helper.encode("utf-8", "surrogateescape") + b"\0")
            parts.append(nested(uapi.CTA_HELP, name))
        else:
            problems.append(
                Problem("no name of a helper", "helper", helper, "1 to %d bytes" % (_HELPER_SIZE - 1))
            )
    if "labels" in entry:
        parts.append(attribute(uapi.CTA_LABELS, labels.pack(entry["labels"], problems)))
    if problems:
        raise DocumentError.of(problems)
    return b"".join(parts)


def _tuple(kind: int, key: str, one: Any, family: int, protonum: int, problems: list[Problem]) -> bytes:
    """A tuple's nest; what is wrong with it goes to ``problems``, at ``key``."""
    wrong: list[Problem] = []
    packed = b""
    if isinstance(one, Mapping):
        packed = tuples.encode(kind, one, family, protonum, wrong)
    else:
        wrong.append(Problem("not a tuple", "", one))
    problems.extend(problem.at(key) for problem in wrong)
    return packed


def _protonum(entry: Mapping[str, Any], problems: list[Problem]) -> int:
    name = entry.get("protocol")
    known = PROTOCOLS.get(name) if isinstance(name, str) else None
    if "protonum" in entry:
        given = tuples.number(entry, "protonum", 0xFF, problems)
        if known not in (None, given):
            problems.append(Problem("not the number of %s" % name, "protonum", given, str(known)))
        return given
    if known is None:
        cure = nearest(str(name), PROTOCOLS) or "give the number of any other as protonum"
        problems.append(Problem("no such protocol", "protocol", name, ", ".join(PROTOCOLS), cure))
        return 0
    return known


def _bits(value: Any, words: Mapping[str, int], place: str, problems: list[Problem]) -> int:
    """The bits that a list of words stands for, each a known one or a hexadecimal number."""
    if not isinstance(value, (list, tuple)):
        problems.append(Problem("not a list", place, value, "a list of: %s" % ", ".join(words)))
        return 0
    bits = 0
    for index, word in enumerate(value):
        bit = words.get(word) if isinstance(word, str) else None
        if bit is None and isinstance(word, str) and word.startswith("0x"):
            try:
                bit = int(word, 16)
            except ValueError:
                bit = None
        if bit is None or bit > _MOST_32:
            problems.append(
                Problem(
                    "no such word",
                    "%s[%d]" % (place, index),
                    word,
                    ", ".join(words),
                    nearest(str(word), words),
                )
            )
        else:
            bits |= bit
    return bits


def _protoinfo(
    entry: Mapping[str, Any],
    protonum: int,
    original: Mapping[str, Any],
    reply: Mapping[str, Any],
    problems: list[Problem],
) -> bytes:
    """CTA_PROTOINFO: the state, and what a protocol keeps of each direction."""
    states = STATES.get(protonum)
    word = entry.get("state", "NONE")
    if states is None:
        problems.append(Problem("connections of this protocol have no state", "state", word))
        return b""
    if isinstance(word, str) and word in states:
        state = states.index(word)
    elif isinstance(word, str) and word.isdecimal() and int(word) <= 0xFF:
        state = int(word)
    else:
        problems.append(
            Problem("no such state", "state", word, ", ".join(states), nearest(str(word), states))
        )
        return b""
    sides = (("original", original), ("reply", reply))
    if protonum == _TCP:
        parts = [attribute(uapi.CTA_PROTOINFO_TCP_STATE, bytes((state,)))]
        for offset, (place, side) in enumerate(sides):
            wrong: list[Problem] = []
            if "wscale" in side:
                scale = tuples.number(side, "wscale", 0xFF, wrong)
                parts.append(attribute(uapi.CTA_PROTOINFO_TCP_WSCALE_ORIGINAL + offset, bytes((scale,))))
            if "tcp_flags" in side:
                flags = _bits(side["tcp_flags"], TCP_FLAGS, "tcp_flags", wrong) & 0xFF
                packed = bytes((flags, 0xFF))  # the mask: every flag is said
                parts.append(attribute(uapi.CTA_PROTOINFO_TCP_FLAGS_ORIGINAL + offset, packed))
            problems.extend(problem.at(place) for problem in wrong)
        return nested(uapi.CTA_PROTOINFO, nested(uapi.CTA_PROTOINFO_TCP, *parts))
    if protonum == _SCTP:
        parts = [attribute(uapi.CTA_PROTOINFO_SCTP_STATE, bytes((state,)))]
        for offset, (place, side) in enumerate(sides):
            wrong = []
            tag = tuples.number({"vtag": 0, **side}, "vtag", _MOST_32, wrong)
            parts.append(attribute(uapi.CTA_PROTOINFO_SCTP_VTAG_ORIGINAL + offset, _WORD.pack(tag)))
            problems.extend(problem.at(place) for problem in wrong)
        return nested(uapi.CTA_PROTOINFO, nested(uapi.CTA_PROTOINFO_SCTP, *parts))
    role = entry.get("role", "client")
    if role not in DCCP_ROLES:
        problems.append(
            Problem("no such role", "role", role, ", ".join(DCCP_ROLES), nearest(str(role), DCCP_ROLES))
        )
        return b""
    sequence = tuples.number({"handshake_seq": 0, **entry}, "handshake_seq", 2**64 - 1, problems)
    return nested(
        uapi.CTA_PROTOINFO,
        nested(
            uapi.CTA_PROTOINFO_DCCP,
            attribute(uapi.CTA_PROTOINFO_DCCP_STATE, bytes((state,))),
            attribute(uapi.CTA_PROTOINFO_DCCP_ROLE, bytes((DCCP_ROLES.index(role),))),
            attribute(uapi.CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, struct.pack(">Q", sequence)),
        ),
    )
