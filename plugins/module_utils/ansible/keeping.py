# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of the ruleset by modules, which shall not cut the connection that they come by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from ..ruleset.reconcile import Outcome, Source

KEEPING: dict[str, Any] = {
    "keep_session": {"type": "bool", "default": True},
    "_confirm": {"type": "float", "default": 0.0},
}
"""The options of the documentation's fragment ``host.keeping``."""


def applied(module: AnsibleModule, source: Source, **options: Any) -> tuple[Outcome, dict[str, Any]]:
    """What applying the document did, and what the action plugin has to be told beside the result.

    ``options`` are those of ``reconcile``. Raises DocumentError, HostError, KernelError.
    """
    from ..ruleset.reconcile import reconcile
    from ..session.keep import reconcile_keeping

    params = module.params
    if not params["keep_session"]:
        return reconcile(source, params["netns"], module.check_mode, **options), {}
    outcome, pending = reconcile_keeping(
        source, params["netns"], module.check_mode, confirm=params["_confirm"], **options
    )
    return outcome, {} if pending is None else {"_pending": pending}
