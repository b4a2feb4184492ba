# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The few expressions that the kernel dumps in a form which it does not take itself.

Everything else travels as it is dumped, so that comparing is comparing bytes.
Each rule here is one of an expression's init function: nft_exthdr.c, nft_osf.c.
"""

from __future__ import annotations

from .. import uapi
from . import decode_list, encode_list
from .base import Expression
from .loads import Exthdr, Osf
from .state import Dynset, Quota

_NAMES = (b"exthdr\0", b"osf\0", b"dynset\0", b"quota\0")


def is_sent_as_dumped(expressions: bytes) -> bool:
    """Whether all of a rule's expressions are certainly taken in the form in which they are dumped."""
    return not any(name in expressions for name in _NAMES)


def sendable(expressions: bytes) -> bytes:
    """A rule's expressions, given as the kernel dumps them, in the form to send."""
    if is_sent_as_dumped(expressions):
        return expressions
    return encode_list([_sendable(one) for one in decode_list(expressions)])


def _sendable(one: Expression) -> Expression:
    if isinstance(one, Exthdr):
        if one.sreg is not None:  # nft_exthdr_tcp_set_init()
            one.flags = None
        elif one.dreg is None:  # nft_exthdr_tcp_strip_init()
            one.flags = one.offset = one.len = None
    elif isinstance(one, Osf) and not one.flags:  # nft_osf_init()
        one.flags = None
    elif isinstance(one, Dynset) and not one.timeout:  # nft_dynset_init(): sets without timeouts take none
        one.timeout = None
    elif isinstance(one, Quota):  # nft_quota_do_init(): that it is used up is the kernel's to say
        one.flags = (one.flags or 0) & uapi.NFT_QUOTA_F_INV
    return one
