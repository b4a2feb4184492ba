# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The type-of-service byte: ``dscp`` and ``ecn`` as matches, ``tos`` as a change of all eight bits.

nft has no statement for the whole byte. Ours is
``{"tos": {"and": A, "xor": X}}``: the byte becomes ``(byte & A) ^ X``. In IPv4 it
is the second byte of the header (RFC 791), which the checksum covers; in IPv6 it
is the traffic class, bits 4 to 11 (RFC 8200). So the rule must be bound to one of them.
"""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .key import NETWORKS, ROUTED, Draft, Key
from .values import Statement, integer, mapping, match_values, symbolic

CLASSES = {
    "minimum-delay": (0x01, 0x10),
    "maximum-throughput": (0x01, 0x08),
    "maximum-reliability": (0x01, 0x04),
    "minimum-cost": (0x01, 0x02),
}
"""The four services of RFC 1349 as the AND mask and the XOR value that the ipchains HOWTO gives."""

ALLOWED = '%s, {and: 0..255, xor: 0..255} or a text such as "0x01 0x10"' % ", ".join(CLASSES)


def field(name: str, draft: Draft) -> Statement:
    """The payload expression of ``dscp`` or ``ecn`` for the network at hand."""
    network = draft.network or NETWORKS[draft.family][0]
    return {"payload": {"protocol": network, "field": name}}


def _matched(name: str) -> Key:
    convert = symbolic(name)

    def lower(value: Any, draft: Draft) -> list[Statement]:
        return [match_values(field(name, draft), value, convert)]

    return Key(lower, split=True, implies=True, families=ROUTED)


def masks_of(value: Any) -> tuple[int, int]:
    """The AND mask and the XOR value. Raises DocumentError."""
    if isinstance(value, dict):
        mapping(value, ("and", "xor"))
        return _byte(value.get("and", 0xFF), "and"), _byte(value.get("xor", 0), "xor")
    if isinstance(value, str):
        if value in CLASSES:
            return CLASSES[value]
        words = value.split()
        if len(words) == 2:
            if not all(word[:2] in ("0x", "0X") for word in words):
                raise DocumentError("two masks that are not hexadecimal", found=value, allowed=ALLOWED)
            return _byte(words[0], ""), _byte(words[1], "")
    raise DocumentError("no type of service", found=value, allowed=ALLOWED)


def _byte(value: Any, place: str) -> int:
    return integer(value, 0, 0xFF, "mask of eight bits", place)


def _lower(value: Any, draft: Draft) -> list[Statement]:
    mask, flip = masks_of(value)
    return [{"tos": {"and": mask, "xor": flip}}]


MATCHES = {"dscp": _matched("dscp"), "ecn": _matched("ecn")}
STATEMENTS = {"tos": Key(_lower, split=True, families=ROUTED)}
