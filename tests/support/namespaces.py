# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Throwaway network namespaces.

A namespace is named ``rempart-test-PID-N``, after the process that made it, so
that what a killed run left behind can be told from what a live one uses.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from rempart.errors import HostError
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset import memory

PREFIX = "rempart-test-"
DIRECTORY = Path("/run/netns")
CLONE_NEWNET = 0x40000000  # linux/sched.h
SIOCGIFFLAGS = 0x8913  # linux/sockios.h
IFF_RUNNING = 0x40  # linux/if.h

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)
_indices = itertools.count(100)
_alive: set[Namespace] = set()


class Namespace:
    """A network namespace of this process; removed with everything in it at the end of the ``with`` block.

    It holds nothing but its loopback device, which is down until :meth:`up`.
    """

    def __init__(self) -> None:
        self.name = "%s%d-%d" % (PREFIX, os.getpid(), next(_numbers))
        self.path = str(DIRECTORY / self.name)
        self.links = itertools.count(0)
        self._children: list[subprocess.Popen[Any]] = []
        _execute(["ip", "netns", "add", self.name])
        _alive.add(self)

    def __enter__(self) -> Namespace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<Namespace %s>" % self.name

    def close(self) -> None:
        """End every process in the namespace and remove it; a second call does nothing."""
        if self not in _alive:
            return
        _alive.discard(self)
        self._forget()
        _remove(self.name)
        for child in self._children:
            # Ended above, unless it moved itself into another namespace.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(2)
            if child.poll() is None:
                child.kill()
                child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()

    def _forget(self) -> None:
        """Take away what the engine remembers of the namespace."""
        with contextlib.suppress(HostError), NetlinkSocket(self.name) as kernel:
            memory.forget(memory.key(kernel))

    def argv(self, *argv: str) -> list[str]:
        """The command line that runs ``argv`` in the namespace."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(
        self, *argv: str, input: str | None = None, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the namespace to its end; with ``check`` a failure raises AssertionError."""
        return _execute(self.argv(*argv), input, check, timeout)

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[Any]:
        """Start a program in the namespace; it ends with the namespace at the latest."""
        child: subprocess.Popen[Any] = subprocess.Popen(self.argv(*argv), **options)
        self._children.append(child)
        return child

    def nft(self, text: str) -> None:
        """Load a ruleset in nft syntax."""
        self.run("nft", "-f", "-", input=text)

    def nft_text(self, *what: str) -> str:
        """What ``nft list`` prints for ``what`` (default: ``ruleset``), without counter values."""
        return self.run("nft", "--stateless", "list", *(what or ("ruleset",))).stdout

    def nft_json(self, *what: str) -> list[dict[str, Any]]:
        """The objects of ``nft -j -a list`` for ``what`` (default: ``ruleset``), without ``metainfo``."""
        found = json.loads(self.run("nft", "--json", "--handle", "list", *(what or ("ruleset",))).stdout)
        return [one for one in found["nftables"] if "metainfo" not in one]

    def up(self) -> Namespace:
        """Bring the loopback device up."""
        self.run("ip", "link", "set", "lo", "up")
        return self

    def sysctl(self, key: str, value: object) -> None:
        """Set a key of the namespace, such as ``net.ipv4.ip_forward``."""
        place = "/proc/sys/" + key.replace(".", "/")
        self.call(lambda: Path(place).write_text(str(value)))

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call ``function`` in this process with the calling thread in the namespace, and return its result.

        The kernel keeps the network namespace per thread: the call runs in a
        thread of its own. A socket made there stays in the namespace wherever
        it is used later.
        """
        outcome: list[Any] = []

        def inside() -> None:
            try:
                with open(self.path, "rb") as handle:
                    if _libc.setns(handle.fileno(), CLONE_NEWNET):
                        code = ctypes.get_errno()
                        raise OSError(code, os.strerror(code), self.path)
                outcome.extend((True, function(*arguments)))
            except BaseException as error:
                outcome.extend((False, error))

        thread = threading.Thread(target=inside, name=self.name)
        thread.start()
        thread.join()
        succeeded, value = outcome
        if not succeeded:
            raise value
        return value  # type: ignore[no-any-return]

    def socket(self, *arguments: int) -> socket.socket:
        """A socket that lives in the namespace; ``arguments`` are those of ``socket.socket``."""
        return self.call(socket.socket, *arguments)


def veth(
    a: Namespace,
    b: Namespace,
    addr_a: str | Sequence[str] = (),
    addr_b: str | Sequence[str] = (),
    name_a: str = "",
    name_b: str = "",
) -> tuple[str, str]:
    """Join two namespaces by a pair of devices that are up and have addresses, such as ``10.0.0.1/24``.

    Returns the two device names: those given, or ``vethN`` with the next free N
    of each namespace. The pair never shows up in the namespace of the caller.
    """
    name_a = name_a or "veth%d" % next(a.links)
    name_b = name_b or "veth%d" % next(b.links)
    # Two devices with one index, each in its namespace, would see their carrier
    # only after up to a second (linkwatch_urgent_event() in net/core/link_watch.c).
    link = ["link", "add", name_a, "index", str(next(_indices)), "type", "veth"]
    peer = ["peer", "name", name_b, "index", str(next(_indices)), "netns", b.name]
    _execute(["ip", "-n", a.name, *link, *peer])
    for namespace, name, addresses in ((a, name_a, addr_a), (b, name_b, addr_b)):
        commands = []
        # Nor does its link-local address wait, which a router needs to ask for its neighbours.
        dad = Path("/proc/sys/net/ipv6/conf", name, "accept_dad")
        namespace.call(dad.write_text, "0")
        for address in [addresses] if isinstance(addresses, str) else addresses:
            # Without duplicate address detection an IPv6 address serves at once.
            commands.append("address add %s dev %s%s" % (address, name, " nodad" if ":" in address else ""))
        commands.append("link set %s up" % name)
        _execute(["ip", "-n", namespace.name, "-batch", "-"], "\n".join(commands) + "\n")
    for namespace, name in ((a, name_a), (b, name_b)):
        _wait_until_running(namespace, name)
    return name_a, name_b


def _wait_until_running(namespace: Namespace, device: str) -> None:
    """Wait for the carrier, of which the kernel learns a little later: until then it drops what is sent."""
    end = time.monotonic() + 5
    request = struct.pack("16s24x", device.encode())  # struct ifreq
    with namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        while time.monotonic() < end:
            (flags,) = struct.unpack_from("=H", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request), 16)
            if flags & IFF_RUNNING:
                return
            time.sleep(0.001)
    raise AssertionError("%s in %s has no carrier" % (device, namespace.name))


@contextlib.contextmanager
def namespaces(count: int) -> Iterator[list[Namespace]]:
    """So many namespaces at once."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Namespace()) for _ in range(count)]


def sweep() -> list[str]:
    """Remove what runs that are dead left behind; returns the names."""
    left = []
    for path in DIRECTORY.glob(PREFIX + "*"):
        owner = path.name[len(PREFIX) :].split("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            _remove(path.name)
            left.append(path.name)
    return left


def _remove(name: str) -> None:
    """End the processes in the namespace, then take its name away; one that is gone already is no error."""
    listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
    for pid in listed.stdout.split():
        if int(pid) != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def _execute(
    argv: list[str], input: str | None = None, check: bool = True, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(argv, input=input, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode:
        raise AssertionError(
            "%s: exit %d\n%s%s" % (" ".join(argv), done.returncode, done.stdout, done.stderr)
        )
    return done


@atexit.register
def _close_all() -> None:
    for namespace in list(_alive):
        namespace.close()
