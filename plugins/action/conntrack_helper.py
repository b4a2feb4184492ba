# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of the module ``conntrack_helper``: check the helpers and their traffic."""

from __future__ import annotations

from typing import Any

from ..module_utils.assignments.helpers import wanted
from ..plugin_utils.controller import DocumentAction, checked_request


class ActionModule(DocumentAction):
    """Check helpers, protocols, ports and parameters before any host is touched."""

    module = "conntrack_helper"

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """The same arguments: they are few, and the module makes the same of them."""
        request = wanted(args).request
        self.places = request.places
        checked_request(request)
        return args
