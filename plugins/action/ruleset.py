# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of the module ``ruleset``.

It checks the tables and hands them over as one text. A change that came over a connection which the
new rules may cut it confirms over a new one; a change that nobody confirms the host takes back.
"""

from __future__ import annotations

from typing import Any

from ..plugin_utils import confirming
from ..plugin_utils.controller import DocumentAction, checked


class ActionModule(DocumentAction):
    """Check the tables before any host is touched, and afterwards whether the host can still be reached."""

    module = "ruleset"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, and confirm what it did."""
        result = super().run(tmp, task_vars)
        pending = result.pop("_pending", None)
        if pending is not None:
            result.update(confirming.confirm(self, pending))
        return result

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """``_document`` instead of ``tables``; for tables that shall go only their names count."""
        if not self._task.async_val:
            args = {**args, "_confirm": confirming.seconds(self)}
        if "tables" not in args:
            return args
        tables = args["tables"]
        if args.get("state", "present") == "absent" and isinstance(tables, list):
            tables = [
                {key: table[key] for key in ("family", "name") if key in table}
                if isinstance(table, dict)
                else table
                for table in tables
            ]
        return {**args, "tables": [], "_document": checked({"tables": tables})}
