# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``verdict``, ``reject``, ``jump`` and ``goto``."""

from __future__ import annotations

from typing import Any

from .draft import Action, Draft, NotFlat


def _verdict(name: str) -> Action:
    def lift(draft: Draft, value: Any) -> None:
        draft.put("verdict", name)

    return lift


def _reject(draft: Draft, value: Any) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise NotFlat("reject")
    code = value.get("expr")
    kind = "%s %s" % (value["type"], code) if code is not None else value["type"]
    if code == "port-unreachable":
        # the plain verdict where that is the kind for the rule's network
        draft.put("verdict", "reject")
        draft.otherwise["reject"] = kind
    else:
        draft.put("reject", kind)


def _chain(name: str) -> Action:
    def lift(draft: Draft, value: Any) -> None:
        if "rules" not in value or draft.lift is None:
            draft.put(name, value["target"])
        else:
            draft.put(name, [draft.lift(rule["expr"], rule.get("comment")) for rule in value["rules"]])

    return lift


ACTIONS: dict[str, Action] = {
    **{name: _verdict(name) for name in ("accept", "drop", "return", "continue")},
    "reject": _reject,
    "jump": _chain("jump"),
    "goto": _chain("goto"),
}
