# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a module ends where it cannot go on."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping

from ansible.module_utils.basic import AnsibleModule

from .places import NO_PLACES

PYTHON = (3, 9)
"""The oldest Python that the engine runs on."""


@contextlib.contextmanager
def failing(module: AnsibleModule, places: Mapping[str, str] = NO_PLACES) -> Iterator[None]:
    """Turn the engine's errors into the module's failure, with ``msg`` and ``errors``.

    Inside, interfaces are those of the namespace that the option ``netns`` names. ``places``
    as of ``errors.moved``. The engine must be imported inside: a Python that is too old fails
    here first.
    """
    if sys.version_info < PYTHON:
        module.fail_json(
            msg="rempart needs Python %d.%d or later on the managed host, this is Python %d.%d (%s); "
            "install a newer one there and set ansible_python_interpreter"
            % (*PYTHON, *sys.version_info[:2], sys.executable)
        )
    from ..errors import RempartError, moved_problems
    from ..links import interfaces

    try:
        with interfaces.of(module.params.get("netns")):
            yield
    except RempartError as error:
        error.problems = moved_problems(error.problems, places)
        module.fail_json(**error.result())


@contextlib.contextmanager
def within(option: str) -> Iterator[None]:
    """Put the places of the engine's errors inside an option."""
    from ..errors import RempartError

    try:
        yield
    except RempartError as error:
        raise error.at(option) from None
