# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An FTP server in a test namespace: one directory of files in memory, active and passive, IPv4 and IPv6.

RFC 959, and RFC 2428 for EPRT and EPSV. Every data connection is a real one.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator

from tests.support.namespaces import Namespace
from tests.support.traffic import family_of

DATA_TIMEOUT = 2.0
"""Seconds that the server waits for a data connection, or for what comes over one."""


class FtpServer:
    """Serves ``files`` (by name, as bytes); what clients store is added there.

    ``commands`` is what clients said, in order; ``peers`` are the ends of data connections.
    """

    def __init__(self, namespace: Namespace, address: str, port: int, files: dict[str, bytes]) -> None:
        self.files = files
        self.commands: list[str] = []
        self.peers: list[tuple[str, int]] = []
        self._namespace = namespace
        self._sockets: list[socket.socket] = []
        self._listening = self._listen(address, port)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _listen(self, address: str, port: int = 0) -> socket.socket:
        made = self._namespace.socket(family_of(address), socket.SOCK_STREAM)
        self._sockets.append(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        made.listen(8)
        return made

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self._sockets.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, client.makefile("rw", newline="\r\n") as lines:
            session = _Session(self, client)
            lines.write("220 ready\n")
            lines.flush()
            for line in lines:
                self.commands.append(line.strip())
                word, _, argument = line.strip().partition(" ")
                for answer in session.answers(word.upper(), argument):
                    lines.write(answer + "\n")
                    lines.flush()
                if word.upper() == "QUIT":
                    return

    def close(self) -> None:
        """Close every socket, which ends every thread."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class _Session:
    """One client: what it said last of how data are to go."""

    def __init__(self, server: FtpServer, client: socket.socket) -> None:
        self.server = server
        self.here: str = client.getsockname()[0]
        self.passive: socket.socket | None = None
        self.active: tuple[str, int] | None = None

    def answers(self, word: str, argument: str) -> Iterator[str]:
        """The replies to one command, each as soon as it is true."""
        files = self.server.files
        if word == "PORT":
            numbers = argument.split(",")
            self.active = ".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])
            yield "200 noted"
        elif word == "EPRT":
            _, _, address, port, _ = argument.split(argument[0])
            self.active = address, int(port)
            yield "200 noted"
        elif word in ("PASV", "EPSV"):
            self.passive = self.server._listen(self.here)
            port = self.passive.getsockname()[1]
            if word == "EPSV":
                yield "229 entering extended passive mode (|||%d|)" % port
            else:
                numbers = [*ipaddress.ip_address(self.here).packed, *divmod(port, 256)]
                yield "227 entering passive mode (%s)" % ",".join(map(str, numbers))
        elif word == "RETR" and argument not in files:
            yield "550 no such file"
        elif word in ("RETR", "STOR", "NLST"):
            yield "150 opening the data connection"
            try:
                with self._connection() as data:
                    self.server.peers.append(data.getpeername()[:2])
                    if word == "STOR":
                        files[argument] = b"".join(iter(lambda: data.recv(65536), b""))
                    elif word == "RETR":
                        data.sendall(files[argument])
                    else:
                        data.sendall("".join(name + "\r\n" for name in sorted(files)).encode())
                yield "226 done"
            except OSError:
                yield "425 no data connection"
        else:
            known = {"USER": "230 welcome", "TYPE": "200 as you like", "QUIT": "221 goodbye"}
            yield known.get(word, "502 not here")

    def _connection(self) -> socket.socket:
        """The data connection: to where the client listens, or one that it makes."""
        if self.passive is not None:
            with self.passive as listening:
                self.passive = None
                listening.settimeout(DATA_TIMEOUT)
                data, _ = listening.accept()
        else:
            assert self.active is not None
            data = self.server._namespace.socket(family_of(self.active[0]), socket.SOCK_STREAM)
            data.settimeout(DATA_TIMEOUT)
            data.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            data.bind((self.here, self.server.port - 1))
            data.connect(self.active)
        data.settimeout(DATA_TIMEOUT)
        return data


@contextlib.contextmanager
def ftp_server(
    namespace: Namespace, address: str = "0.0.0.0", port: int = 21, files: dict[str, bytes] | None = None
) -> Iterator[FtpServer]:
    """Serve while the block runs."""
    server = FtpServer(namespace, address, port, {} if files is None else files)
    try:
        yield server
    finally:
        server.close()
