# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The netlink socket against the kernel: transactions, refusals, races, lost answers, dumps."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rempart.errors import HostError, KernelError
from rempart.netlink import messages as wire
from rempart.netlink import namespace
from rempart.netlink.attributes import BE32, attribute
from rempart.netlink.socket import LostRace, NetlinkSocket, Refused
from rempart.nftables import uapi
from rempart.ruleset import kernel as ruleset
from rempart.ruleset import messages as changes
from rempart.ruleset.generation import generation as generation_of

from tests.support.namespaces import Namespace

INET = uapi.NFPROTO_INET
GETTABLE = uapi.NFNL_SUBSYS_NFTABLES << 8 | uapi.NFT_MSG_GETTABLE
GETRULE = uapi.NFNL_SUBSYS_NFTABLES << 8 | uapi.NFT_MSG_GETRULE
TABLE_T = attribute(uapi.NFTA_RULE_TABLE, b"t\0")


def expression(name: str, *parts: bytes) -> bytes:
    data = attribute(uapi.NFTA_EXPR_DATA, b"".join(parts))
    return attribute(uapi.NFTA_LIST_ELEM, attribute(uapi.NFTA_EXPR_NAME, name.encode() + b"\0") + data)


def verdict(code: int, chain: str = "") -> bytes:
    parts = attribute(uapi.NFTA_VERDICT_CODE, BE32.pack(code & 0xFFFFFFFF))
    if chain:
        parts += attribute(uapi.NFTA_VERDICT_CHAIN, chain.encode() + b"\0")
    return expression(
        "immediate",
        attribute(uapi.NFTA_IMMEDIATE_DREG, BE32.pack(uapi.NFT_REG_VERDICT)),
        attribute(uapi.NFTA_IMMEDIATE_DATA, attribute(uapi.NFTA_DATA_VERDICT, parts)),
    )


def mark_is(value: int) -> bytes:
    return expression(
        "meta",
        attribute(uapi.NFTA_META_KEY, BE32.pack(uapi.NFT_META_MARK))
        + attribute(uapi.NFTA_META_DREG, BE32.pack(uapi.NFT_REG_1)),
    ) + expression(
        "cmp",
        attribute(uapi.NFTA_CMP_SREG, BE32.pack(uapi.NFT_REG_1))
        + attribute(uapi.NFTA_CMP_OP, BE32.pack(uapi.NFT_CMP_EQ))
        + attribute(uapi.NFTA_CMP_DATA, attribute(uapi.NFTA_DATA_VALUE, value.to_bytes(4, "big"))),
    )


ACCEPT = verdict(uapi.NF_ACCEPT)


def rules(count: int, table: str = "t") -> list[bytes]:
    head = [changes.new_table(INET, table), changes.new_chain(INET, table, "c")]
    return head + [changes.new_rule(INET, table, "c", mark_is(number) + ACCEPT) for number in range(count)]


@pytest.fixture
def kernel(netns: Namespace) -> Iterator[NetlinkSocket]:
    with NetlinkSocket(netns.name) as found:
        yield found


def names(kernel: NetlinkSocket) -> list[str]:
    return [table.name for table in ruleset.tables(kernel)]


def test_ten_thousand_rules_in_one_transaction(kernel: NetlinkSocket, netns: Namespace) -> None:
    before = generation_of(kernel)
    kernel.transact(rules(10_000), before)
    assert generation_of(kernel) == before + 1
    found = ruleset.rules(kernel, INET, "t")["c"]
    assert [rule.expressions for rule in found] == [mark_is(number) + ACCEPT for number in range(10_000)]
    assert sorted(rule.handle for rule in found) == [rule.handle for rule in found]
    assert netns.nft_text("chain", "inet", "t", "c").count("meta mark") == 10_000


def test_a_refused_rule_is_found_among_ten_thousand_and_nothing_is_changed(kernel: NetlinkSocket) -> None:
    batch = rules(10_000)
    place = 2 + 7_777
    batch[place] = changes.new_rule(INET, "t", "nowhere", ACCEPT)
    before = generation_of(kernel)
    with pytest.raises(Refused) as caught:
        kernel.transact(batch, before)
    assert (caught.value.sequence, caught.value.code) == (place, errno.ENOENT)
    (refusal,) = caught.value.refusals
    assert refusal.index == place
    assert refusal.offset is not None
    kind = int.from_bytes(batch[place][refusal.offset + 2 : refusal.offset + 4], "little")
    assert kind == uapi.NFTA_RULE_CHAIN
    assert names(kernel) == []
    assert generation_of(kernel) == before


@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_refusal_at_either_end_has_its_index(kernel: NetlinkSocket, place: int) -> None:
    batch = [changes.new_table(INET, "t%d" % number) for number in range(5)]
    batch[place] = changes.delete_table(INET, "absent")
    with pytest.raises(Refused) as caught:
        kernel.transact(batch)
    assert [one.index for one in caught.value.refusals] == [place]
    assert names(kernel) == []


def test_every_refusal_of_a_transaction_is_reported(kernel: NetlinkSocket) -> None:
    batch = [changes.delete_table(INET, "absent%d" % number) for number in range(3_000)]
    with pytest.raises(Refused) as caught:
        kernel.transact(batch)
    assert [one.index for one in caught.value.refusals] == list(range(3_000))


def test_a_loop_of_jumps_which_the_commit_finds_is_refused(kernel: NetlinkSocket) -> None:
    hook = changes.Hook(uapi.NF_INET_LOCAL_IN, 0)
    kernel.transact(
        [
            changes.new_table(INET, "t"),
            changes.new_chain(INET, "t", "input", hook),
            changes.new_chain(INET, "t", "a"),
            changes.new_chain(INET, "t", "b"),
            changes.new_rule(INET, "t", "input", verdict(uapi.NFT_JUMP, "a")),
        ]
    )
    before = generation_of(kernel)
    with pytest.raises(Refused) as caught:
        kernel.transact(
            [
                changes.new_rule(INET, "t", "a", verdict(uapi.NFT_JUMP, "b")),
                changes.new_rule(INET, "t", "b", verdict(uapi.NFT_JUMP, "a")),
            ]
        )
    assert caught.value.code in (errno.ELOOP, errno.EMLINK)
    assert generation_of(kernel) == before
    assert list(ruleset.rules(kernel, INET, "t")) == ["input"]


def test_a_lost_race_is_told_and_changes_nothing(kernel: NetlinkSocket, netns: Namespace) -> None:
    planned = generation_of(kernel)
    netns.nft("add table inet other")
    with pytest.raises(LostRace) as caught:
        kernel.transact(rules(3), planned)
    assert caught.value.code == errno.ERESTART
    assert names(kernel) == ["other"]
    kernel.transact(rules(3), generation_of(kernel))
    assert sorted(names(kernel)) == ["other", "t"]


def test_no_messages_are_no_transaction(kernel: NetlinkSocket) -> None:
    before = generation_of(kernel)
    kernel.transact([])
    assert generation_of(kernel) == before


class Cramped(NetlinkSocket):
    """A socket whose receive buffer holds an answer or two."""

    __slots__ = ()

    def _make_room(self, size: int, count: int) -> None:
        super()._make_room(size, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)


def test_an_overflowing_receive_buffer_does_not_hide_a_refusal(netns: Namespace) -> None:
    with Cramped(netns.name) as kernel:
        batch = [changes.delete_table(INET, "absent%d" % number) for number in range(5_000)]
        with pytest.raises(Refused) as caught:
            kernel.transact(batch)
        assert caught.value.sequence == 0
        assert len(caught.value.refusals) < 5_000
        kernel.transact(rules(5_000), generation_of(kernel))
        assert len(ruleset.rules(kernel, INET, "t")["c"]) == 5_000


def test_answers_left_over_take_no_room_from_those_that_count(netns: Namespace) -> None:
    with Cramped(netns.name) as kernel:
        kernel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        request = wire.message(GETTABLE, wire.NLM_F_REQUEST | wire.NLM_F_ACK, INET, attribute(1, b"absent\0"))
        for _ in range(50):
            kernel.socket.send(request)
        kernel.transact(rules(1))
        assert names(kernel) == ["t"]


def test_a_transaction_may_be_larger_than_what_users_may_send(kernel: NetlinkSocket) -> None:
    most = 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())
    one = changes.new_rule(INET, "t", "c", ACCEPT, bytes(256))
    kernel.transact(rules(0) + [one] * (most // len(one) + 1))
    assert len(ruleset.rules(kernel, INET, "t")["c"]) == most // len(one) + 1


class Deaf(NetlinkSocket):
    """A socket that loses the answers to a transaction, as ENOBUFS would."""

    __slots__ = ("deaf",)
    deaf: bool

    def _receive(self, flags: int = 0) -> bytes | None:
        data = super()._receive(flags)
        return None if flags & socket.MSG_DONTWAIT and self.deaf else data


def test_an_unknown_outcome_is_neither_success_nor_refusal(netns: Namespace) -> None:
    with Deaf(netns.name) as kernel:
        kernel.deaf = True
        for batch in (rules(1), [changes.delete_table(INET, "absent")]):
            with pytest.raises(KernelError) as caught:
                kernel.transact(batch)
            assert caught.value.code == errno.ENOBUFS
            assert not isinstance(caught.value, (Refused, LostRace))
        kernel.deaf = False
        assert names(kernel) == ["t"]


def test_an_answer_left_over_is_not_taken_for_this_transaction(kernel: NetlinkSocket) -> None:
    request = wire.message(GETTABLE, wire.NLM_F_REQUEST | wire.NLM_F_ACK, INET, attribute(1, b"absent\0"))
    kernel.socket.send(request)
    kernel.transact(rules(1))
    kernel.socket.send(request)
    assert names(kernel) == ["t"]


class Interrupting(NetlinkSocket):
    """A socket during whose dumps somebody else commits a change, so many times."""

    __slots__ = ("change", "times")
    change: Callable[[], object]
    times: int

    def _receive(self, flags: int = 0) -> bytes | None:
        data = super()._receive(flags)
        if self.times and self._unfinished:
            self.times -= 1
            self.change()
        return data


def test_an_interrupted_dump_is_begun_again(netns: Namespace) -> None:
    with NetlinkSocket(netns.name) as writer, Interrupting(netns.name) as kernel:
        writer.transact(rules(2_000))
        first = ruleset.rules(writer, INET, "t")["c"][0].handle
        kernel.change = lambda: writer.transact(
            [
                changes.delete_rule(INET, "t", "c", ruleset.rules(writer, INET, "t")["c"][0].handle),
                changes.new_rule(INET, "t", "c", ACCEPT),
            ]
        )
        kernel.times = 3
        found = [rule.handle for rule in ruleset.rules(kernel, INET, "t")["c"]]
        assert kernel.times == 0
        assert found == [rule.handle for rule in ruleset.rules(writer, INET, "t")["c"]]
        assert len(found) == 2_000
        assert first not in found


def test_a_dump_that_is_always_interrupted_ends_in_a_clear_error(netns: Namespace) -> None:
    with NetlinkSocket(netns.name) as writer, Interrupting(netns.name) as kernel:
        writer.transact(rules(2_000))
        kernel.change = lambda: writer.transact(rules(1, "other"))
        kernel.times = 10_000
        with pytest.raises(KernelError) as caught:
            ruleset.rules(kernel, INET, "t")
        assert caught.value.code == errno.EINTR
        kernel.times = 0
        assert len(ruleset.rules(kernel, INET, "t")["c"]) == 2_000


def test_a_picture_is_of_one_generation(netns: Namespace) -> None:
    with NetlinkSocket(netns.name) as writer, Interrupting(netns.name) as kernel:
        writer.transact(rules(3))
        kernel.change = lambda: writer.transact(
            [changes.new_rule(INET, "t", "c", ACCEPT), changes.new_chain(INET, "t", "d%d" % kernel.times)]
        )
        kernel.times = 9
        picture = ruleset.read(kernel, [(INET, "t")])
        assert kernel.times == 0
        found = picture.tables[INET, "t"]
        assert picture.generation == generation_of(writer)
        assert len(found.chains["c"].rules) == 12
        assert len(found.chains) == 10


def test_a_dump_left_early_does_not_disturb_what_follows(kernel: NetlinkSocket) -> None:
    kernel.transact(rules(3_000))
    for piece in kernel.pieces(GETRULE, INET, TABLE_T):
        assert piece
        break
    assert len(ruleset.rules(kernel, INET, "t")["c"]) == 3_000
    pieces = kernel.pieces(GETRULE, INET, TABLE_T)
    next(pieces)
    kernel.transact([changes.delete_table(INET, "t")])
    assert names(kernel) == []
    assert list(pieces) == []


def test_a_piece_larger_than_the_buffer_is_not_half_read(kernel: NetlinkSocket) -> None:
    kernel.transact(rules(3_000))
    kernel._view.release()
    kernel._buffer = bytearray(100)
    kernel._view = memoryview(kernel._buffer)
    assert len(ruleset.rules(kernel, INET, "t")["c"]) == 3_000


def test_a_request_that_the_kernel_refuses_says_why(kernel: NetlinkSocket) -> None:
    with pytest.raises(KernelError, match="No such file") as caught:
        kernel.request(GETTABLE, INET, attribute(1, b"absent\0"))
    assert caught.value.code == errno.ENOENT
    with pytest.raises(KernelError):
        ruleset.elements(kernel, INET, "t", ruleset.KernelSet("s", 0, 0, b""))


def test_another_namespace_is_untouched(make_netns: Callable[[], Namespace]) -> None:
    one, other = make_netns(), make_netns()
    other.nft("table inet t { chain c { counter accept; }; }")
    before = other.nft_json()
    with NetlinkSocket(one.name) as kernel, NetlinkSocket(other.name) as second:
        number = generation_of(second)
        kernel.transact(rules(10))
        kernel.transact([changes.delete_table(INET, "t")])
        assert generation_of(second) == number
    assert other.nft_json() == before


def test_tables_of_others_are_untouched(kernel: NetlinkSocket, netns: Namespace) -> None:
    netns.nft("table ip docker { chain c { type nat hook prerouting priority -100; counter accept; }; }")
    netns.run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "22", "-j", "ACCEPT")

    def others() -> list[list[bytes]]:
        return [
            kernel.dump(uapi.NFNL_SUBSYS_NFTABLES << 8 | kind, uapi.NFPROTO_IPV4)
            for kind in (uapi.NFT_MSG_GETTABLE, uapi.NFT_MSG_GETCHAIN, uapi.NFT_MSG_GETRULE)
        ]

    def bare(found: list[list[bytes]]) -> list[list[bytes]]:
        return [[body[4:] for body in kind] for kind in found]  # nfgenmsg carries the generation

    before = bare(others())
    kernel.transact(rules(10))
    with pytest.raises(Refused):
        kernel.transact([changes.new_table(INET, "x"), changes.delete_chain(INET, "t", "absent")])
    kernel.transact([changes.delete_table(INET, "t")])
    assert bare(others()) == before


def in_child(work: Callable[[], str]) -> str:
    """What ``work`` returns in a child process, whose privileges it may throw away."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(child, 0)
    return text


def become_nobody() -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def test_without_privilege_the_cure_is_named(netns: Namespace) -> None:
    def work() -> str:
        namespace.Entered(netns.name).__enter__()
        become_nobody()
        said = []
        with NetlinkSocket() as kernel:
            attempts: list[Callable[[], object]] = [
                lambda: generation_of(kernel),
                lambda: kernel.transact(rules(1)),
                lambda: kernel.transact(rules(10_000)),
            ]
            for attempt in attempts:
                try:
                    attempt()
                except HostError as error:
                    said.append(str(error))
        return "|".join(said)

    said = in_child(work).split("|")
    assert len(said) == 3
    assert all("CAP_NET_ADMIN" in one for one in said[:2])
    assert "root" in said[2]
    assert names_in(netns) == []


def names_in(netns: Namespace) -> list[str]:
    with NetlinkSocket(netns.name) as kernel:
        return names(kernel)


def test_entering_a_namespace_without_privilege_names_the_cure(netns: Namespace) -> None:
    def work() -> str:
        become_nobody()
        try:
            with NetlinkSocket(netns.name):
                return "entered"
        except HostError as error:
            return str(error)

    assert "CAP_NET_ADMIN" in in_child(work)
