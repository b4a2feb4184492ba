# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The test help itself: namespaces that go, and traffic helpers that tell the verdicts apart."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import traffic
from tests.support.namespaces import DIRECTORY, PREFIX, Namespace, namespaces, sweep, veth

MakeNetns = Callable[[], Namespace]


@pytest.fixture
def pair(make_netns: MakeNetns) -> tuple[Namespace, Namespace]:
    """A client at .1 and a server at .2, over IPv4 and IPv6."""
    client, server = make_netns(), make_netns()
    veth(client, server, ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"])
    return client, server


def test_namespace_goes_on_error() -> None:
    with pytest.raises(RuntimeError), Namespace() as made:
        assert Path(made.path).exists()
        raise RuntimeError
    assert not Path(made.path).exists()


def test_close_ends_what_runs_inside() -> None:
    with Namespace() as made:
        child = made.popen("sleep", "60")
        while "sleep" not in Path("/proc/%d/comm" % child.pid).read_text():
            time.sleep(0.01)
        detached = made.run("sh", "-c", "sleep 60 > /dev/null 2>&1 & echo $!").stdout.strip()
    assert child.poll() == -signal.SIGKILL
    end = time.monotonic() + 2
    while time.monotonic() < end and _running(int(detached)):
        time.sleep(0.01)
    assert not _running(int(detached))


def _running(pid: int) -> bool:
    try:
        return ") Z " not in Path("/proc/%d/stat" % pid).read_text()
    except FileNotFoundError:
        return False


def test_interrupted_process_removes_its_namespaces() -> None:
    code = (
        "from tests.support.namespaces import Namespace\nimport time\n"
        "made = Namespace(); print(made.name, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    name = child.stdout.readline().decode().strip()
    assert (DIRECTORY / name).exists()
    child.send_signal(signal.SIGINT)
    child.wait(10)
    child.stdout.close()
    assert not (DIRECTORY / name).exists()


def test_sweep_takes_the_dead_and_leaves_the_living(netns: Namespace) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    stale = "%s%d-1" % (PREFIX, child.pid)
    subprocess.run(["ip", "netns", "add", stale], check=True)
    try:
        assert stale in sweep()
        assert not (DIRECTORY / stale).exists()
        assert Path(netns.path).exists()
    finally:
        subprocess.run(["ip", "netns", "delete", stale], capture_output=True)


def test_run_says_what_failed(netns: Namespace) -> None:
    with pytest.raises(AssertionError, match="syntax error"):
        netns.nft("no such thing")
    assert netns.run("false", check=False).returncode == 1


def test_nft_lists(netns: Namespace) -> None:
    netns.nft("table inet t { chain c { counter accept; }; }")
    assert [next(iter(one)) for one in netns.nft_json()] == ["table", "chain", "rule"]
    assert "accept" in netns.nft_text("table", "inet", "t")
    with Namespace() as other:
        assert other.nft_json() == []


def test_call_runs_inside_and_leaves_the_caller_outside(netns: Namespace) -> None:
    outside = os.readlink("/proc/thread-self/ns/net")
    inside = netns.call(os.readlink, "/proc/thread-self/ns/net")
    assert inside == netns.run("readlink", "/proc/self/ns/net").stdout.strip()
    assert inside != outside == os.readlink("/proc/thread-self/ns/net")
    with pytest.raises(ZeroDivisionError):
        netns.call(lambda: 1 // 0)


def test_sysctl(netns: Namespace) -> None:
    netns.sysctl("net.ipv4.ip_forward", 1)
    assert netns.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout == "1\n"


def test_veth_names_are_the_next_free_ones(make_netns: MakeNetns) -> None:
    left, middle, right = make_netns(), make_netns(), make_netns()
    assert veth(left, middle) == ("veth0", "veth0")
    assert veth(middle, right, name_b="uplink") == ("veth1", "uplink")
    assert "uplink" in right.run("ip", "-o", "link").stdout


@pytest.mark.parametrize("address", ["192.0.2.2", "2001:db8::2"])
def test_tcp_outcomes(pair: tuple[Namespace, Namespace], address: str) -> None:
    client, server = pair
    with traffic.echo_server(server, "::" if ":" in address else "0.0.0.0") as echo:
        assert traffic.tcp_connect(client, address, echo.port) == "connected"
        assert traffic.tcp_exchange(client, address, echo.port, b"x" * 100000)[0] == b"x" * 100000
        assert traffic.tcp_connect(client, address, echo.port + 1) == "refused"
        server.nft(
            "table inet t { chain c { type filter hook input priority 0; tcp dport %d drop; }; }" % echo.port
        )
        assert traffic.tcp_connect(client, address, echo.port, timeout=0.2) == "timeout"
        server.nft(
            "flush chain inet t c; add rule inet t c tcp dport %d reject with icmpx admin-prohibited"
            % echo.port
        )
        assert traffic.tcp_connect(client, address, echo.port) == "refused"


@pytest.mark.parametrize("address", ["192.0.2.2", "2001:db8::2"])
def test_udp_outcomes(pair: tuple[Namespace, Namespace], address: str) -> None:
    client, server = pair
    with traffic.echo_server(server, "::" if ":" in address else "0.0.0.0") as echo:
        assert traffic.udp_send(client, address, echo.port, b"hello") == b"hello"
        assert [peer[0] for peer in echo.peers] == ["udp"]
        assert traffic.udp_send(client, address, echo.port + 1) == "refused"
        server.nft("table inet t { chain c { type filter hook input priority 0; meta l4proto udp drop; }; }")
        assert traffic.udp_send(client, address, echo.port, timeout=0.2) == "timeout"
        server.nft(
            "flush chain inet t c; add rule inet t c meta l4proto udp reject with icmpx admin-prohibited"
        )
        assert traffic.udp_send(client, address, echo.port) == "refused"
        server.nft("flush ruleset")
        client.nft("table inet t { chain c { type filter hook output priority 0; meta l4proto udp drop; }; }")
        assert traffic.udp_send(client, address, echo.port, timeout=0.2) == "timeout"


def test_source_port_is_seen_by_the_server(pair: tuple[Namespace, Namespace]) -> None:
    client, server = pair
    with traffic.echo_server(server) as echo:
        assert traffic.tcp_connect(client, "192.0.2.2", echo.port, source=("192.0.2.1", 40000)) == "connected"
        traffic.udp_send(client, "192.0.2.2", echo.port, source=("192.0.2.1", 40001))
        assert set(echo.peers) == {("tcp", "192.0.2.1", 40000), ("udp", "192.0.2.1", 40001)}


def test_ping(pair: tuple[Namespace, Namespace]) -> None:
    client, server = pair
    assert traffic.ping(client, "192.0.2.2", count=3)
    assert traffic.ping(client, "2001:db8::2")
    assert not traffic.ping(client, "192.0.2.3", timeout=0.2)
    server.nft(
        "table inet t { chain c { type filter hook input priority 0; icmp type echo-request drop; }; }"
    )
    assert not traffic.ping(client, "192.0.2.2", timeout=0.2)


def test_capture_sees_tos_and_a_right_checksum(pair: tuple[Namespace, Namespace]) -> None:
    client, server = pair
    with traffic.echo_server(server) as echo, traffic.capture(server, "veth0") as taken:
        traffic.udp_send(client, "192.0.2.2", echo.port, tos=0x10)
        (packet,) = taken.packets(wanted=lambda one: traffic.ip_protocol(one) == socket.IPPROTO_UDP)
        assert traffic.tos(packet) == 0x10
        assert socket.inet_ntoa(packet[12:16]) == "192.0.2.1"
        assert traffic.ipv4_checksum_ok(packet)
        assert not traffic.ipv4_checksum_ok(packet[:1] + b"\x20" + packet[2:])


def test_capture_sees_the_wrong_checksum_of_a_raw_payload_statement(
    pair: tuple[Namespace, Namespace],
) -> None:
    client, _server = pair
    client.nft("table ip t { chain c { type route hook output priority mangle; @nh,0,16 set 0x4508; }; }")
    with traffic.capture(_server, "veth0") as taken:
        traffic.udp_send(client, "192.0.2.2", 9, timeout=0.1)
        (packet,) = taken.packets(wanted=lambda one: one[0] >> 4 == 4)
        assert traffic.tos(packet) == 0x08
        assert not traffic.ipv4_checksum_ok(packet)


def test_capture_of_ipv6_traffic_class(pair: tuple[Namespace, Namespace]) -> None:
    client, server = pair
    with traffic.echo_server(server, "::") as echo, traffic.capture(server, "veth0") as taken:
        traffic.udp_send(client, "2001:db8::2", echo.port, tos=0xB8)
        wanted = [one for one in taken.packets(8, 0.2) if traffic.ip_protocol(one) == socket.IPPROTO_UDP]
        assert [traffic.tos(one) for one in wanted] == [0xB8]


def test_namespaces_together() -> None:
    with namespaces(3) as several:
        assert len({one.name for one in several}) == 3
    assert not any(Path(one.path).exists() for one in several)
