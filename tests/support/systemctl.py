# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A systemctl for playbooks on machines without systemd: it knows the units in /etc/systemd/system.

It keeps what is enabled and active, knows a unit from the daemon-reload after the unit's file on, and
starts nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

_SCRIPT = r"""#!/bin/sh
state=%(state)s
verb=$1
unit=$2
case $verb in
    show|is-enabled) ;;
    *) echo "$*" >> "$state/calls" ;;
esac
case $unit in
    *.*) ;;
    *) unit=$unit.service ;;
esac
known() {
    [ -e "$state/loaded/$unit" ] || { echo "Unit $unit not found." >&2; exit 5; }
}
case $verb in
    daemon-reload)
        rm -rf "$state/loaded" && mkdir "$state/loaded"
        for file in /etc/systemd/system/*.service /etc/systemd/system/*.timer; do
            [ ! -e "$file" ] || : > "$state/loaded/${file##*/}"
        done ;;
    show)
        if [ -e "$state/loaded/$unit" ]; then echo LoadState=loaded; else echo LoadState=not-found; fi
        if [ -e "$state/active/$unit" ]; then echo ActiveState=active; else echo ActiveState=inactive; fi ;;
    is-enabled)
        if [ -e "$state/enabled/$unit" ]; then echo enabled; else echo disabled; exit 1; fi ;;
    enable) known; : > "$state/enabled/$unit" ;;
    disable) known; rm -f "$state/enabled/$unit" ;;
    start|restart)
        known
        # A oneshot service is over once it has started.
        grep -q Type=oneshot "/etc/systemd/system/$unit" || : > "$state/active/$unit" ;;
    stop) known; rm -f "$state/active/$unit" ;;
    *) echo "Unknown command verb $verb." >&2; exit 1 ;;
esac
"""

AS_SYSTEMD = {
    "name": "a host that systemd manages",
    "ansible.builtin.set_fact": {"ansible_service_mgr": "systemd", "cacheable": True},
}
"""The task after which Ansible takes systemd for the host's service manager."""


class Systemctl:
    """The program, in a directory of its own below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._state = directory / "systemd"
        for name in ("bin", "loaded", "enabled", "active"):
            (self._state / name).mkdir(parents=True)
        program = self._state / "bin/systemctl"
        program.write_text(_SCRIPT % {"state": self._state})
        program.chmod(0o755)

    def environment(self) -> dict[str, str]:
        """The environment in which this is the systemctl to be found first."""
        return {"PATH": "%s:%s" % (self._state / "bin", os.environ["PATH"])}

    def calls(self) -> list[str]:
        """What it was told to change since this was asked last."""
        path = self._state / "calls"
        found = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return found

    def started(self, name: str) -> None:
        """Have a unit known and active."""
        for kind in ("loaded", "active"):
            (self._state / kind / name).touch()

    def known(self) -> set[str]:
        """The units it knows."""
        return self._names("loaded")

    def enabled(self) -> set[str]:
        """The units that a boot starts."""
        return self._names("enabled")

    def active(self) -> set[str]:
        """The units that have been started."""
        return self._names("active")

    def _names(self, kind: str) -> set[str]:
        return {one.name for one in (self._state / kind).iterdir()}
