# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A probe of a module: tasks, one after the other, and what the kernel holds after each.

All probes are one playbook, for Ansible packs a module only once a run. Its callback plugin
``steps`` has it wait after each task until the result and the kernel have been judged.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

from tests.support.namespaces import Namespace
from tests.support.playbooks import play

Options = Mapping[str, Any]
CALLBACKS = Path(__file__).with_name("callback")


class Step:
    """One task: whether it says ``changed``, and the state that is there afterwards.

    ``before`` is called first; ``returns`` are keys of the result with the values that they must have.
    """

    __slots__ = ("before", "changed", "check", "options", "returns", "state")

    def __init__(
        self,
        options: Options,
        changed: bool,
        state: Any,
        check: bool = False,
        before: Callable[[], object] = lambda: None,
        returns: Options | None = None,
    ) -> None:
        self.options = options
        self.changed = changed
        self.state = state
        self.check = check
        self.before = before
        self.returns = returns or {}


class Probe:
    """A module, its steps, and ``state``, which asks the kernel for what the steps are about."""

    __slots__ = ("module", "state", "steps")

    def __init__(self, module: str, state: Callable[[], Any], steps: Sequence[Step]) -> None:
        self.module = module
        self.state = state
        self.steps = list(steps)


def cycle(first: Options, second: Options, gone: Options, states: tuple[Any, Any, Any]) -> list[Step]:
    """From nothing to a first state, to a second, and to nothing again.

    ``states`` are what the kernel holds without it, and after each of the first two. Each change is
    looked at in check mode before, and the first and last are asked for again after.
    """
    none, one, two = states
    return [
        Step(first, True, none, check=True),
        Step(first, True, one),
        Step(first, False, one),
        Step(second, True, one, check=True),
        Step(second, True, two),
        Step(gone, True, two, check=True),
        Step(gone, True, none),
        Step(gone, False, none),
    ]


def run(directory: Path, host: Namespace, probes: Sequence[Probe], bin: Path, variables: Options) -> None:
    """Play every step with the Ansible whose programs are in ``bin``; AssertionError for all that is wrong.

    ``variables`` are the host's. Of a probe that fails, only what failed first is told.
    """
    steps = [
        (probe, step, "%s, step %d" % (probe.module, number))
        for probe in probes
        for number, step in enumerate(probe.steps, 1)
    ]
    judge = Judge(steps)
    with listening(directory / "steps", judge):
        steps[0][1].before()
        done = play(
            directory,
            {host.name: variables},
            [_task(*one) for one in steps],
            bin=bin,
            check=False,
            timeout=900,
            environment={
                "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
                "ANSIBLE_CALLBACKS_ENABLED": "steps",
                "REMPART_STEPS": str(directory / "steps"),
            },
        )
    wrong = list(judge.wrong.values()) + complaints(done.output)
    if judge.number < len(steps):
        wrong.append("the playbook ended before %s\n%s" % (steps[judge.number][2], done.output[-4000:]))
    if wrong:
        raise AssertionError("\n".join(wrong))


def complaints(output: str) -> list[str]:
    """What Ansible warns of: what is on its way out is not supported in silence."""
    lines = (line for line in output.splitlines() if line.startswith(("[WARNING]", "[DEPRECATION")))
    return list(dict.fromkeys(lines))


class Judge:
    """Judges results in the order of the steps: ``number`` of them, ``wrong`` is what failed, by module."""

    def __init__(self, steps: Sequence[tuple[Probe, Step, str]]) -> None:
        self._steps = steps
        self.number = 0
        self.wrong: dict[str, str] = {}

    def __call__(self, line: bytes) -> None:
        """Judge one result, and prepare the next step."""
        probe, step, name = self._steps[self.number]
        ran = json.loads(line)
        if probe.module not in self.wrong:
            try:
                found = _judge(probe, step, ran) if ran["task"] == name else "another task: " + ran["task"]
            except Exception as error:
                found = "%s: %s" % (type(error).__name__, error)
            if found:
                self.wrong[probe.module] = "%s: %s" % (name, found)
        self.number += 1
        if self.number < len(self._steps):
            self._steps[self.number][1].before()


@contextlib.contextmanager
def listening(path: Path, judge: Callable[[bytes], None]) -> Iterator[None]:
    """Hand ``judge`` every line that comes in at the socket, and answer when it is done."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            caller, _ = listener.accept()
            with caller, caller.makefile("rb") as lines:
                for line in lines:
                    judge(line)
                    caller.sendall(b"\n")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            # An accept() that nobody called ends with this
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(60)
            path.unlink()


def _task(probe: Probe, step: Step, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "rempart.netfilter." + probe.module: dict(step.options),
        "check_mode": step.check,
        "diff": True,
        "ignore_errors": True,
    }


def _judge(probe: Probe, step: Step, ran: Mapping[str, Any]) -> str:
    """What is wrong with a step; nothing if all is right."""
    result = ran["result"]
    if ran["status"] != "ok":
        return "%s: %s" % (ran["status"], result.get("module_stderr") or result.get("msg"))
    if bool(result.get("changed")) != step.changed:
        return "changed is %r" % result.get("changed")
    for key, value in step.returns.items():
        if result.get(key) != value:
            return "%s is %r, not %r" % (key, result.get(key), value)
    state = probe.state()
    return "" if state == step.state else "the state is %r, not %r" % (state, step.state)
