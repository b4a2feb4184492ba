# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``flow`` and ``synproxy``."""

from __future__ import annotations

from typing import Any

from .draft import Action, Draft, NotFlat


def _synproxy(draft: Draft, value: Any) -> None:
    draft.put("synproxy", True if value is None else value)


def _flow(draft: Draft, value: Any) -> None:
    if value["op"] != "add":
        raise NotFlat("flow")
    draft.put("flow", value["flowtable"].lstrip("@"))


ACTIONS: dict[str, Action] = {"synproxy": _synproxy, "flow": _flow}
