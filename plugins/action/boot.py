# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of the module ``boot``: check the tables, hand them over as one text."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.controller import DocumentAction, checked


class ActionModule(DocumentAction):
    """Check the tables before any host is touched."""

    module = "boot"

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """``_document`` instead of ``tables``; none where nothing shall be kept."""
        if "tables" not in args or args.get("state", "present") == "absent":
            return {key: value for key, value in args.items() if key != "tables"}
        return {**args, "tables": [], "_document": checked({"tables": args["tables"]})}
