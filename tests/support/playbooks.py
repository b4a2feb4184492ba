# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running real playbooks, with the results of every task as Python objects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# The namespace is the host; interpreter discovery would cost a second a host.
HOST_VARS = {
    "ansible_connection": "rempart.netfilter.netns",
    "ansible_python_interpreter": "/usr/bin/python3",
}


class Played:
    """What a playbook did: its exit ``status``, its ``output`` and one entry a result in ``results``.

    An entry has ``host``, ``task``, ``status`` (ok, changed, failed, skipped, unreachable) and ``result``.
    """

    def __init__(self, status: int, output: str, results: list[dict[str, Any]]) -> None:
        self.status = status
        self.output = output
        self.results = results

    def of(self, task: str, host: str = "") -> dict[str, Any]:
        """The result of the one task with this name, on this host if there are several."""
        found = [one for one in self.results if one["task"] == task and host in ("", one["host"])]
        assert len(found) == 1, "%d results of %r\n%s" % (len(found), task, self.output)
        result: dict[str, Any] = found[0]["result"]
        return result

    def statuses(self) -> dict[str, list[str]]:
        """Each host's statuses, in order."""
        by_host: dict[str, list[str]] = {}
        for one in self.results:
            by_host.setdefault(one["host"], []).append(one["status"])
        return by_host


def play(
    directory: Path,
    hosts: Mapping[str, Mapping[str, Any]],
    tasks: Sequence[Mapping[str, Any]],
    *arguments: str,
    prefix: Sequence[str] = (),
    bin: Path = Path(sys.executable).parent,
    environment: Mapping[str, str] | None = None,
    check: bool = True,
    timeout: float = 120,
    **play_keys: Any,
) -> Played:
    """Run the tasks on the hosts, which are network namespaces unless their variables say otherwise.

    ``arguments`` go to ansible-playbook, which is in the directory ``bin``, ``play_keys`` into the
    play; ``prefix`` is a command line to run it under. With ``check`` a playbook that fails
    raises AssertionError. Everything is written below ``directory``.
    """
    inventory, playbook, record = (directory / name for name in ("inventory.yml", "play.yml", "record"))
    inventory.write_text(json.dumps({"all": {"hosts": hosts, "vars": HOST_VARS}}))
    playbook.write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, **play_keys, "tasks": list(tasks)}])
    )
    record.write_text("")
    command = [*prefix, str(bin / "ansible-playbook"), "-i", str(inventory)]
    done = subprocess.run(
        [*command, str(playbook), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        env={**os.environ, **settings(directory), **(environment or {}), "REMPART_RECORD": str(record)},
    )
    results = [json.loads(line) for line in record.read_text().splitlines()]
    if check and done.returncode:
        raise AssertionError("ansible-playbook: exit %d\n%s" % (done.returncode, done.stdout))
    return Played(done.returncode, done.stdout, results)


def settings(directory: Path) -> dict[str, str]:
    """Ansible's configuration for a run, which must not depend on the machine's or the user's."""
    config = directory / "ansible.cfg"
    config.touch()
    remote = directory / "remote"
    remote.mkdir(exist_ok=True)
    remote.chmod(0o1777)  # for every user that a task becomes
    collection = directory / "collections/ansible_collections/rempart"
    collection.mkdir(parents=True, exist_ok=True)
    if not (collection / "netfilter").exists():
        (collection / "netfilter").symlink_to(ROOT)
    return {
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_HOME": str(directory / "ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(directory / "collections"),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/support/callback"),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_REMOTE_TEMP": str(remote),
        "LC_ALL": "C.UTF-8",
    }
