# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading one mapping of the document key by key, each problem noted and none fatal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from ..errors import DocumentError, Problem, nearest
from .flat.lowering import COMMENT_LENGTH
from .flat.values import size_of, text

NAME_LENGTH = 255
"""NFT_NAME_MAXLEN of linux/netfilter/nf_tables.h, less the closing NUL."""

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.")
_FURTHER = _FIRST | frozenset("0123456789/-\\")


def note_unknown(value: dict[str, Any], keys: tuple[str, ...], place: str, problems: list[Problem]) -> None:
    """Note every key that is not one of ``keys``."""
    for key in value:
        if key not in keys:
            problem = Problem("unknown key", str(key), value[key], ", ".join(keys), nearest(str(key), keys))
            problems.append(problem.at(place))


def read_list(value: Any, place: str, problems: list[Problem]) -> list[Any]:
    """``value``, which is to be a list; an empty one where it is none."""
    if isinstance(value, list):
        return value
    problems.append(Problem("no list", place, value, "a list"))
    return []


def read_name(value: dict[str, Any], what: str, place: str, problems: list[Problem]) -> str:
    """The key ``name``; empty where there is none."""
    if "name" not in value:
        problems.append(Problem("the key 'name' is missing", place, allowed="the %s's name" % what))
        return ""
    name = value["name"]
    place += ".name"
    if not isinstance(name, str):
        problems.append(Problem("the name of a %s is a text" % what, place, name, cure="quote it"))
        return ""
    size = size_of(name)
    if not 0 < size <= NAME_LENGTH:
        message = "the name is too long: %d bytes" % size if size else "an empty name"
        problems.append(Problem(message, place, name, "1 to %d bytes" % NAME_LENGTH))
    elif name[0] not in _FIRST or not _FURTHER.issuperset(name):
        problems.append(
            Problem(
                "nft could not write this name",
                place,
                name,
                "a letter, _ or . first, then letters, digits and _ . - / \\",
            )
        )
    return name


def read_comment(value: dict[str, Any], place: str, problems: list[Problem]) -> str:
    """The key ``comment``; empty where there is none."""
    return str(tried(lambda: text(value.get("comment", ""), COMMENT_LENGTH, "the comment"),
                     place + ".comment", problems) or "")  # fmt: skip


def read_choice(
    value: dict[str, Any], key: str, known: tuple[str, ...], default: str, place: str, problems: list[Problem]
) -> str:
    """The word under ``key``, one of ``known``; ``default`` where there is none."""
    word = value.get(key, default)
    if isinstance(word, str) and (word in known or word == default):
        return word
    problems.append(
        Problem("no such %s" % key, "%s.%s" % (place, key), word, ", ".join(known), nearest(str(word), known))
    )
    return default


def read_flags(
    value: dict[str, Any], known: tuple[str, ...], what: str, place: str, problems: list[Problem]
) -> list[str]:
    """The words of the list under ``flags``, in the order of ``known``, none twice."""
    flags = read_list(value.get("flags", []), place + ".flags", problems)
    for index, flag in enumerate(flags):
        if flag not in known:
            cure = nearest(str(flag), known)
            problems.append(
                Problem(
                    "no flag of a %s" % what, "%s.flags[%d]" % (place, index), flag, ", ".join(known), cure
                )
            )
    return [flag for flag in known if flag in flags]


def tried(step: Callable[[], Any], place: str, problems: list[Problem]) -> Any:
    """What ``step`` returns; None where it raised DocumentError, its problems noted at ``place``."""
    try:
        return step()
    except DocumentError as error:
        problems.extend(error.at(place).problems)
        return None


def note_repetitions(items: Iterable[Any], what: str, problems: list[Problem]) -> None:
    """Note each item whose ``name`` an earlier one has; items have ``name`` and ``place``."""
    seen: dict[str, str] = {}
    for item in items:
        if item.name and item.name in seen:
            problems.append(
                Problem(
                    "a second %s of this name; the first is %s" % (what, seen[item.name]),
                    item.place + ".name",
                    item.name,
                )
            )
        seen.setdefault(item.name, item.place)
