# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The controller's half of the module ``tos``: make rules of the classes, check them, hand them over."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.ansible.places import TOS
from ..module_utils.ansible.tos import TABLE, tos_document
from ..module_utils.errors import DocumentError, Problem
from ..module_utils.links import queue_length
from ..plugin_utils.controller import DocumentAction, checked


class ActionModule(DocumentAction):
    """Check the classes and the queue lengths before any host is touched."""

    module = "tos"
    places = TOS

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """``_document`` instead of ``classes``."""
        problems: list[Problem] = []
        if "queue_length" in args:
            try:
                queue_length.check(args["queue_length"])
            except DocumentError as error:
                problems += error.at("queue_length").problems
        options = dict(args)
        if "queue_priority" in args:
            options["queue_priority"] = boolean(args["queue_priority"], strict=False)
        document, wrong = tos_document(options)
        problems += wrong
        text = ""
        try:
            text = checked(document, partial=options.get("table", TABLE) != TABLE)
        except DocumentError as error:
            problems += error.problems
        if problems:
            raise DocumentError.of(problems)
        kept = {key: value for key, value in args.items() if key != "classes"}
        return {**kept, "_document": text}
