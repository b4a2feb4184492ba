# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/tutorial.md, typed from the first line to the last."""

from __future__ import annotations

import os
import shlex
import shutil
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.account import reading
from tests.support.booting import UNIT
from tests.support.machines import Machine
from tests.support.namespaces import veth
from tests.support.packages import collection, wheel
from tests.support.ssh import SshServer
from tests.support.traffic import echo_server, tcp_connect


@pytest.fixture
def directory() -> Iterator[Path]:
    """A short path, since SSH's control sockets lie below it."""
    made = Path(tempfile.mkdtemp(prefix="rempart-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def await_server(machine: Machine, *command: str) -> None:
    """Wait until a command succeeds, such as one that connects to a server which is starting."""
    end = time.monotonic() + 10
    while machine.run(*command, check=False).returncode:
        assert time.monotonic() < end, command
        time.sleep(0.05)


def reboot(host: Machine) -> None:
    """What a reboot makes of the kernel's tables: none, until the unit starts."""
    host.run("nft", "flush", "ruleset")
    (line,) = [one for one in host.run("cat", "/" + UNIT).stdout.split("\n") if one.startswith("ExecStart=")]
    host.run(*shlex.split(line.partition("=")[2]))


def test_tutorial(tmp_path: Path, directory: Path, make_machines: Callable[..., dict[str, Machine]]) -> None:
    pip = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_FIND_LINKS": str(wheel(tmp_path).parent)}
    made = make_machines(
        *("", "web1"),
        # The command's requirements are those of this run. Its own modules are not among them.
        PYTHONPATH=sysconfig.get_path("purelib"),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        ANSIBLE_PRIVATE_KEY_FILE=str(directory / "key"),
        ANSIBLE_SSH_COMMON_ARGS="-F /dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR",
        ANSIBLE_COLLECTIONS_PATH="/root/.ansible/collections",
        **pip,
    )
    reader, web1 = made.values()
    veth(reader.namespace, web1.namespace, "198.51.100.1/24", "198.51.100.10/24")
    reader.run("tee", "-a", "/etc/hosts", input="198.51.100.10 web1.example.org\n")
    SshServer(web1, "198.51.100.10", directory)
    with reading(
        "docs/tutorial.md",
        made,
        varies={"packets 1 bytes 60": r"packets \d+ bytes \d+"},
        by_hand={"# ansible -i hosts.ini web -m ansible.builtin.reboot": lambda _: reboot(web1)},
        instead={
            "apt-get install -y python3-venv nftables netcat-openbsd": "true",
            "ansible-galaxy collection install rempart.netfilter": (
                "ansible-galaxy collection install --offline %s" % collection(tmp_path)
            ),
        },
    ) as page:
        page.read("3. Write the smallest document")
        for port in ("80", "8080"):
            await_server(reader, "nc", "-z", "192.0.2.2", port)
        page.read("9. The same as a playbook")
        assert os.path.isabs(reader.run("readlink", "-f", "/usr/local/bin/rempart").stdout)
        before = web1.namespace.nft_text()
        assert before == ""
        page.read("Clean up")
        with echo_server(web1.namespace, port=80), echo_server(web1.namespace, port=8080):
            assert tcp_connect(reader.namespace, "198.51.100.10", 80) == "connected"
            assert tcp_connect(reader.namespace, "198.51.100.10", 443) == "refused"
            assert tcp_connect(reader.namespace, "198.51.100.10", 8080) == "timeout"
        page.read()
    assert reader.run("ip", "netns", "list").stdout == ""
