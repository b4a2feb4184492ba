# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection's labels: 128 bits, and the file that gives them names.

A line of the file is a bit's number and its name. libnetfilter_conntrack
and iptables read /etc/xtables/connlabel.conf, nft /etc/nftables/connlabel.conf or
/etc/connlabel.conf, by its version.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Mapping
from typing import Any

from ..errors import Problem

COUNT = 128
"""Bits of a label (NF_CT_LABELS_MAX_SIZE of net/netfilter/nf_conntrack_labels.h is 16 bytes)."""

FILE = "/etc/xtables/connlabel.conf"
"""The file that conntrack(8) reads."""

_LINE = re.compile(
    r"\s*\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)"
    r"\s*([A-Za-z0-9-](?:[A-Za-z0-9\s-]*[A-Za-z0-9-])?)\s*",
    re.ASCII,
)
_SWAP = sys.byteorder == "big"


def bits(payload: bytes) -> list[int]:
    """The numbers of the bits that are set in CTA_LABELS, which are unsigned longs of the host."""
    if _SWAP:
        payload = _swapped(payload)
    number = int.from_bytes(payload, "little")
    found = []
    while number:
        lowest = number & -number
        found.append(lowest.bit_length() - 1)
        number ^= lowest
    return found


def pack(numbers: Any, problems: list[Problem], place: str = "labels") -> bytes:
    """CTA_LABELS with these bits set; what is wrong with them goes to ``problems``."""
    if not isinstance(numbers, (list, tuple)):
        problems.append(Problem("not a list", place, numbers, "a list of bit numbers"))
        return b""
    number = 0
    for index, bit in enumerate(numbers):
        if isinstance(bit, bool) or not isinstance(bit, int) or not 0 <= bit < COUNT:
            problems.append(
                Problem("no number of a bit", "%s[%d]" % (place, index), bit, "0 to %d" % (COUNT - 1))
            )
        else:
            number |= 1 << bit
    payload = number.to_bytes(COUNT // 8, "little")
    return _swapped(payload) if _SWAP else payload


def add_names(entry: dict[str, Any], known: Mapping[int, str]) -> None:
    """Put ``label_names`` beside an entry's ``labels``: those that ``known`` (of :func:`names`) has."""
    if "labels" in entry:
        entry["label_names"] = [known[bit] for bit in entry["labels"] if bit in known]


def names(path: str = FILE) -> dict[int, str]:
    """The name of each bit that the file names; none where there is no such file.

    Read as conntrack(8) does: a number as C writes one, then the name, of letters, digits, dashes
    and spaces. Any other line is passed over, and so is a second name for a bit and a second bit
    for a name.
    """
    found: dict[int, str] = {}
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as opened:
            lines = opened.read().split("\n")
    except OSError:
        return found
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        digits, name = match.groups()
        octal = digits.startswith("0") and digits.isdecimal()
        bit = int(digits, 8 if octal else 0)
        if bit < COUNT and bit not in found and name not in found.values():
            found[bit] = name
    return found


def _swapped(payload: bytes) -> bytes:
    """64-bit words of a big-endian host as little-endian ones, or the other way."""
    payload += b"\0" * (-len(payload) % 8)
    count = len(payload) // 8
    return struct.pack("<%dQ" % count, *struct.unpack(">%dQ" % count, payload))
