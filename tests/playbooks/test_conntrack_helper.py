# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module ``conntrack_helper``: in playbooks and by hand, with real transfers and modules to load."""

from __future__ import annotations

import ftplib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.ftp import ftp_server
from tests.support.modular_host import ModularHost
from tests.support.namespaces import Namespace, veth
from tests.support.playbooks import HOST_VARS, play, settings

MakeNetns = Callable[[], Namespace]


def task(title: str, **keys: Any) -> dict[str, Any]:
    """A task; ``check_mode`` and its like are the task's, the rest the module's."""
    own = {key: keys.pop(key) for key in ("check_mode", "diff", "ignore_errors") if key in keys}
    return {"name": title, "rempart.netfilter.conntrack_helper": keys, **own}


def firewall(title: str) -> dict[str, Any]:
    """The article's, for a server: whatever comes in or goes out is FTP's control or belongs to it."""
    rules = [
        {"ct_state": ["established", "related"], "verdict": "accept"},
        {"protocol": "tcp", "dport": "ftp", "ct_state": "new", "verdict": "accept"},
    ]
    chains = [{"name": hook, "hook": hook, "policy": "drop", "rules": rules} for hook in ("input", "output")]
    return {"name": title, "rempart.netfilter.ruleset": {"tables": [{"name": "edge", "chains": chains}]}}


def page(client: Namespace, passive: bool) -> bytes | None:
    """What is to be had over FTP; None if the data do not come."""

    def inside() -> bytes | None:
        ftp = ftplib.FTP(timeout=0.4)
        found: list[bytes] = []
        try:
            ftp.connect("10.9.0.1")
            ftp.login()
            ftp.set_pasv(passive)
            ftp.retrbinary("RETR page", found.append)
            return b"".join(found)
        except (OSError, ftplib.error_temp):
            return None
        finally:
            ftp.close()

    return client.call(inside)


def test_ftp_passes_once_its_helper_is_assigned(tmp_path: Path, make_netns: MakeNetns) -> None:
    server, client = make_netns().up(), make_netns().up()
    veth(server, client, "10.9.0.1/24", "10.9.0.2/24")
    host: dict[str, dict[str, Any]] = {server.name: {}}
    play(tmp_path, host, [firewall("wall")])
    with ftp_server(server, files={"page": b"welcome"}):
        assert [page(client, passive) for passive in (True, False)] == [None, None]
        tasks = [
            task("would", helpers=["ftp"], check_mode=True, diff=True),
            task("first", helpers=["ftp"], diff=True),
            task("second", helpers="ftp", diff=True),
        ]
        done = play(tmp_path, host, tasks)
        assert done.statuses()[server.name] == ["changed", "changed", "ok"]
        would, first, second = (done.of(name) for name in ("would", "first", "second"))
        assert (would["changes"], would["diff"]) == (first["changes"], first["diff"])
        assert (second["changes"], second["diff"]) == ([], [])
        modules = {"nf_conntrack_ftp": "builtin", "nf_nat_ftp": "builtin"}
        assert first["helpers"] == {"ftp": {"modules": modules}}
        (added,) = [one for one in first["changes"] if one["kind"] == "rule" and one["chain"] == "ftp"]
        assert (added["place"], added["rule"]) == ("helpers[0]", 'tcp dport 21 ct helper set "ftp"')
        assert '\tct helper ftp {\n\t\ttype "ftp" protocol tcp' in first["diff"][0]["after"]
        assert [page(client, passive) for passive in (True, False)] == [b"welcome"] * 2
        assert "helper=ftp" in server.run("conntrack", "-L", "-p", "tcp", "--dport", "21").stdout

        tasks = [
            task("another", helpers=[{"name": "sip", "ports": [5060, 5062], "protocol": "udp"}]),
            task("would go", helpers=["ftp"], state="absent", check_mode=True),
            task("go", helpers=["ftp"], state="absent"),
            task("gone", helpers=["ftp"], state="absent"),
            task("unload", helpers=["sip"], state="absent", unload=True, ignore_errors=True),
        ]
        done = play(tmp_path, host, tasks)
        assert done.statuses()[server.name] == ["changed", "changed", "changed", "ok", "failed"]
        assert "nf_conntrack_sip is built into the kernel" in done.of("unload")["msg"]
        text = server.nft_text()
        assert "table inet edge" in text and "ct helper sip_udp" in text and '"ftp"' not in text
        server.run("conntrack", "-F")
        assert [page(client, passive) for passive in (True, False)] == [None, None]


def test_a_host_that_loads_modules(tmp_path: Path, make_netns: MakeNetns) -> None:
    names = [half + name for name in ("ftp", "tftp") for half in ("nf_conntrack_", "nf_nat_")]
    root = tmp_path / "root"
    root.mkdir()
    host = ModularHost(root, names)
    netns = make_netns()
    both = ["tftp", {"name": "ftp", "parameters": {"ports": [21, 2121]}}]
    tasks = [
        task("would", helpers=both, root=str(root), check_mode=True, diff=True),
        task("first", helpers=both, root=str(root), diff=True),
        task("second", helpers=both, root=str(root), diff=True),
        task("go", helpers=["ftp"], root=str(root), state="absent", unload=True, diff=True),
    ]
    done = play(tmp_path, {netns.name: {}}, tasks[:1])
    assert host.calls() == [] and host.boot() == "" and netns.nft_text() == ""
    would = done.of("would")
    done = play(tmp_path, {netns.name: {}}, tasks[1:])
    assert done.statuses()[netns.name] == ["changed", "ok", "changed"]
    first = done.of("first")
    assert (would["changes"], would["diff"]) == (first["changes"], first["diff"])
    assert first["helpers"]["ftp"] == {"modules": {"nf_conntrack_ftp": "loaded", "nf_nat_ftp": "loaded"}}
    files = {
        one["after_header"]: one["after"] for one in first["diff"] if one["after_header"].startswith("/")
    }
    assert files == {
        "/etc/modules-load.d/rempart-helpers.conf": "# Kept by rempart.\n"
        + "".join("%s\n" % name for name in sorted(names)),
        "/etc/modprobe.d/rempart-helpers.conf": "# Kept by rempart.\n"
        "options nf_conntrack_ftp ports=21,2121\n",
    }
    assert done.of("second")["diff"] == []
    assert done.of("go")["helpers"]["ftp"] == {
        "modules": {"nf_conntrack_ftp": "available", "nf_nat_ftp": "available"}
    }
    assert host.calls() == [
        "nf_conntrack_tftp",
        "nf_nat_tftp",
        "nf_conntrack_ftp ports=21,2121",
        "nf_nat_ftp",
        "--remove nf_nat_ftp nf_conntrack_ftp",
    ]
    assert host.boot() == "# Kept by rempart.\nnf_conntrack_tftp\nnf_nat_tftp\n" and host.options() == ""


def test_what_is_wrong_is_said_by_the_controller_all_at_once(tmp_path: Path, make_netns: MakeNetns) -> None:
    netns = make_netns()
    wrong = [
        {"name": "ftp", "protocol": "udp"},
        {"name": "sip", "ports": [5060, 70000], "saddr": "10.0.0.256"},
        {"name": "irc", "parameters": {"dcc_timout": 5}},
        "tftpd",
    ]
    tasks = [
        task("wrong", helpers=wrong, ignore_errors=True),
        task("both", helpers=["ftp"], name="sip", ignore_errors=True),
        task("neither", ignore_errors=True),
    ]
    # No module gets as far as this interpreter
    done = play(tmp_path, {netns.name: {"ansible_python_interpreter": "/bin/false"}}, tasks)
    assert done.statuses()[netns.name] == ["failed"] * 3
    errors = sorted(done.of("wrong")["errors"], key=lambda one: str(one["place"]))
    assert [one["place"] for one in errors] == [
        "helpers[0].protocol",
        "helpers[1].ports[1]",
        "helpers[1].saddr",
        "helpers[2].parameters.dcc_timout",
        "helpers[3].name",
    ]
    assert errors[0]["allowed"] == "tcp"
    assert [one["cure"] for one in errors[3:]] == ["did you mean 'dcc_timeout'?", "did you mean 'tftp'?"]
    assert "name beside helpers" in done.of("both")["msg"]
    assert "no helper is named" in done.of("neither")["msg"]
    assert netns.nft_text() == ""


def test_by_hand(tmp_path: Path, make_netns: MakeNetns) -> None:
    netns = make_netns()
    program = Path(sys.executable).parent / "ansible"
    hosts = ["-i", netns.name + ",", "all"]
    variables = [argument for one in HOST_VARS.items() for argument in ("-e", "%s=%s" % one)]
    what = ["-m", "rempart.netfilter.conntrack_helper", "-a", "name=ftp ports=21,2121"]
    done = subprocess.run(
        [str(program), *hosts, *variables, *what],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **settings(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'tcp dport { 21, 2121 } ct helper set "ftp"' in netns.nft_text()
