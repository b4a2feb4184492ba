# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of a task to the table of timeout policies, and all that can be wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.assignments.timeouts import timeout_request
from rempart.document.objects import TIMEOUT_STATES
from rempart.errors import DocumentError, moved_problems
from rempart.ruleset.reconcile import check_only

RIGHT: dict[str, Any] = {
    "name": "patient",
    "protocol": "tcp",
    "policy": {"established": "2h"},
    "traffic": [{"dport": 22}],
}
TCP = ", ".join(TIMEOUT_STATES["tcp"])


def table(**options: Any) -> dict[str, Any]:
    request = timeout_request({**RIGHT, **options})
    assert request.problems == []
    check_only(request.document(), partial=True)
    return dict(request.document()["tables"][0])


def problems(**options: Any) -> list[tuple[str, str, str]]:
    """Place, message and cure (or else what is allowed) of everything that is wrong, as a task is told."""
    request = timeout_request({**RIGHT, **options})
    found = list(request.problems)
    try:
        check_only(request.document(), partial=True)
    except DocumentError as error:
        found += error.problems
    found = moved_problems(found, request.places)
    return [(one.place, one.message, one.cure or one.allowed) for one in found]


def test_a_policy() -> None:
    found = table(traffic=[{"daddr": "192.0.2.0/24", "dport": [22, 2222], "comment": "shells"}, {}])
    assert found["name"] == "rempart_timeouts" and found["family"] == "inet"
    assert found["ct_timeouts"] == [{"name": "patient", "protocol": "tcp", "policy": {"established": "2h"}}]
    first, *hooks = found["chains"]
    attach = {"protocol": "tcp", "set": {"ct_timeout": "patient"}}
    match = {"daddr": "192.0.2.0/24", "dport": [22, 2222], "comment": "shells"}
    assert first == {"name": "patient", "rules": [{**match, **attach}, attach]}
    assert [(one["name"], one["hook"], one["rules"]) for one in hooks] == [
        ("patient/" + hook, hook, [{"ct_state": "new", "jump": "patient"}])
        for hook in ("prerouting", "output")
    ]


@pytest.mark.parametrize(
    ("l3proto", "nfproto"), [("ip", "ipv4"), ("ip6", "ipv6"), ("inet", None), (None, None)]
)
def test_a_policy_for_one_network_protocol_is_attached_to_that(l3proto: Any, nfproto: Any) -> None:
    (rule,) = table(l3proto=l3proto)["chains"][0]["rules"]
    assert rule.get("nfproto") == nfproto


@pytest.mark.parametrize("protocol", ["udp", "UDP", 17, "17"])
def test_protocols_in_any_form(protocol: Any) -> None:
    (rule,) = table(protocol=protocol, policy={"replied": 60})["chains"][0]["rules"]
    assert rule["protocol"] == "udp"


def test_what_leaves() -> None:
    request = timeout_request({"name": "patient", "state": "absent", "protocol": None, "policy": None})
    assert request.problems == []
    assert request.document() == {"tables": [{"name": "rempart_timeouts", "family": "inet"}]}
    assert request.leaving_chains == ["patient", "patient/prerouting", "patient/output"]
    assert request.leaving_objects == [("ct timeout", "patient")]


WRONG: list[tuple[dict[str, Any], list[tuple[str, str, str]]]] = [
    (
        {"policy": {"establised": "2h"}},
        [("policy.establised", "no state of tcp", "did you mean 'established'?")],
    ),
    ({"policy": {"xyz": "2h"}}, [("policy.xyz", "no state of tcp", TCP)]),
    (
        {"protocol": "udp"},
        [("policy.established", "no state of udp", "unreplied, replied")],
    ),
    ({"policy": {}}, [("policy", "no policy", "a mapping of %s to times" % TCP)]),
    ({"policy": {"close": 0}}, [("policy.close", "a time out of range", "seconds, or a text such as 1h30m")]),
    (
        {"policy": {"close": -5}},
        [("policy.close", "a time out of range", "seconds, or a text such as 1h30m")],
    ),
    ({"policy": {"close": "soon"}}, [("policy.close", "no time", "seconds, or a text such as 1h30m")]),
    ({"policy": {"close": "1500ms"}}, [("policy.close", "no whole number of seconds", "")]),
    (
        {"policy": {"established": "364d"}},
        [("policy.established", "longer than every kernel can count", "up to 2147483 seconds (24 days)")],
    ),
    ({"protocol": "icmp"}, [("protocol", "not for this protocol", "tcp, udp")]),
    ({"protocol": None}, [("", "the key 'protocol' is missing", "tcp, udp")]),
    ({"l3proto": "ipv4"}, [("l3proto", "unknown word", "did you mean 'ip'?")]),
    (
        {"l3proto": "ip", "traffic": [{"nfproto": "ipv6"}]},
        [("traffic[0].nfproto", "another network protocol than the policy's", "ipv4")],
    ),
    (
        {"traffic": None},
        [("traffic", "no list of traffic", "say traffic: [{}] for all connections of the protocol")],
    ),
    ({"traffic": [22]}, [("traffic[0]", "traffic is a mapping of matches", "such as dport: 22")]),
    (
        {"traffic": [{}, {"dports": 22, "protocol": "tcp"}]},
        [
            ("traffic[1].dports", "not a key of traffic", "did you mean 'dport'?"),
            ("traffic[1].protocol", "not a key of traffic", "leave it out: it is the policy's"),
        ],
    ),
    ({"name": "a/b"}, [("name", "no / goes into the name of a policy", "")]),
    ({"name": ""}, [("name", "an empty name", "1 to 255 bytes")]),
]


@pytest.mark.parametrize(("options", "expected"), WRONG, ids=lambda one: str(one)[:60])
def test_what_is_wrong(options: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert problems(**options) == expected


def test_a_name_that_nft_cannot_write_is_said_once() -> None:
    for name in ("a b", "1st", 7, None, "n" * 250):
        assert [place for place, _, _ in problems(name=name)] == ["name"]


def test_everything_wrong_is_said_at_once() -> None:
    found = problems(name="a/b", traffic=[{"dport": 70000}, {"daddr": "10.0.0.256", "dprot": 1}])
    assert sorted(place for place, _, _ in found) == [
        "name",
        "traffic[0].dport",
        "traffic[1].daddr",
        "traffic[1].dprot",
    ]
