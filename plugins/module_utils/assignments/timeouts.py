# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Named timeout policies and the traffic that they are for: from options to their table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..document.fields import NAME_LENGTH, read_name
from ..document.objects import TIMEOUT_STATES
from ..errors import Problem, join_place, nearest
from ..nftables.datatypes import TYPES, DatatypeError
from .request import HOOKS, SEPARATOR, Request, traffic_of

TABLE = "rempart_timeouts"
DOCUMENT_TABLE = "rempart_document_timeouts"
"""That of the policies that the document declares."""

KEYS = ("name", "protocol", "l3proto", "policy", "traffic")
"""The keys of a policy in the document."""

_KIND = "ct timeout"

_REASONS = {"protocol": "leave it out: it is the policy's"}

_NETWORKS = {"ip": "ipv4", "ip6": "ipv6"}
"""What a rule of a policy for one network protocol matches: the kernel does not ask for it itself."""


def timeout_request(options: Mapping[str, Any]) -> Request:
    """What the options ``name``, ``protocol``, ``l3proto``, ``policy``, ``traffic`` and ``state`` ask for.

    A value that is None was not given. What is wrong with the policy and with addresses and
    ports is left to the check of the document.
    """
    request = Request(TABLE)
    if options.get("state", "present") == "absent":
        name = _name(options.get("name"), request.problems)
        request.leave(name)
        request.leaving_objects.append((_KIND, name))
        return request
    _add(request, options, "")
    return request


def declared(policies: Any) -> Request:
    """What ``policies`` of a document asks for: these, and no others that a document had declared."""
    request = Request(DOCUMENT_TABLE, exact=True)
    problems = request.problems
    if not isinstance(policies, list):
        problems.append(
            Problem("no list of policies", "policies", policies, "mappings of %s" % ", ".join(KEYS))
        )
        return request
    names: dict[str, str] = {}
    for index, one in enumerate(policies):
        place = "policies[%d]" % index
        if not isinstance(one, dict):
            problems.append(Problem("no policy", place, one, "a mapping of %s" % ", ".join(KEYS)))
            continue
        for key in one:
            if key not in KEYS:
                where = "%s.%s" % (place, key)
                cure = nearest(str(key), KEYS)
                problems.append(Problem("unknown key", where, one[key], ", ".join(KEYS), cure))
        name = str(one.get("name"))
        if name in names:
            problems.append(Problem("the name of %s too" % names[name], place + ".name", name))
            continue
        names[name] = place
        _add(request, one, place)
    return request


def _add(request: Request, options: Mapping[str, Any], place: str) -> None:
    """Have the request's table hold one policy, and what attaches it."""
    found: list[Problem] = []
    name = _name(options.get("name"), found)
    given = {key: options[key] for key in ("protocol", "l3proto", "policy") if options.get(key) is not None}
    keys = {key: join_place(place, key) for key in ("name", *given)}
    request.declare("ct_timeouts", {"name": name, **given}, place, keys)
    rules = _rules(options, name, found)
    request.assign(name, [(join_place(place, where), rule) for where, rule in rules])
    request.problems += [one.at(place) for one in found] if place else found


def _name(given: Any, problems: list[Problem]) -> str:
    """The policy's name; in place of one that cannot be another, so that it is complained of once."""
    found: list[Problem] = []
    name = read_name({} if given is None else {"name": given}, "policy", "", found)
    if not found and SEPARATOR in name:
        found.append(Problem("no %s goes into the name of a policy" % SEPARATOR, found=name))
    longest = NAME_LENGTH - max(len(SEPARATOR + hook) for hook in HOOKS)
    if not found and len(name) > longest:
        found.append(Problem("the name is too long", found=name, allowed="1 to %d bytes" % longest))
    for problem in found:
        problem.place = "name"
    problems += found
    return "policy" if found else name


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
        rule = traffic_of(one, (), place, problems, _REASONS)
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
