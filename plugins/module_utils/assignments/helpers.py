# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Helpers and the traffic that they are for: from options to the table of assignments.

Since Linux 6.0 a helper looks only into connections that a rule assigns to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import DocumentError, Problem, nearest
from .catalogue import HELPERS, MOST_PORTS, PARTS, SPELLINGS, Helper, Parameter
from .request import Request, traffic_of

TABLE = "rempart_helpers"
DOCUMENT_TABLE = "rempart_document_helpers"
"""That of the helpers that the document declares."""

OWN = ("name", "ports", "protocol", "parameters")
"""The keys of a helper beside those of its traffic. As options they stand for a list of one helper."""


class Wanted:
    """The helpers that a task names, in its order.

    ``parameters`` has those of modules, by helper, as texts that the kernel takes; a helper whose
    parameters the task leaves alone is not in it. ``request`` is for the kernel's table. ``exact``:
    they are all that a document declares.
    """

    __slots__ = ("exact", "helpers", "parameters", "present", "request")

    def __init__(self, present: bool, exact: bool = False) -> None:
        self.present = present
        self.exact = exact
        self.helpers: list[Helper] = []
        self.parameters: dict[str, dict[str, str]] = {}
        self.request = Request(DOCUMENT_TABLE if exact else TABLE, exact)


def wanted(options: Mapping[str, Any]) -> Wanted:
    """What the options of a task ask for: ``helpers``, or the four of ``OWN``, and ``state``.

    A value that is None was not given. What is wrong with ports and addresses is left to the
    check of the document.
    """
    made = Wanted(options.get("state", "present") != "absent")
    return _filled(made, _items(options, made.request.problems))


def declared(helpers: Any) -> Wanted:
    """What ``helpers`` of a document asks for: these, and no others that a document had declared."""
    made = Wanted(True, exact=True)
    return _filled(made, [] if helpers == [] else _items({"helpers": helpers}, made.request.problems))


def _filled(made: Wanted, items: list[tuple[str, dict[str, Any]]]) -> Wanted:
    problems = made.request.problems
    rules: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for place, item in items:
        helper = _helper(item.get("name"), "name" in item, _inside(place, "name"), problems)
        if helper is None:
            continue
        if helper not in made.helpers:
            made.helpers.append(helper)
        if made.present:
            found = _rules(helper, item, place, made.request, problems)
            rules.setdefault(helper.name, []).extend(found)
            if item.get("parameters") is not None:
                where = _inside(place, "parameters")
                _parameters(helper, item["parameters"], where, made.parameters, problems)
    for helper in made.helpers:
        _assign(helper, rules.get(helper.name, []), made.request)
    return made


def _items(options: Mapping[str, Any], problems: list[Problem]) -> list[tuple[str, dict[str, Any]]]:
    """Each helper with its place, as a mapping."""
    short = {key: options[key] for key in OWN if options.get(key) is not None}
    given = options.get("helpers")
    if given is None:
        if "name" not in short:
            problems.append(
                Problem("no helper is named", allowed="helpers, or name", cure="say helpers: [ftp]")
            )
            return []
        return [("", short)]
    for key in short:
        problems.append(Problem("%s beside helpers" % key, key, short[key], cure="put it into the list"))
    if isinstance(given, str):
        given = [word.strip() for word in given.split(",")]
    if not isinstance(given, list) or not given:
        problems.append(Problem("no list of helpers", "helpers", given, ", ".join(HELPERS)))
        return []
    items = []
    for index, one in enumerate(given):
        place = "helpers[%d]" % index
        if isinstance(one, str):
            items.append((place, {"name": one}))
        elif isinstance(one, dict):
            items.append((place, one))
        else:
            problems.append(Problem("neither a helper's name nor a mapping", place, one, ", ".join(HELPERS)))
    return items


def _inside(place: str, key: str) -> str:
    return "%s.%s" % (place, key) if place else key


def _helper(name: Any, given: bool, place: str, problems: list[Problem]) -> Helper | None:
    if not given:
        problems.append(
            Problem("the key 'name' is missing", place.rpartition(".")[0], allowed=", ".join(HELPERS))
        )
        return None
    word = SPELLINGS.get(str(name), str(name))
    if word in HELPERS:
        return HELPERS[word]
    cure = PARTS.get(word) or nearest(word.lower(), HELPERS)
    problems.append(Problem("no helper of this name", place, name, ", ".join(HELPERS), cure))
    return None


def _rules(
    helper: Helper, item: dict[str, Any], place: str, request: Request, problems: list[Problem]
) -> list[tuple[str, str, dict[str, Any]]]:
    """The rules of one item: protocol, place and rule of each."""
    traffic = traffic_of(item, OWN, place, problems, _REASONS)
    protocols = _protocols(helper, item.get("protocol"), _inside(place, "protocol"), problems)
    ports = item.get("ports")
    if ports is not None and len({helper.kernel[one].port for one in protocols}) > 1:
        problems.append(
            Problem(
                "which protocol these ports are of is not said",
                _inside(place, "ports"),
                ports,
                cure="say protocol: %s" % " or ".join(helper.protocols),
            )
        )
    found = []
    for protocol in protocols:
        kernel = helper.kernel[protocol]
        rule = {"protocol": protocol, "dport": kernel.port if ports is None else ports, **traffic}
        if kernel.l3proto == "ip":
            if traffic.get("nfproto", "ipv4") != "ipv4":
                problems.append(
                    Problem(
                        "the kernel's helper %s knows IPv4 only" % helper.name,
                        _inside(place, "nfproto"),
                        traffic["nfproto"],
                        "ipv4",
                    )
                )
            rule["nfproto"] = "ipv4"
        rule["set"] = {"ct_helper": helper.object_name(protocol)}
        found.append((protocol, place, rule))
    return found


def _protocols(helper: Helper, given: Any, place: str, problems: list[Problem]) -> list[str]:
    """The protocols of an item, in the catalogue's order; all of the helper's where none is given."""
    if given is None:
        return list(helper.protocols)
    words = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else [given]
    found = []
    for word in words:
        protocol = _PROTOCOL_NUMBERS.get(str(word).strip(), str(word).strip().lower())
        if protocol in helper.protocols:
            found.append(protocol)
        else:
            message = "the helper %s does not understand this protocol" % helper.name
            problems.append(Problem(message, place, word, ", ".join(helper.protocols)))
    if not words:
        problems.append(Problem("an empty list", place, given, ", ".join(helper.protocols)))
    return [one for one in helper.protocols if one in found]


_REASONS = {"dport": "say ports", "port": "say ports"}

_PROTOCOL_NUMBERS = {"6": "tcp", "17": "udp"}


def _assign(helper: Helper, rules: list[tuple[str, str, dict[str, Any]]], request: Request) -> None:
    """Have the table hold the helper's chains and objects; without rules, neither."""
    used = {protocol for protocol, _place, _rule in rules}
    for protocol, kernel in helper.kernel.items():
        name = helper.object_name(protocol)
        if protocol not in used:
            request.leaving_objects.append(("ct helper", name))
            continue
        place = next(place for one, place, _rule in rules if one == protocol)
        value = {"name": name, "type": kernel.type, "protocol": protocol, "l3proto": kernel.l3proto}
        request.declare("ct_helpers", value, place or "name", {})
    if not rules:
        request.leave(helper.name)
        return
    # Before the places of whole rules, as the first that fits is taken
    at = "tables[0].chains[%d].rules" % len(request.chains)
    for index, (_protocol, place, _rule) in enumerate(rules):
        request.places["%s[%d].dport" % (at, index)] = _inside(place, "ports")
        if not place:
            request.places["%s[%d]." % (at, index)] = ""
    request.assign(helper.name, [(place or "name", rule) for _protocol, place, rule in rules])


def _parameters(
    helper: Helper, given: Any, place: str, found: dict[str, dict[str, str]], problems: list[Problem]
) -> None:
    """Add the parameters of an item to those of its helper."""
    if not isinstance(given, dict):
        allowed = ", ".join(helper.parameters) or "none: %s has no parameters" % helper.module
        problems.append(Problem("no mapping of parameters", place, given, allowed))
        return
    values = found.setdefault(helper.name, {})
    for name, value in given.items():
        where = "%s.%s" % (place, name)
        known = helper.parameters.get(name)
        if known is None:
            allowed = ", ".join(helper.parameters) or "none"
            message = "no parameter of %s" % helper.module
            problems.append(Problem(message, where, value, allowed, nearest(str(name), helper.parameters)))
            continue
        try:
            text = _parameter(helper, known, value)
        except DocumentError as error:
            problems.extend(error.at(where).problems)
            continue
        if values.get(name, text) != text:
            problems.append(Problem("another value than before", where, value, values[name]))
        values[name] = text


def _parameter(helper: Helper, known: Parameter, value: Any) -> str:
    """A parameter's value as the kernel's parser takes it."""
    if known.kind == "ports":
        return _ports(helper, value)
    if known.kind == "bool":
        word = {True: "1", False: "0"}.get(value) if isinstance(value, bool) else None
        word = word or _SWITCHES.get(str(value).lower())
        if word is None:
            raise DocumentError("neither on nor off", found=value, allowed="true, false")
        return word
    if known.kind == "number":
        number = int(value) if isinstance(value, (bool, int)) or str(value).isdecimal() else -1
        if not known.low <= number <= known.high:
            raise DocumentError(
                "no number that fits", found=value, allowed="%d to %d" % (known.low, known.high)
            )
        return str(number)
    if not isinstance(value, str) or not (value.isascii() and value.isidentifier()):
        raise DocumentError("not a word", found=value, allowed="letters, digits and _")
    return value


_SWITCHES = {"1": "1", "y": "1", "yes": "1", "true": "1", "on": "1",
             "0": "0", "n": "0", "no": "0", "false": "0", "off": "0"}  # fmt: skip


def _ports(helper: Helper, value: Any) -> str:
    given = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    words = [str(int(word)) if word.isdecimal() else word for word in (str(one).strip() for one in given)]
    default = str(next(iter(helper.kernel.values())).port)
    allowed = "at most %d ports, %s among them" % (MOST_PORTS, default)
    if not all(word.isdecimal() and 0 < int(word) < 0x10000 for word in words):
        raise DocumentError("no list of ports", found=value, allowed=allowed)
    if not 0 < len(words) <= MOST_PORTS:
        raise DocumentError("too many ports" if words else "no ports", found=value, allowed=allowed)
    if default not in words:
        raise DocumentError(
            # nf_ct_helper_init(): any other port becomes a part of the helper's name
            "without its own port the kernel has no helper of the name %s" % helper.name,
            found=value,
            allowed=allowed,
            cure="add %s" % default,
        )
    return ",".join(words)
