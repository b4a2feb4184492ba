# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the options of a task to the table of helpers, and all that can be wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from rempart.assignments.catalogue import HELPERS
from rempart.assignments.helpers import wanted
from rempart.errors import DocumentError, moved, moved_problems
from rempart.ruleset.reconcile import check_only


def table(**options: Any) -> dict[str, Any]:
    made = wanted(options)
    assert made.request.problems == []
    document = made.request.document()
    check_only(document, partial=True)
    (found,) = document["tables"]
    return dict(found)


def rules(**options: Any) -> list[dict[str, Any]]:
    """The rules of the one helper that is named."""
    return list(table(**options)["chains"][0]["rules"])


def problems(**options: Any) -> list[tuple[str, str, str]]:
    """Place, message and cure (or else what is allowed) of everything that is wrong, as a task is told."""
    request = wanted(options).request
    found = list(request.problems)
    try:
        check_only(request.document(), partial=True)
    except DocumentError as error:
        found += error.problems
    found = moved_problems(found, request.places)
    return [(one.place, one.message, one.cure or one.allowed) for one in found]


def test_one_helper() -> None:
    hooks = [
        {
            "name": "ftp/" + hook,
            "type": "filter",
            "hook": hook,
            "priority": "mangle",
            "rules": [{"ct_state": "new", "jump": "ftp"}],
        }
        for hook in ("prerouting", "output")
    ]
    rule = {"protocol": "tcp", "dport": 21, "set": {"ct_helper": "ftp"}}
    expected = {
        "name": "rempart_helpers",
        "family": "inet",
        "ct_helpers": [{"name": "ftp", "type": "ftp", "protocol": "tcp", "l3proto": "inet"}],
        "chains": [{"name": "ftp", "rules": [rule]}, *hooks],
    }
    assert table(helpers=["ftp"]) == expected
    assert table(helpers="ftp") == expected
    assert table(name="ftp") == expected
    assert table(name="ftp", ports=None, helpers=None, state="present") == expected
    assert table(helpers=[{"name": "ftp", "protocol": ["TCP"], "parameters": {"loose": True}}]) == expected


DEFAULTS = {
    "amanda": [("amanda", "udp", 10080, "inet")],
    "ftp": [("ftp", "tcp", 21, "inet")],
    "h323": [("RAS", "udp", 1719, "inet"), ("Q.931", "tcp", 1720, "inet")],
    "irc": [("irc", "tcp", 6667, "ip")],
    "netbios_ns": [("netbios-ns", "udp", 137, "ip")],
    "pptp": [("pptp", "tcp", 1723, "ip")],
    "sane": [("sane", "tcp", 6566, "inet")],
    "sip": [("sip", "udp", 5060, "inet"), ("sip", "tcp", 5060, "inet")],
    "snmp": [("snmp", "udp", 161, "ip")],
    "tftp": [("tftp", "udp", 69, "inet")],
}


@pytest.mark.parametrize("name", sorted(HELPERS))
def test_default_traffic(name: str) -> None:
    found = table(helpers=[name])
    made = []
    for one, rule in zip(found["ct_helpers"], found["chains"][0]["rules"]):
        assert rule["set"] == {"ct_helper": one["name"]}
        assert rule["protocol"] == one["protocol"]
        assert (rule.get("nfproto") == "ipv4") == (one["l3proto"] == "ip")
        made.append((one["type"], one["protocol"], rule["dport"], one["l3proto"]))
    assert made == DEFAULTS[name]


def test_traffic_of_ones_own() -> None:
    item = {"name": "sip", "ports": "5060,5062", "daddr": "192.0.2.1", "iifname": "lan0", "counter": True}
    both = {"dport": "5060,5062", "daddr": "192.0.2.1", "iifname": "lan0", "counter": True}
    assert rules(helpers=[item]) == [
        {"protocol": "udp", **both, "set": {"ct_helper": "sip_udp"}},
        {"protocol": "tcp", **both, "set": {"ct_helper": "sip_tcp"}},
    ]
    assert [one["protocol"] for one in rules(helpers=[{**item, "protocol": "tcp"}])] == ["tcp"]
    assert [one["protocol"] for one in rules(helpers=[{**item, "protocol": 17}])] == ["udp"]
    assert [one["protocol"] for one in rules(helpers=[{**item, "protocol": "tcp,udp"}])] == ["udp", "tcp"]


def test_the_same_helper_twice() -> None:
    found = table(helpers=[{"name": "ftp", "ports": 2121, "daddr": "10.0.0.1"}, "tftp", "ftp"])
    assert [one["name"] for one in found["ct_helpers"]] == ["ftp", "tftp"]
    assert [chain["name"] for chain in found["chains"]][::3] == ["ftp", "tftp"]
    assert [rule["dport"] for rule in found["chains"][0]["rules"]] == [2121, 21]


def test_what_leaves() -> None:
    request = wanted({"helpers": ["h323", "netbios-ns"], "state": "absent"}).request
    assert request.document() == {"tables": [{"name": "rempart_helpers", "family": "inet"}]}
    assert request.leaving_chains[:3] == ["h323", "h323/prerouting", "h323/output"]
    assert request.leaving_objects == [
        ("ct helper", "h323_udp"),
        ("ct helper", "h323_tcp"),
        ("ct helper", "netbios_ns"),
    ]
    # What a helper that stays no longer needs
    request = wanted({"helpers": [{"name": "sip", "protocol": "tcp"}]}).request
    assert (request.leaving_chains, request.leaving_objects) == ([], [("ct helper", "sip_udp")])


def test_places_are_those_of_the_options() -> None:
    request = wanted({"helpers": ["tftp", "ftp", {"name": "ftp", "ports": 2121}]}).request
    for place, expected in {
        "tables[0].chains[3].rules[1].dport[0]": "helpers[2].ports[0]",
        "tables[0].chains[3].rules[1].daddr": "helpers[2].daddr",
        "tables[0].chains[3].rules[0]": "helpers[1]",
        "tables[0].ct_helpers[1].type": "helpers[1].type",
    }.items():
        assert moved(place, request.places) == expected
    request = wanted({"name": "ftp", "ports": 0}).request
    assert moved("tables[0].chains[0].rules[0].dport", request.places) == "ports"
    assert moved("tables[0].ct_helpers[0]", request.places) == "name"


NAMES = ", ".join(HELPERS)

WRONG: list[tuple[dict[str, Any], list[tuple[str, str, str]]]] = [
    ({}, [("", "no helper is named", "say helpers: [ftp]")]),
    ({"helpers": []}, [("helpers", "no list of helpers", NAMES)]),
    ({"helpers": 7}, [("helpers", "no list of helpers", NAMES)]),
    ({"helpers": [7]}, [("helpers[0]", "neither a helper's name nor a mapping", NAMES)]),
    ({"helpers": [{"ports": 21}]}, [("helpers[0]", "the key 'name' is missing", NAMES)]),
    (
        {"helpers": ["FTP", "sipp", "xyz"]},
        [
            ("helpers[0].name", "no helper of this name", "did you mean 'ftp'?"),
            ("helpers[1].name", "no helper of this name", "did you mean 'sip'?"),
            ("helpers[2].name", "no helper of this name", NAMES),
        ],
    ),
    (
        {"name": "Q.931"},
        [
            (
                "name",
                "no helper of this name",
                "Q.931 is the part of h323 over tcp: name h323 with protocol tcp",
            )
        ],
    ),
    (
        {"helpers": ["ftp"], "ports": 21},
        [("ports", "ports beside helpers", "put it into the list")],
    ),
    (
        {"helpers": [{"name": "tftp", "protocol": "tcp"}]},
        [("helpers[0].protocol", "the helper tftp does not understand this protocol", "udp")],
    ),
    (
        {"name": "sip", "protocol": "sctp"},
        [("protocol", "the helper sip does not understand this protocol", "udp, tcp")],
    ),
    (
        {"helpers": [{"name": "h323", "ports": 1720}]},
        [
            (
                "helpers[0].ports",
                "which protocol these ports are of is not said",
                "say protocol: udp or tcp",
            )
        ],
    ),
    (
        {"helpers": [{"name": "ftp", "dport": 21}]},
        [("helpers[0].dport", "not a key of traffic", "say ports")],
    ),
    (
        {"helpers": [{"name": "ftp", "port": 21, "iifnam": "lan0", "ct_state": "new", "verdict": "accept"}]},
        [
            ("helpers[0].port", "not a key of traffic", "say ports"),
            ("helpers[0].iifnam", "not a key of traffic", "did you mean 'iifname'?"),
            (
                "helpers[0].ct_state",
                "not a key of traffic",
                "leave it out: the first packet of a connection is always new",
            ),
            ("helpers[0].verdict", "not a key of traffic", ""),
        ],
    ),
    (
        {"helpers": [{"name": "pptp", "nfproto": "ipv6"}]},
        [("helpers[0].nfproto", "the kernel's helper pptp knows IPv4 only", "ipv4")],
    ),
]


@pytest.mark.parametrize(("options", "expected"), WRONG, ids=lambda one: str(one)[:60])
def test_what_is_wrong(options: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert problems(**options) == expected


def test_what_the_engine_finds_wrong_is_said_once_and_in_place() -> None:
    """Both protocols of sip have the same address and the same ports, which are wrong once."""
    found = problems(helpers=["ftp", {"name": "sip", "ports": [5060, 70000], "daddr": "10.0.0.256"}])
    assert sorted(place for place, _, _ in found) == ["helpers[1].daddr", "helpers[1].ports[1]"]


def test_everything_wrong_is_said_at_once() -> None:
    found = problems(
        helpers=[
            {"name": "ftp", "protocol": "udp", "parameters": {"lose": 1}},
            {"name": "irc", "daddr": "10.0.0.256"},
            "ftb",
        ]
    )
    assert sorted(place for place, _, _ in found) == [
        "helpers[0].parameters.lose",
        "helpers[0].protocol",
        "helpers[1].daddr",
        "helpers[2].name",
    ]


def test_parameters() -> None:
    found = wanted(
        {
            "helpers": [
                {"name": "ftp", "parameters": {"ports": [21, 2121], "loose": True}},
                {"name": "irc", "parameters": {"max_dcc_channels": "5", "dcc_timeout": 60}},
                {"name": "amanda", "parameters": {"ts_algo": "bm"}},
                {"name": "h323", "parameters": {"gkrouted_only": False, "callforward_filter": "n"}},
                {"name": "tftp", "parameters": {}},
                "sip",
            ]
        }
    )
    assert found.request.problems == []
    assert found.parameters == {
        "ftp": {"ports": "21,2121", "loose": "1"},
        "irc": {"max_dcc_channels": "5", "dcc_timeout": "60"},
        "amanda": {"ts_algo": "bm"},
        "h323": {"gkrouted_only": "0", "callforward_filter": "0"},
        "tftp": {},
    }
    # What goes has none
    assert wanted({"name": "ftp", "parameters": {"loose": 1}, "state": "absent"}).parameters == {}


@pytest.mark.parametrize(
    ("helper", "parameters", "place", "message"),
    [
        ("ftp", {"loos": True}, "parameters.loos", "no parameter of nf_conntrack_ftp"),
        ("pptp", {"ports": 1723}, "parameters.ports", "no parameter of nf_conntrack_pptp"),
        ("ftp", {"loose": "maybe"}, "parameters.loose", "neither on nor off"),
        ("ftp", {"ports": [2121]}, "parameters.ports", "without its own port"),
        ("ftp", {"ports": [21, 0]}, "parameters.ports", "no list of ports"),
        ("amanda", {"ts_algo": "k\u00fc"}, "parameters.ts_algo", "not a word"),
        ("ftp", {"ports": "21;reboot"}, "parameters.ports", "no list of ports"),
        ("ftp", {"ports": [21, *range(2000, 2008)]}, "parameters.ports", "too many ports"),
        ("irc", {"max_dcc_channels": 256}, "parameters.max_dcc_channels", "no number that fits"),
        ("sip", {"sip_timeout": "1h"}, "parameters.sip_timeout", "no number that fits"),
        ("amanda", {"ts_algo": "kmp reboot"}, "parameters.ts_algo", "not a word"),
        ("ftp", ["loose"], "parameters", "no mapping of parameters"),
    ],
    ids=str,
)
def test_wrong_parameters(helper: str, parameters: Any, place: str, message: str) -> None:
    ((where, said, _),) = problems(name=helper, parameters=parameters)
    assert where == place and said.startswith(message)


def test_parameters_that_contradict_each_other() -> None:
    one, other = ({"name": "ftp", "parameters": {"loose": loose}} for loose in (True, False))
    assert problems(helpers=[one, other]) == [
        ("helpers[1].parameters.loose", "another value than before", "1")
    ]
