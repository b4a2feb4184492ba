# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named timeout policies and the traffic that they are for: from options to their table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..document.objects import TIMEOUT_STATES
from ..errors import Problem
from ..nftables.datatypes import TYPES, DatatypeError
from .request import SEPARATOR, Request, traffic_of

TABLE = "rempart_timeouts"

_KIND = "ct timeout"

_NETWORKS = {"ip": "ipv4", "ip6": "ipv6"}
"""What a rule of a policy for one network protocol matches: the kernel does not ask for it itself."""


def timeout_request(options: Mapping[str, Any]) -> Request:
    """What the options ``name``, ``protocol``, ``l3proto``, ``policy``, ``traffic`` and ``state`` ask for.

    A value that is None was not given. What is wrong with the policy and with addresses and
    ports is left to the check of the document.
    """
    request = Request(TABLE)
    problems = request.problems
    name = options.get("name")
    request.places["tables[0].chains[0].name"] = "name"
    if not isinstance(name, str) or not name:
        problems.append(Problem("a policy needs a name", "name", name))
    elif SEPARATOR in name:
        problems.append(Problem("no %s goes into the name of a policy" % SEPARATOR, "name", name))
    if options.get("state", "present") == "absent":
        request.leave(str(name))
        request.leaving_objects.append((_KIND, str(name)))
        return request
    given = {key: options[key] for key in ("protocol", "l3proto", "policy") if options.get(key) is not None}
    request.declare("ct_timeouts", {"name": name, **given}, "", {key: key for key in ("name", *given)})
    request.assign(str(name), _rules(options, str(name), problems))
    return request


def _rules(
    options: Mapping[str, Any], name: str, problems: list[Problem]
) -> list[tuple[str, dict[str, Any]]]:
    protocol = _protocol(options.get("protocol"))
    network = _NETWORKS.get(str(options.get("l3proto")))
    traffic = options.get("traffic")
    if not isinstance(traffic, list) or not traffic:
        problems.append(
            Problem(
                "no list of traffic",
                "traffic",
                traffic,
                "mappings of what the connections are to match",
                "say traffic: [{}] for all connections of the protocol",
            )
        )
        return []
    found = []
    for index, one in enumerate(traffic):
        place = "traffic[%d]" % index
        if not isinstance(one, dict):
            problems.append(Problem("traffic is a mapping of matches", place, one, "such as dport: 22"))
            continue
        rule = traffic_of(one, (), place, problems)
        rule["protocol"] = protocol
        if network is not None:
            if rule.get("nfproto", network) != network:
                message = "another network protocol than the policy's"
                problems.append(Problem(message, place + ".nfproto", rule["nfproto"], network))
            rule["nfproto"] = network
        rule["set"] = {"ct_timeout": name}
        found.append((place, rule))
    return found


def _protocol(given: Any) -> str:
    """The policy's protocol; for one that no policy has another, so that it is complained of once."""
    names = TYPES["inet_proto"]
    try:
        found = str(names.json_of(names.number_of(given)))
    except (DatatypeError, TypeError):
        found = ""
    return found if found in TIMEOUT_STATES else next(iter(TIMEOUT_STATES))
