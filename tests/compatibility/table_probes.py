# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes of the modules for tables, sets, snapshots, boot and types of service."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any, Callable

from tests.support import booting
from tests.support.namespaces import Namespace
from tests.support.traffic import capture, ip_protocol, ipv4_checksum_ok, tos, udp_send

from .probe import Probe, Step, cycle

SIBLING = "chain sibling { type filter hook forward priority 10; ip saddr 192.0.2.1 drop; };"
COUNTED = 'chain counted { type filter hook forward priority 10; counter packets 7 bytes 700 comment "n"; };'
BLOCKED = "set blocked { type ipv4_addr; flags interval,timeout; };"
MINIMUM_DELAY, MAXIMUM_THROUGHPUT = 0x10, 0x08


def rules(host: Namespace, *chain: str) -> list[str] | None:
    """The rules of a chain in nft syntax, without counters; None where the chain is not there."""
    printed = host.run("nft", "--stateless", "list", "chain", *chain, check=False)
    if printed.returncode:
        return None
    lines = [line.strip() for line in printed.stdout.splitlines()]
    begin = lines.index("chain %s {" % chain[-1]) + 1
    found = lines[begin : lines.index("}", begin)]
    return [line for line in found if not line.startswith("type ")]


def table(name: str, *given: dict[str, Any], **chain: Any) -> dict[str, Any]:
    """A table of a document with one chain, on the forward hook unless said otherwise."""
    return {"name": name, "chains": [{"name": "c", "hook": "forward", **chain, "rules": list(given)}]}


def ruleset(host: Namespace) -> Probe:
    """Flat keys, statements, a set and a policy."""
    web = {"protocol": "tcp", "dport": [22, 80], "verdict": "accept"}
    blocked = {"saddr": "@blocked", "log": {"prefix": "no "}, "counter": True, "verdict": "drop"}
    expr = {"expr": [{"match": {"op": "==", "left": {"meta": {"key": "pkttype"}}, "right": "host"}}]}
    sets = [{"name": "blocked", "type": "ipv4_addr", "elements": ["203.0.113.1"]}]
    first = {**table("probe", web, blocked), "sets": sets}
    second = {**table("probe", {**web, "dport": "1000-2000"}, blocked, expr, policy="drop"), "sets": sets}
    drop = 'ip saddr @blocked counter log prefix "no " drop'

    def state() -> Any:
        dropping = "policy drop;" in host.nft_text()
        return rules(host, "inet", "probe", "c"), dropping

    states: tuple[Any, Any, Any] = (
        (None, False),
        (["tcp dport { 22, 80 } accept", drop], False),
        (["tcp dport 1000-2000 accept", drop, "meta pkttype host"], True),
    )
    gone = {"tables": [{"name": "probe"}], "state": "absent"}
    return Probe("ruleset", state, cycle({"tables": [first]}, {"tables": [second]}, gone, states))


def chain(host: Namespace) -> Probe:
    """A chain beside another's."""
    host.nft("table inet probe_chain { %s }" % SIBLING)
    kept = ["ip saddr 192.0.2.1 drop"]

    def state() -> Any:
        return rules(host, "inet", "probe_chain", "mine"), rules(host, "inet", "probe_chain", "sibling")

    named = {"table": "probe_chain", "name": "mine"}
    first = {**named, "hook": "input", "rules": [{"protocol": "udp", "dport": "domain", "counter": True}]}
    second = {**named, "hook": "input", "rules": [{"iifname": "ppp+", "verdict": "return"}]}
    states = (
        (None, kept),
        (["udp dport 53 counter"], kept),
        (['iifname "ppp*" return'], kept),
    )
    return Probe("chain", state, cycle(first, second, {**named, "state": "absent"}, states))


def boot(host: Namespace, directory: Path, python: str) -> Probe:
    """Tables of an image, held by what its boot runs, under the same Python; ``host`` is what boots."""
    root = booting.image(directory)

    def state() -> Any:
        if not (root / booting.UNIT).exists():
            return booting.files(root)
        done = booting.boot(host, root, python)
        assert done.returncode == 0, done.stderr
        found = rules(host, "inet", "kept", "c")
        host.run("nft", "flush", "ruleset")
        return found

    given = {"root": str(root)}
    first = {**given, "tables": [table("kept", {"protocol": "tcp", "dport": "ssh", "verdict": "accept"})]}
    second = {**given, "tables": [table("kept", {"saddr": "2001:db8::/32", "verdict": "drop"})]}
    states: tuple[Any, Any, Any] = ([], ["tcp dport 22 accept"], ["ip6 saddr 2001:db8::/32 drop"])
    return Probe("boot", state, cycle(first, second, {**given, "state": "absent"}, states))


def set_elements(host: Namespace) -> Probe:
    """Elements with and without an end."""
    host.nft("table inet probe_set { %s }" % BLOCKED)

    def state() -> list[str]:
        printed = host.nft_text("set", "inet", "probe_set", "blocked")
        found = re.search(r"elements = \{(.*?)\}", printed, re.S)
        # What is left of a timeout differs from one look to the next
        lasting = re.sub(r" expires \w+", "", found.group(1)) if found else ""
        return sorted(one.strip() for one in lasting.split(",") if one.strip())

    named = {"table": "probe_set", "set": "blocked"}
    first = {**named, "elements": "203.0.113.9", "timeout": "1h"}
    exact = {**named, "state": "exact"}
    second = {**exact, "elements": ["198.51.100.0/24", {"elem": "192.0.2.7", "timeout": "2h"}]}
    states: tuple[Any, Any, Any] = (
        [],
        ["203.0.113.9 timeout 1h"],
        ["192.0.2.7 timeout 2h", "198.51.100.0/24"],
    )
    return Probe("set_elements", state, cycle(first, second, {**exact, "elements": []}, states))


def snapshot(host: Namespace, directory: Path) -> Probe:
    """A table saved, damaged and restored."""
    host.nft("table inet probe_saved { %s }" % SIBLING)
    file = directory / "saved.json"
    given = {"path": str(file), "tables": [{"name": "probe_saved"}]}
    save, restore = (
        {**given, "state": "saved"},
        {**given, "state": "restored", "on_clash": "replace"},
    )

    def state() -> Any:
        return file.exists(), rules(host, "inet", "probe_saved", "sibling")

    def damage() -> None:
        host.nft("flush chain inet probe_saved sibling")

    whole = ["ip saddr 192.0.2.1 drop"]
    return Probe(
        "snapshot",
        state,
        [
            Step(save, True, (False, whole), check=True),
            Step(save, True, (True, whole)),
            Step(save, False, (True, whole)),
            Step(restore, True, (True, []), check=True, before=damage),
            Step(restore, True, (True, whole)),
            Step(restore, False, (True, whole)),
        ],
    )


def ruleset_info(host: Namespace) -> Probe:
    """A counter, read and zeroed."""
    host.nft("table inet probe_info { %s }" % COUNTED)

    def state() -> int:
        found: list[int] = [
            one["rule"]["expr"][0]["counter"]["packets"]
            for one in host.nft_json("table", "inet", "probe_info")
            if "rule" in one
        ]
        return found[0]

    read = {"tables": [{"name": "probe_info"}]}
    document = {
        "tables": [
            {
                "name": "probe_info",
                "family": "inet",
                "chains": [
                    {
                        "name": "counted",
                        "type": "filter",
                        "hook": "forward",
                        "priority": "filter + 10",
                        "policy": "accept",
                        "rules": [{"counter": True, "comment": "n"}],
                    }
                ],
            }
        ]
    }
    zero = {**read, "zero": True}
    return Probe(
        "ruleset_info",
        state,
        [
            Step({**read, "document": True}, False, 7, returns={"document": document}),
            Step(zero, True, 7, check=True),
            Step(zero, True, 0),
            Step(zero, False, 0),
        ],
    )


def type_of_service(
    host: Namespace, device: str = "", queue: Callable[[], int] = lambda: 0, lengths: tuple[int, ...] = ()
) -> Probe:
    """What a datagram leaves with; with a device also its queue, before and after, and after the second."""

    def state() -> Any:
        with capture(host, "lo") as taken:
            udp_send(host, "127.0.0.1", 4022, timeout=0.01)
            (packet,) = taken.packets(wanted=lambda one: ip_protocol(one) == socket.IPPROTO_UDP)
        assert ipv4_checksum_ok(packet)
        return (tos(packet), queue()) if device else tos(packet)

    def options(name: str, index: int) -> dict[str, Any]:
        more = {"queue_length": {device: lengths[index]}} if device else {}
        return {"classes": [{"protocol": "udp", "dport": 4022, "tos": name}], **more}

    none, one, two = 0, MINIMUM_DELAY, MAXIMUM_THROUGHPUT
    states: tuple[Any, Any, Any] = (none, one, two)
    gone: dict[str, Any] = {"state": "absent"}
    if device:
        states = ((none, lengths[0]), (one, lengths[1]), (two, lengths[2]))
        gone["queue_length"] = {device: lengths[0]}
    first, second = options("minimum-delay", 1), options("maximum-throughput", 2)
    return Probe("tos", state, cycle(first, second, gone, states))
