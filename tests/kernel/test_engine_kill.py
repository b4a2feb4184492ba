# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``kill -9`` at any moment of an apply leaves the old ruleset or the new one, never anything between."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content

TRIES = 60
RULES = 400


def document(mark: int) -> dict[str, Any]:
    """Two tables that say which version they are in every rule, chain and set."""
    rules: list[dict[str, Any]] = [
        {"saddr": "10.%d.%d.%d" % (mark, number >> 8, number & 255), "mark": mark, "counter": True}
        for number in range(RULES)
    ]
    rules += [{"mark": [mark, mark + 100 + number], "verdict": "drop"} for number in range(20)]
    rules.append({"jump": "v%d" % mark})
    chains = [
        {"name": "v%d" % mark, "rules": rules[:50]},
        {"name": "input", "hook": "input", "policy": "drop" if mark % 2 else "accept", "rules": rules},
    ]
    chains.reverse()
    return {
        "tables": [
            {"name": "one", "family": "ip", "chains": chains, "comment": "version %d" % mark},
            {"name": "two", "chains": [{"name": "v", "rules": rules[:100]}]},
        ]
    }


def child(document: Any, where: Namespace) -> int:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            signal.alarm(60)
            apply(document, where)
            code = 0
        finally:
            os._exit(code)
    return pid


def test_a_killed_apply_leaves_old_or_new(netns: Namespace) -> None:
    documents = [document(1), document(2)]
    wanted = []
    for one in documents:
        apply(one, netns)
        wanted.append(content(netns))
    started = time.monotonic()
    pid = child(documents[0], netns)
    assert os.waitpid(pid, 0)[1] == 0
    duration = time.monotonic() - started
    current = 0
    chance = random.Random(20)
    killed = kept = changed = 0
    for number in range(TRIES):
        target = 1 - current
        # spread over the whole run, and a little beyond its end
        moment = duration * 1.2 * (number + chance.random()) / TRIES
        pid = child(documents[target], netns)
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        killed += os.WIFSIGNALED(status)
        found = content(netns)
        assert found in wanted
        if found == wanted[target]:
            current = target
            changed += 1
        else:
            assert found == wanted[current]
            kept += 1
        if status == 0:
            assert current == target
    # the moments lay on both sides of the commit
    assert killed and kept and changed
    # what a killed run left behind is no hindrance
    assert not apply(documents[current], netns, full=True).changed
    apply(documents[1 - current], netns)
    assert content(netns) == wanted[1 - current]
