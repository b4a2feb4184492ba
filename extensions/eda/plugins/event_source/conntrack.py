# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The event source ``rempart.netfilter.conntrack``: connections, and how full their table is.

ansible-rulebook runs this file by its path, and knows nothing of Ansible's way to import from
collections. So the engine is imported here from the collection that this file is in: the two are
always of one version, wherever the collection is installed.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
---
module: conntrack
author:
  - The rempart authors (@rempart)
short_description: Connections as they begin, change and end, and a table of them that fills up
version_added: 0.1.0
description:
  - Tells of tracked connections of the host that C(ansible-rulebook) runs on, as the kernel tells of them
    over netlink. It needs no log, no polling and no rule in the firewall.
  - Tells when use of the table of connections crosses a threshold.
  - Every event has C(kind). V(new), V(update) and V(destroy) are of a connection, which is in C(connection)
    as M(rempart.netfilter.conntrack_info) returns it. V(saturation) and V(lost) are described below.
  - The kernel keeps what was not taken yet, as far as it fits into O(buffer). Where rules take longer than
    connections come, it throws away what is more, which costs next to nothing. Then there is an event
    V(lost) with C(events), how many these were, and C(total), how many since the beginning.
  - Every event has C(host), the host's name, and C(netns) where O(netns) is given.
options:
  events:
    description:
      - Which events of connections are told, V(new), V(update) and V(destroy).
      - With an empty list none, for O(saturation) alone.
    type: list
    elements: str
    default: [new, update, destroy]
  filter:
    description:
      - Which connections are told of, as a mapping of the options by which
        M(rempart.netfilter.conntrack_info) finds connections, such as C(protocol), C(saddr) and C(dport).
      - An event says less than a listing. V(destroy) has no timeout and V(update) a state only if it
        changed. What it does not say is none that was asked for.
    type: dict
    default: {}
  saturation:
    description:
      - Tell when use of the table crosses a threshold, by an event V(saturation). It has C(crossed), V(up) or
        V(down), C(use) in per cent, C(entries), C(max), C(verdict) and C(reasons).
      - A table that is above the threshold at the start is told of at once.
    type: dict
    suboptions:
      threshold:
        description: Per cent of nf_conntrack_max from which the table counts as filling.
        type: float
        default: 80
      clear:
        description:
          - Per cent below which it counts as that no more, so that use that wavers is not told each time.
          - Nine tenths of O(saturation.threshold) if not given.
        type: float
      interval:
        description: Seconds from one look to the next. A look takes no longer in a full table.
        type: float
        default: 5
  buffer:
    description: Bytes of room in the kernel for events that wait.
    type: int
    default: 2097152
  netns:
    description: The network namespace to listen in, by name or path. By default that of C(ansible-rulebook).
    type: str
requirements:
  - Linux with nf_conntrack and ctnetlink, the sysctl C(net.netfilter.nf_conntrack_events) not 0
  - root, or the capability CAP_NET_ADMIN
notes:
  - The kernel tracks connections as long as some rule looks at them, such as one with C(ct state), or
    translates addresses. Without one there are no connections to tell of.
seealso:
  - module: rempart.netfilter.conntrack_info
    description: The keys of O(filter), and what a connection looks like.
"""

EXAMPLES = r"""
- name: Watch who connects to SSH
  hosts: all
  sources:
    - rempart.netfilter.conntrack:
        events: [new]
        filter:
          protocol: tcp
          dport: ssh
          saddr: "!192.0.2.0/24"
  rules:
    - name: Say so
      condition: event.kind == "new"
      action:
        debug:
          msg: "{{ event.connection.original.saddr }} connects"

- name: Watch the table, and nothing else
  hosts: all
  sources:
    - rempart.netfilter.conntrack:
        events: []
        saturation:
          threshold: 70
          interval: 10
  rules:
    - name: It fills up
      condition: event.kind == "saturation" and event.crossed == "up"
      action:
        debug:
          msg: "{{ event.use }} per cent of the table are in use"
"""

_ENGINE = "rempart_netfilter_engine"  # a name of its own, for a package that is on no path
_DIRECTORY = Path(__file__).resolve().parents[4] / "plugins" / "module_utils"

_TOGETHER = 64  # events read before other tasks get their turn


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Put into the queue what is to be told, until this task is cancelled.

    Events wait in the kernel while the queue is full. Raises the engine's errors, whose texts say
    what is wrong with ``args`` and what cures it.
    """
    arguments = {key: value for key, value in args.items() if key != "eda_feedback_queue"}
    watch = _engine("conntrack.watching").Watch(arguments)
    tasks = []
    if watch.kinds:
        tasks.append(asyncio.ensure_future(_tell_connections(queue, watch)))
    if watch.level is not None:
        tasks.append(asyncio.ensure_future(_tell_saturation(queue, watch)))
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell_connections(queue: asyncio.Queue[Any], watch: Any) -> None:
    told = 0
    with watch.listen() as events:
        while True:
            await _readable(events.fileno())
            found = events.ready(_TOGETHER)
            dropped = events.dropped
            if dropped != told:
                await queue.put(watch.lost(dropped - told, dropped))
                told = dropped
            for kind, body in found:
                await queue.put(watch.connection(kind, body))


async def _tell_saturation(queue: asyncio.Queue[Any], watch: Any) -> None:
    while True:
        found = watch.look()
        if found is not None:
            await queue.put(found)
        await asyncio.sleep(watch.interval)


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read, for one round of the loop at least.

    While the queue is waited for, nobody looks at the descriptor.
    """
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def _engine(name: str) -> Any:
    """A file of the engine, imported from the collection that this file is in."""
    if _ENGINE not in sys.modules:
        where = _DIRECTORY / "__init__.py"
        spec = importlib.util.spec_from_file_location(
            _ENGINE, where, submodule_search_locations=[str(_DIRECTORY)]
        )
        if spec is None or spec.loader is None or not where.is_file():
            raise ImportError(
                "there is no engine in %s: leave this file in its collection, and name the source "
                "rempart.netfilter.conntrack" % _DIRECTORY
            )
        package = importlib.util.module_from_spec(spec)
        sys.modules[_ENGINE] = package
        spec.loader.exec_module(package)
    return importlib.import_module("%s.%s" % (_ENGINE, name))
