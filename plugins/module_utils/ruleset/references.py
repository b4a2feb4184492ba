# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rules and elements refer to: chains, sets, objects, flowtables, by kind and name."""

from __future__ import annotations

from collections.abc import Iterable

from ..netlink.attributes import table
from ..nftables import uapi
from ..nftables.expressions import Verdict, decode_list
from ..nftables.expressions.actions import FlowOffload
from ..nftables.expressions.codecs import DATA
from ..nftables.expressions.state import Objref

#: ("chain", name), ("set", name), ("flowtable", name), or (NFT_OBJECT_*, name)
Reference = tuple[object, str]


def of_rule(expressions: bytes) -> set[Reference]:
    """What a rule's expressions refer to, its anonymous sets included."""
    found: set[Reference] = set()
    for one in decode_list(expressions):
        values = one.__dict__
        verdict = values.get("data")
        if isinstance(verdict, Verdict) and verdict.chain is not None:
            found.add(("chain", verdict.chain))
        name = values.get("set")
        if isinstance(name, str):
            found.add(("set", name))
        if isinstance(one, Objref) and one.imm_name is not None:
            found.add((one.imm_type, one.imm_name))
        elif isinstance(one, FlowOffload):
            found.add(("flowtable", one.table))
    return found


def of_elements(elements: Iterable[bytes], object_type: int) -> set[Reference]:
    """What a map's elements refer to; ``object_type`` is the set's, 0 for none."""
    found: set[Reference] = set()
    for payload in elements:
        attributes = table(payload)
        data = attributes.get(uapi.NFTA_SET_ELEM_DATA)
        if data is not None:
            verdict = DATA.unpack(data)
            if isinstance(verdict, Verdict) and verdict.chain is not None:
                found.add(("chain", verdict.chain))
        name = attributes.get(uapi.NFTA_SET_ELEM_OBJREF)
        if name is not None:
            found.add((object_type, name.rstrip(b"\0").decode("utf-8", "surrogateescape")))
    return found
