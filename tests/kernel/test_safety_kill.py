# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Killed at any moment, an apply leaves one version of the ruleset or another, and no wrong memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rempart.netlink.socket import NetlinkSocket
from rempart.nftables import uapi
from rempart.ruleset import kernel, memory, messages
from rempart.ruleset.reconcile import Progress, Source, reconcile

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content

RULES = 400
TRIES = 45
FOREIGN = ("ip", "foreign")


def version(number: int) -> dict[str, Any]:
    """A ruleset of two tables, of which every other rule, the policies and the sets differ by version."""
    rules = [
        {
            "saddr": "10.%d.%d.%d" % (number if index % 2 else 0, index >> 8, index & 255),
            "protocol": "tcp",
            "dport": 22 if index % 100 else [22, 443 + number],
            "counter": True,
            "verdict": "accept",
        }
        for index in range(RULES)
    ]
    chains: list[dict[str, Any]] = [
        {"name": "input", "hook": "input", "policy": "drop" if number % 2 else "accept", "rules": rules},
        {"name": "part%d" % number, "rules": rules[: RULES // 4]},
    ]
    elements = ["192.0.%d.%d" % (number, index) for index in range(200)]
    edge = {
        "name": "edge",
        "sets": [{"name": "blocked", "type": "ipv4_addr", "elements": elements}],
        "chains": chains,
    }
    inner = {
        "name": "inner",
        "family": "ip",
        "chains": [{"name": "output", "hook": "output", "rules": rules[number : RULES // 4]}],
    }
    return {"tables": [edge, inner]}


class Tells(Progress):
    """Writes a byte into a pipe when the transaction is about to be sent."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe

    def stage(self, name: str, total: int = 0) -> None:
        if name == "send":
            os.write(self.pipe, b"s")


@contextlib.contextmanager
def applying(
    documents: list[dict[str, Any]], netns: str, first: int, full: bool
) -> Iterator[tuple[int, int]]:
    """A child that applies one document after the other without end: its pid, and a pipe from its Tells."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            order = itertools.cycle(documents[first:] + documents[:first])
            for document in order:
                reconcile(Source.of_mapping(document), netns, full=full, progress=Tells(writing))
        finally:
            os._exit(1)
    os.close(writing)
    try:
        yield child, reading
    finally:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(reading)
        assert os.WIFSIGNALED(status), "the child ended by itself"


def wait_for_sending(pipe: int) -> None:
    ready, _, _ = select.select([pipe], [], [], 30)
    assert ready and os.read(pipe, 1) == b"s", "the child sent nothing"


def toggle(netns: Namespace) -> None:
    """Add the table of another owner, or remove it: one transaction, one generation."""
    with NetlinkSocket(netns.name) as socket:
        there = any(one.name == FOREIGN[1] for one in kernel.tables(socket))
        change = messages.delete_table if there else messages.new_table
        socket.transact([change(uapi.NFPROTO_IPV4, FOREIGN[1])])


def test_a_killed_apply_leaves_a_version_and_no_wrong_memory(netns: Namespace) -> None:
    documents = [version(number) for number in range(3)]
    wanted = []
    spent = []
    for document in documents:
        begun = time.monotonic()
        apply(document, netns)
        spent.append(time.monotonic() - begun)
        wanted.append(content(netns))
    cycle = max(spent)
    assert wanted[0] != wanted[1] != wanted[2] != wanted[0]
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    found = []
    for attempt in range(TRIES):
        with applying(documents, netns.name, chance.randrange(3), full=bool(attempt % 2)) as (_, pipe):
            if attempt % 4 < 2:
                # the transaction is the dangerous moment: aim at it
                wait_for_sending(pipe)
                time.sleep(chance.uniform(0, cycle / 8))
            else:
                time.sleep(chance.uniform(0, 2 * cycle))
        if chance.random() < 0.5:
            # a generation that a killed run reckoned with, and another program brought about
            toggle(netns)
        now = content(netns)
        now.pop(FOREIGN, None)
        assert now in wanted, "try %d of seed %d: between two versions" % (attempt, seed)
        held = wanted.index(now)
        found.append(held)
        for number in chance.sample(range(3), 3):
            told = apply(documents[number], netns, check=True)
            assert told.changed == (number != held), "try %d of seed %d: memory lies" % (attempt, seed)
        assert not apply(documents[held], netns, check=True, full=True).changed
    assert set(found) == {0, 1, 2}
    for number in (1, 2):
        apply(documents[number], netns)
        now = content(netns)
        now.pop(FOREIGN, None)
        assert now == wanted[number]
        assert not apply(documents[number], netns).compared


def test_a_memory_file_written_by_halves_is_no_memory(netns: Namespace) -> None:
    """What a run that was killed while it wrote leaves beside the file is never read, and hinders nobody."""
    document = version(1)
    apply(document, netns)
    with NetlinkSocket(netns.name) as socket:
        key = memory.key(socket)
    file = Path(memory.DIRECTORY, "%s.json" % key)
    whole = file.read_bytes()
    partial = Path("%s.%d" % (file, os.getpid()))
    for length in range(0, len(whole), max(1, len(whole) // 10)):
        file.write_bytes(whole[:length])
        partial.touch(0o600)
        partial.write_bytes(whole[length:])
        again = apply(document, netns, check=True)
        assert again.compared and not again.changed
        assert not apply(document, netns).compared
        assert not partial.exists()
