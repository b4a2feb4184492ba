# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ``rempart`` command as a user runs it: its console script, in a process of its own."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

SCRIPT = Path(sys.executable).with_name("rempart")


def environment(**changes: str | None) -> dict[str, str]:
    """This process's environment without what steers colours, and with ``changes``; None takes one away."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "REMPART_DEBUG")
    }
    for key, value in {"TERM": "xterm-256color", **changes}.items():
        kept.pop(key, None)
        if value is not None:
            kept[key] = value
    return kept


def rempart(
    *arguments: object, input: str | bytes | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, its output and errors into pipes."""
    if isinstance(input, bytes):
        input = input.decode("utf-8", "surrogateescape")
    return subprocess.run(
        [str(SCRIPT), *map(str, arguments)],
        input=input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env=options.pop("env", environment()),
        timeout=120,
        **options,
    )


def rempart_json(*arguments: object, **options: Any) -> tuple[int, dict[str, Any]]:
    """The exit code and the object that the command writes with ``--json``."""
    done = rempart(*arguments, "--json", **options)
    return done.returncode, json.loads(done.stdout)


class Shown:
    """What came out on a terminal: ``text`` with its escape codes, and the exit code."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text


def on_terminal(
    *arguments: object, env: dict[str, str] | None = None, columns: int = 100, script: Path = SCRIPT
) -> Shown:
    """Run the command on a terminal of its own, both outputs to it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with subprocess.Popen(
        [str(script), *map(str, arguments)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=env or environment(),
        start_new_session=True,
    ) as child:
        os.close(slave)
        parts = []
        with contextlib.suppress(OSError):
            while True:
                try:
                    part = os.read(master, 65536)
                except OSError as error:
                    if error.errno == errno.EIO:  # nobody has the terminal open any more
                        break
                    raise
                if not part:
                    break
                parts.append(part)
        code = child.wait(60)
    os.close(master)
    return Shown(code, b"".join(parts).decode("utf-8", "surrogateescape").replace("\r\n", "\n"))
