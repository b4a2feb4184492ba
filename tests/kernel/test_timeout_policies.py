# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Timeout policies on real connections, as conntrack(8) shows the time that they have left."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from rempart.assignments.timeouts import timeout_request
from rempart.errors import DocumentError

from tests.support.namespaces import Namespace
from tests.support.routed import ANY, CLIENT, SERVER, Routed, forget
from tests.support.traffic import echo_server, family_of, udp_send

FAMILY = {4: "ipv4", 6: "ipv6"}
DAYS_5 = 432000
"""nf_conntrack_tcp_timeout_established, where nobody changed it."""


@pytest.fixture(autouse=True)
def forgotten(hosts: Routed) -> None:
    for one in (hosts.router, hosts.client):
        forget(one)


def policy(where: Namespace, name: str, **options: Any) -> bool:
    """Whether anything changed."""
    return timeout_request({"name": name, **options}).apply(where.name).changed


def left(where: Namespace, version: int, protocol: str, port: int, seconds: int) -> bool:
    """Whether the one connection to the port has so many seconds left, or had not long ago.

    As soon as the last piece is acknowledged, that is: until then the state "unack" counts.
    """
    options = ("-f", FAMILY[version], "-p", protocol, "--dport", str(port))
    end = time.monotonic() + 2
    while True:
        (line,) = where.run("conntrack", "-L", *options).stdout.splitlines()
        found = int(line.split()[2])
        if seconds - 4 <= found <= seconds:
            return True
        if time.monotonic() > end:
            print(line)
            return False


@contextlib.contextmanager
def connected(client: Namespace, address: str, port: int) -> Iterator[socket.socket]:
    """A TCP connection that stands while the block runs."""
    with client.socket(family_of(address), socket.SOCK_STREAM) as made:
        made.settimeout(2)
        made.connect((address, port))
        made.sendall(b"x")
        assert made.recv(1) == b"x"
        yield made


@pytest.mark.parametrize("version", [4, 6])
def test_one_service_outlives_the_rest(hosts: Routed, version: int) -> None:
    with echo_server(hosts.server, ANY[version]) as patient, echo_server(hosts.server, ANY[version]) as other:
        assert policy(
            hosts.router,
            "patient",
            protocol="tcp",
            policy={"established": "7d", "time_wait": 44},
            traffic=[{"daddr": SERVER[version], "dport": patient.port}],
        )
        with (
            connected(hosts.client, SERVER[version], patient.port) as closing,
            connected(hosts.client, SERVER[version], other.port),
        ):
            assert left(hosts.router, version, "tcp", patient.port, 7 * 86400)
            assert left(hosts.router, version, "tcp", other.port, DAYS_5)
            closing.shutdown(socket.SHUT_WR)
            assert closing.recv(1) == b""
            assert left(hosts.router, version, "tcp", patient.port, 44)


def test_one_service_is_forgotten_sooner(hosts: Routed) -> None:
    with echo_server(hosts.server) as names, echo_server(hosts.server) as other:
        policy(
            hosts.router,
            "names",
            protocol="udp",
            policy={"unreplied": 7, "replied": "11s"},
            traffic=[{"dport": [names.port, 9]}],
        )
        source = (CLIENT[4], 4001)

        def talk() -> None:
            for port in (names.port, other.port):
                assert udp_send(hosts.client, SERVER[4], port, source=source) == b"rempart"

        talk()
        assert left(hosts.router, 4, "udp", names.port, 7)
        assert left(hosts.router, 4, "udp", other.port, 30)
        # nf_conntrack_udp_packet(): a stream is what answers are seen of for two seconds
        time.sleep(2.1)
        talk()
        assert left(hosts.router, 4, "udp", names.port, 11)
        assert left(hosts.router, 4, "udp", other.port, 120)
        assert udp_send(hosts.client, SERVER[4], 9, timeout=0.1) in ("refused", "timeout")
        assert left(hosts.router, 4, "udp", 9, 7)


def test_for_one_network_protocol(hosts: Routed) -> None:
    with echo_server(hosts.server, "::") as echo:
        for name, l3proto, version, other in (("four", "ip", 4, 6), ("six", "ip6", 6, 4)):
            hosts.router.run("conntrack", "-F")
            options = {"protocol": "tcp", "policy": {"established": 600}, "traffic": [{"dport": echo.port}]}
            assert policy(hosts.router, name, l3proto=l3proto, **options)
            with (
                connected(hosts.client, SERVER[version], echo.port),
                connected(hosts.client, SERVER[other], echo.port),
            ):
                assert left(hosts.router, version, "tcp", echo.port, 600)
                assert left(hosts.router, other, "tcp", echo.port, DAYS_5)
            assert policy(hosts.router, name, state="absent")


def test_of_the_host_itself(hosts: Routed) -> None:
    with echo_server(hosts.server) as echo:
        options = {"protocol": "tcp", "policy": {"established": 900}}
        assert policy(hosts.router, "own", traffic=[{"daddr": SERVER[4]}], **options)
        with connected(hosts.router, SERVER[4], echo.port):
            assert left(hosts.router, 4, "tcp", echo.port, 900)


def test_a_change_is_for_connections_to_come(hosts: Routed) -> None:
    with echo_server(hosts.server) as echo:

        def established(lasting: Any) -> bool:
            kept = {"established": lasting}
            return policy(hosts.router, "web", protocol="tcp", policy=kept, traffic=[{"dport": echo.port}])

        assert established("1h")
        assert not established(3600)
        with connected(hosts.client, SERVER[4], echo.port) as old:
            assert left(hosts.router, 4, "tcp", echo.port, 3600)
            assert established("2h")
            old.sendall(b"y")
            assert old.recv(1) == b"y"
            assert left(hosts.router, 4, "tcp", echo.port, DAYS_5)
        hosts.router.run("conntrack", "-F")
        with connected(hosts.client, SERVER[4], echo.port):
            assert left(hosts.router, 4, "tcp", echo.port, 7200)


def test_policies_beside_each_other(netns: Namespace) -> None:
    """One comes and goes and the other stays as it is, handles and all; the table goes with the last."""

    def texts() -> tuple[str, str]:
        listed = netns.run("nft", "-a", "list", "ruleset").stdout
        a, b = (
            "".join(re.findall(r"^\t(?:chain|ct timeout) %s[ /].*?^\t}" % name, listed, re.M | re.S))
            for name in ("a", "b")
        )
        return a, b

    tcp = {"protocol": "tcp", "policy": {"established": "1h"}, "traffic": [{"dport": 22}]}
    udp = {"protocol": "udp", "policy": {"replied": "1h"}, "traffic": [{"dport": 53}, {"sport": 53}]}
    assert policy(netns, "a", **tcp)
    before, _ = texts()
    assert policy(netns, "b", **udp)
    assert texts()[0] == before and texts()[1]
    assert policy(netns, "b", state="absent")
    assert texts() == (before, "")
    assert not policy(netns, "b", state="absent")
    assert policy(netns, "a", state="absent")
    assert netns.nft_text() == ""


def test_the_hooks_are_after_tracking_and_before_translation(netns: Namespace) -> None:
    policy(netns, "a", protocol="tcp", policy={"established": 60}, traffic=[{}])
    hooked = [one["chain"] for one in netns.nft_json() if "hook" in one.get("chain", {})]
    assert sorted(one["hook"] for one in hooked) == ["output", "prerouting"]
    assert all(-200 < one["prio"] < -100 for one in hooked)


@pytest.mark.parametrize(
    "options",
    [
        {"protocol": "tcp", "policy": {"established": 0}, "traffic": [{}]},
        {"protocol": "tcp", "policy": {"established": "25d"}, "traffic": [{}]},
        {"protocol": "tcp", "policy": {"replied": 5}, "traffic": [{}]},
        {"protocol": "icmp", "policy": {"replied": 5}, "traffic": [{}]},
        {"protocol": "tcp", "policy": {"established": 60}, "traffic": [{"dport": 70000}]},
        {"protocol": "tcp", "policy": {"established": 60}, "traffic": []},
    ],
    ids=str,
)
def test_what_is_wrong_changes_nothing(netns: Namespace, options: dict[str, Any]) -> None:
    with pytest.raises(DocumentError):
        policy(netns, "a", **options)
    assert netns.nft_text() == ""
