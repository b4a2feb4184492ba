# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Python runs what is measured.

Ansible's modules run under the distribution's Python, so the engine is measured
under it too, whatever Python the virtual environment of the tests was made from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DISTRIBUTION = "/usr/bin/python3"


def hosts_python() -> str:
    """The distribution's Python, or where there is none the running one."""
    return DISTRIBUTION if os.access(DISTRIBUTION, os.X_OK) else sys.executable


def packages_python() -> str:
    """The distribution's Python if it can load the packages of the running one, else the running one."""
    ours = "%d.%d." % sys.version_info[:2]
    return hosts_python() if version(hosts_python()).startswith(ours) else sys.executable


def version(python: str) -> str:
    """An interpreter's version."""
    code = "import platform; print(platform.python_version())"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def run_module(name: str, *arguments: str) -> Any:
    """Run a module of this package under the hosts' Python; its output is JSON.

    The engine is found as the package ``rempart`` there, straight from its directory.
    """
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "rempart").symlink_to(ROOT / "plugins/module_utils")
        path = os.pathsep.join((str(ROOT), directory))
        done = subprocess.run(
            [hosts_python(), "-m", "tests.bench." + name, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    if done.returncode:
        raise RuntimeError("%s: exit %d\n%s" % (name, done.returncode, done.stderr))
    return json.loads(done.stdout)


def packages() -> str:
    """The directory of the running interpreter's packages."""
    return sysconfig.get_path("purelib")
