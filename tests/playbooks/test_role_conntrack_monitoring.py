# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the role ``conntrack`` writes for Prometheus and munin, and what comes of it when it is run."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import SCRIPT
from tests.support.conntrack_role import changed, run
from tests.support.namespaces import Namespace
from tests.support.private_host import PrivateHost
from tests.support.traffic import echo_server, udp_send

UNITS = "/etc/systemd/system/"
SERVICE = UNITS + "rempart-conntrack-export.service"
TIMER = UNITS + "rempart-conntrack-export.timer"
WANTED = UNITS + "timers.target.wants/rempart-conntrack-export.timer"
PLUGIN = "/etc/munin/plugins/rempart_conntrack"
PLUGIN_CONFIG = "/etc/munin/plugin-conf.d/rempart-conntrack"
TEXTFILES = "/var/lib/prometheus/node-exporter"


@pytest.fixture
def image(tmp_path: Path) -> PrivateHost:
    """The tree of an image, with the command, a node exporter and a munin node installed in it."""
    made = PrivateHost(
        tmp_path / "image",
        UNITS[1:],
        TEXTFILES[1:],
        "etc/munin/plugins",
        "etc/munin/plugin-conf.d",
        "usr/local/bin",
    )
    (made.root / "usr/local/bin/rempart").symlink_to(SCRIPT)
    return made


def unit(text: str | None) -> dict[str, dict[str, str]]:
    """The sections of a unit, each key once."""
    assert text is not None
    parser = configparser.ConfigParser(interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def verify(image: PrivateHost, *units: str) -> None:
    """Have systemd itself read the units, where this machine has it: it complains of what it does not know.

    It reads them as text. Nothing is started.
    """
    if shutil.which("systemd-analyze"):
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *("%s%s" % (image.root, one) for one in units)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        complaints = [line for line in done.stderr.splitlines() if "rempart" in line]
        # The command is in the image.
        assert [one for one in complaints if "is not executable" not in one] == [], done.stderr


def in_image(image: PrivateHost, netns: Namespace, *argv: str, keep: Sequence[str] = ()) -> str:
    """What a program prints that runs in the namespace with the image's /var/lib and /usr/local/bin.

    ``keep`` are the capabilities that it has left of root's, all without any.
    """
    script = 'mount --bind "$0/var/lib" /var/lib; mount --bind "$0/usr/local/bin" /usr/local/bin; exec "$@"'
    bounds = ",".join(["-all", *("+" + one[len("CAP_") :].lower() for one in keep)])
    dropped = ["setpriv", "--bounding-set", bounds, "--inh-caps", "-all"] if keep else []
    inside = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, str(image.root)]
    return netns.run(*inside, *dropped, *argv).stdout


def test_prometheus(tmp_path: Path, image: PrivateHost, netns: Namespace) -> None:
    host = PrivateHost(tmp_path / "host")
    untouched = host.files()
    wanted: dict[str, Any] = {
        "conntrack_root": "%s/" % image.root,
        "conntrack_prometheus_textfile": TEXTFILES + "/conntrack.prom",
        "conntrack_prometheus_interval": "15s",
    }
    would = run(tmp_path, host, netns, "--check", **wanted)
    assert not {SERVICE, TIMER, WANTED} & image.files()
    first = run(tmp_path, host, netns, **wanted)
    assert changed(first) == [
        "Write the units of the figures",
        "Have a directory for the timers that are started",
        "Have the timer among them",
    ]
    assert changed(would) == changed(first)
    assert changed(run(tmp_path, host, netns, **wanted)) == []
    assert (image.root / WANTED[1:]).readlink() == Path(TIMER)
    verify(image, SERVICE, TIMER)
    timer = unit(image.text(TIMER))
    assert timer["Timer"] == {"OnActiveSec": "0", "OnUnitActiveSec": "15s", "AccuracySec": "1s"}
    assert timer["Install"] == {"WantedBy": "timers.target"}
    service = unit(image.text(SERVICE))["Service"]
    assert service["Type"] == "oneshot" and service["ReadWritePaths"] == TEXTFILES

    figures = image.root / TEXTFILES[1:] / "conntrack.prom"
    shutil.chown(figures.parent, "nobody")
    netns.nft("table inet t { chain c { type filter hook input priority 0; ct state new accept; }; }")
    with echo_server(netns, "127.0.0.1") as server:
        assert udp_send(netns, "127.0.0.1", server.port) == b"rempart"
    command = shlex.split(service["ExecStart"])
    assert command[0] == "/usr/local/bin/rempart"
    in_image(image, netns, *command, keep=service["CapabilityBoundingSet"].split())
    text = figures.read_text()
    assert "\nrempart_conntrack_entries 1\n" in text and "rempart_conntrack_connections" not in text
    assert figures.stat().st_mode & 0o777 == 0o644

    # Elsewhere, with more: what is no longer written must not stay, or Prometheus would go on reading it.
    other = TEXTFILES + "/tracking.prom"
    more = {**wanted, "conntrack_prometheus_textfile": other, "conntrack_prometheus_connections": True}
    assert changed(run(tmp_path, host, netns, **more)) == [
        "Write the units of the figures",
        "Remove the figures that an earlier run had elsewhere",
    ]
    assert not figures.exists()
    in_image(image, netns, *shlex.split(unit(image.text(SERVICE))["Service"]["ExecStart"]))
    assert '\nrempart_conntrack_connections{protocol="udp"} 1\n' in str(image.text(other))

    less = {"conntrack_root": str(image.root)}
    assert changed(run(tmp_path, host, netns, **less)) == [
        "Remove the figures",
        "Remove the units of the figures",
    ]
    assert image.text(other) is None and not {SERVICE, TIMER, WANTED} & image.files()
    assert changed(run(tmp_path, host, netns, **less)) == []
    assert host.files() == untouched


def test_munin(tmp_path: Path, image: PrivateHost, netns: Namespace) -> None:
    host = PrivateHost(tmp_path / "host")
    wanted = {"conntrack_root": str(image.root), "conntrack_munin": True}
    would = run(tmp_path, host, netns, "--check", **wanted)
    assert not {PLUGIN, PLUGIN_CONFIG} & image.files()
    first = run(tmp_path, host, netns, **wanted)
    assert changed(would) == changed(first) == ["Have munin run the plugin as root", "Write the plugin"]
    assert changed(run(tmp_path, host, netns, **wanted)) == []
    assert str(image.text(PLUGIN_CONFIG)).endswith("\n[rempart_conntrack]\nuser root\n")

    plugin = str(image.root) + PLUGIN
    assert in_image(image, netns, plugin, "autoconf") == "yes\n"
    config, shown = (in_image(image, netns, plugin, *arguments) for arguments in (["config"], []))
    # Each field of the graphs has a value, and nothing else has.
    fields = re.findall(r"^(multigraph \w+|\w+(?=\.label ))", config, re.MULTILINE)
    values = re.findall(r"^(multigraph \w+|\w+(?=\.value \d+$))", shown, re.MULTILINE)
    assert len(fields) > 10 and sorted(fields) == sorted(values)
    assert "\nentries.value 0\n" in shown

    gone = {**wanted, "conntrack_state": "absent"}
    assert changed(run(tmp_path, host, netns, **gone)) == ["Remove the plugin"]
    assert not {PLUGIN, PLUGIN_CONFIG} & image.files()
    assert changed(run(tmp_path, host, netns, **gone)) == []


def test_an_image_takes_files_only(tmp_path: Path, image: PrivateHost, netns: Namespace) -> None:
    host = PrivateHost(tmp_path / "host")
    rules = {
        "conntrack_helpers": ["ftp"],
        "conntrack_notrack": True,
        "conntrack_tracked_interfaces": ["lo"],
        "conntrack_boot": True,
    }
    wanted = {"conntrack_root": str(image.root), "conntrack_settings": {"max": 4096, "tcp_loose": False}}
    loose = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_loose")
    before = netns.call(loose.read_text)
    run(tmp_path, host, netns, **wanted, **rules)
    assert changed(run(tmp_path, host, netns, **wanted, **rules)) == []
    kept = str(image.text("/etc/sysctl.d/70-rempart-conntrack.conf"))
    assert "net.netfilter.nf_conntrack_max = 4096\n" in kept
    assert netns.call(loose.read_text) == before and netns.nft_text() == ""
    run(tmp_path, host, netns, conntrack_root=str(image.root), conntrack_settings={})
    assert image.text("/etc/sysctl.d/70-rempart-conntrack.conf") is None
