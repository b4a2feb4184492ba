# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The oldest versions that the project's own files promise to work with."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def ansible() -> str:
    """The oldest ansible-core, of meta/runtime.yml, such as "2.19.0"."""
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())
    return floor(runtime["requires_ansible"])


def python() -> str:
    """The oldest Python of hosts and of the command, such as "3.9"."""
    (bound,) = re.findall(r'^requires-python = "(.*)"$', _project(), re.M)
    return floor(bound)


def packages() -> dict[str, str]:
    """The oldest version of each package that the command needs, by the package's name."""
    (listed,) = re.findall(r"^dependencies = \[\n(.*?)^\]$", _project(), re.M | re.S)
    found = re.findall(r'^  "([\w-]+)(.*)",$', listed, re.M)
    if len(found) != listed.count("\n"):
        raise ValueError("dependencies are not one a line:\n" + listed)
    return {name: floor(bound) for name, bound in found}


def floor(bound: str) -> str:
    """The version in ``>=VERSION``, which is all that these files may say."""
    if not (found := re.fullmatch(r">=([\d.]+)", bound)):
        raise ValueError("%r is not of the form >=VERSION" % bound)
    return found.group(1)


def _project() -> str:
    return (ROOT / "pyproject.toml").read_text()
