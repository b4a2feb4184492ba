# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables for a document's template: files of them, and those given on the command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from rempart.document import validation
from rempart.errors import DocumentError

from .documents import decoded, read_bytes


def collect(files: Sequence[str], assignments: Sequence[str]) -> dict[str, Any]:
    """All variables: files first, then assignments, the later winning.

    An assignment is ``key=value`` (several, parted by blanks and quoted as in a
    shell; values are texts), ``@file``, or a mapping in YAML or JSON. Raises
    DocumentError, HostError.
    """
    variables: dict[str, Any] = {}
    for file in files:
        variables.update(_of_file(file))
    for assignment in assignments:
        variables.update(_of_assignment(assignment))
    return variables


def _of_file(file: str) -> dict[str, Any]:
    return _mapping(read_bytes(file), file)


def _of_assignment(assignment: str) -> dict[str, Any]:
    text = assignment.strip()
    if text.startswith("@"):
        return _of_file(text[1:])
    if text.startswith("{"):
        return _mapping(text.encode("utf-8", "surrogateescape"), "-e")
    allowed = "key=value, @file, or a mapping in YAML or JSON"
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise DocumentError("not a variable: %s" % error, "-e", assignment, allowed) from None
    variables = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise DocumentError("not a variable", "-e", word, allowed)
        variables[_named(key, "-e")] = value
    if not variables:
        raise DocumentError("not a variable", "-e", assignment, allowed)
    return variables


def _mapping(content: bytes, name: str) -> dict[str, Any]:
    text = decoded(content, name)
    as_json = name.endswith(".json")
    found = validation._read_json(text, name) if as_json else validation._read_yaml(text, name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise DocumentError("variables are a mapping", name, found, "key: value")
    return {_named(key, name): value for key, value in found.items()}


def _named(key: object, name: str) -> str:
    if isinstance(key, str) and key.isidentifier():
        return key
    raise DocumentError("no name of a variable", name, key, "letters, digits and _, no digit first")
