# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a table declares beside its chains: sets, maps, objects, flowtables."""

from __future__ import annotations

from typing import Any

OBJECTS = {
    "counters": "counter",
    "quotas": "quota",
    "limits": "limit",
    "ct_helpers": "ct helper",
    "ct_timeouts": "ct timeout",
    "ct_expectations": "ct expectation",
    "synproxies": "synproxy",
    "secmarks": "secmark",
    "tunnels": "tunnel",
}
"""A table's keys that list objects, with libnftables' word for each kind."""


class DeclaredSet:
    """A named set or map.

    ``json``  libnftables JSON: name, ``type`` (a name or a list of names) or ``typeof``
              (an expression), ``map`` of a map, flags, elem, timeout and gc-interval in
              seconds, size, policy, auto-merge, comment, stmt
    ``keep``  whether its elements are left to packets and other programs
    ``key``   the data types of its key, one a part of a concatenation
    ``data``  of a map the data types of its values, ("verdict",), or one kind of object
    ``written``  its elements as the document has them: a list, or of a map a mapping
    """

    __slots__ = ("data", "json", "keep", "key", "name", "place", "written")

    def __init__(
        self,
        json: dict[str, Any],
        key: tuple[str, ...],
        data: tuple[str, ...] = (),
        keep: bool = False,
        place: str = "",
        written: Any = (),
    ) -> None:
        self.json = json
        self.written = written
        self.name: str = json["name"]
        self.key = key
        self.data = data
        self.keep = keep
        self.place = place

    def element(self, index: int) -> tuple[str, Any]:
        """Where an element of ``json`` stands in the document, and how it is written there."""
        if isinstance(self.written, dict):
            key = list(self.written)[index]
            return "%s.elements.%s" % (self.place, key), key
        return "%s.elements[%d]" % (self.place, index), self.written[index]

    @property
    def is_map(self) -> bool:
        """Whether it maps keys to values."""
        return "map" in self.json


class DeclaredObject:
    """A named object: ``type`` is libnftables' word for its kind ("ct helper"), ``json`` the object."""

    __slots__ = ("json", "name", "place", "type")

    def __init__(self, type: str, json: dict[str, Any], place: str = "") -> None:
        self.type = type
        self.json = json
        self.name: str = json["name"]
        self.place = place


class DeclaredFlowtable:
    """A flowtable: established flows that enter by ``devices`` bypass the chains."""

    __slots__ = ("devices", "flags", "hook", "name", "place", "priority")

    def __init__(
        self,
        name: str,
        hook: str = "ingress",
        priority: int = 0,
        devices: tuple[str, ...] = (),
        flags: tuple[str, ...] = (),
        place: str = "",
    ) -> None:
        self.name = name
        self.hook = hook
        self.priority = priority
        self.devices = devices
        self.flags = flags
        self.place = place


class Declared:
    """What rules may refer to by name: for ``flat.lower``.

    ``complete``  whether the table holds nothing else, so that any other name is a mistake
    """

    __slots__ = ("complete", "flowtables", "objects", "sets")

    def __init__(
        self,
        sets: dict[str, DeclaredSet] | None = None,
        objects: dict[str, dict[str, DeclaredObject]] | None = None,
        flowtables: dict[str, DeclaredFlowtable] | None = None,
        complete: bool = False,
    ) -> None:
        self.sets = sets or {}
        self.objects = objects or {}
        self.flowtables = flowtables or {}
        self.complete = complete
