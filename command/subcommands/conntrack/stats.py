# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack stats``: how full the table is, and what each processor counted."""

from __future__ import annotations

import sys
from typing import Any

import click

from ... import options
from ...session import EXIT_DONE, Session, coloured, on_terminal

_COLOURS = {"ok": "green", "filling": "yellow", "full": "red"}


@click.command("stats", short_help="Show how full the table is, and what was counted.")
@options.netns
@options.as_json
@click.pass_obj
def command(session: Session, netns: str | None) -> int:
    """Show how full the table of connections is, whether that is well, and what each processor counted.

    The verdict is ok, filling (from 80 per cent on) or full (from 95 per cent on, or where connections
    are refused), with the reasons for it.
    """
    session.empty = {"table": None, "saturation": None}
    from rempart.conntrack import statistics

    figures = statistics.figures(netns)
    verdict = statistics.saturation(figures)
    if session.as_json:
        session.write_json({"table": figures, "saturation": verdict, "errors": []})
        return EXIT_DONE
    word = verdict["verdict"]
    painted = click.style(word, fg=_COLOURS[word], bold=True) if coloured(sys.stdout) else word
    session.write_raw("%s: %s\n" % (painted, _use(figures)))
    for reason in verdict["reasons"]:
        session.write("  %s: %s\n" % (reason["verdict"], reason["message"]))
    for key in ("per_cpu", "expect_per_cpu"):
        _write_counters(session, figures[key])
    return EXIT_DONE


def _use(figures: dict[str, Any]) -> str:
    most = "of %d (%s per cent)" % (figures["max"], figures["use"]) if figures["max"] else "without a limit"
    return "%d connection%s %s in %d buckets, %d of %d expectations" % (
        figures["entries"],
        "" if figures["entries"] == 1 else "s",
        most,
        figures["buckets"],
        figures["expectations"],
        figures["expect_max"],
    )


def _write_counters(session: Session, processors: list[dict[str, int]]) -> None:
    if not processors:
        return
    words = list(processors[0])
    if not on_terminal(sys.stdout):
        # as conntrack -S has them
        for one in processors:
            session.write(
                "cpu=%-4d\t%s\n" % (one["cpu"], " ".join("%s=%d" % (word, one[word]) for word in words[1:]))
            )
        return
    from ...connection_output import new_table, write_table

    drawn = new_table(*(">" + word for word in words))
    for one in processors:
        drawn.add_row(*(str(one[word]) for word in words))
    write_table(session, drawn)
