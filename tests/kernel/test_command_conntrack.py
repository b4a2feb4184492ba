# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``rempart conntrack``: what it lists, counts, watches and exports, with conntrack(8) as the judge."""

from __future__ import annotations

import json
import re
import subprocess
import time
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import SCRIPT, environment, on_terminal, rempart, rempart_json
from tests.support.connections import inject, tcp, udp
from tests.support.namespaces import Namespace
from tests.support.traffic import echo_server, tcp_exchange, udp_send

LABEL = '[a-z]+="[^"]*"'
TRACKED = "table inet t { chain c { type filter hook output priority 0; ct state new accept; }; }"


@pytest.fixture
def table(netns: Namespace) -> Namespace:
    """Connections of several kinds."""
    inject(
        netns,
        [
            tcp("192.0.2.1", "198.51.100.1", 40001, 443),
            tcp("192.0.2.2", "198.51.100.1", 40002, 443, state="TIME_WAIT", timeout=60),
            tcp("2001:db8::1", "2001:db8::2", 40003, 22, mark=16),
            udp("192.0.2.1", "198.51.100.2", 5353, 53),
            {**udp("192.0.2.9", "198.51.100.2", 6000, 53), "status": ["confirmed"]},
        ],
    )
    return netns


def moving(text: str) -> list[str]:
    """Lines without what moves by itself: the time left, and who holds the entry."""
    return sorted(
        re.sub(r"^(\S+ +\d+ )\d+ ", r"\1", re.sub(r" use=\d+", "", one)) for one in text.splitlines()
    )


def test_lines_are_those_of_conntrack(table: Namespace) -> None:
    theirs = (
        table.run("conntrack", "-L", "-f", "ipv4").stdout + table.run("conntrack", "-L", "-f", "ipv6").stdout
    )
    done = rempart("conntrack", "list", "--netns", table.name)
    assert (done.returncode, done.stderr) == (0, "")
    assert moving(done.stdout) == moving(theirs)
    extended = rempart("conntrack", "list", "--netns", table.name, "-o", "extended,id").stdout
    assert extended.startswith("ipv") and " id=" in extended


def test_filters(table: Namespace) -> None:
    def listed(*filters: str) -> list[int]:
        code, found = rempart_json("conntrack", "list", "--netns", table.name, *filters)
        assert (code, found["errors"], found["count"]) == (0, [], len(found["connections"]))
        return sorted(one["original"]["sport"] for one in found["connections"])

    assert listed() == [5353, 6000, 40001, 40002, 40003]
    assert listed("dport=443") == [40001, 40002]
    assert listed("dport=443", "state!=TIME_WAIT") == [40001]
    assert listed("saddr=192.0.2.0/30", "saddr=2001:db8::/32") == [5353, 40001, 40002, 40003]
    assert listed("protocol=udp,tcp", "saddr!=192.0.2.1") == [6000, 40002, 40003]
    assert listed("status=unreplied") == [6000]
    assert listed("saddr=10.0.0.0/8") == []
    count = rempart("conntrack", "count", "--netns", table.name, "mark=0x10/0xf0")
    assert count.stdout == "1\n"
    assert rempart("conntrack", "count", "--netns", table.name).stdout == "5\n"
    assert rempart_json("conntrack", "count", "--netns", table.name) == (0, {"count": 5, "errors": []})


def test_mistakes_are_told_at_once(netns: Namespace) -> None:
    code, found = rempart_json(
        "conntrack", "list", "--netns", netns.name, "sadr=1", "dport=nonesuch", "mark=x"
    )
    assert code == 1
    assert [one["place"] for one in found["errors"]] == ["sadr", "dport", "mark"]
    assert "did you mean 'saddr'" in found["errors"][0]["cure"]
    for words, message in (
        (["list", "443"], "no key and value"),
        (["list", "-o", "xlm"], "did you mean 'xml'"),
        (["list", "-o", "xml,table"], "table beside xml"),
        (["watch", "-e", "newest"], "did you mean 'new'"),
        (["watch", "-o", "table"], "use line or xml"),
        (["list", "--netns", "none-of-that-name"], "no such network namespace"),
    ):
        done = rempart("conntrack", *words)
        assert done.returncode == 1 and message in done.stderr, done.stderr


def test_xml_is_well_formed_and_a_table_is_for_people(table: Namespace) -> None:
    text = rempart("conntrack", "list", "--netns", table.name, "-o", "xml").stdout
    flows = xml.etree.ElementTree.fromstring(text)
    assert (flows.tag, len(flows)) == ("conntrack", 5)
    shown = on_terminal("conntrack", "list", "--netns", table.name, columns=150)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.text)
    assert "5 connections" in plain
    assert re.search(r"tcp +ESTABLISHED +\[2001:db8::1\]:40003 +\[2001:db8::2\]:22 .* 0x10 ", plain), plain
    assert re.search(r"udp +no answer +192.0.2.9:6000 +198.51.100.2:53", plain)
    assert "\x1b" not in rempart("conntrack", "list", "--netns", table.name, "-o", "table").stdout


def test_many_connections_are_listed_without_being_held(netns: Namespace) -> None:
    inject(netns, [udp("10.0.%d.%d" % (one >> 8, one & 255), "192.0.2.1", 1000, 53) for one in range(3000)])
    done = rempart("conntrack", "list", "--netns", netns.name)
    assert len(done.stdout.splitlines()) == 3000
    shown = on_terminal("conntrack", "list", "--netns", netns.name, columns=150)
    assert "2,000 more; -o line lists them all" in shown.text and "3,000 connections" in shown.text
    assert len(rempart_json("conntrack", "list", "--netns", netns.name)[1]["connections"]) == 3000


def test_counters_are_read_and_zeroed_in_one_step(netns: Namespace) -> None:
    netns.nft(TRACKED)
    netns.sysctl("net.netfilter.nf_conntrack_acct", 1)
    with echo_server(netns, "127.0.0.1") as echo:
        for port in (40001, 40002):
            assert udp_send(netns, "127.0.0.1", echo.port, source=("127.0.0.1", port)) == b"rempart"

    def packets(*words: str) -> dict[int, int]:
        _, found = rempart_json("conntrack", "list", "--netns", netns.name, "protocol=udp", *words)
        return {one["original"]["sport"]: one["original"]["packets"] for one in found["connections"]}

    assert packets("sport=40001", "--zero") == {40001: 1}
    assert packets() == {40001: 0, 40002: 1}
    assert packets("--zero") == {40001: 0, 40002: 1}
    assert packets() == {40001: 0, 40002: 0}


def test_counters_of_one_zone_alone_are_zeroed(netns: Namespace) -> None:
    netns.sysctl("net.netfilter.nf_conntrack_acct", 1)
    zone = "table inet z { chain %s { type filter hook %s priority raw; ct zone set 5; }; }"
    with echo_server(netns, "127.0.0.1") as echo:

        def exchange() -> None:
            assert udp_send(netns, "127.0.0.1", echo.port, source=("127.0.0.1", 40001)) == b"rempart"

        netns.nft(TRACKED)
        exchange()
        for hook in ("output", "prerouting"):
            netns.nft(zone % (hook, hook))
        exchange()

    def packets(*words: str) -> dict[int, int]:
        _, found = rempart_json("conntrack", "list", "--netns", netns.name, "protocol=udp", *words)
        return {one.get("zone", 0): one["original"]["packets"] for one in found["connections"]}

    assert packets("zone=5", "--zero") == {5: 1}
    assert packets() == {0: 1, 5: 0}


def test_stats(table: Namespace) -> None:
    done = rempart("conntrack", "stats", "--netns", table.name)
    assert re.match(
        r"(ok|filling|full): 5 connections of \d+ \([\d.]+ per cent\) in \d+ buckets, 0 of", done.stdout
    )
    theirs = table.run("conntrack", "-S").stdout
    ours = [line for line in done.stdout.splitlines() if line.startswith("cpu=") and "found=" in line]
    assert [re.sub(r"\s+", " ", line) for line in ours] == [
        re.sub(r"\s+", " ", line.strip()) for line in theirs.splitlines()
    ]
    code, found = rempart_json("conntrack", "stats", "--netns", table.name)
    assert (code, found["table"]["entries"]) == (0, 5) and found["saturation"]["verdict"] in (
        "ok",
        "filling",
        "full",
    )


def test_events_as_they_come(netns: Namespace) -> None:
    netns.nft(TRACKED)
    argv = [
        str(SCRIPT),
        "conntrack",
        "watch",
        "--netns",
        netns.name,
        "-e",
        "new,destroy",
        "protocol=udp",
        "sport=40009",
    ]
    lines = [*argv, "-n", "2", "--for", "20"]
    with (
        echo_server(netns, "127.0.0.1") as echo,
        subprocess.Popen(lines, stdout=subprocess.PIPE, text=True, env=environment()) as plain,
        subprocess.Popen(
            [*lines, "--json"], stdout=subprocess.PIPE, text=True, env=environment()
        ) as programs,
    ):
        _wait_for_listeners(netns, 2)
        udp_send(netns, "127.0.0.1", echo.port, source=("127.0.0.1", 40010))
        udp_send(netns, "127.0.0.1", echo.port, source=("127.0.0.1", 40009))
        netns.run("conntrack", "-D", "-p", "udp", "--sport", "40009")
        seen = [child.communicate(timeout=30)[0].splitlines() for child in (plain, programs)]
        assert (plain.returncode, programs.returncode) == (0, 0)
    assert [line.split()[0] for line in seen[0]] == ["[NEW]", "[DESTROY]"]
    assert all("sport=40009" in line for line in seen[0])
    objects = [json.loads(line) for line in seen[1]]
    assert [one["event"] for one in objects] == ["new", "destroy"]
    assert objects[0]["connection"]["original"]["sport"] == 40009


def started(*argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment())


def _wait_for_listeners(netns: Namespace, count: int) -> None:
    """Until so many programs listen to conntrack's events: groups 1 and 3 of netfilter's protocol, 12."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        rows = [line.split() for line in netns.run("cat", "/proc/net/netlink").stdout.splitlines()[1:]]
        if sum(1 for row in rows if row[1] == "12" and int(row[3], 16) & 5 == 5) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("nobody listens")


def test_top_shows_who_is_busy(netns: Namespace) -> None:
    netns.nft(TRACKED)
    inject(netns, [tcp("192.0.2.1", "192.0.2.2", 1, 2)])
    refused = rempart("conntrack", "top", "--netns", netns.name, "-r", "1")
    assert refused.returncode == 1 and "acct: true" in refused.stderr
    netns.run("conntrack", "-F")
    netns.sysctl("net.netfilter.nf_conntrack_acct", 1)
    with echo_server(netns, "127.0.0.1") as echo:
        udp_send(netns, "127.0.0.1", echo.port, source=("127.0.0.1", 40001))
        argv = [str(SCRIPT), "conntrack", "top", "--netns", netns.name, "-r", "1", "-d", "1.5", "--json"]
        with started(*argv) as child:
            end = time.monotonic() + 10
            while child.poll() is None and time.monotonic() < end:
                tcp_exchange(netns, "127.0.0.1", echo.port, b"x" * 50_000)
            found = json.loads(child.communicate(timeout=20)[0])
        busiest = found["connections"][0]
        assert busiest["protocol"] == "tcp" and busiest["bytes_per_second"] > 10_000
        assert all(one["original"].get("sport") != 40001 for one in found["connections"])
        shown = on_terminal("conntrack", "top", "--netns", netns.name, "-r", "2", "-d", "0.1", columns=140)
        assert "bytes/s" in shown.text and shown.code == 0


def test_prometheus(table: Namespace, tmp_path: Path) -> None:
    done = rempart("conntrack", "export", "--netns", table.name, "--connections")
    samples = {}
    for line in done.stdout.splitlines():
        assert re.fullmatch(
            r'# (HELP|TYPE) \S+ .+|rempart_conntrack_[a-z_]+({[a-z]+="[^"]*"(,[a-z]+="[^"]*")*})? \d+', line
        )
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            samples[name] = int(value)
    assert samples["rempart_conntrack_entries"] == 5
    assert samples['rempart_conntrack_connections{protocol="tcp"}'] == 3
    assert samples['rempart_conntrack_connection_states{protocol="tcp",state="time_wait"}'] == 1
    assert samples['rempart_conntrack_connection_families{family="ip6"}'] == 1
    assert samples['rempart_conntrack_connection_status{status="unreplied"}'] == 1
    assert 'rempart_conntrack_drop_total{cpu="0"}' in samples
    target = tmp_path / "conntrack.prom"
    assert rempart("conntrack", "export", "--netns", table.name, "-o", target).returncode == 0
    assert "rempart_conntrack_entries 5\n" in target.read_text() and target.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["conntrack.prom"]


def test_munin(table: Namespace) -> None:
    config = rempart("conntrack", "munin", "config", "--netns", table.name).stdout
    values = rempart("conntrack", "munin", "--netns", table.name).stdout
    assert rempart("conntrack", "munin", "autoconf", "--netns", table.name).stdout == "yes\n"

    def fields(text: str, what: str) -> set[tuple[str, str]]:
        found, graph = set(), ""
        for line in text.splitlines():
            if line.startswith("multigraph "):
                graph = line.split()[1]
            name, _, attribute = line.split()[0].partition(".")
            if attribute == what:
                found.add((graph, name))
        return found

    assert fields(config, "label") == fields(values, "value")
    lines = values.splitlines()
    for line in ("entries.value 5", "tcp_established.value 2", "tcp_time_wait.value 1", "udp.value 2"):
        assert line in lines


def test_expectations(make_netns: Callable[[], Namespace]) -> None:
    netns = make_netns()
    netns.up()
    done = on_terminal("conntrack", "expect", "--netns", netns.name)
    assert done.text == "no connection is expected\n"
    assert rempart("conntrack", "expect", "--netns", netns.name).stdout == ""
    code, found = rempart_json("conntrack", "expect", "--netns", netns.name)
    wanted: dict[str, Any] = {"expectations": [], "count": 0, "errors": []}
    assert (code, found) == (0, wanted)


def test_mistakes_are_told_in_the_words_of_the_command(table: Namespace, tmp_path: Path) -> None:
    where = ("--netns", table.name)
    done = rempart("conntrack", "watch", "-e", "new,destory", "-n", "1", *where)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(
        "--events: no kind of event; found 'destory'; allowed: new, update, destroy"
    )
    assert "did you mean 'destroy'?" in done.stderr
    target = tmp_path / "figures.txt"
    done = rempart("conntrack", "export", "-o", target, *where)
    assert done.returncode == 1 and "--output" in done.stderr and "end in .prom; found" in done.stderr
    assert not target.exists()
