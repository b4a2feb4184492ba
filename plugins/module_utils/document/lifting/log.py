# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``log``."""

from __future__ import annotations

from typing import Any

from .draft import Action, Draft, NotFlat


def _log(draft: Draft, value: Any) -> None:
    if not value:
        draft.put("log", True)
        return
    if not isinstance(value, dict):
        raise NotFlat("log")
    if list(value) == ["prefix"]:
        draft.put("log", value["prefix"])
        return
    draft.put("log", {key.replace("-", "_"): one for key, one in value.items()})


ACTIONS: dict[str, Action] = {"log": _log}
