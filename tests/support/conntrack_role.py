# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of the role ``conntrack`` that leave this machine's files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace
from tests.support.playbooks import Played, play
from tests.support.private_host import PrivateHost

ROLE = "rempart.netfilter.conntrack"


def run(
    directory: Path,
    host: PrivateHost,
    netns: Namespace,
    *arguments: str,
    check: bool = True,
    before: Sequence[Mapping[str, Any]] = (),
    environment: Mapping[str, str] | None = None,
    **variables: Any,
) -> Played:
    """Run the role with these variables on a namespace that has the host's files.

    ``before`` are tasks that come before it. ``arguments``, ``check`` and ``environment`` are those of
    :func:`play`.
    """
    return play(
        directory,
        {netns.name: {"conntrack_files": True, **variables}},
        [],
        *arguments,
        prefix=host.prefix(),
        environment=environment,
        check=check,
        pre_tasks=list(before),
        roles=[{"role": ROLE}],
    )


def changed(done: Played) -> list[str]:
    """The names of the role's tasks and handlers that changed something, one for each result."""
    prefix = ROLE + " : "
    return [
        one["task"][len(prefix) :]
        for one in done.results
        if one["status"] == "changed" and one["task"].startswith(prefix)
    ]
