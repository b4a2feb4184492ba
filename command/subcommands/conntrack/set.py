# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack set``: one connection made or changed."""

from __future__ import annotations

import click

from ... import one_connection, options
from ...session import Session


@click.command("set", short_help="Make or change one connection.")
@one_connection.argument
@click.option("--no-create", is_flag=True, help="Where there is no such connection, make none.")
@one_connection.dry_run
@options.netns
@options.as_json
@click.pass_obj
def command(
    session: Session, words: tuple[str, ...], no_create: bool, dry_run: bool, netns: str | None
) -> int:
    """Have one connection there, with what is said of it: mark, timeout, labels, status, helper.

    It is named by protocol, saddr, daddr, sport and dport (icmp_type, icmp_code and icmp_id,
    or srckey and dstkey) of its first packet, and by its zone if it has one. What is not
    said of it stays as it is. The keys are those of the module conntrack_entry:

    \b
      protocol=tcp saddr=192.0.2.7 sport=40522 daddr=198.51.100.1 dport=443 mark=0x10/0xf0
      timeout=1d status=assured,fixed_timeout labels=5,!6 helper=
    """
    return one_connection.bring(session, words, netns, "present", not no_create, dry_run)
