# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/guide/busy-proxy.md. Sizes are the whole machine's: set in its first namespace, and put back."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.support import conntrack_sizes
from tests.support.machines import Machine
from tests.support.namespaces import Namespace
from tests.support.traffic import echo_server, tcp_connect


class First(Namespace):
    """The machine's first network namespace, of which a test may set nothing but the sizes."""

    def __init__(self) -> None:
        self.name = "first"
        self._children: list[subprocess.Popen[Any]] = []

    def argv(self, *argv: str) -> list[str]:
        """The command line as it is."""
        return list(argv)

    def close(self) -> None:
        """End what runs."""
        for child in self._children:
            child.kill()
            child.wait()


def test_busy_proxy(pair: dict[str, Machine], tmp_path: Path) -> None:
    itself(pair[""], "proxies")
    host, client = pair[""].namespace, pair["client"].namespace
    first = Machine(First(), pair[""].directory, tmp_path, {})
    own = pair.pop("")
    varies = {"0 of 4096": r"\d+ of \d+", "1m59s": r"\w+", "29s": r"\w+", "40001": r"\d+"}
    try:
        with conntrack_sizes.kept() as before, reading("docs/guide/busy-proxy.md", pair, varies) as page:
            pair[""] = first
            for name in before:
                if name != "nf_conntrack_expect_max":
                    (conntrack_sizes.DIRECTORY / name).write_text("262144")
            page.read("Memory")
            assert conntrack_sizes.sizes()["nf_conntrack_max"] == 1048576
            pair[""] = own
            page.read("See that it works")
            timeout = host.run("sysctl", "-n", "net.netfilter.nf_conntrack_tcp_timeout_established").stdout
            assert timeout == "7200\n"
            host.nft("table inet t { chain c { type filter hook input priority 0; ct state new; }; }")
            with echo_server(host, port=80, protocols=("tcp",)):
                assert tcp_connect(client, "192.0.2.10", 80) == "connected"
            page.read()
    finally:
        first.close()
