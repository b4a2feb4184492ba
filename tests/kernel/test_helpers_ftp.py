# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""FTP from end to end: a firewall that names port 21 alone, and everything else only as related to it."""

from __future__ import annotations

import ftplib
import io
import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rempart.assignments.helpers import wanted

from tests.support.ftp import FtpServer, ftp_server
from tests.support.namespaces import Namespace
from tests.support.routed import ANY, CLIENT, LAN, OUTSIDE, SERVER, Routed, forget
from tests.support.rulesets import apply

PAGE = b"what is to be had\r\n" * 5000
OURS = b"what is brought\r\n" * 5000

MODES = pytest.mark.parametrize("passive", [True, False], ids=["passive", "active"])


@pytest.fixture(autouse=True)
def forgotten(hosts: Routed) -> None:
    """No connection is known, and no rule."""
    for one in (hosts.router, hosts.server):
        forget(one)
        one.run("conntrack", "-F", "expect")


def filtering(*hooks: str, port: int = 21) -> dict[str, Any]:
    """The article's firewall: nothing passes but FTP's control connections, and what belongs to them."""
    rules = [
        {"ct_state": ["established", "related"], "verdict": "accept"},
        {"protocol": "tcp", "dport": port, "ct_state": "new", "verdict": "accept"},
    ]
    chains = [{"name": hook, "hook": hook, "policy": "drop", "rules": rules} for hook in hooks]
    return {"tables": [{"name": "firewall", "chains": chains}]}


def assigned(where: Namespace, *helpers: Any, **options: Any) -> None:
    assert wanted({"helpers": list(helpers), **options}).request.apply(where.name).changed


def session(
    client: Namespace, address: str, passive: bool, act: Callable[[ftplib.FTP], Any], port: int = 21
) -> Any:
    """What ``act`` makes of a session that has just begun."""

    def inside() -> Any:
        # Without a helper a data connection waits for this long in vain.
        ftp = ftplib.FTP(timeout=0.4)
        # The address that the server names, which a helper translates, and not where it was met.
        ftp.trust_server_pasv_ipv4_address = True  # type: ignore[attr-defined]
        try:
            ftp.connect(address, port)
            ftp.login()
            ftp.set_pasv(passive)
            return act(ftp)
        finally:
            ftp.close()

    return client.call(inside)


def transfer(ftp: ftplib.FTP) -> bytes:
    """A file there, the list of all, and a file back, each over a data connection of its own."""
    ftp.storbinary("STOR ours", io.BytesIO(OURS))
    assert ftp.nlst() == ["ours", "page"]
    found: list[bytes] = []
    ftp.retrbinary("RETR page", found.append)
    return b"".join(found)


def refused(client: Namespace, address: str, passive: bool, port: int = 21) -> None:
    """The control connection stands, no data come."""
    with pytest.raises((OSError, ftplib.error_temp)):
        session(client, address, passive, lambda ftp: ftp.retrbinary("RETR page", bytes), port)


@pytest.fixture(params=[4, 6])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def server(hosts: Routed, version: int) -> Iterator[FtpServer]:
    with ftp_server(hosts.server, ANY[version], files={"page": PAGE}) as made:
        yield made


@MODES
@pytest.mark.parametrize("where", ["server", "router"])
def test_transfers_pass_a_firewall_that_names_port_21(
    hosts: Routed, server: FtpServer, version: int, passive: bool, where: str
) -> None:
    """On the server itself, or on a router in front of it."""
    wall = hosts.server if where == "server" else hosts.router
    hooks = ("input", "output") if where == "server" else ("forward",)
    apply(filtering(*hooks), wall)
    refused(hosts.client, SERVER[version], passive)
    assert server.peers == []

    assigned(wall, "ftp")
    assert session(hosts.client, SERVER[version], passive, transfer) == PAGE
    assert server.files["ours"] == OURS
    assert [peer[0].replace("::ffff:", "") for peer in server.peers] == [CLIENT[version]] * 3
    words = {line.split()[0] for line in server.commands}
    assert words & {"PASV", "EPSV", "PORT", "EPRT"} == {
        {4: "PASV", 6: "EPSV"}[version] if passive else {4: "PORT", 6: "EPRT"}[version]
    }
    family = {4: "ipv4", 6: "ipv6"}[version]
    tracked = wall.run("conntrack", "-L", "-f", family, "-p", "tcp", "--dport", "21").stdout
    assert "helper=ftp" in tracked

    assigned(wall, "ftp", state="absent")
    wall.run("conntrack", "-F")
    refused(hosts.client, SERVER[version], passive)


@MODES
def test_what_is_announced_is_expected(hosts: Routed, server: FtpServer, version: int, passive: bool) -> None:
    """And only that: another port of the same host stays shut."""
    apply(filtering("forward"), hosts.router)
    assigned(hosts.router, "ftp")
    family = ("-f", {4: "ipv4", 6: "ipv6"}[version])

    def announce(ftp: ftplib.FTP) -> tuple[str, int]:
        if passive:
            _, port = ftp.makepasv()
            return hosts.router.run("conntrack", "-L", "expect", *family).stdout, port
        with ftp.makeport() as listening:
            return hosts.router.run("conntrack", "-L", "expect", *family).stdout, listening.getsockname()[1]

    listed, port = session(hosts.client, SERVER[version], passive, announce)
    (line,) = listed.splitlines()
    source, target = (CLIENT, SERVER) if passive else (SERVER, CLIENT)
    for part in (
        "proto=6",
        "src=%s dst=%s sport=0 dport=%d" % (source[version], target[version], port),
        "master-src=%s" % CLIENT[version],
        "helper=ftp",
    ):
        assert part in line


def test_a_port_of_ones_own(hosts: Routed) -> None:
    apply(filtering("forward", port=2121), hosts.router)
    assigned(hosts.router, "ftp")
    with ftp_server(hosts.server, port=2121, files={"page": PAGE}):
        refused(hosts.client, SERVER[4], True, 2121)
        assigned(hosts.router, {"name": "ftp", "ports": [21, 2121], "daddr": [SERVER[4], SERVER[6]]})
        for passive in (True, False):
            assert session(hosts.client, SERVER[4], passive, transfer, 2121) == PAGE


def test_only_the_traffic_that_is_named(hosts: Routed) -> None:
    """A helper opens ports: it is for this server, met through this interface, and for no other."""
    apply(filtering("forward"), hosts.router)
    with ftp_server(hosts.server, files={"page": PAGE}):
        for other in ({"daddr": "10.0.2.77"}, {"iifname": "ppp0"}, {"saddr": "10.0.1.77"}):
            assigned(hosts.router, {"name": "ftp", **other})
            refused(hosts.client, SERVER[4], True)
        assigned(hosts.router, {"name": "ftp", "daddr": SERVER[4], "iifname": "lan0", "saddr": "10.0.1.0/24"})
        assert session(hosts.client, SERVER[4], True, transfer) == PAGE


def translating(rule: dict[str, Any], hook: str, priority: str) -> dict[str, Any]:
    """Port 21's firewall with a translation."""
    document = filtering("forward")
    document["tables"][0]["chains"].append(
        {"name": "translate", "type": "nat", "hook": hook, "priority": priority, "rules": [rule]}
    )
    return document


def named_address(command: str) -> str:
    """The address of a PORT or EPRT command."""
    argument = command.split()[1]
    if "|" in argument:
        return str(ipaddress.ip_address(argument.split("|")[2]))
    return ".".join(argument.split(",")[:4])


def test_a_client_behind_a_masquerade_is_called_back(hosts: Routed, server: FtpServer, version: int) -> None:
    """Active: the address that the client names is the router's by the time the server reads it."""
    apply(translating({"oifname": "ppp0", "masquerade": True}, "postrouting", "srcnat"), hosts.router)
    refused(hosts.client, SERVER[version], False)
    assigned(hosts.router, "ftp")
    assert session(hosts.client, SERVER[version], False, transfer) == PAGE
    assert server.files["ours"] == OURS
    assert {peer[0].replace("::ffff:", "") for peer in server.peers} == {OUTSIDE[version]}
    named = [line for line in server.commands if line.startswith(("PORT", "EPRT"))]
    assert [named_address(line) for line in named[-3:]] == [OUTSIDE[version]] * 3


def test_a_server_behind_a_translation_is_found(hosts: Routed, server: FtpServer, version: int) -> None:
    """Passive: the client asks the router, and finds at the router what the server announces.

    The port that the helper is for is the one that clients ask for, not the one translated to.
    """
    to = {4: "%s:21" % SERVER[4], 6: "[%s]:21" % SERVER[6]}[version]
    rule = {"iifname": "lan0", "daddr": LAN[version], "protocol": "tcp", "dport": 2100, "dnat": to}
    apply(translating(rule, "prerouting", "dstnat"), hosts.router)
    refused(hosts.client, LAN[version], True, 2100)
    assigned(hosts.router, {"name": "ftp", "ports": 2100, "daddr": LAN[version]})
    assert session(hosts.client, LAN[version], True, transfer, 2100) == PAGE
    assert server.files["ours"] == OURS


def test_from_the_host_itself(hosts: Routed) -> None:
    """The client is the firewall: connections of its own come by the hook output."""
    apply(filtering("input", "output"), hosts.router)
    with ftp_server(hosts.server, files={"page": PAGE}):
        for passive in (True, False):
            refused(hosts.router, SERVER[4], passive)
        assigned(hosts.router, "ftp")
        for passive in (True, False):
            assert session(hosts.router, SERVER[4], passive, transfer) == PAGE
