# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of the module ``ruleset``.

It checks the tables and hands them over as one text. A change that came over a connection which the
new rules may cut it confirms over a new one; a change that nobody confirms the host takes back.
"""

from __future__ import annotations

from typing import Any

from ..plugin_utils.confirming import ConfirmingAction
from ..plugin_utils.controller import checked


class ActionModule(ConfirmingAction):
    """Check the tables before any host is touched, and afterwards whether the host can still be reached."""

    module = "ruleset"

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """``_document`` instead of ``tables``; for tables that shall go only their names count."""
        args = self.confirmed(args)
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
