# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``conntrack``: settings of a network namespace, and the files of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.namespaces import Namespace
from tests.support.playbooks import play

SETTINGS: dict[str, Any] = {
    "tcp_loose": False,
    "log_invalid": "tcp",
    "acct": True,
    "timeouts": {"tcp": {"established": "12h"}, "udp": {"stream": "3m"}, "icmp": 10},
    "masquerade_timeouts": [0, 10, 0],
}
KEYS = {
    "tcp_loose": "0",
    "log_invalid": "6",
    "acct": "1",
    "tcp_timeout_established": "43200",
    "udp_timeout_stream": "180",
    "icmp_timeout": "10",
    "tcp_timeout_fin_wait": "10",
}


def task(title: str, **keys: Any) -> dict[str, Any]:
    """A task; ``check_mode`` and its like are the task's, the rest the module's."""
    own = {key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors", "vars") if key in keys}
    return {"name": title, "rempart.netfilter.conntrack": keys, **own}


def values(netns: Namespace) -> dict[str, str]:
    directory = Path("/proc/sys/net/netfilter")
    return netns.call(
        lambda: {key: (directory / ("nf_conntrack_" + key)).read_text().strip() for key in KEYS}
    )


def test_the_second_run_changes_nothing(tmp_path: Path, netns: Namespace) -> None:
    before = values(netns)
    tasks = [
        task("would", **SETTINGS, check_mode=True, diff=True),
        task("first", **SETTINGS, diff=True),
        task("second", **SETTINGS, diff=True),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks[:1])
    assert values(netns) == before
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == ["changed", "changed", "ok"]
    assert values(netns) == KEYS
    for key in ("changes", "diff"):
        assert done.of("would")[key] == done.of("first")[key]
        assert done.of("second")[key] == []
    changes = done.of("first")["changes"]
    assert {(one["name"], one["before"], one["after"], one["place"]) for one in changes} == {
        ("tcp_loose", True, False, "tcp_loose"),
        ("log_invalid", "none", "tcp", "log_invalid"),
        ("acct", False, True, "acct"),
        ("timeouts.tcp.established", 432000, 43200, "timeouts.tcp.established"),
        ("timeouts.udp.replied", 120, 180, "timeouts.udp.stream"),
        ("timeouts.icmp", 30, 10, "timeouts.icmp"),
        ("timeouts.tcp.fin_wait", 120, 10, "masquerade_timeouts[1]"),
    }  # fmt: skip
    (shown,) = done.of("first")["diff"]
    assert "timeouts.tcp.established: 432000\n" in shown["before"]
    assert "timeouts.tcp.established: 43200\n" in shown["after"]
    assert "\n-timeouts.icmp: 30\n" in done.output and "\n+timeouts.icmp: 10\n" in done.output


def test_values_as_texts(tmp_path: Path, netns: Namespace) -> None:
    """As ``ansible -m`` gives them, and templates."""
    texts = {
        "tcp_loose": "no",
        "acct": "yes",
        "log_invalid": "6",
        "timeouts": "{{ times | to_json }}",
        "masquerade_timeouts": "0 10 0",
        "persist": "no",
    }
    times = {"tcp": {"established": "43200"}, "udp": {"stream": "3m"}, "icmp": "10"}
    tasks = [task("texts", **texts, vars={"times": times}), task("values", **SETTINGS)]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == ["changed", "ok"]
    assert values(netns) == KEYS


def test_what_is_wrong(tmp_path: Path, netns: Namespace) -> None:
    before = values(netns)
    tasks = [
        task(
            "wrong",
            acct="perhaps",
            max="many",
            tcp_max_retrans=300,
            timeouts={"tcp": {"estabilshed": 5, "close": 0}, "esp": 1},
            ignore_errors=True,
        ),
        task("unknown", max_expect=5, ignore_errors=True),
        task("not here", max=1000, helper=True, acct=True, ignore_errors=True),
        task("no file", persist=True, acct=True, ignore_errors=True),
        task("absent", state="absent", acct=True, ignore_errors=True),
        task("no root", root="/no/such/directory", acct=True, ignore_errors=True),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert set(done.statuses()[netns.name]) == {"failed"}
    assert [one["place"] for one in done.of("wrong")["errors"]] == [
        "max",
        "acct",
        "tcp_max_retrans",
        "timeouts.tcp.estabilshed",
        "timeouts.tcp.close",
        "timeouts.esp",
    ]
    assert "did you mean 'established'?" in done.of("wrong")["msg"]
    assert "max_expect: unknown setting; found 5; did you mean 'expect_max'?" in done.of("unknown")["msg"]
    assert {one["place"]: one["message"].split(" (")[0] for one in done.of("not here")["errors"]} == {
        "max": "counts for all network namespaces together, and can be set in the first one only",
        "helper": "this kernel has no such setting",
    }
    assert done.of("no file")["errors"][0]["place"] == "persist"
    assert done.of("absent")["errors"][0]["place"] == "acct"
    assert done.of("no root")["errors"][0]["place"] == "root"
    assert values(netns) == before


def test_the_files_of_an_image(tmp_path: Path, netns: Namespace) -> None:
    before = values(netns)
    image = tmp_path / "image"
    image.mkdir()
    wanted = {**SETTINGS, "max": 262144, "root": str(image)}
    tasks = [
        task("would", **wanted, check_mode=True),
        task("first", **wanted, diff=True),
        task("second", **wanted),
        task("more", checksum=False, timeouts={"tcp": {"syn_sent2": 5}}, root=str(image)),
        {"name": "text", "ansible.builtin.command": "cat %s/etc/sysctl.d/70-rempart-conntrack.conf" % image},
        task("go", state="absent", root=str(image)),
        task("gone", state="absent", root=str(image)),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks)
    assert done.statuses()[netns.name] == ["changed", "changed", "ok", *["changed"] * 3, "ok"]
    assert [one["action"] for one in done.of("first")["changes"]] == ["add", "add"]
    assert done.of("first")["diff"][0]["after"].endswith("icmp_timeout = 10\n")
    text = done.of("text")["stdout"]
    assert "net.netfilter.nf_conntrack_max = 262144\n" in text
    assert "net.netfilter.nf_conntrack_checksum = 0\n" in text
    assert "not kept over a reboot" in done.of("more")["warnings"][0]
    assert values(netns) == before
    assert [one for one in image.rglob("*") if one.is_file()] == []
