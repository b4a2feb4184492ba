# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``ansible-test sanity`` over the collection as Galaxy gets it: every test, nothing ignored.

    run.py [ARGUMENTS OF ANSIBLE-TEST]

ansible-test wants a collection in a place of its own, in a work tree of git.
So it gets what the tarball holds, in .build/sanity. What it keeps in its home
(an environment for each test) stays there too, for the next run. The plugins
are tried with every Python from 3.9 on that this machine has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.collection import build, install  # noqa: E402

HOME = ROOT / ".build/sanity"

# What tests/config.yml allows and the locked ansible-test knows.
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")

# ansible-test would download a script of this name that installs pip.
BOOTSTRAP = HOME / ".ansible/test/cache/get_pip_24_2.py"
ENSUREPIP = "import ensurepip\n\nensurepip.bootstrap()\n"


def pythons() -> dict[str, str]:
    """The interpreters of this machine by their versions: those of the PATH and those of pyenv."""
    found = {}
    for version in VERSIONS:
        name = "python" + version
        kept = sorted(Path.home().glob(".pyenv/versions/%s.*/bin/%s" % (version, name)))
        for candidate in filter(None, (shutil.which(name), *map(str, kept))):
            # pyenv's own python3.9 is a script, which fails unless 3.9 is switched on
            asked = subprocess.run(
                [candidate, "-c", "import ensurepip, sys, venv; print(sys._base_executable)"],
                capture_output=True,
                text=True,
            )
            if asked.returncode == 0:
                found[version] = asked.stdout.strip()
                break
    return found


def prepare() -> Path:
    """A new tree of the collection; where it is."""
    tree = HOME / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    collection = install(build(tree), tree)
    (collection / "tests").mkdir()
    shutil.copyfile(ROOT / "tests/config.yml", collection / "tests/config.yml")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", "init", "--quiet", str(collection)], check=True, env=environment)
    BOOTSTRAP.parent.mkdir(parents=True, exist_ok=True)
    BOOTSTRAP.write_text(ENSUREPIP)
    return collection


def links(found: dict[str, str]) -> Path:
    """A directory with the interpreters by the names that ansible-test looks for."""
    directory = HOME / "bin"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for version, path in found.items():
        (directory / ("python" + version)).symlink_to(path)
    return directory


def main(arguments: list[str]) -> int:
    """Run ansible-test; its exit status."""
    collection = prepare()
    found = pythons()
    program = Path(sys.executable).parent / "ansible-test"
    targets = [word for version in found for word in ("--target-python", version)]
    print("ansible-test sanity with Python %s" % ", ".join(found), flush=True)
    environment = {
        "HOME": str(HOME),
        "PATH": "%s:/usr/local/bin:/usr/bin:/bin" % links(found),
        "LC_ALL": "C.UTF-8",
    }
    command = [str(program), "sanity", "--requirements", "--color", "no", *targets, *arguments]
    return subprocess.run(command, cwd=collection, env=environment, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
