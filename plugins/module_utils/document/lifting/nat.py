# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``masquerade``, ``redirect``, ``snat`` and ``dnat``."""

from __future__ import annotations

from typing import Any

from .draft import Action, Draft, NotFlat, item


def _to_port(statement: str) -> Action:
    def lift(draft: Draft, value: Any) -> None:
        value = value or {}
        if not isinstance(value, dict) or not set(value) <= {"port", "flags"}:
            raise NotFlat(statement)
        options: dict[str, Any] = {}
        if "port" in value:
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
        if not isinstance(value, dict) or not set(value) <= {"family", "addr", "port", "flags"}:
            raise NotFlat(statement)
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
