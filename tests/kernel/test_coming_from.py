# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every row of docs/coming-from/ against the tools of old: the fate of packets, listings, keys."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from rempart.assignments.catalogue import HELPERS
from rempart.errors import RempartError
from rempart.netlink.socket import NetlinkSocket

from tests.kernel.test_conntrack_expectations import expect
from tests.support import conntrack_sizes, conntrack_tool, fates
from tests.support.coming_from import NAMES, Row, commands, document, label, rows
from tests.support.command import SCRIPT, environment, rempart, rempart_json
from tests.support.connections import inject, tcp, udp
from tests.support.conntrack_tool import still
from tests.support.fates import Fate, Host
from tests.support.namespaces import Namespace
from tests.support.playbooks import play
from tests.support.rulesets import apply, handles
from tests.support.traffic import echo_server, udp_send

TRACKING = """
table ip l {
  chain c { type filter hook output priority 0
    %s
  }
}
"""
TRANSLATED = (
    "-s 10.0.0.5 -d 45.129.96.30 --sport 40001 --dport 443 --src-nat 192.0.2.1",
    "-s 198.51.100.9 -d 203.0.113.1 --sport 40002 --dport 443 --dst-nat 10.0.0.80:8443",
)
TOOLS = {"ipchains": ("iptables-legacy",), "iptables": ("iptables-legacy", "iptables-nft")}


def of(*keys: str, without: str = "proof", names: Sequence[str] = NAMES) -> Any:
    """A test of every row that has all these keys."""
    found = [
        pytest.param(name, row, id="%s: %s" % (name, label(row)))
        for name in names
        for row in rows(name)
        if all(key in row for key in keys) and without not in row
    ]
    assert found
    return pytest.mark.parametrize(("name", "row"), found)


# Rules, by packets


def packets_of(row: Row) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key not in ("is", "then")} for one in row["packets"]]


def judged_here(name: str, row: Row) -> tuple[list[Fate], list[int]]:
    with fates.host() as host:
        before: list[int] = []
        if "before" in row:
            apply(document(name, row, "before"), host.host)
            before = handles(host.host, row["chain"], name="edge")
        apply(document(name, row), host.host)
        if "before" in row:
            # What stood there before and still does has not been touched.
            kept = [
                one for one in row.get("rules", []) if one in row["before"] and "bidirectional" not in one
            ]
            after = handles(host.host, row["chain"], name="edge")
            assert len(set(before) & set(after)) == len(kept)
        found = host.fates(packets_of(row))
        return found, counted_here(host)


def judged_by(tool: str, row: Row) -> tuple[list[Fate], list[int]]:
    with fates.host() as host:
        for line in row["iptables"]:
            host.host.run(tool, *shlex.split(line))
        found = host.fates(packets_of(row))
        listed = host.host.run(tool, "-L", "INPUT", "-v", "-x", "-n").stdout.splitlines()[2:]
        return found, [int(line.split()[0]) for line in listed]


def counted_here(host: Host, chain: str = "input") -> list[int]:
    return [
        statement["counter"]["packets"]
        for one in host.host.nft_json("chain", "inet", "edge", chain)
        for statement in one.get("rule", {}).get("expr", ())
        if "counter" in statement
    ]


@of("packets", "iptables", without="proof")
def test_packets_meet_what_they_met(name: str, row: Row) -> None:
    here, counts = judged_here(name, row)
    for one, fate in zip(row["packets"], here):
        assert fate.verdict == one["is"], one
        for key, value in one.get("then", {}).items():
            assert getattr(fate, key) == value, one
    for tool in TOOLS[name]:
        there, counts_there = judged_by(tool, row)
        assert here == there, tool
        if row.get("counts"):
            assert counts == counts_there


@of("packets", "listing")
def test_the_kernel_lists_it(name: str, row: Row) -> None:
    with fates.host() as host:
        apply(document(name, row), host.host)
        assert row["listing"] in host.host.nft_text()
        assert [one.verdict for one in host.fates(packets_of(row))] == [one["is"] for one in row["packets"]]


# Lines of conntrack(8)


def sample(netns: Namespace) -> None:
    """Connections such that every filter of the page means some and not all."""
    netns.sysctl("net.netfilter.nf_conntrack_acct", 1)
    netns.sysctl("net.netfilter.nf_conntrack_timestamp", 1)
    # A rule about labels makes room for them.
    netns.nft(TRACKING % "ct state new ct label set 1")
    echo = {"saddr": "10.0.0.8", "daddr": "10.9.0.8", "icmp_type": 8, "icmp_code": 0, "icmp_id": 7}
    inject(
        netns,
        [
            tcp("1.2.3.4", "4.3.2.1", 5678, 22),
            tcp("1.2.3.4", "4.3.2.1", 5679, 22, mark=7),
            tcp("10.0.0.9", "37.187.12.100", 51413, 443, mark=0x15),
            tcp("10.0.0.6", "10.9.0.6", 40003, 80, state="TIME_WAIT"),
            udp("37.187.12.100", "213.186.33.99", 51413, 53),
            udp("10.0.0.7", "10.9.0.7", 40004, 123, status=["confirmed"]),
            {"family": "ip", "protocol": "icmp", "original": echo, "timeout": 30, "status": ["confirmed"]},
            tcp("2001:db8::1", "2001:db8::2", 40005, 22),
            udp("10.0.0.7", "10.9.0.7", 40006, 123, zone=3),
            udp("10.0.0.7", "10.9.0.7", 40007, 123, labels=[3]),
        ],
    )
    for line in TRANSLATED:
        netns.run(
            "conntrack", *("-I -p tcp --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 300 " + line).split()
        )
    for key, port in (("--orig-zone", "4"), ("--reply-zone", "5")):
        tuple_ = "-s 10.0.0.7 -d 10.9.0.7 -p udp --sport 4010%s --dport 123 -t 90" % port
        netns.run("conntrack", "-I", *tuple_.split(), key, port)


@pytest.fixture(scope="module")
def tracked() -> Iterator[Namespace]:
    with Namespace() as made:
        sample(made.up())
        yield made


def words(row: Row, netns: Namespace) -> list[str]:
    """The arguments of a row's command, in a namespace."""
    program, *arguments = shlex.split(row["command"])
    assert program == "rempart"
    return [*arguments, "--netns", netns.name]


@of("run", "command")
def test_lines_are_those_of_conntrack(tracked: Namespace, name: str, row: Row) -> None:
    there = tracked.run("conntrack", *shlex.split(row["run"])).stdout.splitlines()
    done = rempart(*words(row, tracked))
    assert done.returncode == 0, done.stderr
    assert sorted(map(still, done.stdout.splitlines())) == sorted(map(still, there))
    everything = len(tracked.run("conntrack", "-L").stdout.splitlines())
    narrowing = [one for one in shlex.split(row["command"])[3:] if "=" in one]
    assert len(there) > 0 and (len(there) < everything or not narrowing)


# Settings, by what /proc has


def keys(netns: Namespace) -> dict[str, str]:
    """Every key of connection tracking that is a namespace's own."""
    shared = {*conntrack_sizes.NAMES, "nf_conntrack_count"}

    def read() -> dict[str, str]:
        return {
            one.name: one.read_text()
            for one in sorted(conntrack_sizes.DIRECTORY.glob("nf_conntrack_*"))
            if one.name not in shared
        }

    return netns.call(read)


@of("conntrack", names=("sysctl",))
def test_keys_are_those_that_sysctl_sets(
    make_netns: Callable[[], Namespace], tmp_path: Path, name: str, row: Row
) -> None:
    old, new = make_netns(), make_netns()
    before = keys(old)
    old.run(*shlex.split(commands(row)[0]))
    apply_command({"conntrack": row["conntrack"]}, new, tmp_path)
    assert keys(new) == keys(old) != before


def apply_command(wanted: dict[str, Any], netns: Namespace, directory: Path) -> str:
    file = directory / "document.yml"
    file.write_text(yaml.safe_dump(wanted))
    done = rempart("apply", file, "--netns", netns.name)
    assert done.returncode == 0, done.stderr
    return done.stdout


# The rows that have a way of their own


def hosts(row: Row, netns: Namespace, tmp_path: Path) -> None:
    names = [("www.bar.com", "192.0.2.%d" % one) for one in (1, 2, 3)]
    names += [("www.foo.com", "198.51.100.%d" % one) for one in (1, 2)]
    known, file = tmp_path / "hosts", tmp_path / "document.yml"
    known.write_text("".join("%s %s\n" % (address, name) for name, address in names))
    file.write_text(yaml.safe_dump(document("ipchains", row)))
    script = 'mount --bind "$1" /etc/hosts; exec "$2" apply "$3"'
    argv = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh")
    netns.run(*argv, str(known), str(SCRIPT), str(file))
    pairs = {(saddr, daddr) for n, saddr in names[:3] for m, daddr in names[3:]}
    found = re.findall(r"ip saddr (\S+) ip daddr (\S+) reject", netns.nft_text())
    spread = {(a, b) for one in found for a in _listed(one[0]) for b in _listed(one[1])}
    assert len(found) == 6 and spread == pairs


def _listed(text: str) -> list[str]:
    return text.strip("{} ").split(", ")


def icmp_names(row: Row, netns: Namespace, tmp_path: Path) -> None:
    with pytest.raises(RempartError) as raised:
        apply({"tables": [{"name": "t", "chains": [{"name": "c", "rules": [{"icmp_type": "xyz"}]}]}]}, netns)
    names = re.findall(r"^\s+([a-z-]+)\s+\d+$", netns.run("nft", "describe", "icmp type").stdout, re.M)
    assert {"echo-request", "destination-unreachable"} <= set(names)
    assert all(one in str(raised.value) for one in names)


def defragmentation(row: Row, netns: Namespace, tmp_path: Path) -> None:
    second = {"way": "forward", "protocol": "udp", "saddr": "192.168.1.1", "daddr": "1.2.3.4", "fragment": 2}
    rule: dict[str, Any] = {"fragment": True, "counter": True}
    for first, seen in ((rule, 1), ({"ct_state": "new"}, 0)):
        with fates.host() as host:
            rules = [first, rule] if first is not rule else [rule]
            apply(document("ipchains", {"chain": "forward", "rules": rules}), host.host)
            host.fates([second])
            assert sum(counted_here(host, "forward")) == seen


def log_levels(row: Row, netns: Namespace, tmp_path: Path) -> None:
    levels = ("emerg", "alert", "crit", "err", "notice", "info", "debug")
    rules: list[dict[str, Any]] = [{"log": {"level": one}} for one in levels]
    apply(document("ipchains", {"chain": "input", "rules": [*rules, {"log": True}]}), netns)
    listed = re.findall(r"^\s+log(?: level (\w+))?$", netns.nft_text(), re.M)
    assert listed == [*levels, ""]  # nft leaves the default, warn, out


def queue_length(row: Row, netns: Namespace, tmp_path: Path) -> None:
    netns.run("ip", "link", "add", "ppp0", "type", "veth", "peer", "name", "far")
    here = {"ansible_python_interpreter": sys.executable}  # which has pyroute2
    play(tmp_path, {netns.name: here}, [row["task"]])
    (found,) = json.loads(netns.run("ip", "-json", "link", "show", "ppp0").stdout)
    assert found["txqlen"] == 10


def new_chain(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply(document("ipchains", row), netns)
    assert "chain test {" in netns.nft_text()


def delete_chain(row: Row, netns: Namespace, tmp_path: Path) -> None:
    full = document("ipchains", {"chains": {"test": [{"counter": True}], "input": [{"jump": "test"}]}})
    apply(full, netns)
    without = document("ipchains", {"chains": {"input": [{"jump": "test"}]}})
    with pytest.raises(RempartError) as raised:
        apply(without, netns)
    assert re.search(
        r"chains\[\d\]\.rules\[0\]\.jump: a jump to a chain that is not there", str(raised.value)
    )
    assert "chain test {" in netns.nft_text()
    apply(document("ipchains", {"chains": {"input": []}}), netns)
    assert "chain test {" not in netns.nft_text()


COUNTED = {
    "chains": {
        "test": [{"daddr": "192.168.1.1", "verdict": "drop"}],
        "input": [{"protocol": "icmp", "counter": {"packets": 1234567, "bytes": 1}}, {"jump": "test"}],
    }
}


def show(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply(document("ipchains", COUNTED), netns)
    shown = rempart(*words(row, netns)).stdout
    assert re.search(r"chain test \{ # .*1", shown) and "ip daddr 192.168.1.1 drop" in shown


def counters(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply(document("ipchains", COUNTED), netns)
    assert re.search(r"counter packets 1235K bytes 1\b", rempart(*words(row, netns)).stdout)


def exact(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply(document("ipchains", COUNTED), netns)
    assert "counter packets 1234567 bytes 1" in rempart(*words(row, netns)).stdout


def zero(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply(document("ipchains", COUNTED), netns)
    assert "counter packets 1235K bytes 1" in rempart(*words(row, netns)).stdout
    assert "counter packets 0 bytes 0" in rempart(*words(row, netns)).stdout


def masqueraded(row: Row, netns: Namespace, tmp_path: Path) -> None:
    with fates.host() as host:
        apply(
            document("ipchains", {"chain": "outgoing", "rules": [{"oifname": "ppp0", "masquerade": True}]}),
            host.host,
        )
        sent = {
            "way": "forward",
            "protocol": "udp",
            "saddr": "192.168.1.1",
            "daddr": "1.2.3.4",
            "sport": 4001,
        }
        host.fates([sent, {"way": "out", "protocol": "udp", "saddr": "172.31.1.1", "daddr": "1.2.3.9"}])
        (line,) = rempart(*words(row, host.host)).stdout.splitlines()
        assert "src=192.168.1.1 dst=1.2.3.4" in line and "dst=172.31.1.1" in line


def masquerade_timeouts(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply_command({"conntrack": row["conntrack"]}, netns, tmp_path)
    found = keys(netns)
    values = [
        found["nf_conntrack_" + one].strip() for one in ("tcp_timeout_established", "tcp_timeout_fin_wait")
    ]
    values += [found["nf_conntrack_" + one].strip() for one in ("udp_timeout", "udp_timeout_stream")]
    assert values == ["7200", "10", "160", "160"]
    apply_command({"conntrack": {"masquerade_timeouts": [0, 0, 0]}}, netns, tmp_path)
    assert keys(netns) == found


def trace(row: Row, netns: Namespace, tmp_path: Path) -> None:
    checked = {
        "chain": "input",
        "rules": [{"protocol": "tcp", "dport": "www", "syn": True, "comment": "web", "verdict": "accept"}],
    }
    with fates.host() as host:
        tables = [*document("ipchains", checked)["tables"], *row["tables"]]
        apply({"tables": tables}, host.host)
        output = tmp_path / "trace"
        before = conntrack_tool.listeners(host.host)
        with open(output, "wb") as file:
            monitor = host.host.popen("nft", "monitor", "trace", stdout=file)
        wait_until(lambda: conntrack_tool.listeners(host.host) != before)
        sent = {
            "way": "in",
            "saddr": "192.168.1.1",
            "daddr": "192.168.1.2",
            "protocol": "tcp",
            "sport": 60000,
        }
        host.fates([{**sent, "dport": 81}, {**sent, "dport": 80}])
        wait_until(lambda: "edge input rule" in output.read_text())
        monitor.kill()
        (line,) = [one for one in output.read_text().splitlines() if "edge input rule" in one]
        assert "dport 80" in line and "web" in line and "(verdict accept)" in line
        assert "dport 81" not in output.read_text()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def save(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply(document("ipchains", COUNTED), netns)
    arguments = words(row, netns)
    arguments[1:1] = ["my_firewall"] if "my_firewall" not in arguments else []
    assert rempart(*arguments, cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "my_firewall").read_text())["tables"][0]["name"] == "edge"
    assert (tmp_path / "my_firewall").stat().st_mode & 0o777 == 0o600


def restore(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply(document("ipchains", COUNTED), netns)
    assert rempart("save", tmp_path / "my_firewall", "--netns", netns.name).returncode == 0
    saved = netns.nft_text()
    if "--on-clash" in row["command"]:
        apply(document("ipchains", {"chain": "input", "rules": []}), netns)
        arguments = ["restore", tmp_path / "my_firewall", "--netns", netns.name]
        assert rempart(*arguments).returncode == 1 and netns.nft_text() != saved
        assert rempart(*arguments, "--on-clash", "skip").returncode == 0 and netns.nft_text() != saved
    else:
        netns.nft("flush ruleset")
    arguments = words(row, netns)
    arguments[1:1] = ["my_firewall"] if "my_firewall" not in arguments else []
    assert rempart(*arguments, cwd=tmp_path).returncode == 0
    assert sorted(netns.nft_text().splitlines()) == sorted(saved.splitlines())


def version(row: Row, netns: Namespace, tmp_path: Path) -> None:
    assert re.fullmatch(r"rempart \d+\.\d+\.\d+\n", rempart("--version").stdout)


def ftp_helper(row: Row, netns: Namespace, tmp_path: Path) -> None:
    apply_command({"conntrack": {**row["conntrack"], "persist": False}}, netns, tmp_path)
    assert 'tcp dport 21 ct helper set "ftp"' in netns.nft_text()
    assert HELPERS["ftp"].module == "nf_conntrack_ftp"


def zero_connections(row: Row, netns: Namespace, tmp_path: Path) -> None:
    listed = []
    for run in (["conntrack", "-L", "-z"], [str(SCRIPT), *shlex.split(row["command"])[1:]]):
        with Namespace() as one:
            one.up().sysctl("net.netfilter.nf_conntrack_acct", 1)
            one.nft(TRACKING % "ct state new accept")
            with echo_server(one, "127.0.0.1", 7007, ("udp",)):
                udp_send(one, "127.0.0.1", 7007, source=("127.0.0.1", 4007))
            counted = [*map(still, one.run(*run).stdout.splitlines())]
            listed.append((counted, [*map(still, conntrack_tool.listing(one))]))
            assert " packets=1 " in counted[0] and " packets=0 " in listed[-1][1][0]
    assert listed[0] == listed[1]


def labelled(row: Row, netns: Namespace, tmp_path: Path) -> None:
    sample(netns)
    names = "3 three\n"
    there = conntrack_tool.listing(netns, *shlex.split(row["run"])[1:], labels=names)
    here = conntrack_tool.with_labels(netns, names, str(SCRIPT), *shlex.split(row["command"])[1:])
    assert sorted(map(still, here)) == sorted(map(still, there))
    assert any(one.endswith("labels=three") for one in here)


def statistics(row: Row, netns: Namespace, tmp_path: Path) -> None:
    there = netns.run("conntrack", "-S").stdout
    code, here = rempart_json("conntrack", "stats", "--netns", netns.name)
    assert code == 0
    text = json.dumps(here)
    names = set(re.findall(r"(\w+)=\d", there))
    assert names and all('"%s"' % one in text for one in names)


def xml(row: Row, netns: Namespace, tmp_path: Path) -> None:
    def flows(text: str) -> list[str]:
        return sorted(map(still, re.findall(r"<flow.*?</flow>", text, re.DOTALL)))

    sample(netns)
    there = netns.run("conntrack", *shlex.split(row["run"])).stdout
    here = rempart(*words(row, netns)).stdout
    assert flows(here) == flows(there) and len(flows(there)) > 10


def events(row: Row, netns: Namespace, tmp_path: Path) -> None:
    netns.sysctl("net.netfilter.nf_conntrack_events", 1)
    output = tmp_path / "events"
    with conntrack_tool.events(netns, *shlex.split(row["run"])[1:]) as there, open(output, "wb") as file:
        before = conntrack_tool.listeners(netns)
        here = netns.popen(
            str(SCRIPT), *shlex.split(row["command"])[1:], stdout=file, env=environment(PYTHONUNBUFFERED="1")
        )
        wait_until(lambda: conntrack_tool.listeners(netns) != before)
        inject(netns, [udp(dport=53), udp(dport=54), tcp()])
        netns.run(
            "conntrack", "-U", "-p", "udp", "--dport", "53", "-s", "10.0.0.1", "-d", "10.9.0.1", "-m", "3"
        )
        netns.run("conntrack", "-F")
        expected = {"-E": 7, "-E -e NEW,DESTROY": 6}.get(row["run"], 3)
        there.wait(expected)
        wait_until(lambda: len(output.read_text().splitlines()) >= expected)
        here.send_signal(signal.SIGINT)
        here.wait(5)
        lines = there.stop()
    by_whom = re.compile(r" \[USERSPACE\].*")
    assert sorted(map(still, output.read_text().splitlines())) == sorted(
        by_whom.sub("", still(one)) for one in lines
    )
    assert len(lines) == expected


def expected_events(row: Row, netns: Namespace, tmp_path: Path) -> None:
    output = tmp_path / "events"
    with open(output, "wb") as file:
        before = conntrack_tool.listeners(netns)
        watch = netns.popen(
            str(SCRIPT), *shlex.split(row["command"])[1:], stdout=file, env=environment(PYTHONUNBUFFERED="1")
        )
        wait_until(lambda: conntrack_tool.listeners(netns) != before)
        with NetlinkSocket(netns.name) as kernel:
            expect(netns, kernel, 1)
        wait_until(lambda: "dport=7000" in output.read_text())
        watch.kill()


def deleted(row: Row, netns: Namespace, tmp_path: Path) -> None:
    left = []
    for run in (["conntrack", *shlex.split(row["run"])], [str(SCRIPT), *shlex.split(row["command"])[1:]]):
        with Namespace() as one:
            sample(one.up())
            before = len(conntrack_tool.listing(one))
            one.run(*run)
            left.append(sorted(map(still, conntrack_tool.listing(one))))
            assert len(left[-1]) < before
    if "task" in row:
        with Namespace() as one:
            sample(one.up())
            play(tmp_path, {one.name: {}}, [row["task"]])
            left.append(sorted(map(still, conntrack_tool.listing(one))))
    assert left[0] == left[1] == left[-1]


def changed(row: Row, netns: Namespace, tmp_path: Path) -> None:
    sample(netns)
    before = sorted(map(still, conntrack_tool.listing(netns)))
    netns.run("conntrack", *shlex.split(row["run"]))
    with Namespace() as other:
        sample(other.up())
        play(tmp_path, {other.name: {}}, [row["task"]])
        there, here = (conntrack_tool.listing(one) for one in (netns, other))
        assert sorted(map(still, here)) == sorted(map(still, there))
        left = [
            [int(line.split()[2]) for line in sorted(lines) if "sport=5678" in line]
            for lines in (there, here)
        ]
        assert all(abs(a - b) <= 10 for a, b in zip(*left))
        assert sorted(map(still, there)) != before or left[0] == [60] or 50 <= left[0][0] <= 60


def expectations(row: Row, netns: Namespace, tmp_path: Path) -> None:
    with NetlinkSocket(netns.name) as kernel:
        expect(netns, kernel, 1)
        expect(netns, kernel, 2, port=7001)
    there = netns.run("conntrack", *shlex.split(row["run"])).stdout.splitlines()
    moving = re.compile(r"^\d+ ")
    here = rempart(*words(row, netns)).stdout.splitlines()
    assert sorted(moving.sub("", one) for one in here) == sorted(moving.sub("", one) for one in there)
    assert len(there) == 2


def expectation_deleted(row: Row, netns: Namespace, tmp_path: Path) -> None:
    with NetlinkSocket(netns.name) as kernel:
        expect(netns, kernel, 1, port=7777)
        expect(netns, kernel, 2, port=7001)
    play(tmp_path, {netns.name: {}}, [row["task"]])
    (left,) = netns.run("conntrack", "-L", "expect").stdout.splitlines()
    assert "dport=7001" in left and len(conntrack_tool.listing(netns)) == 2


def expectations_flushed(row: Row, netns: Namespace, tmp_path: Path) -> None:
    with NetlinkSocket(netns.name) as kernel:
        expect(netns, kernel, 1)
    netns.run(str(SCRIPT), *shlex.split(row["command"])[1:])
    assert netns.run("conntrack", "-L", "expect").stdout == ""


def stats(row: Row, netns: Namespace, tmp_path: Path) -> None:
    assert re.match(r"(ok|filling|full): \d+ connections? of \d+", rempart(*words(row, netns)).stdout)


def munin(row: Row, netns: Namespace, tmp_path: Path) -> None:
    assert re.search(r"^\w+\.value \d+$", rempart(*words(row, netns)).stdout, re.M)


def maximum(row: Row, netns: Namespace, tmp_path: Path) -> None:
    found = json.loads(rempart(*words(row, netns)).stdout)
    (value,) = _values(found, "max")
    assert value == int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())


def _values(tree: Any, name: str) -> list[Any]:
    if isinstance(tree, dict):
        own = [tree[name]] if name in tree else []
        return own + [one for value in tree.values() for one in _values(value, name)]
    return []


def count(row: Row, netns: Namespace, tmp_path: Path) -> None:
    inject(netns, [tcp(), udp()])
    place = conntrack_sizes.DIRECTORY / "nf_conntrack_count"
    assert rempart(*words(row, netns)).stdout.split() == netns.call(place.read_text).split() == ["2"]


def sizes(row: Row, netns: Namespace, tmp_path: Path) -> None:
    """These are the whole machine's; they are put back."""
    file = tmp_path / "document.yml"
    file.write_text(yaml.safe_dump({"conntrack": {**row["conntrack"], "persist": False}}))
    found = []
    for run in (["sh", "-c", commands(row)[0]], [str(SCRIPT), "apply", str(file)]):
        with conntrack_sizes.kept() as before:
            ((name, _),) = row["conntrack"].items()
            key = "nf_conntrack_" + name
            (conntrack_sizes.DIRECTORY / key).write_text(str(2 * before[key]))
            run_on_host(run)
            found.append(conntrack_sizes.sizes())
            assert found[-1][key] == row["conntrack"][name]
    assert found[0][key] == found[1][key]


def run_on_host(argv: list[str]) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        pytest.param(name, row, id="%s: %s" % (name, label(row)))
        for name in NAMES
        for row in rows(name)
        if "proof" in row
    ],
)
def test_rows_with_a_way_of_their_own(netns: Namespace, tmp_path: Path, name: str, row: Row) -> None:
    globals()[row["proof"]](row, netns, tmp_path)


def test_labels_that_nobody_named_are_not_shown(tracked: Namespace) -> None:
    """As conntrack(8) has it where there is no file of their names; with one, ``labelled`` compares."""
    there = tracked.run("conntrack", "-L", "-o", "labels").stdout.splitlines()
    here = rempart("conntrack", "list", "-o", "labels", "--netns", tracked.name).stdout.splitlines()
    assert sorted(map(still, here)) == sorted(map(still, there))
