# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demonstration tells the truth to its end, and takes everything away, also when interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo" / "run.py"


def left_over(process: int) -> list[str]:
    """The namespaces that a demonstration has made and not taken away."""
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line.startswith("rempart-demo-%d-" % process)]


def test_the_demonstration_runs_to_its_end() -> None:
    """Every step is as it should be, and nothing stays."""
    with subprocess.Popen([sys.executable, str(DEMO)], stdout=subprocess.PIPE, text=True) as demo:
        output = demo.communicate(timeout=120)[0]
    assert demo.returncode == 0, output
    assert "Everything as it should be." in output
    assert "0 changes" in output
    assert left_over(demo.pid) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demonstration_leaves_nothing(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM in the middle of a playbook run clean up."""
    with subprocess.Popen([sys.executable, str(DEMO)], stdout=subprocess.PIPE, text=True) as demo:
        deadline = time.monotonic() + 20
        while len(left_over(demo.pid)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(left_over(demo.pid)) == 3
        time.sleep(0.5)
        demo.send_signal(number)
        demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert left_over(demo.pid) == []
