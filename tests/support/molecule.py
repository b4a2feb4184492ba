# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running molecule as a user does, without the network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.playbooks import ROOT, settings

BIN = Path(sys.executable).parent
NAMESPACES = Path("/run/netns")


def environment(directory: Path) -> dict[str, str]:
    """The variables of a run that writes everything below a directory."""
    own = settings(directory)
    del own["ANSIBLE_CONFIG"]  # molecule writes one of its own
    del own["ANSIBLE_CALLBACK_PLUGINS"]  # of tests that run playbooks
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("MOLECULE")},
        **own,
        "PATH": "%s:%s" % (BIN, os.environ["PATH"]),
        "JUNIT_OUTPUT_DIR": str(directory / "reports"),
        "NO_COLOR": "1",
        # Nothing is to be had from there: whoever asks must fail.
        "ANSIBLE_GALAXY_SERVER": "http://192.0.2.1:9",
    }


def molecule(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run molecule in the collection, with more variables; colours are taken out of what it prints."""
    done = subprocess.run(
        [str(BIN / "molecule"), *arguments],
        cwd=ROOT,
        # Scenarios of a collection may be in extensions/molecule too; a pattern settles where these are.
        env={**environment(directory), "MOLECULE_GLOB": "molecule/*/molecule.yml", **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    done.stdout = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return done
