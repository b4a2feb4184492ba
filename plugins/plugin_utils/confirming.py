# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A change confirmed over a connection that is newer than the change.

The host waits for its file to be removed, as module_utils/session/pending.py has it. A login that
removes it proves that the next run will reach the host.
"""

from __future__ import annotations

import shlex
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils.session.pending import TAKEN_BACK
from .controller import DocumentAction

_TRIES = 5  # to reach the host once it has taken the change back
_BETWEEN = 2.0  # seconds


class ConfirmingAction(DocumentAction):
    """An action whose module may leave a change that waits to be confirmed."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, and confirm what it did."""
        result = super().run(tmp, task_vars)
        pending = result.pop("_pending", None)
        if pending is not None:
            result.update(confirm(self, pending))
        return result

    def confirmed(self, args: dict[str, Any]) -> dict[str, Any]:
        """The arguments, with how long the host shall wait unless nobody waits for the task."""
        return args if self._task.async_val else {**args, "_confirm": seconds(self)}


def seconds(action: ActionBase) -> float:
    """How long the host shall wait: two attempts to connect, and some more for the login."""
    return 2.0 * _timeout(action) + 10


def confirm(action: ActionBase, pending: str) -> dict[str, Any]:
    """Confirm the change that waits by this file; what is to be added to the task's result.

    Raises AnsibleConnectionFailure where the host cannot be reached even after its time to wait is over.
    """
    end = time.monotonic() + seconds(action)
    try:
        action._connection.reset()
        if _run(action, "rm %s" % shlex.quote(pending))["rc"] == 0:
            return {}
        reason = "that took longer than %g seconds" % seconds(action)
    except AnsibleError as error:
        reason = str(error)
    time.sleep(max(0.0, end - time.monotonic()))
    return {"failed": True, **_taken_back(action, pending, " ".join(reason.split()))}


def _taken_back(action: ActionBase, pending: str, reason: str) -> dict[str, Any]:
    """What the host says of having taken the change back."""
    message = "with these tables no new connection to the host could be made (%s)" % reason
    path = shlex.quote(pending + TAKEN_BACK)
    for _unused in range(_TRIES):
        time.sleep(_BETWEEN)
        try:
            action._connection.reset()
            said = _run(action, "cat %s && rm %s" % (path, path))
        except AnsibleError:
            continue
        if said["rc"] == 0 and not said["stdout"].strip():
            cure = "accept new connections to the port that Ansible comes by, or set keep_session: false"
            return {
                "changed": False,
                "msg": "%s. They were put back as they were; %s" % (message, cure),
            }
        if said["rc"] == 0:
            return {"msg": "%s, and they could not be put back: %s" % (message, said["stdout"].strip())}
    raise AnsibleConnectionFailure(
        "%s. The host puts them back as they were by itself, but it has not been reached since" % message
    )


def _run(action: ActionBase, command: str) -> dict[str, Any]:
    result: dict[str, Any] = action._low_level_execute_command(command)
    return result


def _timeout(action: ActionBase) -> int:
    """Seconds that an attempt to connect may take."""
    return int(action._play_context.timeout or 10)
