# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``elements add``, ``delete`` and ``show``: one set by the command line, with nft as the judge."""

from __future__ import annotations

import json

import pytest

from tests.support.command import environment, rempart, rempart_json
from tests.support.namespaces import Namespace

RULESET = """
table inet edge {
    set blocked { type ipv4_addr; flags interval,timeout; auto-merge; elements = { 198.51.100.0/24 }; }
    set pairs { type ipv4_addr . inet_service; }
    map ports { type inet_service : verdict; elements = { 22 : accept }; }
}
table ip other { set one { type inet_service; }
}
table ip6 other { set one { type inet_service; }
}
"""


@pytest.fixture
def loaded(netns: Namespace) -> Namespace:
    netns.nft(RULESET)
    return netns


def shown(netns: Namespace, *names: str) -> list[str]:
    done = rempart("elements", "show", *names, "--netns", netns.name)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_add_and_delete(loaded: Namespace) -> None:
    where = ("edge", "blocked", "--netns", loaded.name)
    done = rempart("elements", "add", *where, "203.0.113.9", "203.0.113.10", "--timeout", "1h")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("+ 203.0.113.9-203.0.113.10 timeout 1h\ninet edge, set blocked: 1 element added\n")
    again = rempart("elements", "add", *where, "203.0.113.9,203.0.113.10", "--timeout", "1h")
    assert (again.returncode, again.stdout) == (0, "nothing to do\n")
    before = loaded.nft_text()
    would = rempart("elements", "delete", *where, "198.51.100.7", "--dry-run")
    assert would.stdout == (
        "- 198.51.100.0/24\n+ 198.51.100.0-198.51.100.6\n+ 198.51.100.8-198.51.100.255\n"
        "inet edge, set blocked: 2 elements to add; 1 element to remove\n"
    )
    assert loaded.nft_text() == before
    assert rempart("elements", "delete", *where, "198.51.100.7").returncode == 0
    asked = loaded.run("nft", "get", "element", "inet", "edge", "blocked", "{ 198.51.100.7 }", check=False)
    assert asked.returncode == 1
    code, found = rempart_json("elements", "delete", *where, "203.0.113.0/24")
    assert (code, found["changed"], found["added"], found["errors"]) == (0, True, [], [])
    assert [one.partition(" expires")[0] for one in found["removed"]] == [
        "203.0.113.9-203.0.113.10 timeout 1h"
    ]


def test_keys_of_several_parts_and_maps(loaded: Namespace) -> None:
    assert (
        rempart("elements", "add", "edge", "pairs", "192.0.2.1 . ssh", "--netns", loaded.name).returncode == 0
    )
    assert shown(loaded, "edge", "pairs") == ["192.0.2.1 . 22"]
    done = rempart("elements", "add", "edge", "ports", "80 : drop", "22 : drop", "--netns", loaded.name)
    assert done.stdout.splitlines()[-1] == "inet edge, map ports: 2 elements added; 1 element removed"
    assert shown(loaded, "inet:edge", "ports") == ["22 : drop", "80 : drop"]
    assert rempart("elements", "delete", "edge", "ports", "80", "--netns", loaded.name).returncode == 0
    assert (
        rempart("elements", "add", "edge", "ports", '{"443": "accept"}', "--netns", loaded.name).returncode
        == 0
    )
    code, found = rempart_json("elements", "show", "edge", "ports", "--netns", loaded.name)
    assert code == 0
    assert found == {
        "family": "inet",
        "table": "edge",
        "set": "ports",
        "elements": [[22, {"drop": None}], [443, {"accept": None}]],
        "errors": [],
    }


def test_a_list_from_standard_input(loaded: Namespace) -> None:
    listed = "# from the abuse desk\n192.0.2.1\n192.0.2.9 # noise\n\n192.0.2.64/26\n"
    done = rempart("elements", "add", "edge", "blocked", "-", "--netns", loaded.name, input=listed)
    assert (done.returncode, done.stderr) == (0, "")
    assert shown(loaded, "edge", "blocked") == ["192.0.2.1", "192.0.2.9", "192.0.2.64/26", "198.51.100.0/24"]


def test_the_family(loaded: Namespace) -> None:
    where = ("other", "one", "22", "--netns", loaded.name)
    done = rempart("elements", "add", *where)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "family: there are several tables other; allowed: ip, ip6; name the family\n"
    assert rempart("elements", "add", *where, "--family", "ip6").returncode == 0
    assert rempart("elements", "add", "ip:other", *where[1:]).returncode == 0
    assert shown(loaded, "ip6:other", "one") == ["22"]
    assert rempart("elements", "add", "ip:other", *where[1:], "--family", "ip6").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("egde", "blocked", "192.0.2.1"), "did you mean 'edge'?"),
        (("edge", "blokced", "192.0.2.1"), "did you mean 'blocked'?"),
        (("edge", "blocked", "192.0.2.1", "192.0.2.256"), "elements[1]: "),
        (("edge", "pairs", "192.0.2.1 . 22", "--timeout", "1h"), "timeout: set pairs takes no timeouts"),
        (("edge", "blocked"), "Missing argument"),
        (("edge", "blocked", "192.0.2.1", "--family", "inet6"), "inet6"),
    ],
)
def test_what_is_wrong(arguments: tuple[str, ...], said: str, loaded: Namespace) -> None:
    before = loaded.nft_text()
    done = rempart("elements", "add", *arguments, "--netns", loaded.name)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr and "Traceback" not in done.stderr
    assert loaded.nft_text() == before
    code, found = rempart_json("elements", "add", "edge", "blokced", "192.0.2.1", "--netns", loaded.name)
    assert code == 1 and found["changed"] is False
    assert found["errors"][0]["place"] == "set"


def test_the_shell_completes_tables_and_sets(loaded: Namespace) -> None:
    def offered(line: str, word: int) -> list[str]:
        variables = {"_REMPART_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(word)}
        done = rempart(env=environment(**variables))
        return sorted(one.partition(",")[2] for one in done.stdout.split())

    start = "rempart elements add --netns %s " % loaded.name
    assert offered("rempart elements ", 2) == ["add", "delete", "show"]
    assert offered(start + "ed", 5) == ["edge"]
    assert offered(start + "edge ", 6) == ["blocked", "pairs", "ports"]
    assert offered(start + "edge bl", 6) == ["blocked"]


def test_what_packets_fill_is_left_alone(netns: Namespace) -> None:
    netns.nft(
        "table inet t { set s { type ipv4_addr; flags dynamic,timeout; timeout 1h\n"
        "elements = { 192.0.2.1 }\n}\n}"
    )
    assert rempart("elements", "add", "t", "s", "192.0.2.7", "--netns", netns.name).returncode == 0
    body = next(one["set"] for one in netns.nft_json() if "set" in one)
    assert sorted(json.dumps(one["elem"]["val"]) for one in body["elem"]) == ['"192.0.2.1"', '"192.0.2.7"']
