# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chains and flowtables on devices whose names begin so. nft 1.0.6 never returns from listing them."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from rempart.boot.apply import devices_of
from rempart.document.model import load
from rempart.netlink.socket import NetlinkSocket, Refusal, Refused
from rempart.ruleset.capture import capture
from rempart.ruleset.desired import FAMILIES, compile_tables
from rempart.ruleset.kernel import read
from rempart.ruleset.plan import make_plan
from rempart.ruleset.refusal import explain

from tests.support.namespaces import Namespace, veth
from tests.support.rulesets import apply, content, table_of, text_of
from tests.support.traffic import ping


def document(*devices: str, family: str = "netdev", hook: str = "ingress") -> dict[str, Any]:
    chain = {"name": "c", "hook": hook, "devices": list(devices), "rules": [{"counter": True}]}
    return {"tables": [{"name": "t", "family": family, "chains": [chain]}]}


@pytest.mark.parametrize(
    ("family", "hook"), [("netdev", "ingress"), ("netdev", "egress"), ("inet", "ingress")]
)
@pytest.mark.parametrize(
    ("devices", "held", "written"),
    [
        (["ppp*"], ("ppp*",), 'device "ppp*"'),
        (["ppp+"], ("ppp*",), 'device "ppp*"'),
        (["ppp*", "lo"], ("ppp*", "lo"), 'devices = { "ppp*", "lo" }'),
        (["wan*", "ppp*"], ("wan*", "ppp*"), 'devices = { "wan*", "ppp*" }'),
    ],
)
def test_a_chain_on_a_prefix_is_read_back_as_it_was_made(
    netns: Namespace, family: str, hook: str, devices: list[str], held: tuple[str, ...], written: str
) -> None:
    wanted = document(*devices, family=family, hook=hook)
    assert apply(wanted, netns).changed
    chain = table_of(netns, family).chains["c"]
    assert chain.hook is not None and chain.hook.devices == held
    assert not apply(wanted, netns, full=True).changed
    assert written in text_of(wanted)
    with NetlinkSocket(netns.name) as socket:
        captured = capture(socket)
    (found,) = captured.document["tables"][0]["chains"]
    assert found.get("devices", [found.get("device")]) == list(held)
    assert not apply(captured.document, netns, full=True).changed
    before = content(netns)
    netns.run("ip", "link", "add", "ppp7", "type", "bridge")
    assert not apply(wanted, netns, full=True).changed
    assert content(netns) == before


def test_a_prefix_takes_the_place_of_names(netns: Namespace) -> None:
    netns.run("ip", "link", "add", "ppp7", "type", "bridge")
    apply(document("ppp7"), netns)
    assert apply(document("ppp*"), netns).changed
    assert apply(document("ppp7"), netns).changed
    chain = table_of(netns, "netdev").chains["c"]
    assert chain.hook is not None and chain.hook.devices == ("ppp7",)


def test_a_star_that_belongs_to_the_name(netns: Namespace) -> None:
    """A device of this name is not every device that begins so."""
    netns.run("ip", "link", "add", "ppp*", "type", "bridge")
    wanted = document("ppp\\*")
    apply(wanted, netns)
    chain = table_of(netns, "netdev").chains["c"]
    assert chain.hook is not None and chain.hook.devices == ("ppp\\*",)
    assert not apply(wanted, netns, full=True).changed
    assert apply(document("ppp*"), netns).changed


def test_packets_of_devices_that_came_later(make_netns: Callable[[], Namespace]) -> None:
    one, other = make_netns(), make_netns()
    apply(document("lan*"), one)
    veth(one, other, "192.0.2.1/24", "192.0.2.2/24", name_a="lan7")
    assert ping(one, "192.0.2.2")
    before = _count(one)
    assert before
    veth(one, other, "198.51.100.1/24", "198.51.100.2/24", name_a="wan7", name_b="veth1")
    assert ping(one, "198.51.100.2")
    assert ping(one, "192.0.2.2")
    assert before < _count(one) < before + 20
    one.run("ip", "link", "set", "lan7", "down")
    one.run("ip", "link", "set", "lan7", "name", "gone7")
    one.run("ip", "link", "set", "gone7", "up")
    before = _count(one)
    assert ping(one, "192.0.2.2")
    assert _count(one) == before


def _count(where: Namespace) -> int:
    """Packets that the chain's only rule counted."""
    with NetlinkSocket(where.name) as socket:
        found = capture(socket, counts=True).document["tables"][0]["chains"][0]["rules"]
    return int(found[0]["counter"]["packets"])


def test_a_kernel_without_prefixes_is_told_of(netns: Namespace) -> None:
    """Linux before 6.16 answers an attribute that it does not know with EINVAL (nft_chain_parse_netdev())."""
    wanted = document("ppp*")
    wanted["tables"][0]["chains"].append({"name": "d", "hook": "ingress", "device": "lo"})
    place = (FAMILIES["netdev"], "t")
    with NetlinkSocket(netns.name) as socket:
        plan = make_plan(compile_tables(load(wanted), {}), read(socket, [place]))
    cures = {}
    for index, purpose in enumerate(plan.purposes):
        if purpose.part is not None and purpose.rule is None:
            error = explain(Refused([Refusal(index, errno.EINVAL, "", None)]), plan)
            cures[error.problems[0].place] = error.problems[0].cure
    assert "Linux 6.16" in cures["tables[0].chains[0]"]
    assert "Linux 6.16" not in cures["tables[0].chains[1]"]


def test_a_flowtable_on_a_prefix() -> None:
    """The kernel here may have no flowtables: its message and its text are looked at."""
    wanted = {"tables": [{"name": "t", "flowtables": [{"name": "f", "devices": ["ppp+", "eth0"]}]}]}
    (table,) = compile_tables(load(wanted), {})
    hook = table.flowtables["f"].hook
    assert hook.devices == ("ppp*", "eth0")
    assert 'devices = { "ppp*", "eth0" }' in text_of(wanted)


def test_boot_waits_for_no_device_that_a_prefix_stands_for() -> None:
    tables = document("ppp*", "eth0", "wan+", "odd\\*")["tables"]
    tables[0]["flowtables"] = [{"name": "f", "device": "lan*"}]
    assert devices_of(tables) == {"eth0", "odd\\*"}
