# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of the module ``conntrack``: check the settings, hand them over as one text."""

from __future__ import annotations

import json
from typing import Any

from ..module_utils.ansible.conntrack import OPTIONS, section_of
from ..module_utils.errors import DocumentError, Problem
from ..module_utils.tunables.settings import check
from ..plugin_utils.controller import DocumentAction

_KEPT = ("persist", "root", "state", "netns", "_document")
"""The module's options that are not settings."""


class ActionModule(DocumentAction):
    """Check the settings before any host is touched."""

    module = "conntrack"

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """``_document`` instead of the settings."""
        section = section_of(args)
        unknown = {key: value for key, value in args.items() if key not in (*OPTIONS, *_KEPT)}
        problems = check({**section, **unknown})
        if args.get("state") == "absent":
            problems = [
                Problem("nothing is set with state absent", key, value, cure="leave it out")
                for key, value in section.items()
            ]
        if problems:
            raise DocumentError.of(problems)
        kept = {key: value for key, value in args.items() if key in _KEPT}
        return {**kept, "_document": json.dumps(section, default=str)}
