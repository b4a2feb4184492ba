# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules made comparable: state blanked out, anonymous sets and inline chains replaced by what they contain.

Two rules are the same when their canonical forms are equal. Nothing is decoded
for rules without state and without sets, which are the same when their bytes are.
"""

from __future__ import annotations

import re
import struct
from typing import Any, Callable

from ..netlink.attributes import nested, walk
from ..nftables import uapi
from ..nftables.expressions import TABLE, Expression, Opaque, Verdict, decode_list, encode_list
from ..nftables.expressions.loads import Inner, Meta, Payload
from ..nftables.expressions.registers import Byteorder, Cmp, Range
from ..nftables.expressions.state import Dynset, Quota
from ..nftables.selectors import meta
from ..nftables.selectors.program import register_index, wire_register
from ..nftables.statements.mangle import UDP, UDP_ALWAYS, Checksum
from ..nftables.statements.raw import SET_NAMES
from .kernel import KernelRule
from .rules import DesiredRule
from .userdata import comment_userdata, said

_HEADER = struct.Struct("=HH")
_STATEFUL = tuple(
    b"\x01\x00" + name.encode() + b"\0"
    for name, kind in TABLE.items()
    if any(one.state for one in kind.attributes)
)
_RARE = tuple(name for name in _STATEFUL if b"counter" not in name)
INLINE = "__chain"  # how the kernel names inline chains: nf_tables_addchain() in nf_tables_api.c
#: what the names of sets and inline chains begin with that have none from a person
UNNAMED = (*[one.encode() for one in SET_NAMES], INLINE.encode())
# A counter as the kernel dumps it and as it is compiled, its two numbers being zero.
_COUNTER = TABLE["counter"](bytes=0, packets=0).encode()
_COUNTER_HEAD, _COUNTER_MIDDLE = _COUNTER[:24], _COUNTER[32:36]
# The end of a swap of one byte, by units of two, and the name of a comparison with two bounds.
_IDLE = Byteorder(len=1, size=2).encode()[-16:]
_RANGE = b"\x01\x00range\0"
#: the meta keys that are names, which the kernel fills up with NUL: nft_meta_store_ifname() in nft_meta.c
_NAMES = frozenset(row[0] for row in meta.KEYS.values() if row[1] == "ifname")
_NAME_LENGTH = 16  # IFNAMSIZ of linux/if.h


def _name_compared_short() -> re.Pattern[bytes]:
    """A load of a name, and behind it a comparison with fewer bytes than it has."""
    key = Meta(key=0, dreg=0).encode()[-16:-8]
    whole = Cmp(sreg=0, op=0, data=bytes(_NAME_LENGTH)).encode()
    parts = (key[:-1], bytes(sorted(_NAMES)), whole[:4], whole[4:12])
    return re.compile(b"%s[%s].{8}(?!%s).{4}%s" % tuple(re.escape(one) for one in parts), re.DOTALL)


_SHORT = _name_compared_short().search
# The end of a write that mends the checksum of UDP in the older of two ways; a comparison with UDP's number.
_OLD_UDP = Payload(csum_type=UDP_ALWAYS.kind, csum_offset=UDP_ALWAYS.offset).encode()[-16:]
_IS_UDP = b"\x11"
_DYNSET = b"dynset\0"
_REGISTERS = 16  # of 32 bits
_KEY_UNITS = 4  # of these that nft 1.0.6 leaves to the key of a map, however small

#: expressions' bytes and the identities of the sets and chains without names in them, and user data
Canonical = tuple[bytes, tuple[Any, ...], bytes]


def of_kernel(expressions: bytes, userdata: bytes, identity: Callable[[str], Any]) -> Canonical:
    """The canonical form of a dumped rule.

    ``identity(name)`` is that of an anonymous set or inline chain of its table, None for a
    chain that has its name from a person.
    """
    expressions = effective(expressions)
    if userdata:
        userdata = comment_userdata(said(userdata))
    if any(prefix in expressions for prefix in UNNAMED):
        return (*_without_names(expressions, identity), userdata)
    return _blank(expressions), (), userdata


def effective(expressions: bytes) -> bytes:
    """The expressions of a rule in the words of rempart, where nft has others for the same.

    Versions of nft such as 1.0.6 swap the one byte of a key like ``meta l4proto`` where it stands in a
    concatenation with intervals; later ones do not. Versions such as 1.1.3 compare with both bounds of
    a range at once; earlier ones compare twice. iptables-nft compares the name of an interface up to its
    NUL, nft with all the NULs that the kernel has behind it. Versions before 1.1.1 have the checksum of UDP
    mended in another way, which is wrong for a datagram without one. Versions such as 1.1.3 put what goes
    into a map right behind a key of several parts.
    """
    if (
        _IDLE not in expressions
        and _RANGE not in expressions
        and _OLD_UDP not in expressions
        and _DYNSET not in expressions
        and _SHORT(expressions) is None
    ):
        return expressions
    decoded = decode_list(expressions)
    if any(isinstance(one, Cmp) and one.data == _IS_UDP for one in decoded):
        for one in decoded:
            _mend_udp(one)
    for place, one in enumerate(decoded):
        if isinstance(one, Dynset) and one.sreg_data is not None:
            _move_data(decoded, place, one)
    return encode_list(
        [same for one, before in zip(decoded, [None, *decoded]) for same in _alike(one, before)]
    )


def _alike(one: Expression, before: Expression | None) -> list[Expression]:
    if isinstance(one, Byteorder) and one.idle:
        return []
    if isinstance(one, Cmp) and isinstance(before, Meta) and _is_short_name(one, before):
        return [Cmp(sreg=one.sreg, op=one.op, data=one.data.ljust(_NAME_LENGTH, b"\0"))]
    if isinstance(one, Range) and one.op == uapi.NFT_RANGE_EQ:
        return [
            Cmp(sreg=one.sreg, op=uapi.NFT_CMP_GTE, data=one.from_data),
            Cmp(sreg=one.sreg, op=uapi.NFT_CMP_LTE, data=one.to_data),
        ]
    return [one]


def _move_data(decoded: list[Expression], place: int, change: Dynset) -> None:
    """Have the value that a map is given lie where nft 1.0.6 has it."""
    first = register_index(change.sreg_data)
    far = register_index(change.sreg_key) + _KEY_UNITS - first
    if not 0 < far < _KEY_UNITS:
        return
    loads = []
    # what has no register to load, or that of verdicts, ends an earlier statement
    while place and getattr(decoded[place - 1], "dreg", None):
        place -= 1
        one = decoded[place]
        loads.append(one.expr if isinstance(one, Inner) else one)
    registers = [
        (one, name, register_index(getattr(one, name)))
        for one in (*loads, change)
        for name in ("dreg", "sreg", "sreg2", "sreg_data")
        if getattr(one, name, None) is not None
    ]
    if all(index + far < _REGISTERS for _unused, _unused, index in registers):
        for one, name, index in registers:
            if index >= first:
                setattr(one, name, wire_register(index + far))


def _mend_udp(one: Expression) -> None:
    if (
        isinstance(one, Payload)
        and one.sreg is not None
        and one.base == uapi.NFT_PAYLOAD_TRANSPORT_HEADER
        and Checksum(one.csum_type, one.csum_offset, one.csum_flags or 0) == UDP_ALWAYS
    ):
        one.csum_type, one.csum_offset, one.csum_flags = UDP.kind, UDP.offset, UDP.flags


def _is_short_name(one: Cmp, load: Meta) -> bool:
    """Whether the bytes compared are a name that ``load`` puts there, its NUL, and not all NULs behind it."""
    return (
        load.key in _NAMES
        and load.dreg == one.sreg
        and one.op in (uapi.NFT_CMP_EQ, uapi.NFT_CMP_NEQ)
        and isinstance(one.data, bytes)
        and len(one.data) < _NAME_LENGTH
        and one.data.endswith(b"\0")
        and b"\0" not in one.data.rstrip(b"\0")
    )


def of_desired(rule: DesiredRule) -> Canonical:
    """The canonical form of a compiled rule."""
    expressions = effective(rule.expressions)
    if rule.form.sets or rule.form.chains:
        return (*_without_names(expressions, None, rule), rule.userdata)
    return _blank(expressions), (), rule.userdata


def equal(rule: KernelRule, desired: DesiredRule, identity: Callable[[str], Any]) -> bool:
    """Whether a dumped rule and the desired one have the same canonical form.

    A closer look than ``rule.holds``; only the expressions whose bytes differ are decoded.
    """
    if rule.userdata != desired.userdata and comment_userdata(said(rule.userdata)) != desired.userdata:
        return False
    try:
        ours, theirs = walk(effective(rule.expressions)), walk(effective(desired.expressions))
    except ValueError:
        return False
    if len(ours) != len(theirs):
        return False
    for (_unused, one), (_unused, other) in zip(ours, theirs):
        if one != other and _without_names(nested(1, one), identity) != _without_names(
            nested(1, other), None, desired
        ):
            return False
    return True


def _blank(expressions: bytes) -> bytes:
    """The expressions with zeroes where packets count."""
    if _COUNTER_HEAD in expressions:
        first, *others = expressions.split(_COUNTER_HEAD)
        if all(other[8:12] == _COUNTER_MIDDLE for other in others):
            expressions = _COUNTER.join([first, *[other[20:] for other in others]])
            if not any(name in expressions for name in _RARE):
                return expressions
    if not any(name in expressions for name in _STATEFUL):
        return expressions
    parts = []
    start = 0
    size = len(expressions)
    while start + 4 <= size:
        length = _HEADER.unpack_from(expressions, start)[0]
        stop = (start + length + 3) & ~3
        if length < 4 or stop > size:
            return expressions
        element = expressions[start:stop]
        if any(name in element[4:24] for name in _STATEFUL):
            element = b"".join(zeroed(one).encode() for one in decode_list(element))
        parts.append(element)
        start = stop
    return b"".join(parts)


def zeroed(expression: Expression) -> Expression:
    """The expression with zeroes where packets count, inner expressions too."""
    if not isinstance(expression, Opaque):
        for one in expression.attributes:
            if one.state and getattr(expression, one.name) is not None:
                setattr(expression, one.name, 0)
        if isinstance(expression, Quota):
            # used up or not is state too (NFT_QUOTA_F_DEPLETED)
            expression.flags = (expression.flags or 0) & uapi.NFT_QUOTA_F_INV
        for name in ("expr", "expressions"):
            inner = expression.__dict__.get(name)
            for one_inner in inner if isinstance(inner, list) else [inner] if inner else []:
                zeroed(one_inner)
    return expression


def _without_names(
    expressions: bytes, identity: Callable[[str], Any] | None, desired: DesiredRule | None = None
) -> tuple[bytes, tuple[Any, ...]]:
    found = []
    decoded = decode_list(expressions)
    by_id = (
        {content.set_id: content.identity() for content in desired.form.sets} if desired is not None else None
    )
    for expression in decoded:
        zeroed(expression)
        name = expression.__dict__.get("set")
        set_id = expression.__dict__.get("set_id")
        if set_id is not None:
            expression.set_id = None
        verdict = expression.__dict__.get("data")
        if isinstance(verdict, Verdict):
            content = _inline(verdict, identity, desired)
            if content is not None:
                found.append(content)
                expression.data = Verdict(verdict.name, "__%d" % len(found))
            continue
        if not isinstance(name, str) or not name.startswith("__"):
            continue
        if by_id is not None:
            found.append(by_id.get(set_id or 0))
        elif identity is not None:
            found.append(identity(name))
        expression.set = "__%d" % len(found)
        expression.set_id = None
    return encode_list(decoded), tuple(found)


def _inline(verdict: Verdict, identity: Callable[[str], Any] | None, desired: DesiredRule | None) -> Any:
    """The identity of the inline chain that a verdict leads to; None where it leads to none."""
    if verdict.chain_id is not None:
        return (
            tuple(of_desired(one) for one in desired.form.chains[verdict.chain_id - 1]) if desired else None
        )
    if verdict.chain is not None and verdict.chain.startswith(INLINE) and identity is not None:
        return identity(verdict.chain)
    return None


def kernel_chain_identity(chain: Any, identity: Callable[[str], Any]) -> tuple[Any, ...]:
    """The identity of a dumped inline chain; ``identity`` as of :func:`of_kernel`."""
    return tuple(of_kernel(rule.expressions, rule.userdata, identity) for rule in chain.rules)


def kernel_set_identity(content: Any) -> tuple[Any, ...]:
    """The identity of a dumped anonymous set, as SetContent.identity() gives it."""
    return (
        content.flags & ~uapi.NFT_SET_EXPR,
        content.key_length,
        content.data_type,
        content.object_type or None,
        tuple(sorted(content.elements or ())),
    )
