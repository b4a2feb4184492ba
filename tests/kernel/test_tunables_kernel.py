# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of connection tracking in the real kernel: set, compared, refused, taken back, read at boot."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rempart.errors import HostError, KernelError, RempartError
from rempart.netlink.socket import NetlinkSocket
from rempart.tunables import cttimeout, describe
from rempart.tunables import plan as planning
from rempart.tunables.persist import SYSCTL
from rempart.tunables.plan import Plan, plan
from rempart.tunables.settings import load
from rempart.tunables.table import TUNABLES
from rempart.tunables.timeouts import TIMEOUTS

from tests.support.command import SCRIPT
from tests.support.namespaces import Namespace, veth
from tests.support.traffic import udp_send

DIRECTORY = Path("/proc/sys/net/netfilter")

GLOBAL = ("max", "buckets", "expect_max")

#: another value than the kernel's default, for every setting that this kernel may have
OTHERS: dict[str, Any] = {
    "acct": True,
    "timestamp": True,
    "events": True,
    "checksum": False,
    "log_invalid": "tcp",
    "tcp_loose": False,
    "tcp_be_liberal": True,
    "tcp_ignore_invalid_rst": True,
    "tcp_max_retrans": 5,
    "dccp_loose": False,
    "frag6_low_thresh": 1000000,
    "frag6_high_thresh": 2000000,
    "frag6_timeout": 30,
    "helper": True,
}


def value(netns: Namespace, key: str) -> int:
    return int(netns.call((DIRECTORY / key).read_text))


def all_values(netns: Namespace) -> dict[str, int]:
    return netns.call(
        lambda: {
            path.name: int(path.read_text())
            for path in DIRECTORY.iterdir()
            if path.name.startswith("nf_conntrack_") and path.name != "nf_conntrack_count"
        }
    )


def run(netns: Namespace, **section: Any) -> Plan:
    found = plan(load(section), netns.name)
    found.apply()
    return found


def refused(netns: Namespace, **section: Any) -> dict[str, str]:
    """The places of the errors with their texts; nothing may have changed."""
    before = all_values(netns)
    with pytest.raises(RempartError) as caught:
        run(netns, **section)
    assert all_values(netns) == before
    return {one.place: str(one) for one in caught.value.problems}


def gone(text: str) -> bool:
    return "this kernel has no such setting" in text


def test_the_table_has_every_key_of_this_kernel_and_no_other(netns: Namespace) -> None:
    known = {one.key: one for one in TUNABLES.values()}
    known.update({one.key: one for some in TIMEOUTS.values() for one in some.values() if one.key})
    present = set(all_values(netns))
    assert present - set(known) == set()
    for key in set(known) - present:
        assert known[key].until or known[key].needs == "CONFIG_NF_FLOW_TABLE", key


@pytest.mark.parametrize("name", [one for one in TUNABLES if one not in GLOBAL])
def test_each_setting_is_set_once(name: str, netns: Namespace) -> None:
    row = TUNABLES[name]
    section = {name: OTHERS[name]}
    if name == "frag6_high_thresh":
        section["frag6_low_thresh"] = OTHERS["frag6_low_thresh"]
    if not netns.call((DIRECTORY / row.key).exists):
        assert gone(refused(netns, **section)[name])
        return
    before = value(netns, row.key)
    assert plan(load(section), netns.name).changed
    assert value(netns, row.key) == before, "planning sets nothing"
    first = run(netns, **section)
    assert value(netns, row.key) == row.kind.read(OTHERS[name]) != before
    change = next(one for one in describe.changes(first) if one["name"] == name)
    assert (change["before"], change["after"]) == (row.kind.shown(before), OTHERS[name])
    assert change["key"] == "net.netfilter." + row.key
    again = run(netns, **section)
    assert (again.changed, describe.changes(again), describe.differences(again)) == (False, [], [])


@pytest.mark.parametrize("protocol", TIMEOUTS)
@pytest.mark.parametrize("over_netlink", [True, False], ids=["netlink", "proc"])
def test_each_timeout_is_set_once(
    protocol: str, over_netlink: bool, netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both roads lead to the same timeouts, which /proc and netlink show alike."""
    if not over_netlink:
        monkeypatch.setattr(planning.cttimeout, "read", lambda kernel, number: None)
    states = TIMEOUTS[protocol]
    there = [
        one
        for one in states.values()
        if (over_netlink if not one.key else netns.call((DIRECTORY / one.key).exists))
    ]
    if not there:
        assert protocol == "dccp"
    for word in set(states) - {one.word for one in there}:
        assert gone(refused(netns, timeouts={protocol: {word: 5}})["timeouts.%s.%s" % (protocol, word)])
    wanted = {one.word: 1000 + index for index, one in enumerate(there)}
    if not wanted:
        return
    before = all_values(netns)
    first = run(netns, timeouts={protocol: wanted})
    kinds = {type(step).__name__ for step in first.steps}
    assert kinds == {"TimeoutStep" if over_netlink else "KeyStep"}
    with NetlinkSocket(netns.name) as kernel:
        told = cttimeout.read(kernel, there[0].number) if over_netlink else None
    for one in there:
        if one.key:
            assert value(netns, one.key) == wanted[one.word]
        if told is not None:
            assert told[one.attribute] == wanted[one.word]
    touched = {one.key for one in there}
    assert {key: one for key, one in all_values(netns).items() if key not in touched} == {
        key: one for key, one in before.items() if key not in touched
    }
    assert not run(netns, timeouts={protocol: wanted}).changed


def test_a_connection_lives_as_long_as_its_state_says(make_netns: Callable[[], Namespace]) -> None:
    """The timeout that conntrack -L shows of a new connection is the one that was set."""
    near, far = make_netns().up(), make_netns().up()
    veth(near, far, "10.9.0.1/24", "10.9.0.2/24")
    near.nft("table ip t { chain c { type filter hook output priority 0; ct state new counter; }; }")
    run(near, timeouts={"udp": {"unreplied": "50m"}})
    udp_send(near, "10.9.0.2", 5000, timeout=0.01)
    listed = near.run("conntrack", "-L", "-p", "udp").stdout
    seconds = int(re.findall(r"udp +17 (\d+) src=10\.9\.0\.1", listed)[0])
    assert 2900 < seconds <= 3000


def test_the_three_timeouts_of_masquerading(netns: Namespace) -> None:
    run(netns, masquerade_timeouts=[7200, 10, 160])
    assert value(netns, "nf_conntrack_tcp_timeout_established") == 7200
    assert value(netns, "nf_conntrack_tcp_timeout_fin_wait") == 10
    assert value(netns, "nf_conntrack_udp_timeout") == 160
    assert value(netns, "nf_conntrack_udp_timeout_stream") == 160
    run(netns, masquerade_timeouts={"tcp": 0, "tcp_fin": "20s", "udp": 0})
    assert value(netns, "nf_conntrack_tcp_timeout_established") == 7200
    assert value(netns, "nf_conntrack_tcp_timeout_fin_wait") == 20
    assert value(netns, "nf_conntrack_udp_timeout") == 160
    assert not run(netns, masquerade_timeouts=[0, 0, 0]).changed


def test_udplite_has_the_timeouts_of_udp(netns: Namespace) -> None:
    found = run(netns, timeouts={"udplite": {"stream": 77}})
    assert value(netns, "nf_conntrack_udp_timeout_stream") == 77
    assert "one timeout for UDP-Lite and UDP" in found.warnings[0]


def test_the_longest_time_is_kept_as_it_is(netns: Namespace) -> None:
    run(netns, timeouts={"tcp": {"established": 2147483}})
    assert value(netns, "nf_conntrack_tcp_timeout_established") == 2147483


def test_what_was_set_before_a_refusal_is_put_back(netns: Namespace) -> None:
    """The kernel refuses a low bound above the high one, which sinks after the plan was made."""
    run(netns, frag6_low_thresh=1000000)
    section = {"acct": True, "timeouts": {"tcp": {"close": 77}}, "frag6_low_thresh": 3000000}
    found = plan(load(section), netns.name)
    assert [type(one).__name__ for one in found.steps] == ["KeyStep", "KeyStep", "TimeoutStep"]
    netns.sysctl("net.netfilter.nf_conntrack_frag6_high_thresh", 2000000)
    before = all_values(netns)
    with pytest.raises(KernelError) as caught:
        found.apply()
    assert all_values(netns) == before
    problem = caught.value.problems[0]
    assert (problem.place, problem.found) == ("frag6_low_thresh", 3000000)
    assert "Invalid argument" in problem.message
    assert problem.cure == "what was set before it has been put back"


def test_timeouts_are_put_back_too(netns: Namespace, tmp_path: Path) -> None:
    """A step that fails after the timeouts were set over netlink: the file for boot."""
    found = plan(
        load({"timeouts": {"tcp": {"close": 77, "syn_sent2": 7}, "gre": {"replied": 8}}}), netns.name
    )
    files = plan(load({"timeouts": {"tcp": {"close": 77}}}), root=str(tmp_path))
    found.steps += files.steps
    (tmp_path / "etc").write_text("no directory\n")
    before = all_values(netns)
    with pytest.raises(HostError, match="put back"):
        found.apply()
    assert all_values(netns) == before
    with NetlinkSocket(netns.name) as kernel:
        assert (cttimeout.read(kernel, socket.IPPROTO_TCP) or {})[9] == 120


def test_an_interruption_leaves_nothing_half_done(netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    found = plan(load({"acct": True, "timeouts": {"tcp": {"close": 77}, "gre": {"replied": 8}}}), netns.name)
    before = all_values(netns)
    write = cttimeout.write

    def interrupted(kernel: NetlinkSocket, protocol: int, timeouts: dict[int, int]) -> None:
        write(kernel, protocol, timeouts)
        if protocol == socket.IPPROTO_GRE and 8 in timeouts.values():
            raise KeyboardInterrupt

    monkeypatch.setattr(planning.cttimeout, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        found.apply()
    assert all_values(netns) == before


def test_both_bounds_for_fragments_move_in_the_order_that_the_kernel_allows(netns: Namespace) -> None:
    for low, high in ((8000000, 9000000), (1000, 2000), (1500, 9000000), (3145728, 4194304)):
        run(netns, frag6_high_thresh=high, frag6_low_thresh=low)
        assert value(netns, "nf_conntrack_frag6_low_thresh") == low
        assert value(netns, "nf_conntrack_frag6_high_thresh") == high
    assert (
        "more than frag6_high_thresh, which is 4194304"
        in refused(netns, frag6_low_thresh=5000000)["frag6_low_thresh"]
    )
    assert (
        "less than frag6_low_thresh, which is 3145728"
        in refused(netns, frag6_high_thresh=5000)["frag6_high_thresh"]
    )


def test_what_cannot_be_set_is_said_at_once_and_nothing_is_set(netns: Namespace) -> None:
    told = refused(
        netns,
        acct=True,
        max=1000,
        expect_max=77,
        buckets=512,
        helper=True,
        timeouts={"tcp": {"close": 3, "offload": 3}, "dccp": {"open": 3}, "sctp": {"heartbeat_acked": 4}},
    )
    for name in GLOBAL:
        assert "in the first one only; set it on the host itself" in told[name]
    assert "up to Linux 5.19" in told["helper"] and "set: {ct_helper: ...}" in told["helper"]
    assert "CONFIG_NF_FLOW_TABLE" in told["timeouts.tcp.offload"]
    assert "up to Linux 6.17" in told["timeouts.dccp.open"]
    assert "up to Linux 6.1" in told["timeouts.sctp.heartbeat_acked"]
    assert set(told) == {
        *GLOBAL,
        "helper",
        "timeouts.tcp.offload",
        "timeouts.dccp.open",
        "timeouts.sctp.heartbeat_acked",
    }


def test_a_global_setting_that_is_so_already_is_no_error(netns: Namespace) -> None:
    found = run(netns, max=value(netns, "nf_conntrack_max"), acct=True)
    assert [one["name"] for one in describe.changes(found)] == ["acct"]


def test_settings_of_a_namespace_are_not_kept_over_a_reboot(netns: Namespace) -> None:
    assert run(netns, acct=True).files == []
    with pytest.raises(HostError, match="settings of a network namespace end with it"):
        plan(load({"acct": False, "persist": True}), netns.name)
    assert value(netns, "nf_conntrack_acct") == 1


def test_no_such_namespace(netns: Namespace) -> None:
    with pytest.raises(HostError, match="no such network namespace"):
        plan(load({"acct": True}), netns.name + "x")
    found = plan(load({"acct": True}), netns.name)
    netns.close()
    with pytest.raises(HostError, match="no such network namespace"):
        found.apply()


def in_namespace(netns: Namespace, *prefix: str, document: str) -> str:
    """What the command says on standard error where ``prefix`` takes something from it."""
    done = netns.run(*prefix, str(SCRIPT), "apply", "-", input=document, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


READ_ONLY = 'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"'
UNPRIVILEGED = (
    "setpriv",
    "--reuid=65534",
    "--clear-groups",
    "--bounding-set=-all,+dac_read_search",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
)


def test_keys_that_are_mounted_read_only(netns: Namespace) -> None:
    before = all_values(netns)
    told = in_namespace(
        netns, "unshare", "--mount", "sh", "-c", READ_ONLY, "sh", document="conntrack: {acct: true}"
    )
    assert "conntrack.acct: /proc/sys/net/netfilter is mounted read-only" in told
    assert "remount" in told
    assert all_values(netns) == before


def test_no_privilege(netns: Namespace) -> None:
    before = all_values(netns)
    told = in_namespace(netns, *UNPRIVILEGED, document="conntrack: {acct: true}")
    assert "conntrack.acct: not allowed to set" in told and "run as root" in told
    told = in_namespace(netns, *UNPRIVILEGED, document="conntrack: {timeouts: {tcp: {close: 5}}}")
    assert "not allowed to speak to netfilter" in told and "run as root" in told
    assert all_values(netns) == before


BOOT = """
for one in /etc /run /usr/lib /usr/local/lib; do
  if [ -d "$one/sysctl.d" ]; then mount -t tmpfs none "$one/sysctl.d"; fi
done
cp "$1" /etc/sysctl.d/
mount --bind /dev/null /etc/sysctl.conf
exec sysctl --system
"""
"""Boot's sysctl(8) on a host that has this one file."""


def test_the_file_for_boot_has_the_kernel_do_the_same(
    make_netns: Callable[[], Namespace], tmp_path: Path
) -> None:
    """What one namespace is given by rempart, ``sysctl --system`` gives another from the file."""
    ours, booted = make_netns(), make_netns()
    present = all_values(ours)
    section = {
        **{name: one for name, one in OTHERS.items() if TUNABLES[name].key in present},
        "frag6_low_thresh": 8000000,
        "frag6_high_thresh": 9000000,
        "timeouts": {
            protocol: {
                word: 500 + index for index, (word, one) in enumerate(some.items()) if one.key in present
            }
            for protocol, some in TIMEOUTS.items()
            if protocol not in ("udplite", "dccp")
        },
    }
    assert all_values(booted) == present
    run(ours, **section)
    plan(load(section), root=str(tmp_path)).apply()
    done = booted.run("unshare", "--mount", "sh", "-ec", BOOT, "sh", str(tmp_path / SYSCTL))
    read = [line for line in done.stdout.splitlines() if line.startswith("* Applying ")]
    assert read == ["* Applying /%s ..." % SYSCTL]
    after = all_values(booted)
    assert after == all_values(ours)
    assert {key for key in after if after[key] == present[key]} == {TUNABLES[name].key for name in GLOBAL}
