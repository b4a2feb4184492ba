# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every helper on real connections, what is left alone, and modules that are in use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rempart.assignments.assign import assign
from rempart.assignments.catalogue import HELPERS, Helper, KernelHelper
from rempart.assignments.evidence import has_helper, references
from rempart.assignments.helpers import wanted
from rempart.errors import DocumentError, HostError
from rempart.host.kernel_modules import BUILTIN, MISSING, KernelModules
from rempart.netlink.namespace import cookie
from rempart.netlink.private import private_socket
from rempart.netlink.socket import NetlinkSocket

from tests.support.modular_host import ModularHost
from tests.support.namespaces import Namespace
from tests.support.packets import tcp, udp
from tests.support.routed import CLIENT, SERVER, Routed
from tests.support.rulesets import apply, generation

FAMILY = {4: "ipv4", 6: "ipv6"}
TRACKING = "table inet tracking { chain c { type filter hook forward priority 0; ct state new; }; }"
"""Without any rule that asks for connections, the kernel tracks none."""
SILENCE = """table inet silence {
    chain c { type filter hook input priority 0; meta l4proto { tcp, udp } drop; }
}"""
"""A connection that is refused is over, and tracked no longer."""
EVERY = [(helper, kernel) for helper in HELPERS.values() for kernel in helper.kernel.values()]


@pytest.fixture(scope="module")
def hosts(hosts: Routed) -> Routed:
    hosts.server.nft(SILENCE)
    return hosts


@pytest.fixture(autouse=True)
def forgotten(hosts: Routed) -> None:
    hosts.router.nft("flush ruleset")
    hosts.router.nft(TRACKING)
    hosts.router.run("conntrack", "-F")


def rest(where: Namespace) -> str:
    """What nft lists but for the table that tests put there."""
    return where.nft_text().replace(where.nft_text("table", "inet", "tracking"), "")


def assigned(where: Namespace, *helpers: Any, **options: Any) -> bool:
    """Whether anything changed."""
    return wanted({"helpers": list(helpers), **options}).request.apply(where.name).changed


def helper_of(hosts: Routed, version: int, protocol: str, port: int) -> str:
    """The helper of a new connection from the client to the server; empty for none."""
    ends = (CLIENT[version], SERVER[version], 4000, port)
    (_,) = hosts.forwarded([tcp(*ends, flags="syn") if protocol == "tcp" else udp(*ends)])
    options = ("-f", FAMILY[version], "-p", protocol, "--dport", str(port))
    (line,) = hosts.router.run("conntrack", "-L", *options).stdout.splitlines()
    found = re.search(r"helper=(\S+)", line)
    return found[1] if found else ""


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("helper", "kernel"), EVERY, ids=["%s-%s" % (one.name, other.protocol) for one, other in EVERY]
)
def test_every_helper_has_its_connections(
    hosts: Routed, helper: Helper, kernel: KernelHelper, version: int
) -> None:
    assert has_helper(kernel)
    assert helper_of(hosts, version, kernel.protocol, kernel.port) == ""
    hosts.router.run("conntrack", "-F")
    assert assigned(hosts.router, helper.name)
    assert not assigned(hosts.router, helper.name)
    expected = kernel.type if version == 4 or kernel.l3proto == "inet" else ""
    assert helper_of(hosts, version, kernel.protocol, kernel.port) == expected
    assert helper_of(hosts, version, kernel.protocol, kernel.port + 1) == ""


def test_a_connection_that_is_there_already_gets_none(hosts: Routed) -> None:
    assert helper_of(hosts, 4, "udp", 69) == ""
    assigned(hosts.router, "tftp")
    assert helper_of(hosts, 4, "udp", 69) == ""


def test_ports_and_protocols(hosts: Routed) -> None:
    assigned(hosts.router, {"name": "sip", "protocol": "udp", "ports": ["5060-5061", 5080]})
    for port, expected in ((5060, "sip"), (5061, "sip"), (5062, ""), (5080, "sip")):
        assert helper_of(hosts, 4, "udp", port) == expected
    assert helper_of(hosts, 4, "tcp", 5060) == ""
    # The other protocol comes, the ports go
    assigned(hosts.router, {"name": "sip", "protocol": "tcp"})
    hosts.router.run("conntrack", "-F")
    assert helper_of(hosts, 4, "udp", 5060) == ""
    assert helper_of(hosts, 4, "tcp", 5060) == "sip"
    assert "ct helper sip_udp" not in hosts.router.nft_text()


def test_helpers_of_several_tasks(hosts: Routed) -> None:
    """Each task has its own; what the others have stays as it is, counters too."""
    counting = {"name": "tftp", "counter": True, "comment": "boot images"}
    assert assigned(hosts.router, counting, "ftp")
    assert helper_of(hosts, 4, "udp", 69) == "tftp"
    rule = re.compile('counter packets 1 bytes [0-9]+ ct helper set "tftp" comment "boot images"')
    assert assigned(hosts.router, "irc", {"name": "ftp", "ports": 2121})
    assert rule.search(hosts.router.run("nft", "list", "ruleset").stdout)
    assert helper_of(hosts, 4, "tcp", 6667) == "irc"
    assert helper_of(hosts, 4, "tcp", 21) == ""
    assert assigned(hosts.router, "irc", "ftp", state="absent")
    text = hosts.router.run("nft", "list", "ruleset").stdout
    assert rule.search(text)
    assert "irc" not in text and "ftp " not in text.replace("tftp", "")
    assert not assigned(hosts.router, "irc", "pptp", state="absent")
    assert assigned(hosts.router, "tftp", state="absent")
    assert rest(hosts.router) == ""


def test_a_stranger_keeps_the_table(hosts: Routed) -> None:
    """What somebody else put into the table stays, and so does the table."""
    assigned(hosts.router, "ftp")
    hosts.router.nft("add set inet rempart_helpers friends { type ipv4_addr; }")
    assert assigned(hosts.router, "ftp", state="absent")
    assert rest(hosts.router) == (
        "table inet rempart_helpers {\n\tset friends {\n\t\ttype ipv4_addr\n\t}\n}\n"
    )


def test_the_hooks_are_after_tracking_and_before_translation(hosts: Routed) -> None:
    assigned(hosts.router, *HELPERS)
    listed = hosts.router.nft_json("table", "inet", "rempart_helpers")
    hooked = [one["chain"] for one in listed if "hook" in one.get("chain", {})]
    assert sorted(one["hook"] for one in hooked) == ["output"] * 10 + ["prerouting"] * 10
    assert all(-200 < one["prio"] < -100 for one in hooked)


def test_what_nft_lists_it_takes_again(hosts: Routed, netns: Namespace) -> None:
    assigned(hosts.router, *HELPERS)
    text = rest(hosts.router)
    netns.nft(text)
    assert netns.nft_text() == text


@pytest.mark.parametrize(
    "item",
    [
        "ftb",
        {"name": "ftp", "protocol": "udp"},
        {"name": "ftp", "ports": 70000},
        {"name": "ftp", "daddr": "10.0.0"},
        {"name": "irc", "daddr": "2001:db8::1"},
        {"name": "ftp", "ct_state": "established"},
    ],
    ids=str,
)
def test_what_is_wrong_changes_nothing(netns: Namespace, item: Any, tmp_path: Path) -> None:
    before = generation(netns)
    with pytest.raises(DocumentError):
        assign(wanted({"helpers": ["tftp", item]}), netns.name, root=str(tmp_path))
    assert generation(netns) == before
    assert list(tmp_path.iterdir()) == []


def test_the_kernel_is_asked_what_it_has(tmp_path: Path) -> None:
    """In a namespace of its own, of which nothing is left; by files alone, pptp cannot be told here."""
    assert not has_helper(KernelHelper("ftb", "tcp", 1))
    assert not has_helper(KernelHelper("ftp", "udp", 1))
    assert not has_helper(KernelHelper("irc", "tcp", 1, "ip6"))
    here = Path("/proc/thread-self/ns/net").readlink()
    with private_socket() as one, private_socket() as other, NetlinkSocket() as own:
        assert len({cookie(socket.socket) for socket in (one, other, own)}) == 3
    assert Path("/proc/thread-self/ns/net").readlink() == here


def test_builtin_helpers_are_recognised(netns: Namespace, tmp_path: Path) -> None:
    """This machine's kernel, by its files; and where these say nothing, by what it answers."""
    modules = KernelModules()
    for helper in HELPERS.values():
        assert [modules.state(name) for name in helper.modules] == [BUILTIN] * len(helper.modules)
    assert modules.state("nf_conntrack_ftb") == MISSING
    done = assign(wanted({"helpers": ["pptp"]}), netns.name, root=str(tmp_path))
    assert done.states() == {"pptp": {"modules": {"nf_conntrack_pptp": BUILTIN, "nf_nat_pptp": MISSING}}}
    assert done.modules.changes() == [] and list(tmp_path.iterdir()) == []


def test_a_kernel_without_the_helper(
    netns: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A helper that no kernel has stands for one that this kernel has not."""
    ghost = Helper("ghost", [KernelHelper("ghost", "tcp", 1)], "nf_nat_ghost")
    monkeypatch.setitem(HELPERS, "ghost", ghost)
    before = generation(netns)
    with pytest.raises(HostError, match=r"no helper ghost.*CONFIG_NF_CONNTRACK_GHOST"):
        assign(wanted({"helpers": ["ftp", "ghost"]}), netns.name, root=str(tmp_path))
    assert generation(netns) == before
    # Asking a kernel that can load modules might load one.
    ModularHost(tmp_path, available=["nf_conntrack_ftp"])
    plan = assign(wanted({"helpers": ["pptp"]}), netns.name, check=True, root=str(tmp_path)).modules
    assert plan.states["nf_conntrack_pptp"] == "unknown"
    assert "only a run that is no check tells" in plan.warnings[0]


def test_no_module_goes_that_rules_of_others_need(netns: Namespace, tmp_path: Path) -> None:
    host = ModularHost(tmp_path, available=["nf_conntrack_ftp", "nf_nat_ftp", "nf_conntrack_tftp"])
    assigned(netns, "ftp", "tftp")
    theirs = {"name": "mine", "ct_helpers": [{"name": "files", "type": "ftp", "protocol": "tcp"}]}
    apply({"tables": [theirs]}, netns)
    found = references([HELPERS["ftp"], HELPERS["sip"]], netns.name)
    assert {key: [(str(one), one.uses) for one in value] for key, value in found.items()} == {
        "ftp": [
            ("ct helper ftp of table inet rempart_helpers", 2),
            ("ct helper files of table inet mine", 2),
        ]
    }
    host.loaded("nf_nat_ftp")
    host.loaded("nf_conntrack_ftp", uses=5, holders=["nf_nat_ftp"])
    before = generation(netns)

    def go(check: bool = False) -> Any:
        asked = wanted({"helpers": ["ftp"], "state": "absent"})
        return assign(asked, netns.name, check, str(tmp_path), unload=True)

    with pytest.raises(HostError, match=r"nf_conntrack_ftp is in use.*ct helper files of table inet mine"):
        go()
    netns.nft("delete table inet mine")
    before += 1
    # Its own two and that of the other module go with them; one more is somebody's whom no table names.
    host.loaded("nf_conntrack_ftp", uses=4, holders=["nf_nat_ftp"])
    with pytest.raises(HostError, match=r"beside what goes 1 times.*iptables"):
        go()
    assert generation(netns) == before and host.calls() == []
    host.loaded("nf_conntrack_ftp", uses=3, holders=["nf_nat_ftp"])
    would = go(check=True)
    assert generation(netns) == before and host.calls() == []
    done = go()
    assert would.modules.changes() == done.modules.changes()
    assert host.calls() == ["--remove nf_nat_ftp nf_conntrack_ftp"]
    assert not host.is_loaded("nf_conntrack_ftp")
    assert "ct helper tftp" in netns.nft_text() and '"ftp"' not in netns.nft_text()
    assert go().modules.changes() == []


def test_a_builtin_helper_does_not_go(netns: Namespace) -> None:
    assigned(netns, "ftp")
    before = generation(netns)
    with pytest.raises(HostError, match="nf_conntrack_ftp is built into the kernel"):
        assign(wanted({"helpers": ["ftp"], "state": "absent"}), netns.name, unload=True)
    assert generation(netns) == before
