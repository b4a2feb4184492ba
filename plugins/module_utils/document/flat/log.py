# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``log``: to the kernel's log, or to a program that listens to an nflog group."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError, nearest
from .key import Draft, Key
from .values import Statement, integer, mapping, text

PREFIX_LENGTH = 127
"""NF_LOG_PREFIXLEN of linux/netfilter/nf_log.h, less the closing NUL."""

LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit")
FLAGS = ("tcp sequence", "tcp options", "ip options", "skuid", "ether")
KEYS = ("prefix", "level", "flags", "group", "snaplen", "queue_threshold")


def _lower(value: Any, draft: Draft) -> list[Statement]:
    if isinstance(value, bool):
        return [{"log": None}] if value else []
    if isinstance(value, str):
        value = {"prefix": value}
        place = ""
    else:
        mapping(value, KEYS)
        place = "prefix"
    options: dict[str, Any] = {}
    if "prefix" in value:
        try:
            options["prefix"] = text(value["prefix"], PREFIX_LENGTH, "the log prefix")
        except DocumentError as error:
            raise error.at(place) from None
    if "group" in value:
        _to_group(value, options)
    else:
        _to_kernel_log(value, options)
    return [{"log": options or None}]


def _to_group(value: dict[str, Any], options: dict[str, Any]) -> None:
    for key in ("level", "flags"):
        if key in value:
            raise DocumentError(
                "a log to a group has no %s" % key, key, value[key], cure="leave out %s or group" % key
            )
    options["group"] = integer(value["group"], 0, 0xFFFF, "group", "group")
    if "snaplen" in value:
        options["snaplen"] = integer(value["snaplen"], 0, 0xFFFFFFFF, "length in bytes", "snaplen")
    if "queue_threshold" in value:
        options["queue-threshold"] = integer(
            value["queue_threshold"], 0, 0xFFFF, "number of packets", "queue_threshold"
        )


def _to_kernel_log(value: dict[str, Any], options: dict[str, Any]) -> None:
    for key in ("snaplen", "queue_threshold"):
        if key in value:
            raise DocumentError("only a log to a group has a %s" % key, key, value[key], cure="add a group")
    level = value.get("level", "warn")
    if level not in LEVELS:
        raise DocumentError("no log level", "level", level, ", ".join(LEVELS), nearest(str(level), LEVELS))
    if level == "audit" and ("prefix" in value or "flags" in value):
        raise DocumentError("a log to audit has neither prefix nor flags", "level", level)
    if level != "warn":
        options["level"] = level
    if "flags" in value:
        options["flags"] = _flags(value["flags"])


def _flags(value: Any) -> Any:
    flags = [value] if isinstance(value, str) else value
    if not isinstance(flags, list) or not flags:
        raise DocumentError("no log flags", "flags", value, "%s, or all" % ", ".join(FLAGS))
    for index, flag in enumerate(flags):
        if flag not in FLAGS and flag != "all":
            place = "flags" if isinstance(value, str) else "flags[%d]" % index
            raise DocumentError(
                "no log flag", place, flag, "%s, or all" % ", ".join(FLAGS), nearest(str(flag), FLAGS)
            )
    if "all" in flags or set(FLAGS).issubset(flags):
        return "all"
    ordered = [flag for flag in FLAGS if flag in flags]
    return ordered[0] if len(ordered) == 1 else ordered


STATEMENTS = {"log": Key(_lower)}
