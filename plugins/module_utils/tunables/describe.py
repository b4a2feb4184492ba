# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan in words: what changes, for programs and for people."""

from __future__ import annotations

from typing import Any

from .plan import Plan
from .table import PREFIX
from .timeouts import State

HEADER = "connection tracking"


def changes(plan: Plan) -> list[dict[str, Any]]:
    """One entry for each setting and each file that changes."""
    found: list[dict[str, Any]] = []
    for one in plan.compared:
        if one.changed:
            row = one.setting.row
            found.append(
                {
                    "action": "change",
                    "kind": "timeout" if isinstance(row, State) else "setting",
                    "name": row.name,
                    "key": PREFIX + row.key if row.key else "",
                    "before": row.kind.shown(one.before),
                    "after": row.kind.shown(one.after),
                    "place": one.setting.place,
                }
            )
    for file in plan.files:
        action = "add" if file.before is None else "remove" if file.after is None else "change"
        found.append({"action": action, "kind": "file", "path": file.path})
    return found


def differences(plan: Plan) -> list[dict[str, str]]:
    """The difference as Ansible's diff mode takes it: the settings that were named, then each file."""
    found = []
    if any(one.changed for one in plan.compared):
        found.append(
            {
                "before_header": HEADER,
                "after_header": HEADER,
                "before": _text(plan, "before"),
                "after": _text(plan, "after"),
            }
        )
    for file in plan.files:
        found.append(
            {
                "before_header": file.path,
                "after_header": file.path,
                "before": file.before or "",
                "after": file.after or "",
            }
        )
    return found


def _text(plan: Plan, side: str) -> str:
    """One line for each setting, as YAML has it."""
    lines = []
    for one in plan.compared:
        value = one.setting.row.kind.shown(getattr(one, side))
        lines.append("%s: %s\n" % (one.setting.name, str(value).lower()))
    return "".join(lines)
