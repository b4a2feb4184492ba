# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flowtables: where established flows take a short way around the chains."""

from __future__ import annotations

from typing import Any

from ..errors import Problem
from .declared import DeclaredFlowtable
from .devices import read_devices
from .fields import note_unknown, read_choice, read_flags, read_name, tried
from .flat.values import switched_on
from .priorities import priority_of

KEYS = ("name", "hook", "priority", "device", "devices", "flags", "counter")
FAMILIES = ("inet", "ip", "ip6")


def read_flowtable(value: Any, family: str, place: str, problems: list[Problem]) -> DeclaredFlowtable | None:
    """One item of ``flowtables``. Its priority has the names of ingress hooks: filter."""
    if not isinstance(value, dict):
        problems.append(Problem("a flowtable is a mapping", place, value, ", ".join(KEYS)))
        return None
    note_unknown(value, KEYS, place, problems)
    name = read_name(value, "flowtable", place, problems)
    if family not in FAMILIES:
        problems.append(
            Problem(
                "no flowtable in a table of family %s" % family,
                place,
                allowed="a table of family %s" % ", ".join(FAMILIES),
            )
        )
        return None
    hook = read_choice(value, "hook", ("ingress",), "ingress", place, problems)
    priority = tried(
        lambda: priority_of(value.get("priority", "filter"), "netdev"), place + ".priority", problems
    )
    flags = read_flags(value, ("offload",), "flowtable", place, problems)
    if tried(lambda: switched_on(value.get("counter", False)), place + ".counter", problems):
        flags.append("counter")
    given = [key for key in ("device", "devices") if key in value]
    devices: tuple[str, ...] = ()
    if len(given) == 2:
        problems.append(Problem("device beside devices", place, allowed="device: name, or devices: [names]"))
    elif given:
        devices = read_devices(value[given[0]], "%s.%s" % (place, given[0]), problems)
    return DeclaredFlowtable(name, hook, priority or 0, devices, tuple(flags), place)
