# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hands every result of a playbook run to the socket that REMPART_STEPS names, and waits for an answer."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: steps
type: notification
short_description: One step at a time
description:
  - Sends every result as a line of JSON, and lets the playbook go on when it is answered.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """One line a result: task, status and the result itself."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "steps"

    def __init__(self) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(os.environ["REMPART_STEPS"])

    def _hand_over(self, status: str, result: Any) -> None:
        line = {"task": result._task.get_name(), "status": status, "result": result._result}
        self._socket.sendall(json.dumps(line, default=str).encode() + b"\n")
        self._socket.recv(1)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Hand over a success."""
        self._hand_over("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Hand over a failure, ignored or not."""
        self._hand_over("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Hand over a host that cannot be reached."""
        self._hand_over("unreachable", result)
