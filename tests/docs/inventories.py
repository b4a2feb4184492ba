# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventories that pages leave to their readers."""

from __future__ import annotations

from tests.support.machines import Machine

_ITSELF = "ansible_connection=rempart.netfilter.netns ansible_netns_name=/proc/1/ns/net"


def itself(machine: Machine, group: str, name: str = "", *groups: str) -> None:
    """A file ``inventory`` with the machine as the one host of its groups, reached as a network namespace."""
    text = "[%s]\n%s %s\n" % (group, name or group + "1", _ITSELF)
    text += "".join("[%s]\n%s\n" % (one, name) for one in groups)
    (machine.directory / "inventory").write_text(text)
