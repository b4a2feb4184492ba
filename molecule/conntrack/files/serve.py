# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Serves one address for a minute: FTP on port 21, and echoes on each further port given.

FTP knows passive data connections and a single file, which has the same text whatever its name.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time

FILE = b"over a connection that a helper announced\n"
ANSWERS = {"USER": "230 welcome", "TYPE": "200 binary", "CWD": "250 there", "QUIT": "221 goodbye"}


class Ftp(socketserver.StreamRequestHandler):
    """One control connection."""

    def handle(self) -> None:
        """Answer each command until the client goes."""
        data = None
        self.say("220 ready")
        for line in self.rfile:
            command = line.decode().split()[0].upper()
            if command in ("PASV", "EPSV"):
                data = socket.create_server((self.server.server_address[0], 0))
                data.settimeout(5)
                port = data.getsockname()[1]
                if command == "EPSV":
                    self.say("229 passive (|||%d|)" % port)
                else:
                    address = self.server.server_address[0].replace(".", ",")
                    self.say("227 passive (%s,%d,%d)" % (address, *divmod(port, 256)))
            elif command == "RETR" and data is not None:
                self.say("150 here it comes")
                connection = data.accept()[0]
                with connection:
                    connection.sendall(FILE)
                data.close()
                self.say("226 done")
            else:
                self.say(ANSWERS.get(command, "502 not here"))

    def say(self, answer: str) -> None:
        """Send one line."""
        self.wfile.write(answer.encode() + b"\r\n")


class Echo(socketserver.BaseRequestHandler):
    """One connection whose client gets back what it says."""

    def handle(self) -> None:
        """Echo until the client goes."""
        while said := self.request.recv(4096):
            self.request.sendall(said)


class Server(socketserver.ThreadingTCPServer):
    """Serves every client in a thread of its own."""

    allow_reuse_address = True
    daemon_threads = True


address, *ports = sys.argv[1:]
for port in map(int, ports):
    server = Server((address, port), Ftp if port == 21 else Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
time.sleep(60)
