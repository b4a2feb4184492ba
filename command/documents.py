# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document from a file or standard input: read, rendered if it is a template, parsed when needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from rempart.document import validation
from rempart.errors import DocumentError, HostError
from rempart.ruleset.reconcile import Source

STDIN = "-"

#: what makes a document a template
_MARKS = (b"{{", b"{%")


class Document:
    """A document's text. ``name`` is the file for messages, ``content`` what came of rendering it."""

    __slots__ = ("content", "name", "parsed")

    def __init__(self, name: str, content: bytes) -> None:
        self.name = name
        self.content = content
        self.parsed: Any = None

    def source(self) -> Source:
        """The document for the engine, which parses it only where it must."""
        return Source.of_bytes(self.content, lambda content: self.parse())

    def parse(self) -> Any:
        """The mapping that the text holds. Raises DocumentError for a text that holds none."""
        if self.parsed is None:
            self.parsed = validation.read(self.content, self.name)
        return self.parsed


def read(file: str, variable_files: Sequence[str] = (), assignments: Sequence[str] = ()) -> Document:
    """The document in ``file`` ("-" is standard input), rendered with the variables.

    It is rendered with Jinja2 if there are variables, or marks of a template in it.
    Raises HostError for a file that cannot be read, DocumentError for a template or
    variables that are wrong.
    """
    content = read_bytes(file)
    name = "standard input" if file == STDIN else file
    if variable_files or assignments or any(mark in content for mark in _MARKS):
        from .templates import render
        from .variables import collect

        directory = os.path.dirname(os.path.abspath(file)) if file != STDIN else os.getcwd()
        content = render(decoded(content, name), name, collect(variable_files, assignments), directory)
    return Document(name, content)


def read_bytes(file: str) -> bytes:
    """A file's content, or standard input's. Raises HostError."""
    try:
        if file == STDIN:
            if sys.stdin is None:
                raise HostError("standard input is closed")
            return sys.stdin.buffer.read()
        with open(file, "rb") as opened:
            return opened.read()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise HostError("cannot read the file: %s" % reason, file) from None


def decoded(content: bytes, name: str) -> str:
    """The bytes as UTF-8, without a byte order mark. Raises DocumentError."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError("the text is not UTF-8 (byte %d)" % error.start, name) from None
