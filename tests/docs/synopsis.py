# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lists of commands that pages begin with."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.support.machines import Machine


def synopsis(machine: Machine) -> Callable[[str], None]:
    """What sees that there is every command of a list."""

    def seen(text: str) -> None:
        for line in text.splitlines():
            (words,) = re.findall(r"^rempart((?: [a-z]+)+)", line)
            assert "Usage: rempart" + words in machine.type("rempart%s --help" % words)

    return seen
