# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flags of tables and chains: of tables that outlive their program, of chains that devices do."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.document.model import load
from rempart.errors import DocumentError, KernelError
from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.ruleset import kernel, messages
from rempart.ruleset.capture import capture, of_picture
from rempart.ruleset.desired import FAMILIES

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, table_of


def document(*flags: str, family: str = "inet", **chain: Any) -> dict[str, Any]:
    chains = [{"name": "c", **chain}]
    return {"tables": [{"name": "t", "family": family, "flags": list(flags), "chains": chains}]}


def test_a_table_that_outlives_its_program_is_captured_and_kept(netns: Namespace) -> None:
    place = (FAMILIES["inet"], "t")
    flags = uapi.NFT_TABLE_F_OWNER | uapi.NFT_TABLE_F_PERSIST
    with NetlinkSocket(netns.name) as program:
        program.transact([messages.new_table(*place, flags), messages.new_chain(*place, "c")])
    assert table_of(netns).flags == uapi.NFT_TABLE_F_PERSIST
    with NetlinkSocket(netns.name) as socket:
        captured = capture(socket)
    assert captured.notes == [] and captured.document["tables"][0]["flags"] == ["persist"]
    handle = table_of(netns).handle
    assert not apply(captured.document, netns, full=True).changed
    assert apply(document("dormant", "persist"), netns).changed
    held = table_of(netns)
    assert held.handle == handle
    assert held.flags == uapi.NFT_TABLE_F_PERSIST | uapi.NFT_TABLE_F_DORMANT
    # the kernel takes the flag from no table
    assert apply(document("dormant"), netns).changed
    assert table_of(netns).flags == uapi.NFT_TABLE_F_DORMANT
    assert not apply(document("dormant"), netns, full=True).changed


def test_no_table_can_have_an_owner_that_is_gone_at_once() -> None:
    with pytest.raises(DocumentError) as caught:
        load(document("dormant", "owner"))
    (problem,) = caught.value.problems
    assert problem.place == "tables[0].flags[1]" and "when the process that made it ends" in problem.message


@pytest.mark.parametrize("family", ["netdev", "inet"])
def test_a_device_that_cannot_do_the_work_of_a_chain_is_said(family: str, netns: Namespace) -> None:
    wanted = document(family=family, hook="ingress", device="lo", priority=10, flags=["offload"])
    with pytest.raises(KernelError) as caught:
        apply(wanted, netns)
    (problem,) = caught.value.problems
    assert problem.place == "tables[0].chains[0]" and "Operation not supported" in problem.message
    assert "devices that can do it" in problem.cure
    (shown,) = apply(wanted, netns, check=True).diff()
    assert "policy accept; flags offload;" in shown["after"]


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ({"flags": ["offload"]}, "a chain without a hook has no flags"),
        ({"hook": "input", "flags": ["offload"]}, "only what comes in"),
        ({"hook": "ingress", "device": "lo", "flags": ["ofload"]}, "did you mean 'offload'"),
    ],
)
def test_where_offload_does_not_go(chain: dict[str, Any], message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        load(document(**chain))


def test_a_chain_that_a_device_does_is_captured_with_its_flag(netns: Namespace) -> None:
    """No device here can do it, so the kernel's dump is told what it would have."""
    wanted = document(family="netdev", hook="ingress", device="lo", priority=10)
    apply(wanted, netns)
    place = (FAMILIES["netdev"], "t")
    with NetlinkSocket(netns.name) as socket:
        picture = kernel.read(socket, [place])
    chain = picture.tables[place].chains["c"]
    chain.flags |= uapi.NFT_CHAIN_HW_OFFLOAD
    captured = of_picture(picture, [place])
    assert captured.notes == [] and captured.document["tables"][0]["chains"][0]["flags"] == ["offload"]
    chain.flags |= 0x40
    (note,) = of_picture(picture, [place]).notes
    assert "chain c has flags that a document has no form for: 0x40" in str(note)
