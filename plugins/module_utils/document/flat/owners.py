# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``skuid`` and ``skgid``: whose socket a packet comes from."""

from __future__ import annotations

from typing import Any

from .key import Draft, Key
from .values import Statement, match_values, numeric, spanning


def _owner(selector: str, type_name: str) -> Key:
    convert = spanning(numeric(type_name), 0, 0xFFFFFFFF)
    left = {"meta": {"key": selector}}

    def lower(value: Any, draft: Draft) -> list[Statement]:
        return [match_values(left, value, convert, draft.refer(type_name))]

    return Key(lower)


MATCHES = {"skuid": _owner("skuid", "uid"), "skgid": _owner("skgid", "gid")}
