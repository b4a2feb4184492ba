# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""conntrack(8), whose output is the measure: run in a namespace, its lines without what moves by itself."""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace

# /etc as it is, with a file of label names in it, for this process and its children alone.
_WITH_LABELS = """
mount -t tmpfs labels /mnt
mkdir -p /mnt/upper/xtables /mnt/work
printf %%s %s > /mnt/upper/xtables/connlabel.conf
mount -t overlay labels -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
exec "$@"
"""

_MOVING = (
    (re.compile(r"^((?:\[[\d.]+\]\t)?(?:\s*\[\w+\] )?(?:ipv[46] +\d+ )?\w+ +\d+ )\d+ "), r"\1TIMEOUT "),
    (re.compile(r"^((?:\s*\[\w+\] )?)\d+ proto="), r"\1TIMEOUT proto="),
    (re.compile(r"\b(delta-time|use|portid)=\d+"), r"\1=N"),
    (re.compile(r"<(timeout|deltatime|use)>\d+<"), r"<\1>N<"),
    # conntrack looks the program up when it may be gone already
    (re.compile(r"( \[USERSPACE\] portid=N) progname=\w+$"), r"\1"),
    (re.compile(r"<hour>\d+</hour><min>\d\d</min><sec>\d\d</sec>"), "<hour/><min/><sec/>"),
)


def listing(namespace: Namespace, *options: str, labels: str = "") -> list[str]:
    """The lines of ``conntrack -L`` with these options; ``labels`` is what its file of label names holds."""
    argv = ["-L", *options]
    if labels:
        return with_labels(namespace, labels, "conntrack", *argv)
    return namespace.run("conntrack", *argv).stdout.splitlines()


def with_labels(namespace: Namespace, labels: str, *argv: str) -> list[str]:
    """The lines that a program prints where connlabel.conf holds ``labels``."""
    script = _WITH_LABELS % shlex.quote(labels)
    return namespace.run("unshare", "--mount", "sh", "-ec", script, "sh", *argv).stdout.splitlines()


def still(line: str) -> str:
    """A line, or a flow element, without seconds left, age and use, which differ from read to read."""
    for pattern, replacement in _MOVING:
        line = pattern.sub(replacement, line)
    return line.rstrip()


class Events:
    """``conntrack -E`` at work: what it has printed so far, and all of it once it was told to stop."""

    def __init__(self, process: subprocess.Popen[Any], printed: Path) -> None:
        self._process = process
        self._printed = printed

    def wait(self, count: int) -> None:
        """Wait until it has printed so many lines."""
        end = time.monotonic() + 5
        while len(self._printed.read_text().splitlines()) < count:
            assert time.monotonic() < end, self._printed.read_text()
            time.sleep(0.01)

    def stop(self) -> list[str]:
        """Have it stop; returns all its lines."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(5)
        return self._printed.read_text().splitlines()


@contextlib.contextmanager
def events(namespace: Namespace, *options: str) -> Iterator[Events]:
    """Run ``conntrack -E`` with these options, listening before the block begins."""
    with tempfile.TemporaryDirectory() as directory:
        printed = Path(directory, "printed")
        before = listeners(namespace)
        with open(printed, "wb") as output:
            process = namespace.popen("conntrack", "-E", *options, stdout=output, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 5
        while listeners(namespace) == before:
            assert time.monotonic() < end, "conntrack -E does not listen"
            time.sleep(0.01)
        try:
            yield Events(process, printed)
        finally:
            process.kill()
            process.wait()


def listeners(namespace: Namespace) -> list[str]:
    """The netfilter sockets of a namespace that joined groups, as /proc/net/netlink lists them."""
    lines = namespace.call(lambda: Path("/proc/thread-self/net/netlink").read_text()).splitlines()[1:]
    return [line for line in lines if line.split()[1] == "12" and int(line.split()[3], 16)]
