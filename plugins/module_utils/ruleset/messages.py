# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nf_tables messages that change a ruleset, one function for each kind.

Each returns one whole netlink message (elements: a list of them) for
:meth:`NetlinkSocket.transact`, which numbers them. ``family`` is an NFPROTO_ number,
names are text, handles are the kernel's 64-bit numbers, and expressions come encoded
already. Attributes: linux/netfilter/nf_tables.h; what each message wants of them:
net/netfilter/nf_tables_api.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Callable

from ..errors import DocumentError
from ..netlink.attributes import BE32, BE32S, BE64, attribute, nested
from ..netlink.lists import nests
from ..netlink.messages import NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, message
from ..nftables import uapi
from ..nftables.expressions.sending import sendable
from . import rule_bytes
from .compatibility import compatibility
from .rule_bytes import MOST_BYTES

LONGEST_NAME = uapi.NFT_NAME_MAXLEN - 1  # bytes, without the closing NUL

_SUBSYSTEM = uapi.NFNL_SUBSYS_NFTABLES << 8
_CREATE = NLM_F_REQUEST | NLM_F_CREATE
_LENGTH = struct.Struct("=I")  # the first member of struct nlmsghdr


class Hook:
    """Where a base chain sits: hook number (NF_*), priority (signed), and its devices.

    A device that ends in ``*`` is a name prefix, which Linux 6.16 and later take; ``\\*`` is a
    star that belongs to the name.
    """

    __slots__ = ("devices", "number", "priority")

    def __init__(self, number: int, priority: int, devices: Sequence[str] = ()) -> None:
        self.number = number
        self.priority = priority
        self.devices = tuple(devices)


def new_table(
    family: int, name: str, flags: int = 0, userdata: bytes = b"", exclusive: bool = False
) -> bytes:
    """Make a table, or set the flags (NFT_TABLE_F_*) of the one there is.

    With ``exclusive`` a table that is there already is refused with EEXIST.
    """
    return _message(
        uapi.NFT_MSG_NEWTABLE,
        _CREATE | (NLM_F_EXCL if exclusive else 0),
        family,
        _text(uapi.NFTA_TABLE_NAME, name),
        attribute(uapi.NFTA_TABLE_FLAGS, BE32.pack(flags)),
        _optional(uapi.NFTA_TABLE_USERDATA, userdata),
    )


def delete_table(family: int, name: str, handle: int = 0) -> bytes:
    """Remove a table with all that is in it, by name or, where given, by handle."""
    which = _number64(uapi.NFTA_TABLE_HANDLE, handle) if handle else _text(uapi.NFTA_TABLE_NAME, name)
    return _message(uapi.NFT_MSG_DELTABLE, NLM_F_REQUEST, family, which)


def new_chain(
    family: int,
    table: str,
    name: str,
    hook: Hook | None = None,
    kind: str = "filter",
    policy: int | None = None,
    flags: int = 0,
    userdata: bytes = b"",
    exclusive: bool = False,
) -> bytes:
    """Make a chain, a base chain where a hook is given, or change the policy of the one there is.

    ``kind`` (filter, nat, route) counts for base chains only; ``policy`` is NF_ACCEPT
    or NF_DROP; ``flags`` are NFT_CHAIN_HW_OFFLOAD and NFT_CHAIN_BINDING. The chain gets
    no counters of its own. A policy alone (no hook) leaves the rest as it is.
    """
    parts = [_text(uapi.NFTA_CHAIN_TABLE, table), _text(uapi.NFTA_CHAIN_NAME, name)]
    if hook is not None:
        parts.append(
            nested(
                uapi.NFTA_CHAIN_HOOK,
                attribute(uapi.NFTA_HOOK_HOOKNUM, BE32.pack(hook.number)),
                attribute(uapi.NFTA_HOOK_PRIORITY, BE32S.pack(hook.priority)),
                _devices(uapi.NFTA_HOOK_DEV, uapi.NFTA_HOOK_DEVS, hook.devices),
            )
        )
    if policy is not None:
        parts.append(attribute(uapi.NFTA_CHAIN_POLICY, BE32.pack(policy)))
    if hook is not None:
        parts.append(_text(uapi.NFTA_CHAIN_TYPE, kind))
    if flags:
        parts.append(attribute(uapi.NFTA_CHAIN_FLAGS, BE32.pack(flags)))
    parts.append(_optional(uapi.NFTA_CHAIN_USERDATA, userdata))
    return _message(uapi.NFT_MSG_NEWCHAIN, _CREATE | (NLM_F_EXCL if exclusive else 0), family, *parts)


def new_inline_chain(family: int, table: str, chain_id: int) -> bytes:
    """Make a chain without a name, for one rule of this transaction, which leads to it by ``chain_id``.

    NFT_CHAIN_BINDING, Linux 5.9: it goes with that rule.
    """
    return _message(
        uapi.NFT_MSG_NEWCHAIN,
        _CREATE,
        family,
        _text(uapi.NFTA_CHAIN_TABLE, table),
        attribute(uapi.NFTA_CHAIN_FLAGS, BE32.pack(uapi.NFT_CHAIN_BINDING)),
        attribute(uapi.NFTA_CHAIN_ID, BE32.pack(chain_id)),
    )


def delete_chain(family: int, table: str, name: str, handle: int = 0) -> bytes:
    """Remove a chain, by name or, where given, by handle; EBUSY while something jumps to it."""
    which = _number64(uapi.NFTA_CHAIN_HANDLE, handle) if handle else _text(uapi.NFTA_CHAIN_NAME, name)
    return _message(uapi.NFT_MSG_DELCHAIN, NLM_F_REQUEST, family, _text(uapi.NFTA_CHAIN_TABLE, table), which)


def new_rule(
    family: int,
    table: str,
    chain: str,
    expressions: bytes,
    userdata: bytes = b"",
    after: int = 0,
    before: int = 0,
    first: bool = False,
    replace: int = 0,
    rule_id: int = 0,
    after_id: int = 0,
    chain_id: int = 0,
) -> bytes:
    """Make a rule, at the chain's end unless told otherwise.

    ``expressions`` is the payload of NFTA_RULE_EXPRESSIONS as the kernel dumps it. ``after``, ``before`` and
    ``replace`` are the handle of the rule to follow, to precede, or to take the place
    of; ``first`` puts it at the chain's head; ``rule_id`` names the new rule within the
    transaction, for a later one's ``after_id``; ``chain_id`` is an inline chain of it, instead of ``chain``.
    """
    attributes = rule_bytes.pack(sendable(expressions), userdata) + compatibility(family, expressions)
    flags = _CREATE | NLM_F_APPEND
    if chain_id:
        head = _text(uapi.NFTA_RULE_TABLE, table) + attribute(uapi.NFTA_RULE_CHAIN_ID, BE32.pack(chain_id))
    else:
        head = _rule_head(family, table, chain)
    tail = b""
    if replace:
        flags = NLM_F_REQUEST | NLM_F_REPLACE
        head += _number64(uapi.NFTA_RULE_HANDLE, replace)
    elif first:
        flags = _CREATE
    elif before:
        flags = _CREATE
        tail = _number64(uapi.NFTA_RULE_POSITION, before)
    elif after:
        tail = _number64(uapi.NFTA_RULE_POSITION, after)
    elif after_id:
        tail = attribute(uapi.NFTA_RULE_POSITION_ID, BE32.pack(after_id))
    if rule_id:
        tail += attribute(uapi.NFTA_RULE_ID, BE32.pack(rule_id))
    return message(_SUBSYSTEM | uapi.NFT_MSG_NEWRULE, flags, family, head + attributes + tail)


def new_rules_as_dumped(family: int, table: str, chain: str, before: int = 0) -> Callable[[bytes], bytes]:
    """A function that makes rules before the one with that handle, or at the chain's end.

    It takes a rule's expressions and user data (``rule_bytes``), in a form that the kernel
    both dumps and takes, and returns what :func:`new_rule` makes of the same.
    """
    flags, tail = _CREATE | NLM_F_APPEND, b""
    if before:
        flags, tail = _CREATE, _number64(uapi.NFTA_RULE_POSITION, before)
    alone = message(_SUBSYSTEM | uapi.NFT_MSG_NEWRULE, flags, family, _rule_head(family, table, chain))
    size, head = len(alone) + len(tail), alone[_LENGTH.size :]
    pack, join = _LENGTH.pack, b"".join
    return lambda attributes: join((pack(size + len(attributes)), head, attributes, tail))


def delete_rule(family: int, table: str, chain: str, handle: int) -> bytes:
    """Remove the rule of that handle."""
    if not handle:
        raise ValueError("a rule is deleted by its handle; flush_chain deletes all")
    return message(
        _SUBSYSTEM | uapi.NFT_MSG_DELRULE,
        NLM_F_REQUEST,
        family,
        _rule_head(family, table, chain) + _number64(uapi.NFTA_RULE_HANDLE, handle),
    )


def flush_chain(family: int, table: str, chain: str) -> bytes:
    """Remove every rule of a chain."""
    return message(_SUBSYSTEM | uapi.NFT_MSG_DELRULE, NLM_F_REQUEST, family, _rule_head(family, table, chain))


def new_set(
    family: int,
    table: str,
    name: str,
    set_id: int,
    key_type: int,
    key_length: int,
    flags: int = 0,
    data_type: int | None = None,
    data_length: int = 0,
    object_type: int = 0,
    timeout: int = 0,
    gc_interval: int = 0,
    policy: int | None = None,
    size: int = 0,
    fields: Sequence[int] = (),
    expressions: Sequence[bytes] = (),
    userdata: bytes = b"",
) -> bytes:
    """Make a set or a map.

    ``set_id`` names it within the transaction; of an anonymous set (NFT_SET_ANONYMOUS
    among the flags, NFT_SET_*) ``name`` is a pattern such as ``__set%d``. ``key_type``
    and ``data_type`` are nft's own type numbers, which the kernel only keeps;
    NFT_DATA_VERDICT as data type makes a verdict map. Lengths are in bytes, as are
    ``fields``, the length of each part of a concatenation; ``timeout`` and
    ``gc_interval`` in milliseconds; ``policy`` is NFT_SET_POL_*; ``size`` the most
    elements it may hold. ``expressions`` are payloads of NFTA_LIST_ELEM or
    NFTA_SET_EXPR: what each element carries (a counter, say).
    """
    description = b""
    if size:
        description = attribute(uapi.NFTA_SET_DESC_SIZE, BE32.pack(size))
    if fields:
        description += nested(
            uapi.NFTA_SET_DESC_CONCAT,
            *(
                nested(uapi.NFTA_LIST_ELEM, attribute(uapi.NFTA_SET_FIELD_LEN, BE32.pack(length)))
                for length in fields
            ),
        )
    if len(expressions) > 1:  # nft_set_expr_alloc() in nf_tables_api.c
        flags |= uapi.NFT_SET_EXPR
    parts = [
        _text(uapi.NFTA_SET_TABLE, table),
        _text(uapi.NFTA_SET_NAME, name),
        attribute(uapi.NFTA_SET_FLAGS, BE32.pack(flags)),
        attribute(uapi.NFTA_SET_KEY_TYPE, BE32.pack(key_type)),
        attribute(uapi.NFTA_SET_KEY_LEN, BE32.pack(key_length)),
    ]
    if data_type is not None:
        parts.append(attribute(uapi.NFTA_SET_DATA_TYPE, BE32.pack(data_type)))
        if data_type != uapi.NFT_DATA_VERDICT:
            parts.append(attribute(uapi.NFTA_SET_DATA_LEN, BE32.pack(data_length)))
    if object_type:
        parts.append(attribute(uapi.NFTA_SET_OBJ_TYPE, BE32.pack(object_type)))
    parts.append(attribute(uapi.NFTA_SET_ID, BE32.pack(set_id)))
    if policy is not None:
        parts.append(attribute(uapi.NFTA_SET_POLICY, BE32.pack(policy)))
    if description:
        parts.append(nested(uapi.NFTA_SET_DESC, description))
    if timeout:
        parts.append(_number64(uapi.NFTA_SET_TIMEOUT, timeout))
    if gc_interval:
        parts.append(attribute(uapi.NFTA_SET_GC_INTERVAL, BE32.pack(gc_interval)))
    if len(expressions) == 1:
        parts.append(nested(uapi.NFTA_SET_EXPR, expressions[0]))
    elif expressions:
        parts.append(
            nested(uapi.NFTA_SET_EXPRESSIONS, *(nested(uapi.NFTA_LIST_ELEM, one) for one in expressions))
        )
    parts.append(_optional(uapi.NFTA_SET_USERDATA, userdata))
    return _message(uapi.NFT_MSG_NEWSET, _CREATE, family, *parts)


def delete_set(family: int, table: str, name: str, handle: int = 0) -> bytes:
    """Remove a set or map, by name or, where given, by handle; EBUSY while a rule uses it."""
    which = _number64(uapi.NFTA_SET_HANDLE, handle) if handle else _text(uapi.NFTA_SET_NAME, name)
    return _message(uapi.NFT_MSG_DELSET, NLM_F_REQUEST, family, _text(uapi.NFTA_SET_TABLE, table), which)


def element(
    key: bytes | None,
    key_end: bytes | None = None,
    data: bytes = b"",
    flags: int = 0,
    timeout: int = 0,
    expiration: int = 0,
    objref: str = "",
    expressions: Sequence[bytes] = (),
    userdata: bytes = b"",
) -> bytes:
    """One element of a set, as the payload of its NFTA_LIST_ELEM.

    ``key`` is the bare value (None for the catch-all, which NFT_SET_ELEM_CATCHALL in
    ``flags`` makes), ``key_end`` the last one of a range of concatenations. ``data`` is
    the payload of NFTA_SET_ELEM_DATA: a packed NFTA_DATA_VALUE or NFTA_DATA_VERDICT.
    Times are in milliseconds. Order and flag bits are those of the kernel's own dump
    (nf_tables_fill_setelem()), so elements can be compared as bytes.
    """
    parts = []
    if key is not None:
        parts.append(attribute(uapi.NFTA_SET_ELEM_KEY, attribute(uapi.NFTA_DATA_VALUE, key)))
    if key_end is not None:
        parts.append(attribute(uapi.NFTA_SET_ELEM_KEY_END, attribute(uapi.NFTA_DATA_VALUE, key_end)))
    if data:
        parts.append(attribute(uapi.NFTA_SET_ELEM_DATA, data))
    if len(expressions) == 1:
        parts.append(attribute(uapi.NFTA_SET_ELEM_EXPR, expressions[0]))
    elif expressions:
        each = b"".join([attribute(uapi.NFTA_LIST_ELEM, one) for one in expressions])
        parts.append(attribute(uapi.NFTA_SET_ELEM_EXPRESSIONS, each))
    if objref:
        parts.append(_text(uapi.NFTA_SET_ELEM_OBJREF, objref))
    if flags:
        parts.append(attribute(uapi.NFTA_SET_ELEM_FLAGS, BE32.pack(flags)))
    if timeout:
        parts.append(_number64(uapi.NFTA_SET_ELEM_TIMEOUT, timeout))
    if expiration:
        parts.append(_number64(uapi.NFTA_SET_ELEM_EXPIRATION, expiration))
    parts.append(_optional(uapi.NFTA_SET_ELEM_USERDATA, userdata))
    return b"".join(parts)


def new_elements(
    family: int, table: str, name: str, elements: Iterable[bytes], set_id: int = 0
) -> list[bytes]:
    """Put elements (of :func:`element`) into a set, in as many messages as they need.

    ``set_id`` is needed for a set made in the same transaction and anonymous.
    """
    return _elements(uapi.NFT_MSG_NEWSETELEM, _CREATE, family, table, name, elements, set_id)


def delete_elements(family: int, table: str, name: str, elements: Iterable[bytes]) -> list[bytes]:
    """Take elements out of a set, in as many messages as they need; ENOENT for one not in it."""
    return _elements(uapi.NFT_MSG_DELSETELEM, NLM_F_REQUEST, family, table, name, elements, 0)


def flush_set(family: int, table: str, name: str) -> bytes:
    """Take every element out of a set."""
    return _message(
        uapi.NFT_MSG_DELSETELEM,
        NLM_F_REQUEST,
        family,
        _text(uapi.NFTA_SET_ELEM_LIST_TABLE, table),
        _text(uapi.NFTA_SET_ELEM_LIST_SET, name),
    )


def new_object(
    family: int,
    table: str,
    name: str,
    kind: int,
    data: bytes,
    userdata: bytes = b"",
    exclusive: bool = False,
) -> bytes:
    """Make a stateful object, or update the one there is where its kind allows that.

    ``kind`` is NFT_OBJECT_*, ``data`` the payload of NFTA_OBJ_DATA: that kind's attributes.
    """
    return _message(
        uapi.NFT_MSG_NEWOBJ,
        _CREATE | (NLM_F_EXCL if exclusive else 0),
        family,
        _text(uapi.NFTA_OBJ_TABLE, table),
        _text(uapi.NFTA_OBJ_NAME, name),
        attribute(uapi.NFTA_OBJ_TYPE, BE32.pack(kind)),
        nested(uapi.NFTA_OBJ_DATA, data),
        _optional(uapi.NFTA_OBJ_USERDATA, userdata),
    )


def delete_object(family: int, table: str, name: str, kind: int) -> bytes:
    """Remove a stateful object; EBUSY while a rule or a set refers to it."""
    return _message(
        uapi.NFT_MSG_DELOBJ,
        NLM_F_REQUEST,
        family,
        _text(uapi.NFTA_OBJ_TABLE, table),
        _text(uapi.NFTA_OBJ_NAME, name),
        attribute(uapi.NFTA_OBJ_TYPE, BE32.pack(kind)),
    )


def new_flowtable(family: int, table: str, name: str, hook: Hook, flags: int = 0) -> bytes:
    """Make a flowtable on the hook's devices (the number is NF_NETDEV_INGRESS), or add devices to it."""
    return _message(
        uapi.NFT_MSG_NEWFLOWTABLE,
        _CREATE,
        family,
        _text(uapi.NFTA_FLOWTABLE_TABLE, table),
        _text(uapi.NFTA_FLOWTABLE_NAME, name),
        nested(
            uapi.NFTA_FLOWTABLE_HOOK,
            attribute(uapi.NFTA_FLOWTABLE_HOOK_NUM, BE32.pack(hook.number)),
            attribute(uapi.NFTA_FLOWTABLE_HOOK_PRIORITY, BE32S.pack(hook.priority)),
            nested(uapi.NFTA_FLOWTABLE_HOOK_DEVS, *map(_device, hook.devices)),
        ),
        attribute(uapi.NFTA_FLOWTABLE_FLAGS, BE32.pack(flags)),
    )


def delete_flowtable(family: int, table: str, name: str, handle: int = 0) -> bytes:
    """Remove a flowtable, by name or, where given, by handle; EBUSY while a rule uses it."""
    which = _number64(uapi.NFTA_FLOWTABLE_HANDLE, handle) if handle else _text(uapi.NFTA_FLOWTABLE_NAME, name)
    return _message(
        uapi.NFT_MSG_DELFLOWTABLE, NLM_F_REQUEST, family, _text(uapi.NFTA_FLOWTABLE_TABLE, table), which
    )


def _message(kind: int, flags: int, family: int, *parts: bytes) -> bytes:
    return message(_SUBSYSTEM | kind, flags, family, b"".join(parts))


@lru_cache(maxsize=4096)
def _text(kind: int, name: str) -> bytes:
    """A name as the kernel wants it: at most 255 bytes, and a NUL at the end only."""
    encoded = name.encode("utf-8", "surrogateescape")
    if not encoded or len(encoded) > LONGEST_NAME or b"\0" in encoded:
        raise DocumentError(
            "not a name that the kernel takes",
            found=name,
            allowed="1 to %d bytes, none of them NUL" % LONGEST_NAME,
        )
    return attribute(kind, encoded + b"\0")


@lru_cache(maxsize=1024)
def _rule_head(family: int, table: str, chain: str) -> bytes:
    return _text(uapi.NFTA_RULE_TABLE, table) + _text(uapi.NFTA_RULE_CHAIN, chain)


def _number64(kind: int, value: int) -> bytes:
    return attribute(kind, BE64.pack(value))


def _optional(kind: int, payload: bytes) -> bytes:
    return attribute(kind, payload) if payload else b""


def _device(name: str) -> bytes:
    if name.endswith("*") and not name.endswith("\\*"):
        return attribute(uapi.NFTA_DEVICE_PREFIX, name[:-1].encode("utf-8", "surrogateescape"))
    return _text(uapi.NFTA_DEVICE_NAME, name[:-2] + "*" if name.endswith("*") else name)


def _devices(one: int, several: int, names: Sequence[str]) -> bytes:
    """One plain device in the attribute that every kernel knows, others in the list."""
    if not names:
        return b""
    if len(names) == 1 and not names[0].endswith("*"):
        return _text(one, names[0])
    return nested(several, *map(_device, names))


def _elements(
    kind: int, flags: int, family: int, table: str, name: str, elements: Iterable[bytes], set_id: int
) -> list[bytes]:
    head = _text(uapi.NFTA_SET_ELEM_LIST_TABLE, table) + _text(uapi.NFTA_SET_ELEM_LIST_SET, name)
    if set_id:
        head += attribute(uapi.NFTA_SET_ELEM_LIST_SET_ID, BE32.pack(set_id))
    inner = list(elements)
    try:
        return [
            _message(kind, flags, family, head, nested(uapi.NFTA_SET_ELEM_LIST_ELEMENTS, piece))
            for piece in nests(uapi.NFTA_LIST_ELEM, inner, MOST_BYTES)
        ]
    except ValueError:
        size = max(map(len, inner))
        raise DocumentError("the element is too long for the kernel", found="%d bytes" % size) from None
