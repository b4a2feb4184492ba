# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The codecs that only expressions need: registers, data, verdicts, nested lists."""

from __future__ import annotations

from typing import Any

from ...netlink.attributes import BE32, BE32S, TEXT, Codec, attribute, table
from .. import uapi

#: verdicts are negative numbers but for NF_DROP 0 and NF_ACCEPT 1 (linux/netfilter.h, nf_tables.h)
VERDICT_CODES = {
    "drop": 0,
    "accept": 1,
    "continue": uapi.NFT_CONTINUE,
    "break": uapi.NFT_BREAK,
    "jump": uapi.NFT_JUMP,
    "goto": uapi.NFT_GOTO,
    "return": uapi.NFT_RETURN,
}
VERDICT_NAMES = {code: name for name, code in VERDICT_CODES.items()}


class Verdict:
    """A verdict: ``name`` as in VERDICT_CODES, ``chain`` the target of jump and goto.

    ``chain_id`` stands for a chain that has no name yet: it is sent, never dumped.
    """

    __slots__ = ("chain", "chain_id", "name")

    def __init__(self, name: str, chain: str | None = None, chain_id: int | None = None) -> None:
        self.name = name
        self.chain = chain
        self.chain_id = chain_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verdict) and (self.name, self.chain) == (other.name, other.chain)

    def __hash__(self) -> int:
        return hash((self.name, self.chain))

    def __repr__(self) -> str:
        return "Verdict(%r, %r)" % (self.name, self.chain)


def pack_verdict(verdict: Verdict) -> bytes:
    """The payload of NFTA_DATA_VERDICT."""
    data = attribute(uapi.NFTA_VERDICT_CODE, BE32S.pack(VERDICT_CODES[verdict.name]))
    if verdict.chain is not None:
        data += attribute(uapi.NFTA_VERDICT_CHAIN, TEXT.pack(verdict.chain))
    elif verdict.chain_id is not None:
        data += attribute(uapi.NFTA_VERDICT_CHAIN_ID, BE32.pack(verdict.chain_id))
    return data


def unpack_verdict(payload: bytes) -> Verdict:
    """The verdict in an NFTA_DATA_VERDICT payload; ValueError if it is none."""
    found = table(payload)
    if uapi.NFTA_VERDICT_CODE not in found:
        raise ValueError("a verdict without a code")
    code = BE32S.unpack(found[uapi.NFTA_VERDICT_CODE])
    if code not in VERDICT_NAMES:
        raise ValueError("verdict %d is unknown" % code)
    chain = found.get(uapi.NFTA_VERDICT_CHAIN)
    chain_id = found.get(uapi.NFTA_VERDICT_CHAIN_ID)
    return Verdict(
        VERDICT_NAMES[code],
        None if chain is None else TEXT.unpack(chain),
        None if chain_id is None else BE32.unpack(chain_id),
    )


class _Data(Codec):
    """struct nft_data: bytes for a register, or a Verdict."""

    def pack(self, value: bytes | Verdict) -> bytes:
        if isinstance(value, Verdict):
            return attribute(uapi.NFTA_DATA_VERDICT, pack_verdict(value))
        return attribute(uapi.NFTA_DATA_VALUE, value)

    def unpack(self, payload: bytes) -> bytes | Verdict:
        found = table(payload)
        if len(found) == 1 and uapi.NFTA_DATA_VALUE in found:
            return found[uapi.NFTA_DATA_VALUE]
        if len(found) == 1 and uapi.NFTA_DATA_VERDICT in found:
            return unpack_verdict(found[uapi.NFTA_DATA_VERDICT])
        raise ValueError("data that is neither a value nor a verdict")


class _Expressions(Codec):
    """A list of expressions inside an expression (dynset's stateful ones)."""

    def pack(self, value: Any) -> bytes:
        return b"".join(one.encode() for one in value)

    def unpack(self, payload: bytes) -> Any:
        from . import decode_list

        return decode_list(payload)


class _OneExpression(Codec):
    """One expression inside an expression: its name and data without the list element."""

    def pack(self, value: Any) -> bytes:
        return bytes(value.encode()[4:])

    def unpack(self, payload: bytes) -> Any:
        from . import decode_one

        return decode_one(payload)


DATA = _Data()
EXPRESSIONS = _Expressions()
ONE_EXPRESSION = _OneExpression()
