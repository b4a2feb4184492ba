# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack``: the connections that the kernel tracks."""

from __future__ import annotations

import click

from ...groups import Subcommands

NAMES = ("list", "count", "stats", "expect", "watch", "top", "set", "delete", "export", "munin")


@click.group(
    "conntrack",
    cls=Subcommands,
    package=__name__,
    names=NAMES,
    short_help="Show tracked connections; change one.",
    epilog="A FILTER is a key and a value, such as saddr=10.0.0.0/8 dport=22,80 'state!=ESTABLISHED'. All "
    "that are given must hold. Keys are those of the module conntrack_info.",
)
def command() -> None:
    """Show the connections that the kernel tracks, IPv4 and IPv6, and how full their table is; change one."""
