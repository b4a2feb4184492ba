# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types of connection tracking: state, direction, status, labels, events."""

from __future__ import annotations

from ...errors import nearest
from .base import DataType, DatatypeError, Flags, parse_integer
from .hostnames import HostTable


class _Labels(Flags):
    """Connection labels: bits 0 to 127, written by bit number or by the host's name for it."""

    __slots__ = ("_table",)

    def __init__(self, name: str, number: int, bits: int, table: HostTable) -> None:
        super().__init__(name, number, bits, {})
        self._table = table

    def number_of(self, value: object, bits: int = 0) -> int:
        """The integer with the label's bit set. Raises DatatypeError."""
        if isinstance(value, str) and "," in value:
            number = 0
            for word in value.split(","):
                number |= self.number_of(word.strip())
            return number
        if isinstance(value, str):
            bit = parse_integer(value)
            if bit is None:
                bit = self._table.numbers().get(value)
            if bit is None:
                raise DatatypeError(
                    "unknown connection label", value, self.allowed(), nearest(value, self._table.numbers())
                )
        elif isinstance(value, int) and not isinstance(value, bool):
            bit = value
        else:
            raise self._wrong_type(value)
        if not 0 <= bit < self.bits:
            raise DatatypeError("no such connection label", value, self.allowed())
        return 1 << bit

    def name_of(self, number: int) -> str | None:
        return self._table.names().get(number.bit_length() - 1) if number else None

    def text_of(self, number: int) -> str:
        return ",".join(self._quoted(part) for part in self.parts(number)) or "0x0"

    def allowed(self, bits: int = 0) -> str:
        return "a label from 0 to 127, or its name in connlabel.conf"

    def _quoted(self, part: int) -> str:
        name = self.name_of(part)
        return str(part.bit_length() - 1) if name is None else '"%s"' % name

    def _json_of_one(self, number: int) -> str | int:
        return self.name_of(number) or max(0, number.bit_length() - 1)


# linux/netfilter/nf_conntrack_common.h, as NF_CT_STATE_BIT(ip_conntrack_info) makes them
CT_STATE = Flags(
    "ct_state",
    26,
    32,
    {"invalid": 0x01, "new": 0x08, "established": 0x02, "related": 0x04, "untracked": 0x40},
)
# enum ip_conntrack_dir
CT_DIR = DataType("ct_dir", 27, 8, {"original": 0, "reply": 1})
# enum ip_conntrack_status (IPS_*): the flags nft names
CT_STATUS = Flags(
    "ct_status",
    28,
    32,
    {
        "expected": 0x001,
        "seen-reply": 0x002,
        "assured": 0x004,
        "confirmed": 0x008,
        "snat": 0x010,
        "dnat": 0x020,
        "dying": 0x200,
    },
)
CT_LABEL = _Labels("ct_label", 30, 128, HostTable("connlabel.conf", ("/etc", "/etc/xtables")))
# enum ip_conntrack_events (IPCT_*), one bit each
CT_EVENT = Flags(
    "ct_event",
    40,
    32,
    {
        "new": 0x001,
        "related": 0x002,
        "destroy": 0x004,
        "reply": 0x008,
        "assured": 0x010,
        "protoinfo": 0x020,
        "helper": 0x040,
        "mark": 0x080,
        "seqadj": 0x100,
        "secmark": 0x200,
        "label": 0x400,
    },
)

TYPES = (CT_STATE, CT_DIR, CT_STATUS, CT_LABEL, CT_EVENT)
