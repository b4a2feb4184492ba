# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection filter as options of a module, with the documentation fragment ``connections``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..conntrack.filters import KEYS, Filter
from .options import NETNS

FILTER: dict[str, Any] = {key: {"type": "raw"} for key in KEYS}
"""The filter's keys as Ansible's argument spec; what their values may be, the filter says."""

FLUSH: dict[str, Any] = {
    **FILTER,
    "how": {"type": "str", "default": "cut", "choices": ["cut", "forget"]},
    "block_for": {"type": "raw", "default": "30s"},
    "connections": {"type": "list", "elements": "dict"},
    "everything": {"type": "bool", "default": False},
    "max_kills": {"type": "int"},
    "expectations": {"type": "bool", "default": False},
    "only_expectations": {"type": "bool", "default": False},
    "limit": {"type": "int", "default": 1000},
    "netns": NETNS,
}
"""The options of the module ``conntrack_flush``."""


def arguments_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """The filter's keys among a module's options, those that were given."""
    return {key: params[key] for key in KEYS if params.get(key) is not None}


def filter_of(params: Mapping[str, Any]) -> Filter:
    """The filter that a module's options make. Raises DocumentError with everything wrong."""
    return Filter(arguments_of(params))
