# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of the module ``conntrack_flush``: see that every option is one, and says something.

A module cannot tell an option that is null from one that was not given. Where options narrow what is killed,
a fact that is missing would kill more. Here the two are still apart.
"""

from __future__ import annotations

from typing import Any

from ..module_utils.ansible.connections import FLUSH
from ..module_utils.errors import DocumentError, Problem, nearest
from ..plugin_utils.controller import DocumentAction


class ActionModule(DocumentAction):
    """Refuse unknown options and null before any host is touched. What values mean, hosts say."""

    module = "conntrack_flush"

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """The same arguments. Raises DocumentError with all that are none."""
        problems = [
            Problem("unknown key", name, value, ", ".join(FLUSH), nearest(name, FLUSH))
            for name, value in args.items()
            if name not in FLUSH
        ]
        problems += [
            Problem(
                "null, which would count as not given, and so kill more",
                name,
                cure="give it a value, or leave it out: {{ value | default(omit) }}",
            )
            for name, value in args.items()
            if name in FLUSH and value is None
        ]
        if problems:
            raise DocumentError.of(problems)
        return args
