# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that have the settings set at boot: what stands in them, and whose lines are left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rempart.errors import DocumentError, HostError
from rempart.tunables import describe
from rempart.tunables.persist import MODULES, SYSCTL
from rempart.tunables.plan import Plan, plan, plan_removal
from rempart.tunables.settings import load


def settings(root: Path) -> dict[str, str]:
    lines = (root / SYSCTL).read_text().splitlines()
    return dict(line.split(" = ") for line in lines if not line.startswith("#"))


def kept(root: Path, **section: object) -> Plan:
    found = plan(load(section), root=str(root))
    found.apply()
    return found


def test_the_files_are_written_once(tmp_path: Path) -> None:
    first = kept(tmp_path, max=1000, acct=True, timeouts={"tcp": {"established": "1h"}})
    assert first.changed
    assert [(one["action"], one["path"]) for one in describe.changes(first)] == [
        ("add", str(tmp_path / SYSCTL)),
        ("add", str(tmp_path / MODULES)),
    ]
    assert settings(tmp_path) == {
        "net.netfilter.nf_conntrack_max": "1000",
        "net.netfilter.nf_conntrack_acct": "1",
        "net.netfilter.nf_conntrack_tcp_timeout_established": "3600",
    }
    modules = (tmp_path / MODULES).read_text().splitlines()
    assert [line for line in modules if not line.startswith("#")] == ["nf_conntrack"]
    assert {os.stat(tmp_path / name).st_mode & 0o777 for name in (SYSCTL, MODULES)} == {0o644}
    before = os.stat(tmp_path / SYSCTL).st_mtime_ns
    again = kept(tmp_path, max=1000, acct=True, timeouts={"tcp": {"established": "60m"}})
    assert not again.changed
    assert describe.differences(again) == []
    assert os.stat(tmp_path / SYSCTL).st_mtime_ns == before


def test_settings_that_are_not_named_stay(tmp_path: Path) -> None:
    kept(tmp_path, max=1000)
    kept(tmp_path, acct=True)
    assert not kept(tmp_path, max=1000).changed
    (tmp_path / SYSCTL).write_text("; by hand\n-net/netfilter/nf_conntrack_max=5\nnet.core.x = a b\n")
    changed = kept(tmp_path, checksum=False)
    assert [one["action"] for one in describe.changes(changed)] == ["change"]
    assert settings(tmp_path) == {
        "net.netfilter.nf_conntrack_max": "5",
        "net.netfilter.nf_conntrack_checksum": "0",
        "net.core.x": "a b",
    }


def test_bounds_for_fragments_never_cross_on_their_way(tmp_path: Path) -> None:
    kept(tmp_path, frag6_low_thresh=8000000, frag6_high_thresh=9000000)
    assert [key[-11:] for key in settings(tmp_path)] == ["high_thresh", "_low_thresh"]
    kept(tmp_path, frag6_low_thresh=1000, frag6_high_thresh=2000)
    assert [key[-11:] for key in settings(tmp_path)] == ["_low_thresh", "high_thresh"]


def test_the_files_go(tmp_path: Path) -> None:
    kept(tmp_path, max=1000)
    gone = plan_removal(str(tmp_path))
    assert [one["action"] for one in describe.changes(gone)] == ["remove", "remove"]
    gone.apply()
    assert not (tmp_path / SYSCTL).exists() and not (tmp_path / MODULES).exists()
    assert not plan_removal(str(tmp_path)).changed


def test_what_has_no_key_is_not_kept(tmp_path: Path) -> None:
    found = kept(tmp_path, timeouts={"tcp": {"syn_sent2": 5}})
    assert not found.changed
    assert found.warnings == ["timeouts.tcp.syn_sent2: has no sysctl key, so it is not kept over a reboot"]


def test_nothing_is_kept_against_the_declaration(tmp_path: Path) -> None:
    assert not kept(tmp_path, max=1000, persist=False).changed
    assert list(tmp_path.iterdir()) == []


def test_an_image_gets_numbers(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        plan(load({"max": "auto", "buckets": "auto", "acct": True}), root=str(tmp_path))
    assert [one.place for one in caught.value.problems] == ["max", "buckets"]
    assert "give a number" in str(caught.value)


@pytest.mark.parametrize("root", ["relative", "/no/such/directory"])
def test_a_root_is_a_directory(root: str) -> None:
    with pytest.raises(HostError) as caught:
        plan(load({"max": 1}), root=root)
    assert caught.value.problems[0].place == "root"


def test_nothing_is_written_outside_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "root/etc/sysctl.d").symlink_to(tmp_path / "outside")
    with pytest.raises(HostError, match="leads out of the root"):
        plan(load({"max": 1}), root=str(tmp_path / "root"))


def test_the_first_file_is_taken_back_where_the_second_fails(tmp_path: Path) -> None:
    found = plan(load({"max": 1000}), root=str(tmp_path))
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/modules-load.d").write_text("no directory\n")
    with pytest.raises(HostError, match="what was set before it has been put back"):
        found.apply()
    assert not (tmp_path / SYSCTL).exists()


def test_a_file_that_comes_later_is_warned_of(tmp_path: Path) -> None:
    for name, text in (
        ("etc/sysctl.d/10-early.conf", "net.netfilter.nf_conntrack_max = 1\n"),
        ("etc/sysctl.d/99-late.conf", "net.netfilter.nf_conntrack_max = 2\n"),
        ("usr/lib/sysctl.d/99-late.conf", "net.netfilter.nf_conntrack_acct = 0\n"),
        ("usr/lib/sysctl.d/80-same.conf", "net.netfilter.nf_conntrack_acct=1\n# net.nf_conntrack_max = 7\n"),
        ("etc/sysctl.conf", "-net/nf_conntrack_max = 3\n"),
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = kept(tmp_path, max=1000, acct=True)
    assert [warning.split(" sets it to ")[1].split(" ")[0] for warning in found.warnings] == ["2", "3"]
