# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What boot does, done in a network namespace: the unit's own command line on the files of an image."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from tests.support.namespaces import Namespace

UNIT = "etc/systemd/system/rempart-firewall.service"

# The image's files lie over the machine's, in a mount namespace of the process's own. Then the
# process has what the unit leaves it: no environment, and one capability.
_SCRIPT = """\
for one in etc usr/local; do
  mount -t overlay overlay -o "lowerdir=$0/$one:/$one" "/$one" || exit 99
done
exec setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+net_admin env -i "$@"
"""


def image(directory: Path) -> Path:
    """A directory that looks like a host with systemd."""
    root = directory / "image"
    for one in ("usr/lib/systemd/system", "usr/local", "etc"):
        (root / one).mkdir(parents=True)
    return root


def files(root: Path) -> list[str]:
    """The paths of everything in an image that is no directory."""
    return sorted("/%s" % one.relative_to(root) for one in root.rglob("*") if not one.is_dir())


def command(root: Path) -> list[str]:
    """The command line of the unit."""
    (line,) = [one for one in (root / UNIT).read_text().split("\n") if one.startswith("ExecStart=")]
    return shlex.split(line.partition("=")[2])


def boot(namespace: Namespace, root: Path, python: str = "") -> subprocess.CompletedProcess[str]:
    """Run what the unit runs, under another Python if one is given."""
    unit, *arguments = command(root)
    line = [python or unit, *arguments]
    return namespace.run("unshare", "--mount", "sh", "-c", _SCRIPT, str(root), *line, check=False)
