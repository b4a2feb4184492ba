# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents with settings of connection tracking, beside tables and alone, in the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from rempart.assignments.assign import assign
from rempart.assignments.helpers import wanted
from rempart.assignments.timeouts import timeout_request

from tests.support.command import environment, rempart, rempart_json
from tests.support.namespaces import Namespace

TABLES = """\
tables:
  - name: edge
    chains:
      - {name: input, hook: input, policy: accept}
"""
SETTINGS = """\
conntrack:
  tcp_loose: false
  # a comment, and a blank line

  timeouts:
    tcp: {established: 12h}
"""


def value(netns: Namespace, key: str) -> str:
    return netns.call((Path("/proc/sys/net/netfilter") / ("nf_conntrack_" + key)).read_text).strip()


@pytest.mark.parametrize(
    "document",
    [
        TABLES + SETTINGS,
        SETTINGS + TABLES,
        json.dumps(
            {
                "conntrack": {"tcp_loose": False, "timeouts": {"tcp": {"established": 43200}}},
                "tables": [{"name": "edge", "chains": [{"name": "input", "hook": "input"}]}],
            }
        ),
        TABLES + "? conntrack\n: {tcp_loose: false, timeouts: {tcp: {established: 12h}}}\n",
        TABLES + "conntrack: {\n  tcp_loose: false, timeouts: {tcp: {established: 12h}}\n}\n",
        TABLES.replace("policy: accept", "comment: &patience 12h")
        + SETTINGS.replace("established: 12h", "established: *patience"),
    ],
    ids=["below", "above", "json", "explicit key", "flow", "alias"],
)  # fmt: skip
def test_both_halves_are_in_force_at_once(document: str, netns: Namespace) -> None:
    where = ("-", "--netns", netns.name)
    assert rempart_json("plan", *where, input=document)[0] == 2
    assert (value(netns, "tcp_loose"), netns.nft_text()) == ("1", "")
    code, told = rempart_json("apply", *where, input=document)
    assert (code, told["changed"]) == (0, True)
    assert {"setting", "timeout", "table"} <= {one["kind"] for one in told["changes"]}
    assert "file" not in {one["kind"] for one in told["changes"]}
    assert value(netns, "tcp_loose") == "0"
    assert value(netns, "tcp_timeout_established") == "43200"
    assert "chain input" in netns.nft_text()
    for command in ("apply", "plan", "check"):
        code, told = rempart_json(command, *where, input=document)
        assert (code, told["changed"], told["changes"], told["diff"]) == (0, False, [], [])
    netns.sysctl("net.netfilter.nf_conntrack_tcp_loose", 1)
    done = rempart("check", *where, input=document)
    assert (done.returncode, done.stdout) == (
        2,
        "drifted: conntrack, tcp_loose: false, was true\n",
    )


def test_settings_alone_take_no_tables(netns: Namespace) -> None:
    netns.nft("table inet other { chain c { }; }")
    before = netns.nft_text()
    done = rempart("apply", "--diff", "-", "--netns", netns.name, input=SETTINGS)
    assert done.returncode == 0, done.stderr
    assert "-tcp_loose: true\n" in done.stdout
    assert "+tcp_loose: false\n" in done.stdout
    assert "+timeouts.tcp.established: 43200\n" in done.stdout
    assert done.stdout.endswith("applied: 2 settings changed\n")
    assert netns.nft_text() == before
    done = rempart("validate", "-", input=SETTINGS)
    assert done.stdout == "standard input: valid (2 connection tracking settings)\n"


@pytest.mark.parametrize("command", ["plan", "apply", "check", "validate"])
def test_every_problem_of_both_halves_is_a_line(command: str, netns: Namespace) -> None:
    wrong = TABLES.replace("hook: input", "hook: inptu") + SETTINGS.replace("12h", "0").replace(
        "tcp_loose", "nf_conntrack_tcp_loose"
    )
    where = [] if command == "validate" else ["--netns", netns.name]
    done = rempart(command, "-", *where, input=wrong)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        "conntrack.nf_conntrack_tcp_loose",
        "conntrack.timeouts.tcp.established",
        "tables[0].chains[0].hook",
    ]
    assert "here it is tcp_loose" in done.stderr
    assert (value(netns, "tcp_loose"), netns.nft_text()) == ("1", "")


@pytest.mark.parametrize("wrong", ["conntrack:\n" + TABLES, TABLES + "conntrack: [max]\n"])
def test_a_section_that_is_none(wrong: str, netns: Namespace) -> None:
    done = rempart("apply", "-", "--netns", netns.name, input=wrong)
    assert done.returncode == 1
    assert done.stderr.startswith("conntrack: no mapping")
    assert netns.nft_text() == ""


def test_tables_stay_as_they_are_where_a_setting_cannot_be(netns: Namespace) -> None:
    document = TABLES + "conntrack: {helper: true, max: 5}\n"
    done = rempart("apply", "-", "--netns", netns.name, input=document)
    assert done.returncode == 1
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [
        "conntrack.helper",
        "conntrack.max",
    ]
    assert netns.nft_text() == ""


def test_a_warning_is_a_line_on_standard_error(netns: Namespace) -> None:
    document = "conntrack: {timeouts: {udplite: {stream: 77}}}\n"
    done = rempart("apply", "-", "--netns", netns.name, input=document)
    assert (done.returncode, done.stdout) == (
        0,
        "applied: conntrack, timeouts.udplite.replied: 77, was 120\n",
    )
    assert "warning: conntrack: timeouts.udplite" in done.stderr
    code, told = rempart_json("apply", "-", "--netns", netns.name, input=document)
    assert (code, told["changed"], len(told["warnings"])) == (0, False, 1)


def test_a_document_of_tables_loads_nothing_of_this(netns: Namespace, tmp_path: Path) -> None:
    """And one of both whose tables are known to be in force is not parsed as a whole."""
    path = tmp_path / "fw.yml"
    for text, loaded in ((TABLES, False), (TABLES + SETTINGS, True)):
        path.write_text(text)
        for _ in range(2):
            command = ["rempart.command.main", "apply", str(path), "--netns", netns.name]
            done = subprocess.run(
                [sys.executable, "-X", "importtime", "-m", *command],
                capture_output=True,
                text=True,
                env=environment(),
            )
            assert done.returncode == 0, done.stderr
        assert ("rempart.tunables.plan" in done.stderr) is loaded
        assert "rempart.document.model" not in done.stderr


HELPERS = """\
conntrack:
  acct: true
  helpers:
    - ftp
    - {name: sip, ports: [5060, 5062]}
"""


NAMES = "    - {name: names, protocol: udp, policy: {replied: 10s}, traffic: [{dport: domain}]}\n"
POLICIES = (
    """\
  policies:
    - name: patient
      protocol: tcp
      policy: {established: 7d}
      traffic: [{daddr: 192.0.2.0/24, dport: ssh}]
"""
    + NAMES
)


def test_helpers_of_the_document_are_assigned(netns: Namespace) -> None:
    where = ("-", "--netns", netns.name)
    code, told = rempart_json("plan", *where, input=HELPERS)
    assert code == 2 and netns.nft_text() == "" and value(netns, "acct") == "0"
    kinds = {one["kind"] for one in told["changes"]}
    assert {"setting", "table", "chain", "rule", "ct helper"} <= kinds
    assert "rempart_document_helpers" in rempart("apply", *where, input=HELPERS).stdout
    text = netns.nft_text()
    assert "tcp dport 21 ct helper set" in text and "udp dport { 5060, 5062 } ct helper set" in text
    assert value(netns, "acct") == "1"
    assert rempart("apply", *where, input=HELPERS).stdout == "nothing to do\n"
    assert rempart("check", *where, input=HELPERS).returncode == 0
    more = HELPERS.replace("    - ftp\n", "    - {name: ftp, ports: [21, 2121]}\n")
    assert rempart("check", *where, input=more).returncode == 2
    rempart("apply", *where, input=more)
    assert "tcp dport { 21, 2121 } ct helper set" in netns.nft_text()
    assert "5062" in netns.nft_text()


def test_what_the_document_names_no_longer_goes(netns: Namespace) -> None:
    """And what modules have made, in tables of theirs, stays."""
    where = ("-", "--netns", netns.name)
    assign(wanted({"helpers": ["tftp"]}), netns.name, persistent=None)
    timeout_request({"name": "theirs", "protocol": "udp", "policy": {"replied": 9}, "traffic": [{}]}).apply(
        netns.name
    )
    theirs = netns.nft_text()
    rempart("apply", *where, input=HELPERS + POLICIES)
    text = netns.nft_text()
    assert text.startswith(theirs) and "udp dport { 5060, 5062 } ct helper set" in text
    assert "ct timeout patient {" in text and "established : " in text.partition("ct timeout patient {")[2]
    assert rempart("apply", *where, input=HELPERS + POLICIES).stdout == "nothing to do\n"

    # a document that does not speak of them leaves them alone
    assert rempart("apply", *where, input="conntrack: {acct: true}\n").stdout == "nothing to do\n"
    less = "conntrack:\n  helpers: [ftp]\n  policies:\n" + NAMES
    assert rempart("check", *where, input=less).returncode == 2
    assert "sip" in rempart("plan", *where, input=less).stdout
    rempart("apply", *where, input=less)
    text = netns.nft_text()
    assert text.startswith(theirs) and "sip" not in text and "patient" not in text
    assert "tcp dport 21 ct helper set" in text and "ct timeout names" in text
    assert rempart("apply", *where, input=less).stdout == "nothing to do\n"

    none = "conntrack: {helpers: [], policies: []}\n"
    assert rempart("apply", *where, input=none).returncode == 0
    assert netns.nft_text() == theirs
    assert rempart("apply", *where, input=none).stdout == "nothing to do\n"


def test_mistakes_in_policies_are_told_with_their_place(netns: Namespace) -> None:
    wrong = """\
conntrack:
  policies:
    - {name: a, protocol: tcp, policy: {establishd: 5}, traffic: [{dprt: 22}]}
    - {name: a, protocol: tcp, policy: {established: 5}, traffic: [{}]}
    - {name: b, protocl: tcp, policy: {established: 5}, traffic: []}
    - nonsense
"""
    for command in (["validate", "-"], ["apply", "-", "--netns", netns.name]):
        code, told = rempart_json(*command, input=wrong)
        assert code == 1
        places = {one["place"]: one for one in told["errors"]}
        for place in (
            *("[0].policy.establishd", "[0].traffic[0].dprt", "[1].name"),
            *("[2].protocl", "[2].traffic", "[3]"),
        ):
            assert "conntrack.policies" + place in places, (place, list(places))
        assert "established" in places["conntrack.policies[0].policy.establishd"]["cure"]
        port = (
            "conntrack: {policies: [{name: a, protocol: tcp, policy: {close: 5}, traffic: [{dport: 99999}]}]}"
        )
        code, told = rempart_json(*command, input=port)
        assert [one["place"] for one in told["errors"]] == ["conntrack.policies[0].traffic[0].dport"]
    assert netns.nft_text() == ""


def test_what_the_kernel_has_no_more_is_told_with_the_rest(netns: Namespace) -> None:
    wrong = "conntrack: {helper: true, dccp_loose: true, log_invalid: nonsense, acct: 7}\n"
    code, told = rempart_json("apply", "-", "--netns", netns.name, input=wrong)
    assert code == 1
    assert sorted(one["place"] for one in told["errors"]) == [
        "conntrack." + one for one in ("acct", "dccp_loose", "helper", "log_invalid")
    ]


def test_mistakes_in_helpers_are_told_with_their_place(netns: Namespace) -> None:
    wrong = """\
conntrack:
  acct: 7
  helpers: [fpt, {name: sip, ports: 99999}, {name: tftp, protocol: tcp}, {ports: 21}]
"""
    for command in (["validate", "-"], ["apply", "-", "--netns", netns.name]):
        code, told = rempart_json(*command, input=wrong)
        assert code == 1
        places = [one["place"] for one in told["errors"]]
        assert places[0] == "conntrack.acct"
        for place in ("helpers[0].name", "helpers[1].ports", "helpers[2].protocol", "helpers[3]"):
            assert any(one.startswith("conntrack." + place) for one in places), (place, told["errors"])
    assert netns.nft_text() == ""
