# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``plan``, ``apply`` and ``check`` as a user runs them, judged by nft."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import rempart, rempart_json
from tests.support.namespaces import Namespace

YAML = """\
tables:
  - name: edge
    chains:
      - name: input
        hook: input
        policy: drop
        rules:
          - {ct_state: [established, related], verdict: accept}
          - {iifname: lo, counter: true, verdict: accept}
          - {protocol: tcp, dport: [ssh, 80, 443], ct_state: new, verdict: accept, comment: public}
          - {jump: mail}
      - name: mail
        rules:
          - {protocol: tcp, dport: 25, log: "mail ", verdict: drop}
"""

LISTED = """\
table inet edge {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname "lo" counter accept
		tcp dport { 22, 80, 443 } ct state new accept comment "public"
		jump mail
	}

	chain mail {
		tcp dport 25 log prefix "mail " drop
	}
}
"""


@pytest.fixture
def firewall(tmp_path: Path) -> Path:
    path = tmp_path / "firewall.yml"
    path.write_text(YAML)
    return path


def document(rules: list[dict[str, Any]], **chain: Any) -> str:
    first = {"name": "input", "hook": "input", "rules": rules, **chain}
    return json.dumps({"tables": [{"name": "edge", "chains": [first]}]})


def test_plan_shows_what_apply_then_does(firewall: Path, netns: Namespace) -> None:
    planned = rempart("plan", firewall, "--netns", netns.name)
    assert planned.returncode == 2
    assert planned.stderr == ""
    assert netns.nft_text() == ""
    assert planned.stdout == (
        "--- table inet edge (kernel)\n"
        "+++ table inet edge (document)\n"
        "@@ -0,0 +1,12 @@\n"
        "+table inet edge {\n"
        "+\tchain input {\n"
        "+\t\ttype filter hook input priority filter; policy drop;\n"
        "+\t\tct state established,related accept\n"
        '+\t\tiifname "lo" counter accept\n'
        '+\t\ttcp dport { 22, 80, 443 } ct state new accept comment "public"\n'
        "+\t\tjump mail\n"
        "+\t}\n"
        "+\tchain mail {\n"
        '+\t\ttcp dport 25 log prefix "mail " drop\n'
        "+\t}\n"
        "+}\n"
        "inet edge: new\n"
        "inet edge, chain input: new; 4 rules to add\n"
        "inet edge, chain mail: new; 1 rule to add\n"
        "plan: 1 table, 2 chains, 5 rules to add\n"
    )
    applied = rempart("apply", firewall, "--netns", netns.name)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert applied.stdout == (
        "inet edge: new\n"
        "inet edge, chain input: new; 4 rules added\n"
        "inet edge, chain mail: new; 1 rule added\n"
        "applied: 1 table, 2 chains, 5 rules added\n"
    )
    assert netns.nft_text() == LISTED


def test_a_second_time_there_is_nothing_to_do(firewall: Path, netns: Namespace) -> None:
    rempart("apply", firewall, "--netns", netns.name)
    before = netns.run("nft", "--handle", "list", "ruleset").stdout
    for options in ([], ["--full"]):
        for command, code, said in (
            ("plan", 0, "nothing to do\n"),
            ("apply", 0, "nothing to do\n"),
            ("check", 0, "in line\n"),
        ):
            done = rempart(command, firewall, "--netns", netns.name, *options)
            assert (done.returncode, done.stdout, done.stderr) == (code, said, "")
    assert netns.run("nft", "--handle", "list", "ruleset").stdout == before


def test_a_namespace_is_also_given_as_a_path_or_by_running_in_it(firewall: Path, netns: Namespace) -> None:
    assert rempart("apply", firewall, "--netns", netns.path).returncode == 0
    assert netns.nft_text() == LISTED
    # ip netns exec gives /sys and the namespace, and leaves the file system alone
    from tests.support.command import SCRIPT

    done = netns.run(str(SCRIPT), "check", str(firewall))
    assert done.stdout == "in line\n"


def test_drift_is_found_shown_and_put_right(firewall: Path, netns: Namespace) -> None:
    rempart("apply", firewall, "--netns", netns.name)
    netns.nft("insert rule inet edge input tcp dport 2222 accept")
    netns.nft("table ip other {\n\tchain c { accept; }\n}")
    drifted = netns.nft_text()
    plain = rempart("check", firewall, "--netns", netns.name)
    assert (plain.returncode, plain.stdout) == (
        2,
        "drifted: inet edge, chain input: 1 rule to remove\n",
    )
    with_diff = rempart("check", firewall, "--netns", netns.name, "--diff")
    assert with_diff.returncode == 2
    assert "-\t\ttcp dport 2222 accept\n" in with_diff.stdout
    assert netns.nft_text() == drifted
    put_right = rempart("apply", firewall, "--netns", netns.name, "--diff")
    assert put_right.returncode == 0
    assert "-\t\ttcp dport 2222 accept\n" in put_right.stdout
    assert put_right.stdout.endswith("applied: inet edge, chain input: 1 rule removed\n")
    assert netns.nft_text() == LISTED + "table ip other {\n\tchain c {\n\t\taccept\n\t}\n}\n"


def test_rules_that_stay_keep_their_handles(netns: Namespace) -> None:
    rules = [{"protocol": "tcp", "dport": port, "verdict": "accept"} for port in (1, 2, 3)]
    rempart("apply", "-", "--netns", netns.name, input=document(rules))
    before = handles(netns)
    rules.insert(1, {"protocol": "udp", "dport": 9, "verdict": "drop"})
    done = rempart("apply", "-", "--netns", netns.name, input=document(rules, policy="drop"))
    assert done.stdout == "applied: inet edge, chain input: policy drop, was accept; 1 rule added\n"
    after = handles(netns)
    assert [one for one in after if one in before] == before
    assert len(after) == 4


def handles(netns: Namespace) -> list[int]:
    return [one["rule"]["handle"] for one in netns.nft_json() if "rule" in one]


@pytest.mark.parametrize("text", [YAML, document([{"verdict": "accept"}])], ids=["YAML", "JSON"])
def test_a_document_from_standard_input(text: str, netns: Namespace) -> None:
    assert rempart("apply", "-", "--netns", netns.name, input=text).returncode == 0
    assert rempart("check", "-", "--netns", netns.name, input=text).stdout == "in line\n"
    assert netns.nft_text().startswith("table inet edge {\n\tchain input {\n")


def test_a_template_with_variables(tmp_path: Path, netns: Namespace) -> None:
    path = tmp_path / "fw.yml"
    path.write_text(
        "tables:\n"
        "  - name: edge\n"
        "    chains:\n"
        "      - name: input\n"
        "        hook: input\n"
        "        rules:\n"
        "{% for one in networks %}\n"
        "          - {saddr: {{ one }}, protocol: tcp, dport: {{ ports }}, verdict: accept}\n"
        "{% endfor %}\n"
    )
    (tmp_path / "site.yml").write_text("networks: [192.0.2.0/24, 198.51.100.0/24]\nports: [22]\n")
    common = [path, "--netns", netns.name, "--vars", tmp_path / "site.yml"]
    assert rempart("apply", *common, "-e", "ports=80").returncode == 0
    expected = [
        "\t\tip saddr 192.0.2.0/24 tcp dport 80 accept",
        "\t\tip saddr 198.51.100.0/24 tcp dport 80 accept",
    ]
    assert [line for line in netns.nft_text().splitlines() if "saddr" in line] == expected
    assert rempart("check", *common, "-e", "ports=80").returncode == 0
    changed = rempart("check", *common, "-e", "{ports: [22, 25]}")
    assert changed.returncode == 2
    missing = rempart("plan", path, "--netns", netns.name)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == (
        "%s: the template fails at line 7: 'networks' is undefined; give it with -e or --vars\n" % path
    )


def test_json_of_plan_apply_and_check(firewall: Path, netns: Namespace) -> None:
    code, planned = rempart_json("plan", firewall, "--netns", netns.name)
    assert code == 2
    assert set(planned) == {"changed", "changes", "diff", "errors"}
    assert (planned["changed"], planned["errors"]) == (True, [])
    assert planned["changes"][0] == {
        "action": "add",
        "kind": "table",
        "family": "inet",
        "table": "edge",
    }
    added = [one for one in planned["changes"] if one["kind"] == "rule"]
    assert [one["place"] for one in added] == [
        *("tables[0].chains[0].rules[%d]" % index for index in range(4)),
        "tables[0].chains[1].rules[0]",
    ]
    assert added[3]["rule"] == "jump mail"
    assert [set(one) for one in planned["diff"]] == [{"before", "after", "before_header", "after_header"}]
    assert planned["diff"][0]["before"] == ""
    code, applied = rempart_json("apply", firewall, "--netns", netns.name)
    assert (code, applied) == (0, planned)
    nothing = {"changed": False, "changes": [], "diff": [], "errors": []}
    assert rempart_json("check", firewall, "--netns", netns.name) == (0, nothing)
    netns.nft("add rule inet edge mail counter")
    code, drifted = rempart_json("check", firewall, "--netns", netns.name)
    assert code == 2
    (change,) = drifted["changes"]
    assert (change["action"], change["kind"], change["chain"]) == ("remove", "rule", "mail")
    assert change["handle"] == handles(netns)[-1]


def ten_thousand(changed: int | None = None) -> str:
    return document(
        [
            {
                "saddr": "10.0.%d.%d" % (number >> 8, number & 255),
                "protocol": "tcp",
                "dport": 8443 if number == changed else 443,
                "counter": True,
                "verdict": "accept",
            }
            for number in range(10_000)
        ]
    )


def golden_line(mark: str, number: int, rest: str) -> str:
    return "%s\t\tip saddr 10.0.19.%d tcp dport %s accept\n" % (mark, number, rest)


GOLDEN = (
    "--- table inet edge (kernel)\n"
    "+++ table inet edge (document)\n"
    "@@ -5,7 +5,7 @@\n"
    + "".join(golden_line(" ", number, "443 counter") for number in (133, 134, 135))
    + golden_line("-", 136, "443 counter")
    + golden_line("+", 136, "8443 counter")
    + "".join(golden_line(" ", number, "443 counter") for number in (137, 138, 139))
    + "plan: inet edge, chain input: 1 rule to add; 1 rule to remove\n"
)


def test_the_plan_of_one_changed_rule_among_ten_thousand(netns: Namespace) -> None:
    assert rempart("apply", "-", "--netns", netns.name, input=ten_thousand()).returncode == 0
    done = rempart("plan", "-", "--netns", netns.name, input=ten_thousand(changed=5000))
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == GOLDEN
