# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables that boot applies: what is kept, what runs, and what the kernel then holds."""

from __future__ import annotations

import importlib.util
import json
import pwd
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rempart.boot import install, units
from rempart.document import hosts
from rempart.errors import DocumentError, HostError
from rempart.host import files as host_files

from tests.support.booting import UNIT, boot, files, image
from tests.support.namespaces import Namespace, veth
from tests.support.traffic import capture, ip_protocol, ipv4_checksum_ok, tos

DOCUMENT = "/etc/rempart/boot/firewall.json"
PROGRAM = "/usr/local/lib/rempart/boot.pyz"
LINK = "/etc/systemd/system/sysinit.target.wants/rempart-firewall.service"
ALL = [DOCUMENT, "/etc/systemd/system/rempart-firewall.service", LINK, PROGRAM]


def edge(*rules: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"name": "edge", "chains": [{"name": "input", "hook": "input", "rules": list(rules)}], **keys}


PLAIN = edge({"ct_state": "established", "verdict": "accept"}, {"counter": True, "verdict": "drop"})
TYPE_OF_SERVICE = {
    "name": "tos",
    "chains": [
        {
            "name": "output",
            "type": "route",
            "hook": "output",
            "priority": "mangle",
            "rules": [{"protocol": "udp", "tos": {"and": 0x01, "xor": 0x08}}],
        }
    ],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return image(tmp_path)


def keep(root: Path, *tables: dict[str, Any], name: str = "firewall") -> install.Plan:
    """What the module boot does."""
    plan = install.plan(name, list(tables) or None, str(root))
    if plan.changed:
        plan.rehearse()
        plan.apply()
    return plan


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_is_kept_stands_after_boot(root: Path, netns: Namespace) -> None:
    plan = keep(root, PLAIN)
    assert files(root) == sorted(ALL)
    assert [one.path for one in plan.placed if one.content is not None and one.path not in ALL] == []
    assert mode(root / DOCUMENT[1:]) == 0o600
    assert mode((root / DOCUMENT[1:]).parent) == 0o700
    assert (root / LINK[1:]).readlink() == Path("/etc/systemd/system/rempart-firewall.service")
    done = boot(netns, root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "table inet edge is in force\n", "")
    rules = netns.nft_text("chain", "inet", "edge", "input")
    assert "ct state established accept" in rules and "counter drop" in rules
    handles = netns.nft_json()
    assert boot(netns, root).returncode == 0  # systemctl reload
    assert netns.nft_json() == handles


def test_nothing_changes_the_second_time(root: Path) -> None:
    keep(root, PLAIN)
    before = {path: (root / path[1:]).lstat().st_ino for path in files(root)}
    plan = keep(root, PLAIN)
    assert not plan.changed and plan.warnings == []
    (root / DOCUMENT[1:]).chmod(0o644)
    assert [one.path for one in keep(root, PLAIN).changes] == [DOCUMENT]
    assert mode(root / DOCUMENT[1:]) == 0o600
    (root / PROGRAM[1:]).write_bytes(b"damaged")
    keep(root, PLAIN)
    after = {path: (root / path[1:]).lstat().st_ino for path in files(root)}
    assert {path for path in before if before[path] != after[path]} == {DOCUMENT, PROGRAM}


def test_type_of_service_that_nft_cannot_write(root: Path, make_netns: Callable[[], Namespace]) -> None:
    here, there = make_netns().up(), make_netns().up()
    veth(here, there, "10.9.1.1/24", "10.9.1.2/24", name_b="lan0")
    keep(root, TYPE_OF_SERVICE)
    assert boot(here, root).returncode == 0
    with capture(there, "lan0") as taken, here.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x11)
        sender.sendto(b"x", ("10.9.1.2", 9))
        (packet,) = taken.packets(wanted=lambda one: ip_protocol(one) == socket.IPPROTO_UDP)
    assert tos(packet) == 0x11 & 0x01 ^ 0x08
    assert ipv4_checksum_ok(packet)


def test_names_stand_for_what_they_stood_for(
    root: Path, netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"web.example": ["192.0.2.7", "2001:db8::7"]}
    user = {"keeper": 61234, "clerk": 61300}
    monkeypatch.setattr(hosts, "system_lookup", lambda name: known[name])
    monkeypatch.setattr(pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=user[name]))
    rules = ({"saddr": "web.example", "verdict": "accept"}, {"daddr": "web.example", "verdict": "drop"})
    owner = {"name": "o", "hook": "output", "rules": [{"skuid": "keeper", "verdict": "drop"}]}
    table = edge(*rules)
    table["chains"].append(owner)
    table["sets"] = [{"name": "s", "type": "uid", "elements": ["clerk"]}]
    keep(root, table)
    header = json.loads((root / DOCUMENT[1:]).read_text())["rempart"]
    assert header["addresses"] == known
    assert header["numbers"] == {"uid clerk": 61300, "uid keeper": 61234}
    assert boot(netns, root).returncode == 0
    text = netns.nft_text()
    for line in ("ip saddr 192.0.2.7 accept", "ip6 saddr 2001:db8::7 accept"):
        assert line in text
    assert "meta skuid 61234 drop" in text and "elements = { 61300 }" in text
    # When they mean something else, that is a change, and what boot applies from then on.
    assert not keep(root, table).changed
    known["web.example"] = ["192.0.2.8"]
    user["keeper"] = 61235
    assert keep(root, table).changed
    assert boot(netns, root).returncode == 0
    text = netns.nft_text()
    assert "192.0.2.8" in text and "192.0.2.7" not in text and "skuid 61235" in text


def test_refused_table_stops_no_other(root: Path, netns: Namespace) -> None:
    refused = edge(name="refused", ct_helpers=[{"name": "h", "type": "no-such", "protocol": "tcp"}])
    plan = install.plan("firewall", [PLAIN, refused, TYPE_OF_SERVICE], str(root))
    with pytest.raises(HostError, match=r"boot could not apply this: (.|\n)*table inet refused: "):
        plan.rehearse()
    assert files(root) == []
    plan.apply()
    (root / DOCUMENT[1:]).with_name("another.json").write_text("{}")
    done = boot(netns, root)
    assert done.returncode == 1
    assert done.stdout == "table inet edge is in force\ntable inet tos is in force\n"
    assert "/etc/rempart/boot/another.json: not a document kept for boot" in done.stderr
    assert "table inet refused: tables[0].ct_helpers[0]: the kernel refused object h" in done.stderr
    assert netns.nft_text("tables") == "table inet edge\ntable inet tos\n"


def test_documents_of_several_names(root: Path, netns: Namespace) -> None:
    keep(root, PLAIN)
    keep(root, TYPE_OF_SERVICE, name="tos")
    done = boot(netns, root)
    assert done.stdout == "table inet edge is in force\ntable inet tos is in force\n"
    with pytest.raises(DocumentError) as raised:
        keep(root, edge(name="new"), edge(), name="other")
    assert str(raised.value) == (
        "tables[1]: boot has this table from %s already; found 'edge'; keep it there or here" % DOCUMENT
    )
    keep(root, name="firewall")
    assert files(root) == sorted([*ALL[1:], "/etc/rempart/boot/tos.json"])
    keep(root, name="tos")
    assert files(root) == []
    assert not (root / "etc/rempart").exists() and not (root / "usr/local/lib/rempart").exists()
    assert not keep(root, name="tos").changed
    for name in ("", "a/b", "..", "x" * 65):
        with pytest.raises(DocumentError, match="not a name of a document for boot"):
            keep(root, PLAIN, name=name)


def test_device_unit_comes_and_goes_with_the_devices(root: Path, netns: Namespace) -> None:
    bound = {
        "name": "bound",
        "family": "netdev",
        "chains": [
            {"name": "c", "hook": "ingress", "devices": ["lo", "br-lan"], "rules": [{"counter": True}]}
        ],
    }
    keep(root, PLAIN, bound)
    unit = root / "etc/systemd/system" / units.DEVICE_UNIT
    wanted = r"sys-subsystem-net-devices-%s.device"
    assert "WantedBy=%s %s\n" % (wanted % r"br\x2dlan", wanted % "lo") in unit.read_text()
    links = [one for one in files(root) if one.endswith(".device.wants/" + units.DEVICE_UNIT)]
    assert len(links) == 2
    bound["chains"][0]["devices"] = ["lo"]  # type: ignore[index]
    keep(root, PLAIN, bound)
    assert [one for one in files(root) if "device.wants" in one] == [
        "/etc/systemd/system/%s.wants/%s" % (wanted % "lo", units.DEVICE_UNIT)
    ]
    assert boot(netns, root).returncode == 0
    assert "table netdev bound" in netns.nft_text("tables")
    keep(root, PLAIN)
    assert files(root) == sorted(ALL)


def test_file_that_cannot_be_written_leaves_all_as_it_was(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(root, PLAIN)
    before = {path: (root / path[1:]).read_bytes() for path in files(root) if path != LINK}
    plan = install.plan("firewall", [PLAIN, TYPE_OF_SERVICE], str(root), "/usr/bin/python3.99")
    assert [one.path for one in plan.changes] == [DOCUMENT, "/" + UNIT]
    write = host_files.write

    def failing(path: str, content: Any, mode: int = 0o600) -> None:
        if path.endswith(".service") and b"python3.99" in content:
            raise HostError("cannot write the file: No space left on device", path)
        write(path, content, mode)

    monkeypatch.setattr(host_files, "write", failing)
    with pytest.raises(HostError, match="No space left"):
        plan.apply()
    assert {path: (root / path[1:]).read_bytes() for path in files(root) if path != LINK} == before


def test_another_python_takes_the_sources(root: Path, netns: Namespace) -> None:
    keep(root, PLAIN)
    program = root / PROGRAM[1:]
    magic = importlib.util.MAGIC_NUMBER
    content = program.read_bytes()
    assert content.count(magic) > 100
    # The archive's checksums are wrong now for byte code alone, which is looked at no further.
    program.write_bytes(content.replace(magic, bytes((magic[0] ^ 1,)) + magic[1:]))
    done = boot(netns, root)
    assert (done.returncode, done.stderr) == (0, "")


def test_namespace_other_than_the_first_has_no_boot(netns: Namespace, root: Path) -> None:
    with pytest.raises(HostError, match="the tables of a network namespace end with it"):
        netns.call(install.plan, "rempart-test", [PLAIN])
    assert not netns.call(install.plan, "rempart-test", None).changed
    assert netns.call(install.plan, "rempart-test", [PLAIN], str(root)).changed


def test_warnings(root: Path, tmp_path: Path) -> None:
    wants = root / "etc/systemd/system/sysinit.target.wants"
    wants.mkdir(parents=True)
    (wants / "nftables.service").symlink_to("/lib/systemd/system/nftables.service")
    (warning,) = keep(root, PLAIN).warnings
    assert "nftables.service is enabled" in warning
    bare = tmp_path / "bare"
    bare.mkdir()
    plan = keep(bare, PLAIN)
    assert plan.warnings == [
        "this host has no systemd: have its boot run, before the network: "
        "/usr/bin/python3 -I -S %s /etc/rempart/boot" % PROGRAM
    ]
    assert files(bare) == sorted([DOCUMENT, PROGRAM])


def test_systemd_finds_nothing_wrong_with_the_units(root: Path) -> None:
    bound = {"name": "b", "family": "netdev", "chains": [{"name": "c", "hook": "ingress", "device": "lo"}]}
    keep(root, PLAIN, bound)
    found = [root / "etc/systemd/system" / one for one in (units.UNIT, units.DEVICE_UNIT)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, found)],
        capture_output=True,
        text=True,
        env={"SYSTEMD_LOG_LEVEL": "warning", "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    wrong = root / "wrong.service"
    wrong.write_text(found[0].read_text().replace("Type=oneshot", "Type=onshot"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(wrong)], capture_output=True, text=True
    )
    assert "onshot" in done.stderr
