# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``masquerade``, ``redirect``, ``snat`` and ``dnat``."""

from __future__ import annotations

from typing import Any

from .draft import Action, Draft, NotFlat, item
from .selections import lookup_of


def _to_port(statement: str) -> Action:
    def lift(draft: Draft, value: Any) -> None:
        value = value or {}
        if not isinstance(value, dict) or not set(value) <= {"port", "flags"}:
            raise NotFlat(statement)
        options: dict[str, Any] = {}
        if "port" in value and isinstance(value["port"], dict) and "map" in value["port"]:
            options["map"] = lookup_of(draft, value["port"]["map"])
        elif "port" in value:
            options["to"] = item(value["port"])
        if "flags" in value:
            options["flags"] = value["flags"]
        if statement == "redirect" and list(options) == ["to"]:
            draft.put(statement, options["to"])
        else:
            draft.put(statement, options or True)

    return lift


def _translation(statement: str) -> Action:
    def lift(draft: Draft, value: Any) -> None:
        if not isinstance(value, dict) or not set(value) <= {"family", "addr", "port", "flags", "type_flags"}:
            raise NotFlat(statement)
        if isinstance(value.get("addr"), dict) and "map" in value["addr"]:
            draft.put(statement, _mapped(draft, value))
            return
        address = item(value["addr"]) if "addr" in value else None
        port = item(value["port"]) if "port" in value else None
        if isinstance(address, str) and not address.startswith("@") and "flags" not in value:
            draft.put(statement, _text(address, port))
            return
        options = {"addr": address, "port": port, "flags": value.get("flags")}
        if address is None and "family" in value:
            options["family"] = value["family"]
        draft.put(statement, {key: one for key, one in options.items() if one is not None})

    return lift


def _mapped(draft: Draft, value: dict[str, Any]) -> dict[str, Any]:
    """A translation to what a map gives."""
    if "port" in value:
        raise NotFlat("port")
    body: dict[str, Any] = {"map": lookup_of(draft, value["addr"]["map"])}
    flags = value.get("flags", [])
    flags = flags if isinstance(flags, list) else [flags]
    if value.get("type_flags") == "prefix":
        body["prefix"] = True
        flags = [flag for flag in flags if flag != "netmap"]
    if flags:
        body["flags"] = flags
    return body


def _text(address: str, port: Any) -> str:
    if port is None:
        return address
    if ":" in address:
        return "[%s]:%s" % (address.replace("-", "]-["), port)
    return "%s:%s" % (address, port)


ACTIONS: dict[str, Action] = {
    "masquerade": _to_port("masquerade"),
    "redirect": _to_port("redirect"),
    "snat": _translation("snat"),
    "dnat": _translation("dnat"),
}
