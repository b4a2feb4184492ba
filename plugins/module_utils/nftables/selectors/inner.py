# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The packet inside a tunnel: its bytes, and what protocols it has."""

from __future__ import annotations

from ..expressions import Expression
from ..expressions.loads import Inner
from ..expressions.loads import Meta as MetaExpression
from ..expressions.loads import Payload as PayloadExpression
from ..headers.tunnel import Tunnel
from .base import Selector
from .meta import Meta
from .payload import Payload
from .program import Program, wire_register

KEYS = ("protocol", "l4proto")
"""The meta keys that a packet inside has: nft_meta_inner_eval() of net/netfilter/nft_meta.c."""


class InnerPayload(Payload):
    """Bytes of the packet inside; they can be read and not be written."""

    def __init__(self, tunnel: Tunnel, of: Payload) -> None:
        super().__init__(of.base, of.offset, of.bits, of.datatype, of.header, of.field)
        self.tunnel: Tunnel = tunnel

    def load_raw(self, program: Program, register: int, length: int | None = None) -> None:
        """Load the covering bytes (or the first ``length`` of them) without masking."""
        load = PayloadExpression(
            dreg=wire_register(register),
            base=self.base,
            offset=self.offset // 8,
            len=self.width // 8 if length is None else length,
        )
        program.add(_inside(self.tunnel, load))


class InnerMeta(Meta):
    """What protocol the packet inside has."""

    def __init__(self, tunnel: Tunnel, key: str) -> None:
        super().__init__(key)
        self.tunnel: Tunnel = tunnel

    def load(self, program: Program, register: int) -> None:
        """``meta load`` inside."""
        load = MetaExpression(key=self.number, dreg=wire_register(register))
        program.add(_inside(self.tunnel, load))


def inside(tunnel: Tunnel, selector: Selector) -> Selector:
    """The same of the packet inside."""
    if isinstance(selector, Payload):
        return InnerPayload(tunnel, selector)
    if not isinstance(selector, Meta):
        raise TypeError("nothing of a packet inside a tunnel")
    return InnerMeta(tunnel, selector.key)


def _inside(tunnel: Tunnel, load: Expression) -> Inner:
    return Inner(num=0, type=tunnel.number, flags=tunnel.flags, hdrsize=tunnel.header_size, expr=load)
