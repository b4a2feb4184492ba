# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's ``conntrack`` from the options of the module ``conntrack``.

By hand (``ansible -m ... -a 'max=auto acct=yes'``) every value is a text: what AnsibleModule makes of
texts for options of a type is done here for those that have more than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.validation import check_type_dict
from ansible.module_utils.parsing.convert_bool import boolean

from ..tunables.kinds import Events, Number, Protocol, Switch
from ..tunables.settings import KEYS
from ..tunables.table import TUNABLES

OPTIONS = tuple(key for key in KEYS if key not in ("helpers", "policies", "persist"))
"""The module's options that are the document's: all but how they are kept, and what is another module's."""


def section_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings among the options, without those that were not given (None).

    A value that is wrong stays as it is; loading the settings says what is wrong with it.
    """
    return {key: _plain(key, options[key]) for key in OPTIONS if options.get(key) is not None}


def _plain(key: str, value: Any) -> Any:
    if key in TUNABLES:
        kind = TUNABLES[key].kind
        if isinstance(kind, Switch) or (isinstance(kind, (Events, Protocol)) and isinstance(value, str)):
            value = _truth(value)
        return _number(value) if isinstance(kind, (Number, Protocol)) else value
    if isinstance(value, str):
        if key == "masquerade_timeouts" and "=" not in value and not value.lstrip().startswith("{"):
            value = value.strip("[] ").replace(",", " ").split()
        else:
            try:
                value = check_type_dict(value)
            except TypeError:
                return value
    if key == "masquerade_timeouts":
        if isinstance(value, list):
            return [_number(one) for one in value]
        if isinstance(value, dict):
            return {word: _number(one) for word, one in value.items()}
    return value


def _truth(value: Any) -> Any:
    """A truth value for the words that Ansible has for one; ``1`` and ``0`` stay, but for a switch."""
    try:
        return boolean(value)
    except TypeError:
        return value


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value
