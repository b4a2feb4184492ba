# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections made in the kernel from dictionaries, read back, and read with their counters zeroed."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from rempart.conntrack import entries, names, requests, table, tuples, uapi
from rempart.errors import HostError, KernelError
from rempart.netlink.attributes import attribute
from rempart.netlink.socket import NetlinkSocket

from tests.support import connections
from tests.support.namespaces import Namespace
from tests.support.possible_connections import possible
from tests.support.traffic import echo_server, udp_send

# A rule that sets a label makes room for labels in connections.
RULES = """
table inet t {
  chain c {
    type filter hook output priority 0;
    ct state new ct label set 1
  }
}
"""


@pytest.fixture(scope="module")
def held() -> Iterator[Namespace]:
    """One namespace for all examples: each has a zone of its own."""
    if os.geteuid():
        pytest.skip("needs root for network namespaces")
    with Namespace() as netns:
        netns.up().nft(RULES)
        yield netns


@pytest.fixture(scope="module")
def kernel(held: Namespace) -> Iterator[NetlinkSocket]:
    with NetlinkSocket(held.name) as made:
        yield made


ZONES = itertools.count(1)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(entry=possible())
def test_the_kernel_holds_what_was_said(
    held: Namespace, kernel: NetlinkSocket, entry: dict[str, Any]
) -> None:
    entry["zone"] = next(ZONES)
    connections.inject(held, [entry])
    # Asked for alone: a dump walks the table that all namespaces of the machine share.
    number = tuples.FAMILIES[entry["family"]]
    wanted = tuples.encode(uapi.CTA_TUPLE_ORIG, entry["original"], number, entry["protonum"], [])
    wanted += attribute(uapi.CTA_ZONE, entry["zone"].to_bytes(2, "big"))
    (body,) = kernel.request(requests.GET, number, wanted)
    found = entries.decode(body)
    # What the kernel adds by itself.
    for key in ("id", "use", "synproxy", "unreplied", "assured", "nat"):
        found.pop(key, None)
    if entry["protocol"] == "tcp":
        for one in (entry["original"], entry["reply"]):
            one.setdefault("wscale", 0)
    assert 0 <= entry["timeout"] - found.pop("timeout") <= 5
    del entry["timeout"]
    status = {*entry.pop("status"), *(["helper"] if "helper" in entry else [])}
    assert found.pop("status") == [word for word in names.STATUS if word in status]
    assert found == entry


def test_what_is_there_is_updated(netns: Namespace) -> None:
    entry = connections.tcp(mark=1)
    connections.inject(netns, [entry])
    (before,) = connections.listed(netns)
    with NetlinkSocket(netns.name) as kernel:
        kernel.socket.send(entries.message({**entry, "mark": 2, "timeout": 77}))
    (after,) = connections.listed(netns)
    assert (after["id"], after["mark"], after["timeout"] in (76, 77)) == (before["id"], 2, True)


def test_what_was_read_can_be_said_again(netns: Namespace) -> None:
    """A whole entry, with all that is only the kernel's to say."""
    connections.inject(netns, [connections.tcp(mark=7, helper="ftp"), *connections.generated(3, "ip6")])
    whole = connections.listed(netns)
    netns.run("conntrack", "-F")
    assert connections.listed(netns) == []
    connections.inject(netns, whole)

    def known(found: list[dict[str, Any]]) -> list[str]:
        moving = ("id", "timeout", "use")
        return sorted(str({key: value for key, value in one.items() if key not in moving}) for one in found)

    assert known(connections.listed(netns)) == known(whole)


def test_generated_and_packed_are_the_same(make_netns: Callable[[], Namespace]) -> None:
    for family in ("ip", "ip6"):
        first, second = make_netns(), make_netns()
        assert connections.inject(first, connections.generated(300, family, mark=5)) == 300
        assert connections.inject(second, connections.packed(300, family, mark=5)) == 300
        seen = [
            {str(one["original"]) + str(one["reply"]) + str(one["mark"]) for one in connections.listed(where)}
            for where in (first, second)
        ]
        assert seen[0] == seen[1] and len(seen[0]) == 300


def test_both_families_in_one_read(netns: Namespace) -> None:
    connections.inject(netns, connections.packed(2000))
    connections.inject(netns, connections.packed(1000, "ip6"))
    found = connections.listed(netns)
    assert len({one["id"] for one in found}) == 3000
    assert sum(one["family"] == "ip6" for one in found) == 1000


def test_reading_holds_one_piece_at_a_time(netns: Namespace) -> None:
    connections.inject(netns, connections.packed(20_000))
    with NetlinkSocket(netns.name) as kernel:
        for body in table.read(kernel):
            entries.decode(body)
            break
        tracemalloc.start()
        count = sum(1 for body in table.read(kernel) if entries.decode(body))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 20_000
    assert peak < 300_000


def test_a_reader_may_stop_early(netns: Namespace) -> None:
    connections.inject(netns, connections.packed(2000))
    with NetlinkSocket(netns.name) as kernel:
        for _ in range(3):
            assert len(list(itertools.islice(table.read(kernel), 5))) == 5
        assert sum(1 for _ in table.read(kernel)) == 2000


def test_counters_are_read_and_zeroed_in_one_step(netns: Namespace) -> None:
    netns.up().nft(RULES)
    netns.sysctl("net.netfilter.nf_conntrack_acct", 1)

    def counted(zero: bool) -> dict[str, tuple[int, int]]:
        with NetlinkSocket(netns.name) as kernel:
            found = [entries.decode(body) for body in table.read(kernel, zero)]
        return {
            one["family"]: (one["original"]["packets"], one["reply"]["bytes"])
            for one in found
            if one["original"].get("dport") == 4000
        }

    with echo_server(netns, "127.0.0.1", 4000, ("udp",)), echo_server(netns, "::1", 4000, ("udp",)):
        for address in ("127.0.0.1", "::1"):
            for _ in range(3):
                udp_send(netns, address, 4000, b"x" * 12, source=(address, 4001))
        whole = {"ip": (3, 3 * 40), "ip6": (3, 3 * 60)}
        assert counted(False) == whole
        assert counted(True) == whole
        assert counted(False) == {"ip": (0, 0), "ip6": (0, 0)}
        udp_send(netns, "127.0.0.1", 4000, b"x" * 12, source=("127.0.0.1", 4001))
        assert counted(True) == {"ip": (1, 40), "ip6": (0, 0)}


def test_the_status_that_the_kernel_insists_on_need_not_be_said(netns: Namespace) -> None:
    connections.inject(netns, [connections.udp(status=[])])
    (found,) = connections.listed(netns)
    assert (found["status"], found["unreplied"], found["assured"]) == (["confirmed"], True, False)


def test_without_accounting_there_are_no_counters(netns: Namespace) -> None:
    connections.inject(netns, [connections.udp()])
    (found,) = connections.listed(netns)
    assert "packets" not in found["original"] and "start" not in found


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (connections.tcp(helper="none-such"), errno.EOPNOTSUPP),
        ({key: value for key, value in connections.tcp().items() if key != "timeout"}, errno.EINVAL),
    ],
)
def test_what_the_kernel_refuses(netns: Namespace, entry: dict[str, Any], code: int) -> None:
    with pytest.raises(AssertionError, match=r"connection 0 .*%s" % os.strerror(code)):
        connections.inject(netns, [entry])
    assert connections.listed(netns) == []


def test_a_lost_piece_is_no_table(netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    connections.inject(netns, connections.packed(1000))
    with NetlinkSocket(netns.name) as kernel:
        whole = list(kernel.pieces(requests.GET, socket.AF_UNSPEC))
        monkeypatch.setattr(NetlinkSocket, "pieces", lambda *_: iter([whole[0], None, *whole[1:]]))
        with pytest.raises(KernelError, match="lost") as caught:
            list(table.read(kernel))
    assert caught.value.code == errno.ENOBUFS


def test_without_privilege(netns: Namespace) -> None:
    def unprivileged() -> str:
        child = os.fork()
        if not child:
            try:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                with NetlinkSocket() as kernel:
                    list(table.read(kernel))
            except HostError as error:
                os._exit(7 if "CAP_NET_ADMIN" in str(error) else 8)
            except BaseException:
                os._exit(9)
            os._exit(0)
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    assert netns.call(unprivileged) == "7"
