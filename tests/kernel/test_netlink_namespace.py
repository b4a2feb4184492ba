# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Entering network namespaces, telling them apart, and what is said when that fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from rempart.errors import HostError
from rempart.netlink import namespace
from rempart.netlink.socket import NetlinkSocket
from rempart.ruleset import memory

from tests.support.namespaces import Namespace


def here() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def inode(path: str) -> str:
    return "net:[%d]" % os.stat(path).st_ino


def test_a_block_runs_inside_and_returns(netns: Namespace) -> None:
    home = here()
    for what in (netns.name, netns.path):
        with namespace.Entered(what):
            assert here() == inode(netns.path)
        assert here() == home
    with namespace.Entered(None):
        assert here() == home


def test_an_exception_returns_too(netns: Namespace) -> None:
    home = here()
    with pytest.raises(KeyError), namespace.Entered(netns.name):
        raise KeyError
    assert here() == home


def test_blocks_nest(make_netns: Callable[[], Namespace]) -> None:
    one, two = make_netns(), make_netns()
    with namespace.Entered(one.name):
        with namespace.Entered(two.name):
            assert here() == inode(two.path)
        assert here() == inode(one.path)


def test_other_threads_stay_where_they_are(netns: Namespace) -> None:
    home = here()
    seen = []
    with namespace.Entered(netns.name):
        thread = threading.Thread(target=lambda: seen.append(os.readlink("/proc/self/ns/net")))
        thread.start()
        thread.join()
    assert here() == home
    assert seen == [os.readlink("/proc/self/ns/net")] or seen == [inode(netns.path)]


def test_no_descriptor_is_left_open(netns: Namespace) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with namespace.Entered(netns.name):
            pass
        with pytest.raises(HostError), namespace.Entered("/proc/self/ns/mnt"):
            pass
        with NetlinkSocket(netns.name):
            pass
    assert os.listdir("/proc/self/fd") == before


def test_a_missing_namespace_is_told_with_the_nearest(netns: Namespace) -> None:
    wrong = netns.name + "x"
    home = here()
    with pytest.raises(HostError) as caught, namespace.Entered(wrong):
        pass
    (problem,) = caught.value.problems
    assert problem.found == wrong
    assert "did you mean" in problem.cure
    assert netns.name in problem.allowed
    assert here() == home


def test_a_missing_namespace_like_no_other_is_told_how_to_make() -> None:
    with pytest.raises(HostError, match="ip netns add zzqqzz"), NetlinkSocket("zzqqzz"):
        pass


@pytest.mark.parametrize("name", ["", ".", "..", "a\0b"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(HostError, match="not the name"), namespace.Entered(name):
        pass


def test_a_file_that_is_no_namespace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    for path in (str(tmp_path / "plain"), "/proc/self/ns/mnt"):
        with pytest.raises(HostError, match="not a network namespace"), namespace.Entered(path):
            pass
    with pytest.raises(HostError, match="no such"), namespace.Entered(str(tmp_path / "absent")):
        pass


def test_namespaces_have_different_cookies(make_netns: Callable[[], Namespace]) -> None:
    one, two = make_netns(), make_netns()
    with NetlinkSocket(one.name) as first, NetlinkSocket(one.path) as again, NetlinkSocket(two.name) as other:
        assert namespace.cookie(first.socket) is not None
        assert namespace.cookie(first.socket) == namespace.cookie(again.socket)
        assert namespace.cookie(first.socket) != namespace.cookie(other.socket)
        keys = [memory.key(each) for each in (first, again, other)]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0] is not None
    assert keys[0].startswith(namespace.boot_id() + "-")


def test_a_kernel_without_cookies_has_no_memory(netns: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "_SO_NETNS_COOKIE", 9_999)  # no socket option has this number
    with NetlinkSocket(netns.name) as kernel:
        assert namespace.cookie(kernel.socket) is None
        assert memory.key(kernel) is None
