# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes when each task of a playbook run began and when each host's result came.

One line of JSON for each, into the file that REMPART_DURATIONS names. Unlike the
callbacks that come with Ansible it says nothing else, so that both sides of a
comparison pay the same for being watched.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: durations
type: notification
short_description: Times of tasks and results
description:
  - Writes the time of each task's start and of each result as lines of JSON.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """One line for the start of a task, one for each result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "durations"

    def __init__(self) -> None:
        super().__init__()
        self._file = open(os.environ["REMPART_DURATIONS"], "a", encoding="utf-8")  # noqa: SIM115

    def _write(self, **line: Any) -> None:
        self._file.write(json.dumps({"at": time.monotonic(), **line}) + "\n")
        self._file.flush()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """A task begins."""
        self._write(task=task.get_name())

    def _result(self, result: Any, good: bool) -> None:
        changed = bool(result._result.get("changed"))
        self._write(host=result._host.get_name(), good=good, changed=changed)

    def v2_runner_on_ok(self, result: Any) -> None:
        """A host is done."""
        self._result(result, True)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """A host failed."""
        self._result(result, False)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """A host was not reached."""
        self._result(result, False)
