# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units of boot, and the one file of program."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from rempart.boot import program, units

ENGINE = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("eth0", "sys-subsystem-net-devices-eth0.device"),
        ("eth0.100", "sys-subsystem-net-devices-eth0.100.device"),
        ("br-lan", r"sys-subsystem-net-devices-br\x2dlan.device"),
        ("a/b", "sys-subsystem-net-devices-a-b.device"),
        ("wé@1", r"sys-subsystem-net-devices-w\xc3\xa9\x401.device"),
    ],
)
def test_names_of_devices_are_escaped(name: str, expected: str) -> None:
    assert units.device(name) == expected
    if shutil.which("systemd-escape"):
        path = "/sys/subsystem/net/devices/" + name
        done = subprocess.run(
            ["systemd-escape", "--path", "--suffix=device", path], capture_output=True, text=True, check=True
        )
        assert done.stdout == expected + "\n"


def test_unit_is_done_before_the_network() -> None:
    text = units.unit("/usr/bin/python3 -I -S /p /d", ["/p", "/d"])
    lines = text.split("\n")
    for line in (
        "DefaultDependencies=no",
        "Wants=network-pre.target",
        "Before=network-pre.target shutdown.target",
        "Conflicts=shutdown.target",
        "Type=oneshot",
        "RemainAfterExit=yes",
        "ExecStart=/usr/bin/python3 -I -S /p /d",
        "RequiresMountsFor=/p /d",
        "WantedBy=sysinit.target",
    ):
        assert line in lines


def test_program_holds_the_engine_it_needs_and_nothing_of_ansible() -> None:
    with zipfile.ZipFile(io.BytesIO(program.build())) as archive:
        names = set(archive.namelist())
        assert archive.testzip() is None
        for name in names:
            if name.endswith(".py") and name != "__main__.py":
                source = archive.read(name).decode()
                assert source == (ENGINE / name.partition("/")[2]).read_text()
                assert "\nfrom ansible" not in source and "import pyroute2" not in source
                assert name + "c" in names
    assert {"rempart/boot/apply.py", "rempart/ruleset/plan.py", "rempart/ruleset/refusal.py"} <= names
    assert not [one for one in names if one.startswith(("rempart/ansible", "rempart/conntrack"))]


def test_program_is_current_or_not() -> None:
    content = program.build()
    assert program.is_current(content)

    def altered(change: dict[str, str | None]) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
            for name in old.namelist():
                if change.get(name, "") is not None:
                    new.writestr(name, change.get(name) or old.read(name))
        return made.getvalue()

    assert program.is_current(altered({}))
    assert not program.is_current(altered({"rempart/errors.py": "# another version\n"}))
    assert not program.is_current(altered({"rempart/errors.pyc": "another Python's"}))
    assert not program.is_current(altered({"rempart/errors.py": None}))
    assert not program.is_current(
        altered({"rempart/errors.py": None, "rempart/errors.pyc": None, "x": ""}) + b"x" * 70000
    )
    assert not program.is_current(altered({"__main__.py": "print('hello')"}))
    assert not program.is_current(content[:-1000])
    assert not program.is_current(content.replace(b"GPL-3.0", b"GPL-4.0", 1))
    assert not program.is_current(b"")
