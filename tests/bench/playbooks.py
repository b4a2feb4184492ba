# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks under ansible-playbook: the module, against what one would use without it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace, namespaces
from tests.support.playbooks import HOST_VARS, settings

from . import firewalls
from .measure import Times
from .programs import require
from .results import Benchmark, Faster, Longer, Result

RULES = 1000
LOOPED = 20
FLEET = 100
FORKS = 10

RULESET: dict[str, Any] = {"rempart.netfilter.ruleset": {"tables": "{{ tables }}"}}
TRUE: dict[str, Any] = {"ansible.builtin.command": "true"}
CONDITIONS = (
    "An Ansible task's time is from Ansible's start of the task to the last host's result, with Ansible's "
    "default settings (no pipelining); hosts are network namespaces of the controller, reached by the "
    "connection plugin `rempart.netfilter.netns`."
)

Play = dict[str, Any]


class Run:
    """One task of a playbook run: its name, how long it took, and which hosts it changed."""

    __slots__ = ("changed", "hosts", "seconds", "task")

    def __init__(self, task: str) -> None:
        self.task = task
        self.seconds = 0.0
        self.hosts = 0
        self.changed: list[str] = []


class Controller:
    """A directory with an inventory and a firewall as a file of variables, to run playbooks from."""

    def __init__(self, directory: Path, names: Sequence[str], rules: int) -> None:
        self._directory = directory
        self._variables = directory / "firewall.json"
        self._variables.write_bytes(firewalls.as_json(firewalls.document(rules)))
        self._inventory = directory / "inventory.json"
        inventory = {"all": {"hosts": {name: {} for name in names}, "vars": HOST_VARS}}
        self._inventory.write_text(json.dumps(inventory))

    def task(self, hosts: str, task: dict[str, Any], name: str) -> Play:
        """A play of one task."""
        return {
            "hosts": hosts,
            "gather_facts": False,
            "vars_files": [str(self._variables)],
            "tasks": [{"name": name, **task}],
        }

    def run(self, plays: Sequence[Play], forks: int = 5) -> list[Run]:
        """Run the plays in one ansible-playbook; RuntimeError if a task fails."""
        playbook, record = self._directory / "playbook.json", self._directory / "record"
        playbook.write_text(json.dumps(plays))
        record.write_text("")
        environment = {
            **os.environ,
            **settings(self._directory),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callback")),
            "ANSIBLE_CALLBACKS_ENABLED": "durations",
            "REMPART_DURATIONS": str(record),
        }
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        done = subprocess.run(
            [program, "-i", str(self._inventory), "-f", str(forks), str(playbook)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        )
        if done.returncode:
            raise RuntimeError("ansible-playbook: exit %d\n%s" % (done.returncode, done.stdout[-4000:]))
        runs = runs_of(json.loads(line) for line in record.read_text().splitlines())
        require(len(runs) == len(plays), "%d of %d tasks ran\n%s" % (len(runs), len(plays), done.stdout))
        return runs


def runs_of(lines: Iterator[dict[str, Any]]) -> list[Run]:
    """The tasks in the lines that the callback plugin ``durations`` wrote."""
    runs: list[Run] = []
    start = 0.0
    for line in lines:
        if "task" in line:
            runs.append(Run(line["task"]))
            start = line["at"]
            continue
        run = runs[-1]
        require(line["good"], "task %r failed on %s" % (run.task, line["host"]))
        run.seconds = line["at"] - start
        run.hosts += 1
        if line["changed"]:
            run.changed.append(line["host"])
    return runs


@contextlib.contextmanager
def controller(count: int, rules: int) -> Iterator[tuple[Controller, list[Namespace]]]:
    """So many hosts, and a controller with a firewall of so many rules for them."""
    with namespaces(count) as found, tempfile.TemporaryDirectory(prefix="rempart-bench-") as directory:
        yield Controller(Path(directory), [one.name for one in found], rules), found


def unchanged(run: Run) -> float:
    """The seconds of a task that found nothing to change."""
    require(not run.changed, "task %r changed %s" % (run.task, ", ".join(run.changed)))
    return run.seconds


class Iptables(Benchmark):
    """The collection's task against the module for iptables, which takes one rule."""

    name = "task-iptables"
    work = "{:,}-rule firewall, one Ansible task, nothing to change".format(RULES)
    against = "`ansible.builtin.iptables` in a loop"
    target = Faster(500)
    notes = (
        "The loop is measured over %d rules, spread over the %s that the host's INPUT chain holds, and its "
        "time multiplied by %d: the whole would take minutes a run."
    ) % (LOOPED, "{:,}".format(RULES), RULES // LOOPED)

    def measure(self, repetitions: int) -> Result:
        """Run the task and the loop in turns, each on a host that holds its rules already."""
        with controller(2, RULES) as (ansible, (ours, theirs)):
            _load_iptables(theirs)
            module = {"chain": "INPUT", "protocol": "tcp", "jump": "ACCEPT"}
            module.update(source="{{ item.source }}", destination_port="{{ item.port }}")
            rules = [_iptables_rule(index) for index in range(0, RULES, RULES // LOOPED)]
            items = [{"source": source, "port": str(port)} for source, port in rules]
            loop = {"ansible.builtin.iptables": module, "loop": items}
            plays = [ansible.task(ours.name, RULESET, "ruleset"), ansible.task(theirs.name, loop, "iptables")]
            runs = ansible.run([*plays, *plays * repetitions])[2:]
            return self.result(
                Times(unchanged(run) for run in runs[0::2]),
                Times((unchanged(run) for run in runs[1::2]), scale=RULES / LOOPED),
            )


def _iptables_rule(index: int) -> tuple[str, int]:
    high, low = divmod(index, 250)
    return "10.%d.%d.7" % (high, low), 1024 + index


def _load_iptables(host: Namespace) -> None:
    rules = ["-A INPUT -s %s/32 -p tcp -m tcp --dport %d -j ACCEPT" % _iptables_rule(i) for i in range(RULES)]
    text = "\n".join(["*filter", ":INPUT ACCEPT [0:0]", *rules, "COMMIT", ""])
    host.run("iptables-restore", input=text)


class AgainstTrue(Benchmark):
    """The collection's task against one that does nothing, one after the other in one playbook run."""

    name = "task-true"
    work = "the same task"
    against = "a task that only runs `true`"
    target = Longer(1.5)
    notes = (
        "`ansible.builtin.command: true`. Both tasks have run before in the same playbook run, as on every "
        "host but the first: Ansible has packed the modules already."
    )

    def measure(self, repetitions: int) -> Result:
        """Run both tasks in turns in one playbook run."""
        with controller(1, RULES) as (ansible, (host,)):
            plays = [ansible.task(host.name, RULESET, "ruleset"), ansible.task(host.name, TRUE, "true")]
            runs = ansible.run([*plays, *plays * (2 * repetitions)])[2:]
            return self.result(
                Times(unchanged(run) for run in runs[0::2]), Times(run.seconds for run in runs[1::2])
            )


class AgainstTrueFirst(Benchmark):
    """The same as the first thing that ansible-playbook does."""

    name = "task-true-first"
    work = "the same task, as the first one in a playbook run"
    against = "a task that only runs `true`, as the first one"
    target = Longer(1.5)
    notes = (
        "Each run starts ansible-playbook anew, so that the time contains what Ansible does once: reading "
        "the plugins and packing the module with all it imports."
    )

    def measure(self, repetitions: int) -> Result:
        """Start ansible-playbook for each task, in turns."""
        with controller(1, RULES) as (ansible, (host,)):
            ruleset, true = ansible.task(host.name, RULESET, "ruleset"), ansible.task(host.name, TRUE, "true")
            ansible.run([ruleset])
            pairs = [(ansible.run([ruleset])[0], ansible.run([true])[0]) for _ in range(repetitions)]
            return self.result(
                Times(unchanged(run) for run, _ in pairs), Times(run.seconds for _, run in pairs)
            )


class Fleet(Benchmark):
    """Many hosts at once."""

    name = "fleet"
    work = "{} hosts (network namespaces) under Ansible, each with the {:,}-rule firewall".format(
        FLEET, RULES
    )
    against = "the same play with a task that runs `true`"
    target = Longer(1.5)
    notes = "Nothing to change on any host, %d forks." % FORKS

    def measure(self, repetitions: int) -> Result:
        """Run both plays in turns in one playbook run."""
        with controller(FLEET, RULES) as (ansible, _):
            plays = [ansible.task("all", RULESET, "ruleset"), ansible.task("all", TRUE, "true")]
            runs = ansible.run([*plays, *plays * repetitions], FORKS)[2:]
            require(all(run.hosts == FLEET for run in runs), "a host had no result")
            return self.result(
                Times(unchanged(run) for run in runs[0::2]), Times(run.seconds for run in runs[1::2])
            )


BENCHMARKS: list[Benchmark] = [Iptables(), AgainstTrue(), AgainstTrueFirst(), Fleet()]
