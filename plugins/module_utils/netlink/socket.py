# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The socket to the kernel's netfilter subsystems: requests, dumps and transactions.

netlink(7), linux/netlink.h and linux/netfilter/nfnetlink.h. A batch is answered
before sendmsg returns, so nothing here waits for the answers to a transaction.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TypeVar

from ..errors import HostError, KernelError
from . import messages, namespace
from .attributes import attribute
from .messages import Answer, Span

NETLINK_NETFILTER = 12  # linux/netlink.h

_SOL_NETLINK = 270  # linux/socket.h
_NETLINK_CAP_ACK = 10  # linux/netlink.h: answers without the request's payload
_NETLINK_EXT_ACK = 11  # linux/netlink.h: answers with the kernel's reason
_SO_SNDBUFFORCE = 32  # asm-generic/socket.h
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h

_NFNL_MSG_BATCH_BEGIN = 0x10  # linux/netfilter/nfnetlink.h
_NFNL_MSG_BATCH_END = 0x11
_NFNL_BATCH_GENID = 1

_BUFFER = 128 * 1024  # bytes; the kernel fills at most 32 KiB of it by a dump's piece
_DUMPS = 20  # dumps begun before a ruleset that keeps changing is an error
_TIMEOUT = 60  # seconds without an answer before the kernel is said to be silent
_ANSWER_SIZE = 2048  # bytes that one answer takes of the receive buffer, bookkeeping included
_MOST = 0x3FFFFFFF  # bytes: the kernel doubles a buffer size into a signed 32-bit number
_TOGETHER = 128  # messages, each for itself, that are sent before the answers are read
_SEQUENCES = 0x7FFFFFFF

_SEQUENCE = struct.Struct("=I")
_FLAGS = struct.Struct("=H")
_KIND = struct.Struct("=H")
_MARK = struct.Struct("=HHI")
_LONGEST_END = 4096  # bytes: NLMSG_DONE with an extended ACK


_Socket = TypeVar("_Socket", bound="NetlinkSocket")


class LostRace(KernelError):
    """The ruleset changed after the generation that a transaction was computed from.

    Nothing was changed; read again, plan again.
    """


class Refusal:
    """One message of a transaction that the kernel refused.

    ``index`` counts the messages given from 0; -1 is the transaction as a whole.
    ``code`` is the positive errno; ``text`` and ``offset`` are the extended ACK's,
    the offset counted from the start of that message.
    """

    __slots__ = ("code", "index", "offset", "text")

    def __init__(self, index: int, code: int, text: str, offset: int | None) -> None:
        self.index = index
        self.code = code
        self.text = text
        self.offset = offset


class Refused(KernelError):
    """The kernel refused a transaction, and changed nothing.

    ``refusals`` holds every message that it complained of, in their order: what
    follows the first is often only its consequence. ``code`` and ``sequence``
    (the message's index) are those of the first.
    """

    def __init__(self, refusals: list[Refusal]) -> None:
        first = refusals[0]
        super().__init__(
            "the kernel refused the transaction: %s" % reason(first.code, first.text), first.code, first.index
        )
        self.refusals = refusals


class NetlinkSocket:
    """A socket to netfilter, in this network namespace or in one named.

    ``with NetlinkSocket() as kernel: ...``; ``netns`` is a name or path as of
    :class:`namespace.Entered`. Raises HostError where it cannot be opened.
    """

    __slots__ = ("_buffer", "_sequence", "_unfinished", "_view", "socket")

    def __init__(self, netns: str | None = None) -> None:
        with namespace.Entered(netns):
            try:
                self.socket = socket.socket(
                    socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER
                )
            except OSError as error:
                if error.errno in (errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT):
                    raise HostError(
                        "this kernel has no netfilter netlink interface",
                        cure="load the module nfnetlink, or use a kernel with CONFIG_NETFILTER_NETLINK",
                    ) from error
                raise HostError("cannot open a netlink socket: %s" % error.strerror) from error
        try:
            for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK):
                self.socket.setsockopt(_SOL_NETLINK, option, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _TIMEOUT, 0))
            self.socket.bind((0, 0))
            self.socket.connect((0, 0))  # from now on no other process can send to it
        except OSError as error:
            self.socket.close()
            raise HostError("cannot set up a netlink socket: %s" % error.strerror) from error
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._sequence = 0
        self._unfinished = 0  # the sequence of a dump not read to its end

    def __enter__(self: _Socket) -> _Socket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the socket back; a second time does nothing."""
        self.socket.close()

    def request(self, kind: int, family: int, attributes: bytes = b"", flags: int = 0) -> list[bytes]:
        """Send one message and return the bodies of what answers it, which may be none.

        Raises KernelError where the kernel refuses, HostError without the privilege.
        """
        self._finish()
        sequence = self._next(1)
        flags |= messages.NLM_F_REQUEST | messages.NLM_F_ACK
        self._send(messages.message(kind, flags, family, attributes, sequence=sequence))
        bodies: list[bytes] = []
        while True:
            data = self._receive()
            if data is None:
                raise KernelError(
                    "an answer of the kernel was lost (%s)" % os.strerror(errno.ENOBUFS), errno.ENOBUFS
                )
            for kind_, flags_, sequence_, start, stop in messages.split(data):
                if sequence_ != sequence:
                    continue
                if kind_ == messages.NLMSG_ERROR:
                    _check(messages.answer(kind_, flags_, sequence_, data[start:stop]))
                    return bodies
                bodies.append(data[start:stop])

    def dump(self, kind: int, family: int, attributes: bytes = b"") -> list[bytes]:
        """Every body of a dump, as :meth:`spans` finds them."""
        return [data[start:stop] for data, start, stop in self.spans(kind, family, attributes)]

    def spans(self, kind: int, family: int, attributes: bytes = b"") -> list[Span]:
        """Every body of a dump where it stands in what was received, as one consistent picture.

        A dump that the kernel marks as interrupted (NLM_F_DUMP_INTR), or of which a
        part was lost, is begun again; KernelError EINTR where that happens every time.
        """
        for _unused in range(_DUMPS):
            found: list[Span] = []
            whole = True
            for data in self.pieces(kind, family, attributes):
                if data is None:
                    whole = False
                    continue
                for kind_, flags, _sequence, start, stop in messages.split(data):
                    if flags & messages.NLM_F_DUMP_INTR:
                        whole = False
                    if kind_ >= 0x10:  # NLMSG_MIN_TYPE: not the NLMSG_DONE at the end
                        found.append((data, start, stop))
            if whole:
                return found
        raise KernelError(
            "what was to be read changed during each of %d attempts" % _DUMPS,
            errno.EINTR,
            cure="try again when no other program is changing it",
        )

    def pieces(self, kind: int, family: int, attributes: bytes = b"") -> Iterator[bytes | None]:
        """A dump as the buffers received, each holding whole messages, the last NLMSG_DONE.

        None stands for a piece that was lost. NLM_F_DUMP_INTR is for the caller to look
        at. A caller may stop early: the next use of the socket throws the rest away.
        """
        self._finish()
        sequence = self._next(1)
        request = messages.NLM_F_REQUEST | messages.NLM_F_DUMP
        self._send(messages.message(kind, request, family, attributes, sequence=sequence))
        self._unfinished = sequence
        while self._unfinished == sequence:
            data = self._receive()
            if data is not None:
                if _SEQUENCE.unpack_from(data, 8)[0] != sequence:
                    continue
                end = _end_of_dump(data, sequence)
                if end is not None:
                    self._unfinished = 0
                    _check(end)
            yield data

    def transact(self, batch: Sequence[bytes], generation: int | None = None, subsystem: int = 10) -> None:
        """Send messages as one transaction: all of them take effect at once, or none.

        ``generation`` is the one that the messages were computed from: if the kernel
        holds another by now, LostRace. ``subsystem`` is an NFNL_SUBSYS_ number
        (10 is nf_tables). Raises Refused with the index of what was refused, HostError
        without the privilege, KernelError ENOBUFS where the outcome cannot be known.
        """
        if not batch:
            return
        self._finish()
        self._drain()
        first = self._next(len(batch) + 2)
        buffer = _enclose(batch, generation, subsystem, first)
        self._make_room(len(buffer), len(batch))
        self._send(buffer)
        refusals: list[Refusal] = []
        acknowledged = lost = False
        while True:
            try:
                data = self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if data is None:
                lost = True
                continue
            for kind, flags, sequence, start, stop in messages.split(data):
                index = sequence - first - 1
                if kind != messages.NLMSG_ERROR or not -1 <= index <= len(batch):
                    continue
                answer = messages.answer(kind, flags, sequence, data[start:stop])
                if answer.code:
                    if index == -1:
                        _check_begin(answer)
                    refusals.append(Refusal(index, answer.code, answer.text, answer.offset))
                elif index == len(batch) - 1:
                    acknowledged = True
        if refusals:
            raise Refused(refusals)
        if not acknowledged:
            raise KernelError(
                "the kernel's answer to the transaction was lost, so it may or may not have taken effect",
                errno.ENOBUFS if lost else errno.ENODATA,
                cure="compare again with what the kernel holds",
            )

    def each(self, batch: Sequence[bytes]) -> list[Refusal]:
        """Send messages of which each takes effect by itself, many at a time; what was refused.

        Raises HostError without the privilege, and KernelError ENOBUFS where an answer was lost,
        so that it cannot be known which of the last hundred or so took effect.
        """
        refusals: list[Refusal] = []
        for start in range(0, len(batch), _TOGETHER):
            self._each(batch[start : start + _TOGETHER], start, refusals)
        return refusals

    def _each(self, batch: Sequence[bytes], start: int, refusals: list[Refusal]) -> None:
        self._finish()
        first = self._next(len(batch))
        buffer = bytearray().join(batch)
        _number(buffer, batch, 0, first)
        self._make_room(len(buffer), len(batch))
        self._send(buffer)
        while True:
            data = self._receive()
            if data is None:
                raise KernelError("an answer of the kernel was lost", errno.ENOBUFS)
            for kind, flags, sequence, begin, stop in messages.split(data):
                index = sequence - first
                if kind != messages.NLMSG_ERROR or not 0 <= index < len(batch):
                    continue
                answer = messages.answer(kind, flags, sequence, data[begin:stop])
                if answer.code == errno.EPERM:
                    raise _unprivileged()
                if answer.code:
                    refusals.append(Refusal(start + index, answer.code, answer.text, answer.offset))
                if index == len(batch) - 1:
                    return

    def another(self) -> NetlinkSocket:
        """A second socket in the namespace of this one, to ask on while this one reads a dump.

        Raises HostError where it cannot be opened.
        """
        with ExitStack() as stack:
            try:
                place = stack.enter_context(namespace.of_socket(self.socket))
            except OSError as error:
                raise HostError(
                    "cannot find a socket's network namespace: %s" % error.strerror, cure=namespace.PRIVILEGE
                ) from error
            return NetlinkSocket(None if namespace.is_own(place) else namespace.path_of_descriptor(place))

    def _next(self, count: int) -> int:
        if self._sequence + count > _SEQUENCES:
            self._sequence = 0
        first = self._sequence + 1
        self._sequence += count
        return first

    def _send(self, data: bytes | bytearray) -> None:
        try:
            self.socket.send(data)
        except OSError as error:
            code = error.errno or 0
            if code in (errno.EPERM, errno.EACCES):
                raise _unprivileged() from error
            if code in (errno.EMSGSIZE, errno.ENOBUFS, errno.ENOMEM):
                raise HostError(
                    "the kernel has no room for a message of %d bytes: %s" % (len(data), error.strerror),
                    cure="run as root, raise the sysctl net.core.wmem_max, or free memory",
                ) from error
            raise KernelError("cannot send to the kernel: %s" % error.strerror, code) from error

    def _receive(self, flags: int = 0) -> bytes | None:
        """One received buffer; None where the kernel says that something was lost."""
        try:
            length = self.socket.recv_into(self._buffer, 0, flags | socket.MSG_TRUNC)
        except BlockingIOError:
            if flags & socket.MSG_DONTWAIT:
                raise
            raise KernelError(
                "no answer from the kernel for %d seconds" % _TIMEOUT, errno.ETIMEDOUT
            ) from None
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                return None
            raise KernelError(
                "cannot receive from the kernel: %s" % error.strerror, error.errno or 0
            ) from error
        if length < messages.HEADER_SIZE:
            raise ValueError("a netlink datagram of %d bytes" % length)
        if length > len(self._buffer):
            self._view.release()
            self._buffer = bytearray(length + 4096)
            self._view = memoryview(self._buffer)
            return None
        return bytes(self._view[:length])

    def _finish(self) -> None:
        """Read a dump to its end that its caller left: the kernel runs one at a time."""
        while self._unfinished:
            data = self._receive()
            if data is not None and _end_of_dump(data, self._unfinished) is not None:
                self._unfinished = 0

    def _drain(self) -> None:
        """Throw away what an earlier call may have left, so that an answer always fits."""
        while True:
            try:
                self._receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return

    def _make_room(self, size: int, count: int) -> None:
        for force, plain, wanted in (
            (_SO_SNDBUFFORCE, socket.SO_SNDBUF, size + 4096),
            (_SO_RCVBUFFORCE, socket.SO_RCVBUF, count * _ANSWER_SIZE),
        ):
            if self.socket.getsockopt(socket.SOL_SOCKET, plain) >= wanted:
                continue
            wanted = min(wanted, _MOST)
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, force, wanted)
            except OSError:
                self.socket.setsockopt(socket.SOL_SOCKET, plain, wanted)


def reason(code: int, text: str = "") -> str:
    """An errno in words, with the kernel's own sentence where it sent one."""
    words = os.strerror(code)
    return "%s (%s)" % (text, words) if text else words


def _enclose(batch: Sequence[bytes], generation: int | None, subsystem: int, first: int) -> bytearray:
    """Begin, messages and end in one buffer, numbered from ``first``, an ACK asked on the last."""
    attributes = b"" if generation is None else attribute(_NFNL_BATCH_GENID, generation.to_bytes(4, "big"))
    request = messages.NLM_F_REQUEST
    begin = messages.message(_NFNL_MSG_BATCH_BEGIN, request, 0, attributes, subsystem, first)
    end = messages.message(_NFNL_MSG_BATCH_END, request, 0, b"", subsystem, first + len(batch) + 1)
    buffer = bytearray().join((begin, *batch, end))
    _number(buffer, batch, len(begin), first + 1)
    return buffer


def _number(buffer: bytearray, batch: Sequence[bytes], position: int, sequence: int) -> None:
    """Number messages that stand in a buffer from ``position`` on, and ask for an ACK of the last."""
    pack = _SEQUENCE.pack_into
    last = position
    for message in batch:
        pack(buffer, position + 8, sequence)
        sequence += 1
        last = position
        position += len(message)
    flags = _FLAGS.unpack_from(buffer, last + 6)[0]
    _FLAGS.pack_into(buffer, last + 6, flags | messages.NLM_F_ACK)


def _end_of_dump(data: bytes, sequence: int) -> Answer | None:
    """The answer that ends a dump, if this buffer holds it.

    NLMSG_ERROR comes alone. NLMSG_DONE comes alone or last, its 4 bytes of errno and
    an extended ACK after it, so it is looked for near the end before the buffer is
    split at all: splitting costs more than receiving.
    """
    first = _KIND.unpack_from(data, 4)[0]
    if first not in (messages.NLMSG_ERROR, messages.NLMSG_DONE):
        tail = len(data) - _LONGEST_END
        for flags in (messages.NLM_F_MULTI, messages.NLM_F_MULTI | messages.NLM_F_ACK_TLVS):
            if data.find(_MARK.pack(messages.NLMSG_DONE, flags, sequence), tail if tail > 0 else 0) >= 0:
                break
        else:
            return None
    for kind, flags, sequence_, start, stop in messages.split(data):
        if kind in (messages.NLMSG_ERROR, messages.NLMSG_DONE):
            return messages.answer(kind, flags, sequence_, data[start:stop])
    return None


def _check(answer: Answer) -> None:
    if not answer.code:
        return
    if answer.code == errno.EPERM:
        raise _unprivileged()
    raise KernelError(
        "the kernel refused: %s" % reason(answer.code, answer.text), answer.code, answer.sequence
    )


def _check_begin(answer: Answer) -> None:
    if answer.code == errno.ERESTART:
        raise LostRace(
            "the ruleset was changed by another program meanwhile",
            answer.code,
            -1,
            cure="read it again and plan again",
        )
    if answer.code == errno.EPERM:
        raise _unprivileged()
    if answer.code == errno.EOPNOTSUPP:
        raise HostError(
            "this kernel does not offer the netfilter subsystem asked for",
            cure="load the module nf_tables, or use a kernel with CONFIG_NF_TABLES",
        )


def _unprivileged() -> HostError:
    return HostError("not allowed to speak to netfilter", cure=namespace.PRIVILEGE)
