# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of the module ``chain``: check the chain, hand its rules over as one text."""

from __future__ import annotations

from typing import Any

from ..module_utils.ansible.document import chain_document
from ..module_utils.ansible.options import CHAIN
from ..module_utils.ansible.places import CHAIN as PLACES
from ..plugin_utils.confirming import ConfirmingAction
from ..plugin_utils.controller import checked


class ActionModule(ConfirmingAction):
    """Check the chain before any host is touched, and afterwards whether the host can still be reached."""

    module = "chain"
    places = PLACES

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """``_document`` instead of what it holds; an option that is missing is for the module to miss."""
        args = self.confirmed(args)
        if "table" not in args or "name" not in args:
            return args
        kept = {key: value for key, value in args.items() if key not in CHAIN}
        return {**kept, "_document": checked(chain_document(args), partial=True)}
