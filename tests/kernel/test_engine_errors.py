# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong is told all at once, and what the process may not do by its cure."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Any

import pytest
from rempart.errors import DocumentError, KernelError
from rempart.netlink.namespace import Entered
from rempart.ruleset.reconcile import Source, check_only, reconcile

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, generation, raw

CLONE_NEWUSER = 0x10000000  # linux/sched.h


def chain(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"tables": [{"name": "t", "chains": [{"name": "c", "rules": list(rules), **more}]}]}


HELD = chain({"mark": [1, 2], "counter": True, "verdict": "accept"})


def test_every_rule_that_is_wrong_is_named_at_once(netns: Namespace) -> None:
    apply(HELD, netns)
    before = generation(netns), raw(netns)
    match = {"op": "==", "left": {"meta": {"key": "mark"}}, "right": {}}
    rules: list[dict[str, Any]] = [
        {"saddr": "10.0.0.256"},
        {"counter": True},
        {"protocol": "tcp", "dport": 70000},
        {"expr": [{"counter": None}, {"match": match}]},
        {"dprot": 5, "counter": True},
    ]
    with pytest.raises(DocumentError) as caught:
        apply(chain(*rules), netns)
    places = [one.place for one in caught.value.problems]
    start = "tables[0].chains[0].rules"
    ends = ("[0].saddr", "[2].dport", "[3].expr[1].match.right", "[4].dprot")
    assert sorted(places) == [start + end for end in ends]
    assert (generation(netns), raw(netns)) == before


def test_every_rule_that_the_kernel_refuses_is_named(netns: Namespace) -> None:
    apply(HELD, netns)
    before = generation(netns), raw(netns)
    # nft_limit_init(): the rate times its period does not fit into 64 bits
    wrong = {"limit": "3000 mbytes/week", "verdict": "drop"}
    with pytest.raises(KernelError) as caught:
        apply(chain({"counter": True}, wrong, {"verdict": "accept"}, {"saddr": "192.0.2.1", **wrong}), netns)
    start = "tables[0].chains[0].rules"
    assert [(one.place, one.found) for one in caught.value.problems] == [
        (start + "[1]", "limit rate 3000 mbytes/week drop"),
        (start + "[3]", "ip saddr 192.0.2.1 limit rate 3000 mbytes/week drop"),
    ]
    assert all(os.strerror(75) in one.message for one in caught.value.problems)  # EOVERFLOW
    assert (generation(netns), raw(netns)) == before


def test_check_only_needs_no_kernel() -> None:
    assert [one.name for one in check_only(HELD)] == ["t"]
    with pytest.raises(DocumentError) as caught:
        check_only(chain({"saddr": "10.0.0.256"}, {"protocol": "tcp", "dport": "nosuchservice"}))
    assert len(caught.value.problems) == 2


def test_check_only_leaves_the_names_in_sets_to_the_host() -> None:
    """Two unknown names are two elements."""
    sets = [
        {"name": "u", "type": "uid", "flags": ["interval"], "elements": ["nobody-here", "nor-her"]},
        {"name": "g", "type": "ipv4_addr . gid", "elements": ["10.0.0.1 . nobody-here"]},
    ]
    verdicts = {"not-here": "accept", "nor-there": "drop"}
    maps = [
        {"name": "m", "type": "iface_index", "map": "verdict", "elements": verdicts},
        {"name": "i", "type": "devgroup", "map": "mark", "flags": ["interval"], "elements": {"a": 1, "b": 2}},
    ]
    check_only({"tables": [{"name": "t", "sets": sets, "maps": maps}]})


def test_root_of_a_user_namespace_is_not_root_here(netns: Namespace) -> None:
    """It has every capability, but none over this network namespace."""
    apply(HELD, netns)
    before = generation(netns), raw(netns)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            signal.alarm(30)
            Entered(netns.name).__enter__()  # and there to stay
            if ctypes.CDLL(None).unshare(CLONE_NEWUSER):
                os.write(writer, b"unshare failed")
            try:
                reconcile(Source.of_mapping(chain({"counter": True})))
            except BaseException as error:
                os.write(writer, ("%s: %s" % (type(error).__name__, error)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    assert os.waitpid(child, 0)[1] == 0
    assert text.startswith("HostError: not allowed to speak to netfilter; run as root")
    assert (generation(netns), raw(netns)) == before
