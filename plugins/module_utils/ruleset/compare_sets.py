# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Declared sets and objects compared: what must be made anew, and which stay as they are."""

from __future__ import annotations

from collections.abc import Iterable

from ..netlink.attributes import attribute
from ..nftables import uapi
from ..nftables.declared import ObjectContent
from ..nftables.declared.objects import object_identity
from ..nftables.expressions import decode_list
from ..nftables.sets import VERDICT_TYPE, SetContent
from .kernel import KernelObject, KernelSet
from .userdata import number_of, said

# user data of sets (libnftnl/udata.h)
_MERGE_ELEMENTS = 2  # NFTNL_UDATA_SET_MERGE_ELEMENTS
_COMMENT = 7  # NFTNL_UDATA_SET_COMMENT

_TYPE_BITS = 6  # of each part of a concatenation, in nft's number of its type (TYPE_BITS)
_PART = (1 << _TYPE_BITS) - 1


def same_properties(kernel: KernelSet, desired: SetContent) -> bool:
    """Whether a set is what it shall be, apart from its elements: the kernel changes no such property."""
    return (
        kernel.flags & ~uapi.NFT_SET_EXPR == desired.flags
        and kernel.key_length == desired.key_length
        and _same_type(kernel.key_type, desired.key_type)
        and _same_type(kernel.data_type, desired.data_type)
        and (desired.data_type == VERDICT_TYPE or kernel.data_length == desired.data_length)
        and kernel.object_type == (desired.object_type or 0)
        and kernel.timeout == desired.timeout
        and kernel.gc_interval == desired.gc_interval
        and kernel.size == desired.size
        and kernel.policy == (desired.policy or uapi.NFT_SET_POL_PERFORMANCE)
        and _statements(kernel.expressions) == _statements(desired.expressions)
        and said(kernel.userdata, _COMMENT) == desired.comment
        and bool(number_of(kernel.userdata, _MERGE_ELEMENTS)) == desired.auto_merge
    )


def _same_type(kernel: int | None, desired: int | None) -> bool:
    """Whether nft's numbers of two types are the same, apart from parts of which it did not know the type.

    Of a ``typeof`` with ct keys, nft 1.0.6 leaves parts at zero; the kernel asks only for lengths.
    """
    if kernel == desired or kernel is None or desired is None:
        return kernel == desired
    parts = [(kernel >> bits & _PART, desired >> bits & _PART) for bits in range(0, 32, _TYPE_BITS)]
    return all(one in (0, other) for one, other in parts)


def same_object(kernel: KernelObject, desired: ObjectContent) -> bool:
    """Whether an object is what it shall be, apart from what packets counted."""
    return (
        object_identity(kernel.kind, kernel.data) == desired.identity()
        and said(kernel.userdata) == desired.comment
    )


def _statements(payloads: Iterable[bytes]) -> list[bytes]:
    """What every element carries, without what packets counted; a document says no order of them."""
    from . import canonical

    listed = b"".join(attribute(uapi.NFTA_LIST_ELEM, one) for one in payloads)
    return sorted(canonical.zeroed(one).encode() for one in decode_list(listed))
