# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command, installed by pip from the source tree, on a small firewall and a few connections."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.command import environment, on_terminal
from tests.support.flows import Tcp
from tests.support.routed import SERVER, routed
from tests.support.sources import copied

from . import environments, promises
from .interpreters import Interpreter

DOCUMENT = """\
tables:
  - name: probe
    chains:
      - name: forward
        hook: forward
        rules:
          - {ct_state: established, counter: true, verdict: accept}
          - {protocol: tcp, dport: {{ ports }}, verdict: accept}
"""
RULES = ["ct state established counter packets", "tcp dport { 5001, 5002 } accept"]


class Installed:
    """The command in an environment of its own: ``python`` and ``program`` are the files of both."""

    def __init__(self, place: Path) -> None:
        self.python = place / "bin/python"
        self.program = place / "bin/rempart"

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run the command; its output. AssertionError for another exit code."""
        done = subprocess.run(
            [str(self.program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            env=environment(),
        )
        assert done.returncode == code, "rempart %s: exit %d\n%s%s" % (
            " ".join(arguments),
            done.returncode,
            done.stdout,
            done.stderr,
        )
        return done.stdout + done.stderr


def installed(interpreter: Interpreter, name: str, requirements: Sequence[str] = ()) -> Installed:
    """The command of the source tree, installed anew with what it needs; ``requirements`` go with it.

    Raises environments.Unavailable.
    """
    place = environments.DIRECTORY / ("command-%s-%s" % (interpreter.version, name))
    environments.make(interpreter, place)
    with tempfile.TemporaryDirectory() as directory:
        environments.install(place, [str(copied(Path(directory, "sources"))), *requirements])
    return Installed(place)


def lowest() -> list[str]:
    """The oldest of each package that pyproject.toml promises to work with, as requirements."""
    return ["%s==%s" % one for one in promises.packages().items()]


def works(command: Installed) -> None:
    """Validate, apply, show, list and kill, with the kernel's word on each."""
    with tempfile.TemporaryDirectory() as directory, routed() as hosts:
        router = hosts.router
        file, wrong = Path(directory, "firewall.yml"), Path(directory, "wrong.yml")
        file.write_text(DOCUMENT)
        wrong.write_text("tables: [{name: probe, chains: [{name: c, rules: [{dprot: 22}]}]}]")
        given = (str(file), "-e", "{ports: [5001, 5002]}")
        here = ("--netns", router.name)
        assert "1 table, 1 chain, 2 rules" in command("validate", *given)
        assert "did you mean 'dport'?" in command("validate", str(wrong), code=1)
        assert "+\t\ttcp dport { 5001, 5002 } accept" in command("plan", *given, *here, code=2)
        assert router.nft_text() == ""
        assert json.loads(command("apply", *given, *here, "--json"))["changed"] is True
        assert "tcp dport { 5001, 5002 } accept" in router.nft_text()
        handles = router.nft_json()
        for flag in ((), ("--full",)):
            assert json.loads(command("apply", *given, *here, *flag, "--json"))["changed"] is False
        assert router.nft_json() == handles
        shown = command("show", *here)
        assert all(rule in shown for rule in RULES), shown
        with (
            Tcp(hosts.client, hosts.server, SERVER[4], 5001) as first,
            Tcp(hosts.client, hosts.server, SERVER[4], 5002) as second,
        ):
            listed = command("conntrack", "list", "dport=5001", *here)
            assert "sport=%d dport=5001" % first.sport in listed and "dport=5002" not in listed
            table = on_terminal("conntrack", "list", *here, script=command.program)
            assert table.code == 0 and str(second.sport) in table.text, table.text
            summary = json.loads(command("kill", "dport=5001", "--yes", "--json", *here))
            assert summary["count"] == 1, summary
            assert all(first.ended()) and second.exchange()
