# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role ``conntrack`` over the SSH connection that it could cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.conntrack_role import ROLE, changed
from tests.support.namespaces import Namespace
from tests.support.playbooks import Played, play
from tests.support.ssh import SshServer

NOTRACK = "%s : Track nothing but the exceptions" % ROLE
FIREWALL = """
table inet edge {
    chain input { type filter hook input priority filter; policy drop
        ct state established,related%s accept
        tcp dport 22 tcp flags syn / syn,ack accept; }
    chain output { type filter hook output priority filter; policy drop
        ct state established,related%s accept; }
}
"""
WAY = {"ansible.builtin.shell": "echo $SSH_CONNECTION"}


def over_ssh(directory: Path, machine: tuple[Namespace, SshServer], **variables: Any) -> Played:
    """The role between two looks at the connection it goes by."""
    client, server = machine
    tasks = [
        {"name": "before", **WAY},
        {"name": "Role", "ansible.builtin.import_role": {"name": ROLE}},
        {"name": "after", **WAY},
    ]
    # The server's machine has this one's files.
    hosts = {"far": {**server.variables, "conntrack_files": False, **variables}}
    return play(directory, hosts, tasks, prefix=client.argv(), check=False)


def test_settings_helpers_and_policies_do_not_touch_the_connection(
    directory: Path, machine: tuple[Namespace, SshServer]
) -> None:
    server = machine[1]
    server.namespace.nft(FIREWALL % ("", ""))
    done = over_ssh(
        directory,
        machine,
        conntrack_settings={"tcp_loose": False, "timeouts": {"tcp": {"established": 60}}},
        conntrack_helpers=["ftp"],
        conntrack_timeout_policies=[
            {
                "name": "brief",
                "protocol": "tcp",
                "policy": {"established": 30},
                "traffic": [{"dport": "ssh"}],
            }
        ],
    )
    assert done.status == 0, done.output
    assert len(changed(done)) == 3
    assert done.of("before")["stdout"] == done.of("after")["stdout"] != ""
    assert 'ct timeout set "brief"' in server.namespace.nft_text()


@pytest.mark.parametrize("kind", ["no firewall", "untracked is let in", "the port is tracked"])
def test_tracking_is_switched_off_under_the_connection(
    directory: Path, machine: tuple[Namespace, SshServer], kind: str
) -> None:
    server = machine[1]
    variables: dict[str, Any] = {"conntrack_notrack": True}
    if kind == "untracked is let in":
        server.namespace.nft(FIREWALL % (",untracked", ",untracked"))
    elif kind == "the port is tracked":
        server.namespace.nft(FIREWALL % ("", ""))
        variables["conntrack_tracked_ports"] = [{"protocol": "tcp", "ports": [22]}]
    done = over_ssh(directory, machine, **variables)
    assert done.status == 0, done.output
    assert changed(done) == ["Track nothing but the exceptions"]
    assert done.of("after")["stdout"] != ""
    again = over_ssh(directory, machine, **variables)
    assert (again.status, changed(again)) == (0, [])


def test_tracking_that_the_connection_needs_stays(
    directory: Path, machine: tuple[Namespace, SshServer]
) -> None:
    server = machine[1]
    server.namespace.nft(FIREWALL % ("", ""))
    done = over_ssh(directory, machine, conntrack_notrack=True)
    message = done.of(NOTRACK)["msg"]
    assert "these tables cut the connection of 10.9.0.1 port" in message
    assert "untracked, where it is not tracked" in message
    assert "rempart_notrack" not in server.namespace.nft_text()
    assert over_ssh(directory, machine).status == 0
