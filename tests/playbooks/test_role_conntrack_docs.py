# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/monitoring.md, docs/notrack.md and the role's README: every example does what is said of it."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rempart.assignments.catalogue import HELPERS
from rempart.document.validation import check

from tests.support.command import SCRIPT, rempart
from tests.support.conntrack_role import ROLE, run
from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import ROOT
from tests.support.private_host import PrivateHost
from tests.support.traffic import echo_server, tcp_connect, udp_send

MONITORING, NOTRACK, README = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("docs/monitoring.md", "docs/notrack.md", "roles/conntrack/README.md")
)
ARGUMENTS: dict[str, Any] = yaml.safe_load((ROOT / "roles/conntrack/meta/argument_specs.yml").read_text())
OPTIONS: dict[str, Any] = ARGUMENTS["argument_specs"]["main"]["options"]


def blocks(text: str, kind: str = "yaml") -> list[str]:
    """The texts of the blocks of a kind, in order."""
    return re.findall(r"```%s\n(.*?)```" % kind, text, re.DOTALL)


def variables(text: str) -> list[dict[str, Any]]:
    """The variables of each play of the role, in order."""
    found = []
    for block in blocks(text):
        loaded = yaml.safe_load(block)
        if isinstance(loaded, list):
            ((role,),) = [play["roles"] for play in loaded]
            assert role["role"] == ROLE
            found.append(role["vars"])
    return found


def test_the_role_is_described_as_it_is() -> None:
    defaults = yaml.safe_load((ROOT / "roles/conntrack/defaults/main.yml").read_text())
    rows = dict(re.findall(r"^\| `(conntrack_\w+)` \| (.*?) \|", README, re.MULTILINE))
    assert set(rows) == set(OPTIONS)
    assert set(OPTIONS) - set(defaults) == {name for name, text in rows.items() if text == "not defined"}
    for name, option in OPTIONS.items():
        if "default" in option:
            assert option["default"] == defaults[name], name
            value = defaults[name]
            shown = "empty" if value == "" else "`%s`" % str(value).replace("False", "false")
            assert rows[name] == shown


def test_the_role_knows_what_its_modules_know() -> None:
    module = (ROOT / "plugins/modules/conntrack.py").read_text()
    (documentation,) = re.findall(r'DOCUMENTATION = r"""\n(.*?)"""', module, re.DOTALL)
    settings = set(yaml.safe_load(documentation)["options"]) - {"root", "state", "_document"}
    assert set(OPTIONS["conntrack_settings"]["options"]) == settings
    tasks = yaml.safe_load((ROOT / "roles/conntrack/tasks/settings.yml").read_text())
    assert set(tasks[0]["rempart.netfilter.conntrack"]) == settings | {"root"}
    values = yaml.safe_load((ROOT / "roles/conntrack/vars/main.yml").read_text())
    assert values["__conntrack_helper_names"] == sorted(HELPERS)


@pytest.mark.parametrize("given", variables(MONITORING) + variables(NOTRACK) + variables(README))
def test_plays_are_about_variables_that_there_are(given: dict[str, Any]) -> None:
    assert set(given) <= set(OPTIONS)


def test_the_play_of_the_readme_runs(tmp_path: Path, netns: Namespace) -> None:
    (given,) = variables(README)
    host = PrivateHost(
        tmp_path / "host",
        "etc/systemd/system",
        "etc/munin/plugins",
        "etc/munin/plugin-conf.d",
        "var/lib/prometheus/node-exporter",
    )
    # Sizes are the machine's, not a namespace's.
    settings = {
        key: value for key, value in given["conntrack_settings"].items() if key not in ("max", "buckets")
    }
    run(tmp_path, host, netns, **{**given, "conntrack_settings": settings, "conntrack_command": str(SCRIPT)})
    assert 'ct timeout set "patient"' in netns.nft_text()
    assert {"/etc/munin/plugins/rempart_conntrack"} <= host.files()


def test_alerts_and_tables_name_metrics_that_there_are(netns: Namespace) -> None:
    netns.nft("table inet t { chain c { type filter hook input priority 0; ct state new accept; }; }")
    with echo_server(netns, "127.0.0.1") as server:
        assert tcp_connect(netns, "127.0.0.1", server.port) == "connected"
    text = rempart("conntrack", "export", "--connections", "--netns", netns.name).stdout
    labels = {
        name: set(re.findall(r"(\w+)=", inner))
        for name, inner in re.findall(r"^(rempart_\w+)(?:\{(.*?)\})? ", text, re.MULTILINE)
    }
    assert set(re.findall(r"rempart_conntrack_\w+(?=[`\s\[)])", MONITORING)) <= set(labels)
    section = MONITORING.split("counted by kind")[1].split("### Alerts")[0]
    for metric, said in re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE):
        assert set(re.findall(r"`(\w+)`", said)) == labels[metric]
    (alerts,) = [yaml.safe_load(one) for one in blocks(MONITORING) if one.startswith("groups:")]
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) == 4
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["expr"].count("(") == rule["expr"].count(")")


def test_what_is_written_by_hand_works(tmp_path: Path, netns: Namespace) -> None:
    service = next(one for one in blocks(MONITORING, "ini") if "ExecStart=" in one)
    (line,) = re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE)
    program, *arguments = shlex.split(line)
    assert program == "/usr/local/bin/rempart"
    arguments[-1] = str(tmp_path / Path(arguments[-1]).name)
    netns.run(str(SCRIPT), *arguments)
    assert "rempart_conntrack_entries 0\n" in Path(arguments[-1]).read_text()
    (script,) = blocks(MONITORING, "sh")
    assert script.count(program) == 1
    plugin = tmp_path / "plugin"
    plugin.write_text(script.replace(program, str(SCRIPT)))
    plugin.chmod(0o755)
    assert netns.run(str(plugin), "autoconf").stdout == "yes\n"
    assert "entries.label" in netns.run(str(plugin), "config").stdout


def test_units_written_by_hand_are_ones_that_systemd_takes(tmp_path: Path) -> None:
    service, timer = (
        next(one for one in blocks(MONITORING, "ini") if word in one) for word in ("ExecStart=", "[Timer]")
    )
    units = [tmp_path / "conntrack-export.service", tmp_path / "conntrack-export.timer"]
    units[0].write_text(service.replace("/usr/local/bin/rempart", str(SCRIPT)))
    units[1].write_text(timer)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, units)],
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stderr.splitlines() if "conntrack-export" in line]
    assert (done.returncode, said) == (0, [])


def test_the_role_makes_the_table_of_the_document(
    tmp_path: Path, make_netns: Callable[[], Namespace]
) -> None:
    by_role, by_hand = make_netns(), make_netns()
    (given,) = variables(NOTRACK)
    run(tmp_path, PrivateHost(tmp_path / "host"), by_role, **given)
    document = next(one for one in blocks(NOTRACK) if "rempart_notrack" in one)
    applied = rempart("apply", "-", "--netns", by_hand.name, input=document)
    assert applied.returncode == 0, applied.stderr
    assert by_role.nft_text() == by_hand.nft_text() != ""


def test_a_name_server_without_state(make_netns: Callable[[], Namespace]) -> None:
    server, client = make_netns().up(), make_netns().up()
    veth(server, client, "10.9.0.1/24", "10.9.0.2/24")
    for document in [one for one in blocks(NOTRACK) if one.startswith("tables:")]:
        assert check(yaml.safe_load(document)) == []
        assert rempart("apply", "-", "--netns", server.name, input=document).returncode == 0
    with echo_server(server, "10.9.0.1", 53), echo_server(server, "10.9.0.1", 80):
        assert udp_send(client, "10.9.0.1", 53) == b"rempart"
        assert tcp_connect(client, "10.9.0.1", 53) == "connected"
        assert udp_send(client, "10.9.0.1", 80, timeout=0.2) == "timeout"
        assert tcp_connect(client, "10.9.0.1", 80, timeout=0.2) == "timeout"
        count = rempart("conntrack", "count", "--netns", server.name).stdout
        assert count == "0\n"
    with echo_server(server, "10.9.0.1", 22, ("tcp",)):
        assert tcp_connect(client, "10.9.0.1", 22) == "connected"
        assert "dport=22" in server.run("conntrack", "-L").stdout
    with echo_server(client, "10.9.0.2", 53):
        assert udp_send(server, "10.9.0.2", 53) == b"rempart"
        assert tcp_connect(server, "10.9.0.2", 53) == "connected"
    assert udp_send(server, "10.9.0.2", 53) == "refused"  # by a message that is let in
