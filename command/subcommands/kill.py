# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart kill``: connections that are ended, by a filter."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from .. import connection_filter, options
from ..connection_output import count_text
from ..session import EXIT_DONE, EXIT_ERROR, Session, complain, visible

if TYPE_CHECKING:
    from rempart.killing.kill import Found, Killed
    from rempart.killing.wanted import Wanted

_SHOWN = 20  # connections that are shown before the question
_LISTED = 1000  # connections in the summary

_NAMES = {
    "how": "--how",
    "block_for": "--block-for",
    "max_kills": "--max",
    "everything": "--everything",
    "expectations": "--expectations",
    "only_expectations": "--only-expectations",
    "filter": "KEY=VALUE of the filter, or --everything",
}
"""What errors call the options."""

EMPTY: dict[str, Any] = {
    "changed": False,
    "count": 0,
    "killed": [],
    "deleted": 0,
    "reset": 0,
    "blocked": 0,
}


@click.command("kill", short_help="End connections, so that they stay dead.")
@connection_filter.argument
@click.option(
    "--how",
    type=click.Choice(("cut", "forget")),
    default="cut",
    show_default=True,
    help="cut ends them at both ends; forget only deletes their entries, as conntrack -D does.",
)
@click.option(
    "--block-for",
    metavar="TIME",
    default="30s",
    show_default=True,
    help="How long packets are refused of what cannot be told to be over, such as UDP.",
)
@click.option(
    "--max",
    "max_kills",
    type=click.IntRange(1),
    metavar="N",
    help="Kill none if it is more than that.  [default: 1000, with --everything none]",
)
@click.option("--everything", is_flag=True, help="Kill every connection; goes with no filter.")
@click.option("--expectations", is_flag=True, help="Delete expected connections too.")
@click.option(
    "--only-expectations",
    is_flag=True,
    help="Delete expected connections and kill none; with --everything, all of them.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be killed, and kill nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask. Without a terminal, this must be said.")
@options.netns
@options.as_json
@click.pass_obj
def command(
    session: Session,
    filters: tuple[str, ...],
    how: str,
    block_for: str,
    max_kills: int | None,
    everything: bool,
    expectations: bool,
    only_expectations: bool,
    dry_run: bool,
    yes: bool,
    netns: str | None,
) -> int:
    """End the connections that all KEY=VALUE mean, so that they stay dead.

    TCP connections are reset at both ends, sockets of this host are closed, and packets
    of all others are refused for a while. Keys are those of the connection filter:
    saddr=198.51.100.7, daddr=10.0.0.0/8,192.0.2.1, dport=!22, protocol=tcp,
    state=ESTABLISHED, and so on; a name without a value shows them all.

    What is going to be killed is shown first, and killed after a yes: exactly that, by
    the kernel's own numbers, nothing that came later. The connection by which you are
    here is spared, and so is what an earlier cut still blocks. The summary that is
    written then is for the log of the incident. Exit code 0: killed, or nothing to kill.
    """
    session.empty = dict(EMPTY)
    from rempart.errors import HostError
    from rempart.killing import keeper, kill, report
    from rempart.killing.wanted import Wanted
    from rempart.netlink.socket import NetlinkSocket

    wanted = Wanted(
        connection_filter.arguments_of(filters),
        everything=everything,
        how=how,
        block_for=block_for,
        max_kills=max_kills,
        expectations=expectations,
        only_expectations=only_expectations,
        names=_NAMES,
    )
    with NetlinkSocket(netns) as kernel:
        found = kill.find(kernel, netns, wanted)
        killed = None
        if found.any and not dry_run:
            if not (yes or _confirmed(found, wanted)):
                complain("nothing was killed")
                return EXIT_ERROR
            try:
                killed = kill.kill(kernel, netns, wanted, found)
            except KeyboardInterrupt:
                raise HostError(
                    "interrupted while connections were being killed: some are, others go on",
                    cure="see which are left with --dry-run",
                ) from None
            if killed.blocked:
                keeper.leave(kernel)
    problem = report.offloaded(found)
    if session.as_json:
        told = report.result(found, killed, _LISTED)
        told["errors"] = [problem.as_dict()] if problem is not None else []
        session.write_json(
            {"time": report.utc(time.time()), "host": _host(netns), "filter": wanted.describe(), **told}
        )
    else:
        session.write("".join(one + "\n" for one in _summary(found, killed, wanted, netns)))
    if problem is not None:
        complain(problem)
        return EXIT_ERROR
    return EXIT_DONE


def _confirmed(found: Found, wanted: Wanted) -> bool:
    """Show what is going to be killed and ask. Raises DocumentError where there is nobody to ask."""
    from rempart.errors import DocumentError

    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()):
        raise DocumentError(
            "%s would be killed, and there is no terminal to ask at" % _counted(found),
            found=wanted.describe(),
            cure="look with --dry-run, then say --yes",
        )
    for text in _lines(found, _SHOWN):
        click.echo(visible(text), err=True)
    word = "Delete" if wanted.only_expectations else wanted.how.capitalize()
    question = "%s %s (%s)" % (word, _counted(found), visible(wanted.describe()))
    return click.confirm(question, err=True)


def _counted(found: Found) -> str:
    """How many connections, and how many expected ones."""
    expected = count_text(len(found.expectations)).replace(" ", " expected ")
    if not found.count and found.expectations:
        return expected
    return count_text(found.count) + (" and %s" % expected if found.expectations else "")


def _lines(found: Found, limit: int, outcomes: list[str] | None = None) -> list[str]:
    """The first connections, as conntrack -L shows them, what became of each before it, and expected ones."""
    from rempart.conntrack import expectations, line

    lines = []
    for index, entry in enumerate(found.entries(limit)):
        text = " ".join(line.connection(entry).split())
        lines.append("%-12s %s" % (outcomes[index], text) if outcomes else text)
    if len(lines) < found.count:
        lines.append("and %s more" % format(found.count - len(lines), ","))
    for body in found.expectations[:limit]:
        lines.append("expected: " + " ".join(line.expectation(expectations.decode(body)).split()))
    if len(found.expectations) > limit:
        lines.append("and %s more expected" % format(len(found.expectations) - limit, ","))
    return lines


def _summary(found: Found, killed: Killed | None, wanted: Wanted, netns: str | None) -> list[str]:
    """What happened, for the log of an incident."""
    from rempart.killing import report

    word = "delete" if wanted.only_expectations else wanted.how
    lines = ["%s %s: %s %s" % (report.utc(time.time()), _host(netns), word, wanted.describe())]
    if killed is None:
        lines.append("%s would be killed" % _counted(found) if found.any else "nothing to kill")
    else:
        parts = [
            "%s %s" % (format(number, ","), words)
            for number, words in (
                (killed.reset, "reset at both ends"),
                (killed.blocked, "blocked until %s" % report.utc(killed.until or 0)),
                (_only_deleted(killed, wanted), "only deleted"),
                (killed.already_gone, "already gone"),
                (killed.sockets_closed, "sockets closed"),
                (killed.expectations, "expectations deleted"),
            )
            if number > 0
        ]
        lines.append("%s: %s" % (_counted(found), ", ".join(parts or ["already gone"])))
    if found.already_cut:
        lines.append("%s cut before, and still blocked" % count_text(found.already_cut))
    if found.spared:
        lines.append("%s spared, by which this is being done" % count_text(found.spared))
    return lines + _lines(found, _LISTED, killed.outcomes if killed is not None else None)


def _only_deleted(killed: Killed, wanted: Wanted) -> int:
    return killed.deleted if wanted.how == "forget" else killed.outcomes.count("deleted")


def _host(netns: str | None) -> str:
    import socket

    name = socket.gethostname()
    return "%s, namespace %s" % (name, netns) if netns else name
