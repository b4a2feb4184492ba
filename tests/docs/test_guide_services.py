# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/guide/ftp.md, ban.md and slow-link.md, on a host with a client."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.support.ftp import ftp_server
from tests.support.machines import Machine
from tests.support.namespaces import veth
from tests.support.pages import pattern
from tests.support.traffic import (
    capture,
    echo_server,
    ip_protocol,
    ipv4_checksum_ok,
    tcp_connect,
    tos,
    udp_send,
)


def test_ftp(pair: dict[str, Machine]) -> None:
    itself(pair[""], "ftp")
    host, client = pair[""].namespace, pair["client"].namespace
    with (
        ftp_server(host, files={"hello.txt": b"Hello!\n"}) as server,
        reading(
            "docs/guide/ftp.md", pair, {"41234": r"\d+", "1m59s": r"\w+", "TIME_WAIT": "[A-Z_]+"}
        ) as page,
    ):
        page.read("The playbook")
        filtering = host.nft_text("table", "inet", "edge")
        # The module has a table of its own: what follows FTP below is not that of the document.
        host.nft("delete table inet rempart_document_helpers")
        page.read()
        assert host.nft_text("table", "inet", "edge") == filtering
        modes = {word.split(" ")[0] for word in server.commands}
        assert {"EPSV", "EPRT"} <= modes
        # It is the helper that lets the data through.
        host.nft("delete table inet rempart_helpers")
        url = "ftp://192.0.2.10/hello.txt"
        assert pair["client"].run("curl", "-s", "--max-time", "1", url, check=False).returncode == 28
        assert tcp_connect(client, "192.0.2.10", 21) == "connected"


def test_ban(pair: dict[str, Machine]) -> None:
    itself(pair[""], "web")
    host, client = pair[""].namespace, pair["client"].namespace
    with (
        echo_server(host, port=80, protocols=("tcp",)),
        echo_server(host, port=22, protocols=("tcp",)),
        reading("docs/guide/ban.md", pair, {"59m59s": r"[\dms]+"}) as page,
    ):
        page.read("See that it works")
        assert tcp_connect(client, "192.0.2.10", 80, 0.2) == "timeout"
        assert tcp_connect(client, "2001:db8::10", 80) == "refused"
        assert "203.0.113.9" in host.nft_text("set", "inet", "edge", "banned")
        page.read()
        assert pair[""].type("rempart apply ban.yml") == "nothing to do\n"
        assert tcp_connect(client, "192.0.2.10", 80, 0.2) == "timeout"


def test_slow_link(make_machines: Callable[..., dict[str, Machine]]) -> None:
    # The Python that has pyroute2.
    made = make_machines("", "far", ANSIBLE_PYTHON_INTERPRETER=sys.executable)
    itself(made[""], "gateway")
    host, far = made[""].namespace, made["far"].namespace
    veth(host, far, "203.0.113.7/24", "203.0.113.80/24", name_a="ppp0")

    def watched(text: str) -> None:
        """The block with tcpdump, which waits for somebody to connect."""
        command, *shown = text.rstrip("\n").split("\n")
        with ThreadPoolExecutor(1) as pool:
            seen = pool.submit(made[""].type, command[2:])
            while not seen.done():
                tcp_connect(host, "203.0.113.80", 22, 0.1)
        varies = {"12:00:00.000000": r"[\d:.]+", "id 4660": r"id \d+"}
        assert pattern(shown, varies).fullmatch(seen.result()), seen.result()

    tcpdump = {"# tcpdump -n -v -c 1 -i ppp0 tcp dst port 22": watched}
    with reading("docs/guide/slow-link.md", made, by_hand=tcpdump) as page:
        page.read("The playbook")
        for port, wanted in ((22, 0x10), (20, 0x08), (80, 0)):
            with capture(far, "veth0") as taken:
                tcp_connect(host, "203.0.113.80", port)
                (packet,) = taken.packets(wanted=lambda one: ip_protocol(one) == socket.IPPROTO_TCP)
            assert tos(packet) == wanted and ipv4_checksum_ok(packet)
        host.nft("delete table inet tos")
        page.read()
        assert "qlen 10" in host.run("ip", "link", "show", "ppp0").stdout
        with capture(far, "veth0") as taken:
            udp_send(host, "203.0.113.80", 53, timeout=0.1)
            (packet,) = taken.packets(wanted=lambda one: ip_protocol(one) == socket.IPPROTO_UDP)
        assert tos(packet) == 0x10
