# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the action plugins share: check on the controller, then hand the module one text.

This file is imported in Ansible's main process; its workers, one for each host and
task, are forks of that. So whatever checking needs is loaded here, once.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.ansible.places import NO_PLACES
from ..module_utils.assignments.request import Request
from ..module_utils.document import validation
from ..module_utils.errors import DocumentError, RempartError, moved_problems
from ..module_utils.ruleset.reconcile import check_only


class DocumentAction(ActionBase):  # type: ignore[misc]
    """An action whose module takes a document. Whatever is wrong with it stops the task here."""

    _supports_check_mode = True
    _supports_async = True
    _supports_diff = True

    #: the name of the module, which the plugin has too
    module = ""
    #: where in the options the places of the document are
    places: Mapping[str, str] = NO_PLACES

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the task's document, then run the module on the host."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            arguments = self.arguments(dict(self._task.args))
        except RempartError as error:
            error.problems = moved_problems(error.problems, self.places)
            return {**result, "failed": True, **error.result()}
        # The worker sends its task back to the main process, arguments and all: a text travels
        # there in no time, thousands of rules do not.
        if "_document" in arguments:
            self._task.args = {**arguments, "_document": ""}
        wrap_async = self._task.async_val and not self._connection.has_native_async
        result.update(
            self._execute_module(
                module_name="rempart.netfilter." + self.module,
                module_args=arguments,
                task_vars=task_vars,
                wrap_async=wrap_async,
            )
        )
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """The module's arguments from the task's. Raises RempartError where they cannot be right."""
        raise NotImplementedError


def checked(document: dict[str, Any], partial: bool = False) -> str:
    """A document as the JSON text for the module. Raises DocumentError with all that is wrong with it.

    ``partial``: its tables may have more chains than it says.
    """
    try:
        # Ansible's own types for text and lists carry more than their value; so does a date
        text = json.dumps(document, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise DocumentError("the document cannot be written as JSON: %s" % error) from None
    plain = json.loads(text)
    problems = validation.check(plain)
    try:
        check_only(plain, partial)
    except DocumentError as error:
        # Both look at everything; what the schema says is worded better
        said = [problem.place for problem in problems]
        problems += [problem for problem in error.problems if not _within(problem.place, said)]
    if problems:
        raise DocumentError.of(problems)
    return text


def checked_request(request: Request) -> None:
    """Raise DocumentError with all that is wrong with what a task asks of one of the collection's tables."""
    problems = list(request.problems)
    try:
        checked(request.document(), partial=True)
    except DocumentError as error:
        problems += error.problems
    if problems:
        raise DocumentError.of(problems)


def _within(place: str, places: list[str]) -> bool:
    """Whether a place is one of these, inside one or around one."""
    return any(place.startswith(one) or one.startswith(place) for one in places)


# One small document: the schema and what is imported where it is needed are here from now on.
# Where that fails (jsonschema is missing), a task will say so.
with contextlib.suppress(RempartError):
    checked({"tables": [{"name": "t", "chains": [{"name": "c", "rules": [{"counter": True}]}]}]})
