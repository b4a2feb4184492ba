# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command as a process, from its start to its end, against ``nft -f``."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.namespaces import Namespace, namespaces
from tests.support.sources import copied

from . import firewalls, interpreter
from .measure import Side, alternate
from .programs import require, run
from .results import Benchmark, Faster, Result, Target

SETTLE = 0.3  # seconds: the kernel frees a removed ruleset after the transaction has returned

INSTALLED = (
    "The command is installed from the source tree into a virtual environment of its own, as `pip install` "
    "does it: an editable install would add an import hook to each start."
)


@contextlib.contextmanager
def installed() -> Iterator[str]:
    """The path of a ``rempart`` that pip installed; it goes at the end of the block.

    Its virtual environment sees this one's packages, so that nothing is downloaded,
    but not this one's import hooks.
    """
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory, "venv")
        make = [interpreter.packages_python(), "-m", "venv", "--without-pip", str(place)]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
        python = place / "bin/python"
        (found,) = place.glob("lib/python*/site-packages")
        (found / "dependencies.pth").write_text(interpreter.packages() + "\n")
        sources = copied(Path(directory, "sources"))
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
        pip += ["--no-build-isolation", "--force-reinstall", "--disable-pip-version-check"]
        done = subprocess.run([*pip, str(sources)], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError("pip install: exit %d\n%s%s" % (done.returncode, done.stdout, done.stderr))
        program = place / "bin/rempart"
        where = [str(python), "-c", "import rempart; print(rempart.__file__)"]
        imported = subprocess.run(where, capture_output=True, text=True).stdout
        require(imported.startswith(str(place)), "the command is not the installed one: %s" % imported)
        yield str(program)


class Apply(Benchmark):
    """A large document into an empty namespace."""

    name = "apply"
    work = "10,000 rules given as JSON into an empty table, process start included"
    against = "`nft -f`"
    target = Faster(1)
    notes = "`rempart apply --netns NAME FILE` and `nft -f FILE` of the same rules as text."

    def measure(self, repetitions: int) -> Result:
        """Apply both, each in its namespace, emptied before each run; at the end both hold the same."""
        document = firewalls.document(10_000)
        with (
            installed() as program,
            namespaces(2) as (ours, theirs),
            tempfile.TemporaryDirectory() as directory,
        ):
            given, text = Path(directory, "firewall.json"), Path(directory, "firewall.nft")
            given.write_bytes(firewalls.as_json(document))
            text.write_text(firewalls.as_text(document))
            argv = (program, "apply", "--netns", ours.name, str(given))
            times = alternate(
                repetitions,
                Side(lambda _: run(ours, *argv), lambda: empty(ours)),
                Side(lambda _: run(theirs, "nft", "-f", str(text)), lambda: empty(theirs)),
            )
            same = ours.nft_text() == theirs.nft_text()
            require(same and ours.nft_text().count("\n") > 10_000, "the two namespaces differ")
        return self.result(*times, "Both namespaces then list the same text.")


class ApplyUnchanged(Benchmark):
    """The command where nothing changed, from start to end."""

    name = "apply-unchanged"
    work = "the same again, nothing changed, process start included"
    against = "`nft -j list ruleset`"
    target = Target()
    notes = "What `rempart apply` takes where the kernel holds the document already."

    def measure(self, repetitions: int) -> Result:
        """Apply what is in force."""
        with installed() as program, namespaces(1) as (host,), tempfile.TemporaryDirectory() as directory:
            given = Path(directory, "firewall.json")
            given.write_bytes(firewalls.as_json(firewalls.document(10_000)))
            argv = (program, "apply", "--netns", host.name, str(given))
            run(host, *argv)
            return self.result(
                *alternate(
                    repetitions,
                    Side(lambda _: run(host, *argv)),
                    Side(lambda _: run(host, "nft", "-j", "list", "ruleset")),
                )
            )


def empty(namespace: Namespace) -> None:
    """Remove the namespace's rulesets, and let the kernel free them."""
    run(namespace, "nft", "flush", "ruleset")
    time.sleep(SETTLE)


BENCHMARKS: list[Benchmark] = [Apply(), ApplyUnchanged()]
