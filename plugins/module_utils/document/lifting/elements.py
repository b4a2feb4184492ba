# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements of sets and maps as a document writes them: ``10.0.0.0/8``, ``10.0.0.1 . 22``, ``jump other``."""

from __future__ import annotations

from typing import Any

from .draft import NotFlat, item


def key_of(form: Any) -> Any:
    """A key, or a value that is no verdict. Raises NotFlat."""
    if isinstance(form, dict) and "concat" in form:
        return " . ".join(str(_part(one)) for one in form["concat"])
    return _part(form)


def _part(form: Any) -> Any:
    """One part: several flags at once as nft writes them, ``syn | ack``."""
    if isinstance(form, dict) and "|" in form:
        return " | ".join(str(_part(one)) for one in form["|"])
    return item(form)


def value_of(form: Any) -> Any:
    """A map's value. Raises NotFlat."""
    if isinstance(form, dict) and len(form) == 1:
        ((kind, body),) = form.items()
        if kind in ("accept", "drop", "continue", "return"):
            return kind
        if kind in ("jump", "goto"):
            return "%s %s" % (kind, body["target"])
    return key_of(form)


def data_of(form: Any) -> Any:
    """A map in a rule: ``@name``, or a mapping of keys to values. Raises NotFlat."""
    if isinstance(form, str):
        return form
    data = {key_of(key): value_of(value) for key, value in form["set"]}
    if len(data) != len(form["set"]):
        raise NotFlat("map")
    return data
