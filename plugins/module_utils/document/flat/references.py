# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names in a rule that stand for what the table declares: sets, maps, objects, flowtables."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, nearest
from ..declared import Declared, DeclaredSet


def reference_name(value: Any, what: str) -> str:
    """The name behind ``@``, which may be left out where nothing else can be meant. Raises DocumentError."""
    if isinstance(value, str):
        name = value[1:] if value.startswith("@") else value
        if name:
            return name
    raise DocumentError(
        "no name of a %s" % what, found=value, allowed="the name of a %s of this table" % what
    )


def find_set(name: str, declared: Declared) -> DeclaredSet | None:
    """The set or map of this name; None where the document does not know it. Raises DocumentError."""
    found = declared.sets.get(name)
    if found is None and declared.complete:
        raise DocumentError(
            "no set or map of this name in the table",
            found="@" + name,
            allowed=", ".join("@" + one for one in declared.sets),
            cure=nearest(name, declared.sets) or "declare it under sets or maps",
        )
    return found


def check_object(kind: str, name: str, declared: Declared) -> None:
    """Raise DocumentError where the table cannot have an object of this kind and name."""
    known = declared.objects.get(kind, {})
    if name not in known and declared.complete:
        raise DocumentError(
            "no %s of this name in the table" % kind,
            found=name,
            allowed=", ".join(known),
            cure=nearest(name, known) or "declare it in the table",
        )


def check_flowtable(name: str, declared: Declared) -> None:
    """Raise DocumentError where the table cannot have a flowtable of this name."""
    if name not in declared.flowtables and declared.complete:
        raise DocumentError(
            "no flowtable of this name in the table",
            found=name,
            allowed=", ".join(declared.flowtables),
            cure=nearest(name, declared.flowtables) or "declare it under flowtables",
        )
