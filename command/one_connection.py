# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One tracked connection, named on the command line by its addresses and ports, made, changed or deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import click

from .connection_filter import pairs_of
from .session import EXIT_DONE, Session

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from rempart.conntrack.one import Plan

Function = Callable[..., Any]

EMPTY: dict[str, Any] = {"changed": False, "action": "none", "changes": [], "connection": {}}

_DONE = {"add": "made", "change": "changed", "remove": "deleted"}


def argument(function: Function) -> Function:
    """``KEY=VALUE...``, at least one."""
    return click.argument("words", nargs=-1, required=True, metavar="KEY=VALUE...", shell_complete=_complete)(
        function
    )


def dry_run(function: Function) -> Function:
    """``--dry-run``."""
    return click.option("--dry-run", is_flag=True, help="Tell what would change, and change nothing.")(
        function
    )


def bring(
    session: Session, words: tuple[str, ...], netns: str | None, state: str, create: bool, check: bool
) -> int:
    """Bring the connection to what the words declare, and tell. Raises RempartError."""
    session.empty = dict(EMPTY)
    from rempart.conntrack import declared, one
    from rempart.killing.cut_table import refuse_deletion
    from rempart.netlink.socket import NetlinkSocket

    known = (*declared.NAMING, *declared.SETTINGS)
    wanted = declared.load(pairs_of(words, known, _check), state)
    with NetlinkSocket(netns) as kernel:
        planned = one.plan(kernel, wanted, state, create)
        found = planned.after
        if planned.action == "remove" and planned.before is not None:
            refuse_deletion(kernel, planned.before["id"])
        if planned.action and not check:
            one.carry_out(kernel, planned)
            session.stage = "done"
            found = one.find(kernel, wanted)
    if session.as_json:
        session.write_json(
            {
                "changed": bool(planned.action),
                "action": planned.action or "none",
                "changes": planned.changes(),
                "connection": found or {},
                "errors": [],
            }
        )
    else:
        session.write(_told(planned, state, check))
    return EXIT_DONE


def _told(planned: Plan, state: str, check: bool) -> str:
    from rempart.conntrack import one

    if not planned.action:
        missing = planned.before is None and state == "present"
        return "no such connection, and none was made\n" if missing else "nothing to do\n"
    text = "".join("- %s\n" % line for line in one.text(planned.before).splitlines())
    text += "".join("+ %s\n" % line for line in one.text(planned.after).splitlines())
    words = "would be %s" % _DONE[planned.action] if check else _DONE[planned.action]
    if planned.changed:
        words += ": " + ", ".join(planned.changed)
    return "%s1 connection %s\n" % (text, words)


def _check(options: dict[str, Any]) -> None:
    from rempart.conntrack.declared import Declared

    Declared(options)


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem
    from rempart.conntrack.declared import NAMING, SETTINGS

    return [CompletionItem(key + "=") for key in (*NAMING, *SETTINGS) if key.startswith(incomplete)]
