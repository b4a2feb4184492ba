# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel itself says of helpers: which it has, and which of its tables refer to them."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import KernelError
from ..netlink.private import private_socket
from ..netlink.socket import NetlinkSocket
from ..nftables import uapi
from ..nftables.declared import compile_object
from ..nftables.declared.objects import decode_object
from ..ruleset import kernel as kernel_state
from ..ruleset import messages
from ..ruleset.desired import FAMILY_NAMES
from .catalogue import Helper, KernelHelper
from .request import FAMILY

_TABLE = "rempart_probe"


def has_helper(kernel_helper: KernelHelper) -> bool:
    """Whether the kernel takes an object of this helper, tried in a network namespace of its own.

    Helpers are the whole kernel's, whatever the namespace. A kernel with modules loads the
    helper's for this. Raises HostError where the trial itself cannot be made.
    """
    value = {
        "name": "probe",
        "type": kernel_helper.type,
        "protocol": kernel_helper.protocol,
        "l3proto": kernel_helper.l3proto,
    }
    content = compile_object("ct helper", value)
    batch = [
        messages.new_table(uapi.NFPROTO_INET, _TABLE),
        messages.new_object(uapi.NFPROTO_INET, _TABLE, "probe", content.kind, content.data),
    ]
    with private_socket() as socket:
        try:
            socket.transact(batch)
        except KernelError:
            return False
    return True


class Reference:
    """An object of a table that keeps a helper in use. ``uses`` counts what it adds to the module's."""

    __slots__ = ("family", "name", "table", "uses")

    def __init__(self, family: str, table: str, name: str, uses: int) -> None:
        self.family = family
        self.table = table
        self.name = name
        self.uses = uses

    def __str__(self) -> str:
        return "ct helper %s of table %s %s" % (self.name, self.family, self.table)


def references(helpers: Iterable[Helper], netns: str | None) -> dict[str, list[Reference]]:
    """By helper what refers to it in the tables of a network namespace. Raises HostError, KernelError."""
    by_type = {one.type: helper.name for helper in helpers for one in helper.kernel.values()}
    found: dict[str, list[Reference]] = {}
    with NetlinkSocket(netns) as socket:
        for table in kernel_state.tables(socket):
            family = FAMILY_NAMES.get(table.family, str(table.family))
            for (kind, name), one in kernel_state.objects(socket, table.family, table.name).items():
                if kind != uapi.NFT_OBJECT_CT_HELPER:
                    continue
                shown = decode_object(kind, one.data)
                helper = by_type.get(str(shown.get("type")))
                if helper is not None:
                    # nft_ct_helper_obj_init(): one reference for IPv4, one for IPv6
                    uses = 2 if shown.get("l3proto") == FAMILY else 1
                    found.setdefault(helper, []).append(Reference(family, table.name, name, uses))
    return found
