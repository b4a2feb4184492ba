# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack set`` and ``delete``: one connection, as a person changes it."""

from __future__ import annotations

import pytest
from rempart.killing.cut_table import CutTable
from rempart.netlink.socket import NetlinkSocket

from tests.support.command import rempart, rempart_json
from tests.support.connections import inject, listed, tcp
from tests.support.conntrack_tool import listing
from tests.support.namespaces import Namespace

NAME = ("protocol=tcp", "saddr=10.0.0.1", "sport=1024", "daddr=10.9.0.1", "dport=https")


def test_one_is_made_changed_and_deleted(netns: Namespace) -> None:
    where = ("--netns", netns.name)
    done = rempart("conntrack", "set", *NAME, "mark=5", "--no-create", *where)
    assert (done.returncode, done.stdout) == (0, "no such connection, and none was made\n")
    done = rempart("conntrack", "set", *NAME, "mark=5", "timeout=10m", "--dry-run", *where)
    assert done.stdout.endswith("\n1 connection would be made\n") and listed(netns) == []
    done = rempart("conntrack", "set", *NAME, "mark=5", "timeout=10m", *where)
    assert done.stdout.endswith("\n1 connection made\n")
    (line,) = listing(netns, "-p", "tcp", "--mark", "5")
    assert "dport=443" in line
    inject(netns, [tcp(sport=2000)])

    code, told = rempart_json("conntrack", "set", *NAME, "mark=0x30/0xf0", "status=assured", *where)
    assert (code, told["changed"], told["action"]) == (0, True, "change")
    assert {one["name"]: (one["before"], one["after"]) for one in told["changes"]}["mark"] == (5, 0x35)
    assert told["connection"]["mark"] == 0x35 and told["connection"]["assured"]
    code, told = rempart_json("conntrack", "set", *NAME, "mark=0x30/0xf0", "status=assured", *where)
    assert (code, told["changed"], told["action"], told["changes"]) == (0, False, "none", [])
    done = rempart("conntrack", "set", *NAME, "timeout=2h", *where)
    assert done.stdout.startswith("- tcp ") and done.stdout.endswith("\n1 connection changed: timeout\n")
    assert "\n+ tcp      6 7200 ESTABLISHED " in done.stdout

    done = rempart("conntrack", "delete", *NAME, *where)
    assert done.stdout.endswith("\n1 connection deleted\n")
    done = rempart("conntrack", "delete", *NAME, *where)
    assert (done.returncode, done.stdout) == (0, "nothing to do\n")
    (left,) = listed(netns)
    assert left["original"]["sport"] == 2000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set",), ("Missing argument",)),
        (("set", "mark"), ("no key and value; found 'mark'", "say what it shall be: mark=...", "protocol")),
        (("set", *NAME, "makr=5"), ("makr: unknown key; found '5'", "did you mean 'mark'?")),
        (("set", *NAME, "mark=-1"), ("mark: no mark; found '-1'",)),
        (("set", *NAME, "dport=80"), ("dport: ",)),
        (("delete", *NAME, "mark=5"), ("mark: nothing is set of a connection that shall go",)),
    ],
)
def test_mistakes_change_nothing(
    netns: Namespace, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    inject(netns, [tcp()])
    before = listed(netns)
    done = rempart("conntrack", *arguments, "--netns", netns.name)
    assert done.returncode in (1, 2) and done.stdout == ""
    assert all(one in done.stderr for one in words), done.stderr
    assert [one["mark"] for one in listed(netns)] == [one["mark"] for one in before]


def test_what_a_cut_blocks_is_not_deleted(netns: Namespace) -> None:
    inject(netns, [tcp()])
    (entry,) = listed(netns)
    with NetlinkSocket(netns.name) as kernel:
        table = CutTable(kernel)
        table.hold([entry["id"].to_bytes(4, "big")], 60_000)
        code, told = rempart_json("conntrack", "delete", *NAME, "--netns", netns.name)
        assert code == 1 and "a cut blocks this connection for " in told["errors"][0]["message"]
        assert len(listed(netns)) == 1
        table.release(table.held())
        assert table.remove_if_idle()
    assert rempart("conntrack", "delete", *NAME, "--netns", netns.name).returncode == 0
    assert listed(netns) == []
