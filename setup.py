# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which directories the Python package ``rempart`` is made of; everything else is in pyproject.toml.

The engine lies where Ansible looks for it (``plugins/module_utils``) and the
command beside it; installed, both are one package.
"""

from __future__ import annotations

from setuptools import find_packages, setup

ROOTS = {"rempart": "plugins/module_utils", "rempart.command": "command"}


def packages() -> list[str]:
    """The dotted names of every package below ``ROOTS``."""
    found = list(ROOTS)
    for name, directory in ROOTS.items():
        found += ["%s.%s" % (name, inner) for inner in find_packages(directory)]
    return found


setup(packages=packages(), package_dir=ROOTS)
