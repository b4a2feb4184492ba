# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sizes that count for all network namespaces: set in the first one, and put back at once."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rempart.tunables import describe, proc, sizes
from rempart.tunables.persist import MODULES, SYSCTL
from rempart.tunables.plan import Plan, plan
from rempart.tunables.settings import load

from tests.support import conntrack_sizes
from tests.support.command import SCRIPT, environment, rempart_json
from tests.support.connections import inject, packed
from tests.support.conntrack_sizes import sizes as numbers
from tests.support.namespaces import Namespace

#: the machine's own files for boot are out of reach, and gone at the end
OWN_FILES = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    'set -e; mount -t tmpfs none /etc; "$@"; cat /etc/*/*.conf',
    "sh",
)


@pytest.fixture
def present() -> Iterator[dict[str, int]]:
    """The sizes that there are, and are again after the test; no other process changes them meanwhile."""
    with conntrack_sizes.kept() as before:
        yield before
    assert numbers() == before


def run(**section: Any) -> Plan:
    found = plan(load({"persist": False, **section}))
    found.apply()
    return found


def test_sizes_are_set_once(present: dict[str, int]) -> None:
    more = present["nf_conntrack_max"] + 1000
    found = run(max=more, expect_max=5000)
    assert numbers() == {**present, "nf_conntrack_max": more, "nf_conntrack_expect_max": 5000}
    assert [one["name"] for one in describe.changes(found)] == ["max", "expect_max"]
    assert not run(max=more, expect_max=5000).changed


def test_buckets_that_the_kernel_rounds_up_are_no_difference(present: dict[str, int]) -> None:
    wish = present["nf_conntrack_buckets"] - 1500
    run(buckets=wish)
    made = numbers()["nf_conntrack_buckets"]
    assert wish < made == sizes.rounded(wish) < present["nf_conntrack_buckets"]
    assert not run(buckets=wish).changed


def test_auto_is_what_the_kernel_took_at_its_start(present: dict[str, int]) -> None:
    """Of the kernels that reckon so (since Linux 5.15), on a machine whose sizes nobody has set."""
    run(max=present["nf_conntrack_max"] + 1000, buckets=1024)
    run(max="auto", buckets="auto")
    assert numbers()["nf_conntrack_buckets"] == sizes.rounded(sizes.buckets_for(sizes.memory()))
    assert numbers()["nf_conntrack_max"] == numbers()["nf_conntrack_buckets"]
    assert not run(max="auto", buckets="auto").changed
    run(max=200000, buckets="auto")
    assert numbers()["nf_conntrack_buckets"] == sizes.rounded(200000)
    run(max="auto")
    assert numbers()["nf_conntrack_max"] == sizes.rounded(200000)


def test_sizes_that_do_not_belong_together_are_said(present: dict[str, int]) -> None:
    found = plan(load({"max": 4 * present["nf_conntrack_buckets"] + 1}))
    assert len(found.warnings) == 1
    assert "one bucket for each connection" in found.warnings[0]
    assert plan(load({"acct": True, "persist": False})).warnings == []
    assert numbers() == present


def test_a_max_below_the_connections_that_there_are(
    present: dict[str, int], netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number is one for all, each namespace is held to it by itself; the first one has no connections."""
    many, most = 150_100, 150_000
    assert present["nf_conntrack_max"] > many
    inject(netns, packed(many))
    read = proc.read
    count = conntrack_sizes.DIRECTORY / "nf_conntrack_count"
    monkeypatch.setattr(
        proc,
        "read",
        lambda key: int(netns.call(count.read_text)) if key == "nf_conntrack_count" else read(key),
    )
    found = run(max=most)
    assert numbers()["nf_conntrack_max"] == most
    assert found.warnings == [
        "max: there are 150100 connections, more than 150000: new ones are dropped until enough have ended"
    ]
    name = ("protocol=udp", "saddr=10.0.0.1", "daddr=10.0.0.2", "sport=1", "dport=2")
    code, told = rempart_json("conntrack", "set", *name, "--netns", netns.name)
    assert code == 1 and told["errors"][0]["cure"] == "raise nf_conntrack_max"
    netns.nft("table inet t { chain o { type filter hook output priority 0; ct state new accept; }; }")
    with netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, pytest.raises(OSError):
        sender.sendto(b"x", ("127.0.0.1", 9))
    code, told = rempart_json("conntrack", "stats", "--netns", netns.name)
    assert code == 0 and told["saturation"]["verdict"] == "full"
    run(max=present["nf_conntrack_max"])
    code, told = rempart_json("conntrack", "set", *name, "--netns", netns.name)
    assert (code, told["action"]) == (0, "add")


def test_a_document_is_in_force_and_kept(present: dict[str, int]) -> None:
    """The command on the host itself; only a size is set, the rest of the host's namespace stays as it is."""
    wanted = present["nf_conntrack_max"] + 1000
    document = json.dumps({"conntrack": {"max": wanted}})
    done = subprocess.run(
        [*OWN_FILES, str(SCRIPT), "apply", "--json", "-"],
        input=document,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    told, _, rest = done.stdout.partition("\n}\n")
    changes = json.loads(told + "}")["changes"]
    assert [one.get("name", one.get("path")) for one in changes] == ["max", "/" + SYSCTL, "/" + MODULES]
    assert numbers()["nf_conntrack_max"] == wanted
    assert "\nnet.netfilter.nf_conntrack_max = %d\n" % wanted in rest
    assert "\nnf_conntrack\n" in rest
    assert not Path("/" + SYSCTL).exists()
