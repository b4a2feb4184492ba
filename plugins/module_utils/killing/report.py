# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a kill found and did, for programs and for people."""

from __future__ import annotations

import time
from typing import Any

from ..conntrack import expectations, line
from ..errors import Problem
from .kill import OFFLOADED, Found, Killed


def result(found: Found, killed: Killed | None, limit: int) -> dict[str, Any]:
    """The result of a module. ``killed`` is None where nothing was to be done, or nothing was done.

    ``limit`` is how many connections to list.
    """
    listed = found.entries(limit)
    for entry, outcome in zip(listed, killed.outcomes if killed is not None else ()):
        entry["outcome"] = outcome
    done = killed if killed is not None else Killed()
    return {
        "changed": found.any if killed is None else done.changed,
        "count": found.count,
        "killed": listed,
        "truncated": len(listed) < found.count,
        "deleted": done.deleted,
        "already_gone": found.already_gone if killed is None else done.already_gone,
        "already_cut": found.already_cut,
        "spared": found.spared,
        "sockets_closed": done.sockets_closed,
        "reset": done.reset,
        "blocked": done.blocked,
        "blocked_until": utc(done.until) if done.until is not None else "",
        "expectations": len(found.expectations) if killed is None else done.expectations,
    }


def difference(found: Found, limit: int) -> list[dict[str, str]]:
    """What ``--diff`` shows: the connections that go, a line each, then the expected ones."""
    shown = []
    for header, lines, count in (
        ("connections", map(line.connection, found.entries(limit)), found.count),
        (
            "expectations",
            (line.expectation(expectations.decode(one)) for one in found.expectations[:limit]),
            len(found.expectations),
        ),
    ):
        if count:
            before = [*lines, *(["and %d more" % (count - limit)] if limit < count else [])]
            text = "".join(one + "\n" for one in before)
            shown.append({"before_header": header, "after_header": header, "before": text, "after": ""})
    return shown


def offloaded(found: Found) -> Problem | None:
    """What to say of connections that cannot be killed; None where there are none."""
    count = found.offloaded
    if not count:
        return None
    one = count == 1
    return Problem(
        "%s, since %s"
        % (
            "a connection was not killed" if one else "%d connections were not killed" % count,
            OFFLOADED if one else OFFLOADED.replace("its", "their"),
        ),
        cure="take the rule with flow add away, or the flowtable; once they are idle, try again",
    )


def utc(seconds: float) -> str:
    """A time (time.time()) as RFC 3339 has it, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
