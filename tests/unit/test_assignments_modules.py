# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is done about kernel modules on hosts that have them, by their files; modprobe is a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rempart.assignments.helpers import declared, wanted
from rempart.assignments.modules import ModulePlan, plan_absent, plan_present
from rempart.errors import HostError
from rempart.host.kernel_modules import AVAILABLE, BUILTIN, LOADED, MISSING, KernelModules

from tests.support.modular_host import RELEASE, ModularHost

FTP = ("nf_conntrack_ftp", "nf_nat_ftp")
SIP = ("nf_conntrack_sip", "nf_nat_sip")


@pytest.fixture
def host(tmp_path: Path) -> ModularHost:
    return ModularHost(tmp_path, [*FTP, *SIP], ["nf_conntrack_tftp", "nf_nat_tftp"])


def present(host: ModularHost, *helpers: Any, persistent: bool = True, check: bool = False) -> ModulePlan:
    """What is planned, and done too if it is no check."""
    plan = plan_present(wanted({"helpers": list(helpers)}), str(host.root), persistent, check)
    if not check:
        plan.prepare()
        plan.finish()
    return plan


def absent(host: ModularHost, *helpers: Any) -> ModulePlan:
    plan = plan_absent(wanted({"helpers": list(helpers), "state": "absent"}), str(host.root))
    plan.finish()
    return plan


def test_states(host: ModularHost) -> None:
    host.loaded("nf_conntrack_sip")
    modules = KernelModules(str(host.root))
    assert modules.loadable
    states = [
        modules.state("nf_" + name) for name in ("conntrack_ftp", "conntrack_sip", "nat_tftp", "nat_irc")
    ]
    assert states == [AVAILABLE, LOADED, BUILTIN, MISSING]


def test_states_where_nothing_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/osrelease").write_text(RELEASE + "\n")
    (tmp_path / "boot" / ("config-" + RELEASE)).write_text(
        "CONFIG_NF_CONNTRACK_FTP=y\n# CONFIG_NF_NAT_FTP is not set\nCONFIG_NF_CONNTRACK_SIP=m\n"
    )
    (tmp_path / "sys/module/nf_conntrack_irc/parameters").mkdir(parents=True)
    modules = KernelModules(str(tmp_path))
    assert not modules.loadable
    assert [modules.state(name) for name in (*FTP, "nf_conntrack_sip", "nf_conntrack_irc")] == [
        BUILTIN,
        MISSING,
        MISSING,
        BUILTIN,
    ]


def test_now_and_at_boot(host: ModularHost) -> None:
    plan = present(host, "ftp", check=True)
    assert host.calls() == [] and host.boot() == "" and not host.is_loaded("nf_conntrack_ftp")
    done = present(host, "ftp")
    assert done.changes() == plan.changes() and done.diff() == plan.diff()
    assert [(one["action"], one["kind"], one.get("module", one.get("path"))) for one in done.changes()] == [
        ("add", "module", "nf_conntrack_ftp"),
        ("add", "module", "nf_nat_ftp"),
        ("add", "file", "/etc/modules-load.d/rempart-helpers.conf"),
    ]
    assert host.calls() == ["nf_conntrack_ftp", "nf_nat_ftp"]
    assert host.boot() == "# Kept by rempart.\nnf_conntrack_ftp\nnf_nat_ftp\n"
    assert (host.root / "etc/modules-load.d/rempart-helpers.conf").stat().st_mode & 0o777 == 0o644
    assert host.options() == ""
    assert present(host, "ftp").changes() == [] and host.calls() == []


def test_helpers_of_several_tasks(host: ModularHost) -> None:
    present(host, {"name": "ftp", "parameters": {"loose": True}})
    present(host, {"name": "sip", "parameters": {"sip_timeout": 60}})
    assert host.boot() == "# Kept by rempart.\n" + "".join("%s\n" % name for name in sorted((*FTP, *SIP)))
    lines = ["options nf_conntrack_ftp loose=1\n", "options nf_conntrack_sip sip_timeout=60\n"]
    assert host.options() == "# Kept by rempart.\n" + "".join(lines)
    changes = absent(host, "ftp").changes()
    assert [(one["action"], one["kind"]) for one in changes] == [("change", "file")] * 2
    assert host.boot() == "# Kept by rempart.\nnf_conntrack_sip\nnf_nat_sip\n"
    assert host.options() == "# Kept by rempart.\n" + lines[1]
    assert host.is_loaded("nf_conntrack_ftp")
    assert [one["action"] for one in absent(host, "sip").changes()] == ["remove", "remove"]
    assert list((host.root / "etc").rglob("*.conf")) == []
    assert absent(host, "sip").changes() == []


def test_only_for_now(host: ModularHost) -> None:
    present(host, {"name": "ftp", "parameters": {"loose": True}}, persistent=False)
    assert host.calls() == ["nf_conntrack_ftp loose=1", "nf_nat_ftp"]
    assert host.boot() == host.options() == ""
    present(host, {"name": "ftp", "parameters": {"loose": True}})
    assert host.boot() and host.options()
    present(host, "ftp", persistent=False)
    assert host.boot() == ""


def test_parameters_of_a_module_to_be_loaded(host: ModularHost) -> None:
    item = {"name": "ftp", "parameters": {"ports": [21, 2121], "loose": True}}
    present(host, item)
    assert host.calls()[0] == "nf_conntrack_ftp ports=21,2121 loose=1"
    assert host.options() == "# Kept by rempart.\noptions nf_conntrack_ftp loose=1 ports=21,2121\n"
    assert present(host, item).changes() == []
    # Without parameters they stay; with none, they go from the file.
    assert present(host, "ftp").changes() == []
    assert [one["kind"] for one in present(host, {"name": "ftp", "parameters": {}}).changes()] == ["file"]
    assert host.options() == ""


def test_parameters_of_a_module_that_is_loaded(host: ModularHost) -> None:
    host.loaded("nf_conntrack_ftp", loose="N", ports="21")
    host.loaded("nf_nat_ftp")
    host.fixed("nf_conntrack_ftp", "ports")
    plan = present(host, {"name": "ftp", "parameters": {"ports": [21, 2121], "loose": "yes"}})
    change = {"parameter": "loose", "before": "N", "after": "1"}
    assert {"action": "change", "kind": "parameter", "module": "nf_conntrack_ftp", **change} in plan.changes()
    assert host.parameter("nf_conntrack_ftp", "loose") == "1"
    assert host.parameter("nf_conntrack_ftp", "ports") == "21"
    assert plan.warnings == ["ports=21,2121 of nf_conntrack_ftp takes effect when it is loaded next"]
    host.loaded("nf_conntrack_ftp", loose="Y")  # as the kernel shows it
    plan = present(host, {"name": "ftp", "parameters": {"loose": True}})
    assert [one["kind"] for one in plan.changes()] == ["file"] and plan.warnings == []


def test_parameters_of_a_builtin_helper(host: ModularHost) -> None:
    """No file has a say in them: the kernel's command line has."""
    host.loaded("nf_conntrack_tftp", ports="69")
    for name in ("initstate", "refcnt"):
        (host.root / "sys/module/nf_conntrack_tftp" / name).unlink()
    host.fixed("nf_conntrack_tftp", "ports")
    plan = present(host, {"name": "tftp", "parameters": {"ports": [69, 6969]}})
    assert plan.changes() == [] and host.options() == host.boot() == "" and host.calls() == []
    (warning,) = plan.warnings
    assert "command line has nf_conntrack_tftp.ports=69,6969" in warning
    assert plan.states == {"nf_conntrack_tftp": BUILTIN, "nf_nat_tftp": BUILTIN}


def test_what_an_administrator_wrote_into_the_file_stays(host: ModularHost) -> None:
    path = host.root / "etc/modules-load.d/rempart-helpers.conf"
    path.parent.mkdir(parents=True)
    path.write_text("# mine\nnf_conntrack_ftp\n  nf_nat_ftp\n; and this\nip_vs\n")
    assert "file" not in [one["kind"] for one in present(host, "ftp").changes()]
    assert "# mine" in host.boot()
    present(host, "sip")
    assert set(host.boot().split()) >= {"ip_vs", *FTP, *SIP}


def test_a_module_that_cannot_be_loaded(host: ModularHost) -> None:
    modules = KernelModules(str(host.root))
    with pytest.raises(
        HostError, match=r"cannot load the kernel module nf_nat_irc: .*not found in directory"
    ):
        modules.load("nf_nat_irc")
    (host.root / "sbin/modprobe").unlink()
    with pytest.raises(HostError, match=r"there is no modprobe.*install kmod"):
        modules.load("nf_nat_ftp")


def test_a_file_that_cannot_be_read_stops_before_anything_is_done(host: ModularHost) -> None:
    (host.root / "etc/modules-load.d/rempart-helpers.conf").mkdir(parents=True)
    with pytest.raises(HostError, match="cannot read the file"):
        present(host, "ftp")
    assert host.calls() == []


def test_of_a_document_what_it_names_no_longer_is_not_loaded_at_boot(host: ModularHost) -> None:
    present(host, "ftp")
    theirs = host.boot()
    parameters = {"sip_direct_media": False}
    for helpers, lines in (
        (["ftp", {"name": "sip", "parameters": parameters}], sorted([*FTP, *SIP])),
        (["ftp"], [*FTP]),
        ([], []),
    ):
        plan = plan_present(declared(helpers), str(host.root))
        plan.prepare()
        # where nothing is to be kept, such as for a network namespace, files stay as they are
        assert plan_present(declared([]), str(host.root), None).changes() == []
        plan.finish()
        kept = host.boot("document-helpers")
        assert [one for one in kept.splitlines() if not one.startswith("#")] == lines
        assert ("sip_direct_media=0" in host.options("document-helpers")) == (len(lines) == 4)
    assert host.boot() == theirs and host.is_loaded("nf_conntrack_sip")
