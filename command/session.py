# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run of the command: where its output goes, how errors are shown, how far it has come."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, Any

import click
from rempart.errors import Problem

EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_DIFFERENT = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

# What would steer a terminal instead of being shown: C0 but tab and newline, DEL, C1
# (ECMA-48), and the marks that reverse the direction of text (Unicode's UAX 9).
_STEERING = [
    *range(0x09),
    *range(0x0B, 0x20),
    *range(0x7F, 0xA0),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
]
_VISIBLE = {code: "\\x%02x" % code if code < 0x100 else "\\u%04x" % code for code in _STEERING}


class OutputLost(Exception):
    """Standard output takes no more; ``reason`` is the OSError that said so."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Session:
    """What the subcommands share.

    ``as_json``: standard output gets one JSON object, errors in it too. ``empty`` is
    that object where nothing could be found out. ``stage`` is the last one that the
    engine told of (``Progress.stage``), "done" once its work is in force.
    """

    __slots__ = ("as_json", "empty", "stage")

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.empty: dict[str, Any] = {}
        self.stage = ""

    def write(self, text: str) -> None:
        """Write text from anywhere: what would steer a terminal is made visible."""
        self.write_raw(visible(text))

    def write_raw(self, text: str) -> None:
        """Write text that is known to be harmless, or to steer a terminal on purpose."""
        if sys.stdout is None:
            return
        try:
            target = getattr(sys.stdout, "buffer", None)
            if target is None:
                sys.stdout.write(text)
                return
            rest = memoryview(text.encode(sys.stdout.encoding, "backslashreplace"))
            while rest:  # an unbuffered stream (PYTHONUNBUFFERED) takes what it can
                rest = rest[target.write(rest) :]
        except OSError as error:
            raise OutputLost(error) from error

    def write_json(self, value: dict[str, Any]) -> None:
        """Write one JSON object, indented."""
        import json

        self.write_raw(json.dumps(value, indent=2, default=repr) + "\n")

    def close(self) -> None:
        """Write out what is still held back."""
        if sys.stdout is None:
            return
        try:
            sys.stdout.flush()
        except OSError as error:
            raise OutputLost(error) from error

    def fail(self, problems: list[Problem], shown: bool = False) -> None:
        """Report problems, one a line, on standard error; with ``as_json`` on standard output as well."""
        if not shown:
            for problem in problems:
                complain(problem)
        if self.as_json:
            self.write_json({**self.empty, "errors": [problem.as_dict() for problem in problems]})

    def interrupted(self) -> str:
        """What Ctrl-C left behind, in words."""
        if self.stage == "done":
            return "interrupted; the document is in force"
        if self.stage == "send":
            return "interrupted; the transaction took effect as a whole or not at all: rempart check tells"
        return "interrupted; nothing was changed"


def visible(text: str) -> str:
    """Text from anywhere with what would steer a terminal written out."""
    return text.translate(_VISIBLE)


def complain(problem: Problem | str) -> None:
    """One line on standard error; what has no place in a document is said in the command's name."""
    text = visible(str(problem).replace("\n", " "))
    if isinstance(problem, str) or not problem.place:
        name = "rempart:"
        text = "%s %s" % (click.style(name, fg="red", bold=True) if coloured(sys.stderr) else name, text)
    with contextlib.suppress(OSError):
        click.echo(text, err=True)


def on_terminal(stream: IO[str] | None) -> bool:
    """Whether a person reads the stream, on a terminal that can do more than a typewriter."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    except ValueError:
        return False


def coloured(stream: IO[str] | None) -> bool:
    """Whether the stream gets colours: a terminal's does, unless NO_COLOR is set (no-color.org)."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR")
