# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event source, run as ansible-rulebook runs it: by its path, in an event loop, into a queue."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from rempart.conntrack.events import Events
from rempart.conntrack.filters import Filter

from tests.support.connections import generated, inject, packed, tcp, udp
from tests.support.namespaces import Namespace, veth
from tests.support.rulebooks import listeners
from tests.support.traffic import echo_server, tcp_connect, udp_send

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "extensions/eda/plugins/event_source/conntrack.py"
TRACKED = "table inet t { chain c { type filter hook input priority 0; ct state established accept; }; }"
SMALL = 64 * 1024  # bytes of buffer, the least


class Running:
    """The source at work, and what it has put into its queue."""

    def __init__(self, arguments: dict[str, Any], room: int) -> None:
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(room)
        main = runpy.run_path(str(SOURCE))["main"]
        self.task = asyncio.ensure_future(main(self.queue, arguments))

    async def next(self) -> dict[str, Any]:
        """What it tells next; its error, if it has ended."""
        getting = asyncio.ensure_future(self.queue.get())
        done, _ = await asyncio.wait({getting, self.task}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if self.task in done:
            getting.cancel()
            self.task.result()
        assert getting in done, "nothing is told"
        return getting.result()

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """All that it tells up to what is wanted."""
        found = [await self.next()]
        while not wanted(found[-1]):
            found.append(await self.next())
        return found

    async def listening(self, netns: Namespace) -> None:
        """Wait until it listens."""
        while not listeners(netns):
            assert not self.task.done(), self.task.result()
            await asyncio.sleep(0.005)


def run(scenario: Callable[[Running], Awaitable[T]], netns: Namespace, room: int = 1, **arguments: Any) -> T:
    """Play a scenario with the source of these arguments, which is cancelled at its end."""

    async def play() -> T:
        running = Running({"netns": netns.name, **arguments}, room)
        try:
            if arguments.get("events") != []:
                await running.listening(netns)
            return await asyncio.wait_for(scenario(running), 60)
        finally:
            running.task.cancel()
            await asyncio.wait({running.task})

    descriptors = len(os.listdir("/proc/self/fd"))
    result = asyncio.run(play())
    assert listeners(netns) == 0
    assert len(os.listdir("/proc/self/fd")) == descriptors
    return result


def test_real_connections_are_told_by_filter(make_netns: Callable[[], Namespace]) -> None:
    server, client = make_netns().up(), make_netns().up()
    veth(server, client, ["10.0.0.1/24", "fd00::1/64"], ["10.0.0.2/24", "10.0.0.3/24", "fd00::2/64"])
    server.nft(TRACKED)
    with echo_server(server) as echo, echo_server(server, "::") as echo6:

        def traffic() -> None:
            udp_send(client, "10.0.0.1", echo.port, source=("10.0.0.2", 4000))
            tcp_connect(client, "10.0.0.1", echo.port, source=("10.0.0.3", 4001))
            tcp_connect(client, "10.0.0.1", echo.port, source=("10.0.0.2", 4002))
            tcp_connect(client, "fd00::1", echo6.port, source=("fd00::2", 4003))

        async def scenario(running: Running) -> list[dict[str, Any]]:
            await asyncio.get_running_loop().run_in_executor(None, traffic)
            return await running.until(lambda one: one["connection"]["original"]["sport"] == 4003)

        found = run(scenario, server, events=["new"], filter={"protocol": "tcp", "saddr": "!10.0.0.3"})
    assert [one["kind"] for one in found] == ["new", "new"]
    first, second = (one["connection"] for one in found)
    name = {"saddr": "10.0.0.2", "daddr": "10.0.0.1", "sport": 4002, "dport": echo.port}
    assert {**first["original"], **name} == first["original"]
    assert (first["protocol"], first["state"], first["unreplied"]) == ("tcp", "SYN_SENT", True)
    assert (second["family"], second["original"]["saddr"]) == ("ip6", "fd00::2")
    assert {one["host"] for one in found} == {socket.gethostname()}
    assert {one["netns"] for one in found} == {server.name}
    json.dumps(found)


def test_each_kind_of_event(netns: Namespace) -> None:
    async def scenario(running: Running) -> list[str]:
        inject(netns, [tcp(mark=1)])
        netns.run("conntrack", "-U", "-s", "10.0.0.1", "--mark", "2")
        netns.run("conntrack", "-D", "-s", "10.0.0.1")
        found = await running.until(lambda one: one["kind"] == "destroy")
        return ["%s %d" % (one["kind"], one["connection"]["mark"]) for one in found]

    assert run(scenario, netns, eda_feedback_queue=None) == ["new 1", "update 2", "destroy 2"]
    assert run(scenario, netns, events="update, destroy") == ["update 2", "destroy 2"]


def test_what_has_no_room_is_counted_to_the_last_event(netns: Namespace) -> None:
    """As long as nobody takes what is told, events wait in the kernel, and then they are lost."""
    many = 5000

    async def scenario(running: Running) -> tuple[int, int, int]:
        inject(netns, packed(many))
        told = lost = total = 0
        while told + lost < many:
            one = await running.next()
            if one["kind"] == "lost":
                lost += one["events"]
                total = one["total"]
            else:
                told += 1
        # After that it goes on, and nothing more is lost.
        inject(netns, [udp()])
        (one,) = await running.until(lambda one: True)
        assert one["connection"]["protocol"] == "udp"
        return told, lost, total

    told, lost, total = run(scenario, netns, buffer=SMALL, events=["new"])
    assert told + lost == many
    assert total == lost > 0 < told


def test_it_rests_while_nobody_takes_what_it_tells(netns: Namespace) -> None:
    """A socket that is full must not wake a loop that has nowhere to put what is in it."""
    woken = 0

    async def scenario(running: Running) -> int:
        loop: Any = asyncio.get_running_loop()
        add_reader = loop.add_reader

        def counted(descriptor: int, callback: Callable[[], None]) -> None:
            def called() -> None:
                nonlocal woken
                woken += 1
                callback()

            add_reader(descriptor, called)

        loop.add_reader = counted
        inject(netns, packed(500))
        for _ in range(1000):
            await asyncio.sleep(0)
        told = [await running.next() for _ in range(500)]
        return len(told)

    assert run(scenario, netns) == 500
    assert woken <= 500 // 64 + 2


def test_with_room_nothing_is_lost(netns: Namespace) -> None:
    async def scenario(running: Running) -> set[str]:
        inject(netns, packed(2000))
        found = [await running.next() for _ in range(2000)]
        assert len({one["connection"]["id"] for one in found}) == 2000
        return {one["kind"] for one in found}

    assert run(scenario, netns) == {"new"}


def test_a_flood_that_is_not_wanted_lets_other_tasks_work(netns: Namespace) -> None:
    """The queue has no bound and nothing is put into it: all that waits is the source itself."""

    async def scenario(running: Running) -> int:
        inject(netns, packed(3000))
        turns = 0
        inject(netns, [udp()])
        while running.queue.empty():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert run(scenario, netns, room=0, filter={"protocol": "udp"}) > 3000 // 64


def test_events_are_read_without_waiting(netns: Namespace) -> None:
    with Events(Filter({"protocol": "udp"}), ["new"], netns.name) as events:
        assert events.ready(10) == []
        inject(netns, [*generated(20), udp()])
        assert [events.ready(10), events.ready(10)] == [[], []]
        ((kind, _body),) = events.ready(10)
        assert (kind, events.ready(10), events.dropped) == ("new", [], 0)


def test_saturation_is_told_when_the_threshold_is_crossed(netns: Namespace) -> None:
    most = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())

    async def scenario(running: Running) -> list[dict[str, Any]]:
        inject(netns, generated(60))
        told = [await running.next()]
        netns.run("conntrack", "-D", "-s", "10.0.0.0/29")  # 52 are left, between the two thresholds
        await asyncio.sleep(0.3)
        inject(netns, generated(60, zone=1))
        await asyncio.sleep(0.3)
        assert running.queue.empty()
        netns.run("conntrack", "-F")
        told.append(await running.next())
        inject(netns, generated(55))
        told.append(await running.next())
        return told

    threshold = {"threshold": 54 * 100 / most, "clear": 50 * 100 / most, "interval": 0.1}
    told = run(scenario, netns, events=[], saturation=threshold)
    assert [(one["kind"], one["crossed"]) for one in told] == [
        ("saturation", "up"),
        ("saturation", "down"),
        ("saturation", "up"),
    ]
    assert [one["entries"] for one in told] == [60, 0, 55]
    assert told[0]["max"] == most and told[0]["verdict"] == "ok"
    assert told[0]["use"] == round(6000 / most, 4)


def test_a_table_above_the_threshold_is_told_at_once_and_beside_events(netns: Namespace) -> None:
    inject(netns, generated(20))
    most = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())

    async def scenario(running: Running) -> set[str]:
        found = [await running.next()]
        inject(netns, [udp()])
        found.append(await running.next())
        return {one["kind"] for one in found}

    assert run(scenario, netns, events=["new"], saturation={"threshold": 1000 / most}) == {
        "saturation",
        "new",
    }


def test_what_is_wrong_ends_it_with_a_sentence(netns: Namespace) -> None:
    async def failing(**arguments: Any) -> str:
        running = Running(arguments, 1)
        with pytest.raises(Exception) as caught:
            await asyncio.wait_for(running.task, 10)
        assert type(caught.value).__name__ in ("DocumentError", "HostError")
        return str(caught.value)

    assert "did you mean 'protocol'?" in asyncio.run(failing(filter={"protcol": "tcp"}))
    assert "nothing to watch" in asyncio.run(failing(events=[]))
    assert "no such network namespace" in asyncio.run(failing(netns="rempart-absent"))


def test_where_one_half_fails_the_other_ends(make_netns: Callable[[], Namespace]) -> None:
    """The namespace's name goes while it is watched: the next look at its table finds no such thing."""
    netns = make_netns()
    descriptors = len(os.listdir("/proc/self/fd"))

    async def play() -> str:
        running = Running({"netns": netns.name, "saturation": {"interval": 0.1}}, 1)
        await running.listening(netns)
        netns.close()
        with pytest.raises(Exception, match="no such network namespace") as caught:
            await asyncio.wait_for(running.task, 10)
        return str(caught.value)

    assert netns.name in asyncio.run(play())
    assert len(os.listdir("/proc/self/fd")) == descriptors


@pytest.mark.parametrize(
    ("collection", "said"),
    [(True, "nothing to watch"), (False, "name the source rempart.netfilter.conntrack")],
    ids=["in its collection", "alone"],
)
def test_it_needs_its_collection_and_nothing_else(tmp_path: Path, collection: bool, said: str) -> None:
    """Under a Python that has nothing installed, from a path of which nobody told it."""
    place = tmp_path / "ansible_collections/rempart/netfilter"
    source = place / SOURCE.relative_to(ROOT)
    source.parent.mkdir(parents=True)
    shutil.copy(SOURCE, source)
    if collection:
        shutil.copytree(ROOT / "plugins/module_utils", place / "plugins/module_utils")
    script = (
        "import asyncio, runpy, sys\n"
        "try:\n"
        "    asyncio.run(runpy.run_path(sys.argv[1])['main'](asyncio.Queue(), {'events': []}))\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script, str(source)], capture_output=True, text=True, timeout=60
    )
    assert said in done.stdout, done.stdout + done.stderr
