# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machines at whose terminals a test types what a reader of the documentation would.

A machine is a network namespace with its own processes, and with directories of its own where programs
write: /etc, /var/lib, /run and the others of :data:`WRITTEN`. They begin as the real ones are, and what is
written there is gone with the machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace

WRITTEN = ("etc", "usr/local", "opt", "root", "var/lib")
COLUMNS = 140

_END = "\0end of output\0"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BACKSPACE = re.compile(r"[^\n]\x08")

_BEGIN = """\
mount -t tmpfs tmpfs "$0"
for one in %s; do
  mkdir -p "$0/upper/$one" "$0/work/$one"
  mount -t overlay overlay -o "lowerdir=/$one,upperdir=$0/upper/$one,workdir=$0/work/$one" "/$one"
done
mount -t tmpfs tmpfs /run
mkdir /run/netns
echo ready
exec sleep infinity
""" % " ".join(WRITTEN)

# What the last command left of environment and directory is where the next one begins.
_COMMAND = """\
. "$0"
(exit "$2")
eval "$1"
code=$?
{ export -p; printf 'cd %q\\n' "$PWD"; } > "$0"
exit $code
"""


class Machine:
    """A machine with a terminal. ``directory`` is where the reader is at first; machines may share one.

    ``code`` is what the last command at the terminal exited with.
    Colours are switched off there; ``variables`` are further variables of the environment.
    """

    def __init__(
        self, namespace: Namespace, directory: Path, scratch: Path, variables: dict[str, str]
    ) -> None:
        self.namespace = namespace
        self.directory = directory
        self.code = 0
        self._started: list[subprocess.Popen[Any]] = []
        self._state = scratch / ("%s.state" % namespace.name)
        root = scratch / namespace.name
        root.mkdir()
        path = (os.path.dirname(sys.executable), "/usr/sbin", "/usr/bin", "/sbin", "/bin")
        environment = {
            "PATH": ":".join(("/usr/local/sbin", "/usr/local/bin", *path)),
            "HOME": "/root",
            "TERM": "xterm-256color",
            "NO_COLOR": "1",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            **variables,
        }
        self._environment = environment
        self._state.write_text("cd '%s'\n" % directory)
        own = ("--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
        holder = namespace.popen(
            *("unshare", *own, "sh", "-ec", _BEGIN, str(root)), stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        # ``ip netns exec`` has become unshare; its one child is the machine's first process.
        (first,) = Path("/proc/%d/task/%d/children" % (holder.pid, holder.pid)).read_text().split()
        self._enter = ["nsenter", "--target", first, "--mount", "--net", "--pid", "--"]
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
        attributes = termios.tcgetattr(self._slave)
        attributes[1] &= ~termios.ONLCR
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)

    def argv(self, *argv: str) -> list[str]:
        """The command line that runs ``argv`` on the machine."""
        return [*self._enter, *argv]

    def run(
        self, *argv: str, input: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on the machine, away from its terminal; with ``check`` a failure raises."""
        done = subprocess.run(
            self.argv(*argv),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=120,
        )
        assert not check or done.returncode == 0, "%s: exit %d\n%s%s" % (
            *(" ".join(argv), done.returncode, done.stdout, done.stderr),
        )
        return done

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program on the machine; it ends with the machine at the latest."""
        child: subprocess.Popen[Any] = subprocess.Popen(self.argv(*argv), env=self._environment, **options)
        self._started.append(child)
        return child

    def socket(self, *arguments: int) -> Any:
        """A socket that lives on the machine, as :meth:`Namespace.socket`."""
        return self.namespace.socket(*arguments)

    def type(self, command: str, timeout: float = 120) -> str:
        """Type a command; returns what the terminal shows until it has ended.

        The next command finds its directory, its exported variables and its exit code ``$?``. What it
        left running in the background goes on, and writes to this terminal too.
        """
        child = subprocess.Popen(
            self.argv("bash", "-c", _COMMAND, str(self._state), command, str(self.code)),
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=self._environment,
            start_new_session=True,
        )
        parts: list[bytes] = []
        end = time.monotonic() + timeout
        while child.poll() is None:
            if time.monotonic() > end:
                child.kill()
                child.wait()
                raise AssertionError("%s: not over after %g seconds\n%s" % (command, timeout, _text(parts)))
            self._shown(parts, 0.01)
        self.code = child.returncode
        os.write(self._slave, _END.encode())
        while not _text(parts).endswith(_END):
            self._shown(parts, 1)
        return _BACKSPACE.sub("", _ESCAPES.sub("", _text(parts)[: -len(_END)]))

    def _shown(self, parts: list[bytes], timeout: float) -> None:
        ready, _, _ = select.select([self._master], [], [], timeout)
        if ready:
            parts.append(os.read(self._master, 65536))

    def close(self) -> None:
        """End the machine, with its namespace and everything that runs there."""
        for one in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(one)
        self.namespace.close()
        for child in self._started:
            child.kill()
            child.wait()


def _text(parts: list[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "replace")


@contextlib.contextmanager
def machines(
    names: tuple[str, ...], directory: Path, variables: dict[str, str] | None = None
) -> Iterator[dict[str, Machine]]:
    """Machines by name while the block runs. Their readers are in ``directory``/work."""
    work = directory / "work"
    work.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        made = {}
        for name in names:
            namespace = stack.enter_context(Namespace()).up()
            made[name] = Machine(namespace, work, directory, variables or {})
            stack.callback(made[name].close)
        yield made
