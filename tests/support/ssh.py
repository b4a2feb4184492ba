# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A machine reached over SSH: a real server in a network namespace, and real clients in another."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tests.support.machines import Machine
from tests.support.namespaces import Namespace
from tests.support.traffic import family_of


class SshServer:
    """dropbear for root on an address of a namespace. Everything else of the machine is the tests' own.

    ``variables`` are what an inventory says of it. The server ends with its namespace.
    """

    def __init__(self, namespace: Namespace | Machine, address: str, directory: Path, port: int = 22) -> None:
        self.namespace = namespace
        self.address = address
        self.port = port
        self._key = directory / "key"
        self._control = directory / "cp"
        home = directory / "home"
        (home / ".ssh").mkdir(parents=True)
        users = directory / "passwd"
        users.write_text("root:*:0:0::%s:/bin/sh\nnobody:*:65534:65534::/:/bin/sh\n" % home)
        for command in (
            ["dropbearkey", "-t", "ed25519", "-f", str(directory / "host-key")],
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key)],
        ):
            subprocess.run(command, check=True, capture_output=True)
        shutil.copy(directory / "key.pub", home / ".ssh/authorized_keys")
        for path in (home / ".ssh/authorized_keys", home / ".ssh", home):
            path.chmod(0o700)
        script = (
            "mount --bind {users} /etc/passwd && "
            "exec dropbear -F -E -s -m -p {listen}:{port} -P {directory}/pid -r {directory}/host-key"
        ).format(
            users=users,
            listen="[%s]" % address if ":" in address else address,
            port=port,
            directory=directory,
        )
        self._log = directory / "server-log"
        with open(self._log, "wb") as log:
            namespace.popen(
                *("unshare", "--mount", "sh", "-c", script), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._await()

    def _await(self) -> None:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with self.namespace.socket(family_of(self.address), socket.SOCK_STREAM) as client:
                if client.connect_ex((self.address, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("dropbear did not start\n" + self.log())

    @property
    def options(self) -> list[str]:
        """Options of ssh that make it depend on nothing of this machine, and give up on a dead connection."""
        settings = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        alive = ("ServerAliveInterval=2", "ServerAliveCountMax=4", "ConnectTimeout=5", "BatchMode=yes")
        return ["-F", "/dev/null", *(word for one in (*settings, *alive) for word in ("-o", one))]

    @property
    def variables(self) -> dict[str, Any]:
        """What an inventory says of the machine. Every task goes by one TCP connection."""
        return {
            "ansible_connection": "ansible.builtin.ssh",
            "ansible_host": self.address,
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._key),
            "ansible_ssh_common_args": " ".join(self.options),
            "ansible_control_path_dir": str(self._control),
            "ansible_pipelining": True,
        }

    def log(self) -> str:
        """What the server says of its connections."""
        return self._log.read_text()

    def command(
        self, client: Namespace, command: str, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the machine from another namespace, over a connection of its own."""
        return client.run(*self._ssh, command, check=False, timeout=timeout)

    @property
    def _ssh(self) -> list[str]:
        return ["ssh", *self.options, "-i", str(self._key), "-p", str(self.port), "root@" + self.address]

    @contextlib.contextmanager
    def session(self, client: Namespace) -> Iterator[Session]:
        """A login that echoes lines, from another namespace."""
        process = client.popen(*self._ssh, "exec cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            yield Session(process)
        finally:
            process.kill()
            process.wait()


class Session:
    """Somebody at work on the machine."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._input: IO[bytes] = process.stdin
        self._output: IO[bytes] = process.stdout

    def lives(self, timeout: float = 5.0) -> bool:
        """Whether a line comes back from the machine in time."""
        self._input.write(b"still there\n")
        self._input.flush()
        ready, _, _ = select.select([self._output], [], [], timeout)
        return bool(ready) and b"still there" in os.read(self._output.fileno(), 4096)
