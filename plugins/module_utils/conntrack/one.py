# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One connection brought to what is declared of it: made, changed or deleted.

The tuple of its original direction and its zone name a connection; nothing else of it need be
known. What is not declared stays. It is looked up by its tuple, however large the table.

What the kernel does to a connection that is there (net/netfilter/nf_conntrack_netlink.c,
ctnetlink_change_conntrack()): bits of the status come and never go; a helper can be taken away and
not given; labels can be set where the connection has room for them, which it got when it began, if
a rule of the ruleset used labels then. A refused change leaves the connection as it was.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from ..errors import HostError, KernelError, Problem, RempartError
from ..netlink.attributes import BE32, attribute, nested
from ..netlink.messages import NLM_F_CREATE, NLM_F_EXCL
from ..netlink.socket import NetlinkSocket
from . import entries, labels, tuples, uapi
from . import line as lines
from .declared import STATUS_SET, Declared
from .names import PROTOCOLS, STATUS
from .requests import DELETE, GET, NEW

TIMEOUT = 60
"""Seconds that a connection that is made has, unless something else is declared: time for a first
packet, which gives it what its protocol's state has."""

_TCP = PROTOCOLS["tcp"]
_SLACK = 10  # seconds, the least that a remaining time may have run down


class Plan:
    """What is to be done to a connection: ``action`` is ``add``, ``change``, ``remove``, or empty.

    ``before`` and ``after`` are the connection as of entries.py, None where there is none;
    ``changed`` names the settings that differ.
    """

    __slots__ = ("action", "after", "before", "changed", "declared")

    def __init__(
        self,
        declared: Declared,
        action: str,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
        changed: tuple[str, ...] = (),
    ) -> None:
        self.declared = declared
        self.action = action
        self.before = before
        self.after = after
        self.changed = changed

    def changes(self) -> list[dict[str, Any]]:
        """Each setting that differs: ``name``, and its value ``before`` and ``after``."""
        if self.before is None or self.after is None:
            return []
        return [
            {"name": name, "before": self.before.get(name), "after": self.after.get(name)}
            for name in self.changed
        ]


def find(kernel: NetlinkSocket, declared: Declared) -> dict[str, Any] | None:
    """The connection that is declared, as the kernel has it; None where there is none.

    Raises HostError where the tuple is that of the replies of a connection.
    """
    try:
        bodies = kernel.request(GET, tuples.FAMILIES[declared.family], declared.key())
    except KernelError as error:
        if error.code == errno.ENOENT:
            return None
        raise
    found = entries.decode(bodies[0])
    if any(found["original"].get(key) != value for key, value in declared.original.items()):
        raise HostError(
            "these are the addresses of the replies of a connection",
            found=lines.connection(found),
            cure="name it by the direction of its first packet",
        )
    return found


def plan(kernel: NetlinkSocket, declared: Declared, state: str = "present", create: bool = True) -> Plan:
    """What is to be done so that the connection is as declared. Nothing is changed.

    Without ``create`` a connection that is not there is not made. Raises HostError for what the
    kernel does to no connection that is there, KernelError.
    """
    before = find(kernel, declared)
    if state == "absent":
        return Plan(declared, "remove" if before else "", before, None)
    if before is None:
        if not create:
            return Plan(declared, "", None, None)
        after = made(declared)
        return Plan(declared, "add", None, after)
    after, changed = _changed(declared, before)
    return Plan(declared, "change" if changed else "", before, after, changed)


def carry_out(kernel: NetlinkSocket, planned: Plan) -> None:
    """Do it. Raises KernelError where the kernel refuses; the connection is as it was before then."""
    before, after = planned.before, planned.after
    if before is None:
        if after is not None:
            _make(kernel, planned.declared, after)
    elif after is None:
        _delete(kernel, planned.declared, before)
    elif planned.changed:
        _change(kernel, planned.declared, before, planned.changed)


def made(declared: Declared) -> dict[str, Any]:
    """The connection as it is made where there is none, as of entries.py."""
    status = STATUS["confirmed"] | declared.status[0]
    found: dict[str, Any] = {
        "family": declared.family,
        "protocol": tuples.PROTOCOL_NAMES.get(declared.protonum, "unknown"),
        "protonum": declared.protonum,
        "timeout": TIMEOUT if declared.timeout is None else declared.timeout,
    }
    if declared.protonum == _TCP:
        found["state"] = declared.tcp_state or "ESTABLISHED"
    found["original"] = dict(declared.original)
    found["reply"] = tuples.opposite(declared.original, declared.protonum)
    _put_status(found, status)
    found["nat"] = []
    found["mark"] = declared.mark.low if declared.mark is not None else 0
    if declared.zone:
        found["zone"] = declared.zone
    if declared.helper:
        found["helper"] = declared.helper
    if declared.labels[0]:
        found["labels"] = _numbers(declared.labels[0])
    return found


def text(entry: Mapping[str, Any] | None) -> str:
    """A connection for a diff: the line of ``conntrack -L``, and what that does not show."""
    if entry is None:
        return ""
    shown = lines.connection({key: value for key, value in entry.items() if key not in ("use", "id")})
    shown += "\n"
    names = labels.names()
    if entry.get("labels"):
        shown += "labels %s\n" % ", ".join(names.get(bit, str(bit)) for bit in entry["labels"])
    if "fixed_timeout" in entry.get("status", ()):
        shown += "status fixed_timeout\n"
    return shown


def _delete(kernel: NetlinkSocket, declared: Declared, before: Mapping[str, Any]) -> None:
    which = attribute(uapi.CTA_ID, BE32.pack(before["id"]))
    try:
        kernel.request(DELETE, tuples.FAMILIES[declared.family], declared.key() + which)
    except KernelError as error:
        if error.code != errno.ENOENT:  # that is: it has ended by itself
            raise


def _make(kernel: NetlinkSocket, declared: Declared, after: Mapping[str, Any]) -> None:
    family = tuples.FAMILIES[declared.family]
    try:
        kernel.request(NEW, family, entries.encode(after), NLM_F_CREATE | NLM_F_EXCL)
    except KernelError as error:
        raise _not_made(error, declared) from error
    if "labels" not in after:
        return
    # Of a new connection's labels the kernel says nothing where it has no room for them.
    found = find(kernel, declared)
    if found is not None and "labels" not in found:
        _delete(kernel, declared, found)
        raise _no_labels()


def _change(
    kernel: NetlinkSocket, declared: Declared, before: Mapping[str, Any], changed: tuple[str, ...]
) -> None:
    """Labels by themselves and first: they are what the kernel would refuse after it did the rest."""
    family = tuples.FAMILIES[declared.family]
    key = declared.key()
    rest = b"".join(_packed(declared, before, setting) for setting in changed)
    try:
        if "labels" in changed:
            set_, clear = declared.labels
            kernel.request(NEW, family, key + _packed_labels(set_, set_ | clear))
        if rest:
            kernel.request(NEW, family, key + rest)
    except RempartError as error:
        code = error.code if isinstance(error, KernelError) else 0
        if code == errno.ENOSPC:
            raise _no_labels() from error
        if code == errno.ENOENT:
            raise KernelError("the connection has ended meanwhile", code, cure="run this again") from error
        if "labels" in changed:
            was = sum(1 << bit for bit in before.get("labels", ()))
            touched = declared.labels[0] | declared.labels[1]
            kernel.request(NEW, family, key + _packed_labels(was & touched, touched))
        if isinstance(error, HostError) and "timeout" in changed:
            # EPERM, after the same socket was allowed to look the connection up
            raise KernelError(
                "the timeout of this connection has been fixed meanwhile", errno.EPERM, 0, "timeout"
            ) from error
        if code == errno.EBUSY:
            # a packet has set a bit of the status, which by now would be cleared
            raise KernelError("the connection has changed meanwhile", code, cure="run this again") from error
        raise


def _packed(declared: Declared, before: Mapping[str, Any], setting: str) -> bytes:
    """The attributes that set one setting; none for labels, which go by themselves."""
    if setting == "timeout":
        return attribute(uapi.CTA_TIMEOUT, BE32.pack(declared.timeout or 0))
    if setting == "mark" and declared.mark is not None:
        mark = attribute(uapi.CTA_MARK, BE32.pack(declared.mark.low))
        if declared.mark.mask is None:
            return mark
        return mark + attribute(uapi.CTA_MARK_MASK, BE32.pack(declared.mark.mask))
    if setting == "status":
        # Bits that are left out are bits to be cleared, which the kernel refuses.
        bits = _bits(before["status"]) | declared.status[0]
        return attribute(uapi.CTA_STATUS, BE32.pack(bits))
    if setting == "helper":
        return nested(uapi.CTA_HELP, attribute(uapi.CTA_HELP_NAME, b"\0"))
    return b""


def _packed_labels(bits: int, mask: int) -> bytes:
    return b"".join(
        attribute(kind, labels.pack(_numbers(number), []))
        for kind, number in ((uapi.CTA_LABELS, bits), (uapi.CTA_LABELS_MASK, mask))
    )


def _changed(declared: Declared, before: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The connection as it is to be, and which settings of it differ."""
    after = dict(before)
    changed = []
    problems = []
    bits = _bits(before["status"])
    if declared.timeout is not None and not _lasts(before["timeout"], declared.timeout):
        changed.append("timeout")
        after["timeout"] = declared.timeout
        if bits & uapi.IPS_FIXED_TIMEOUT:
            problems.append(
                Problem(
                    "the timeout of this connection is fixed",
                    "timeout",
                    declared.timeout,
                    cure="delete it, and make it anew",
                )
            )
    set_, clear = declared.status
    stuck = [word for word in STATUS_SET if clear & bits & STATUS[word]]
    problems += [
        Problem(
            "the kernel sets bits of a status and never clears them",
            "status",
            "!" + word,
            cure="delete the connection, and make it anew",
        )
        for word in stuck
    ]
    if set_ & ~bits:
        changed.append("status")
        _put_status(after, bits | set_)
    if declared.mark is not None:
        mask = 0xFFFFFFFF if declared.mark.mask is None else declared.mark.mask
        mark = before.get("mark", 0) & ~mask | declared.mark.low
        if mark != before.get("mark", 0):
            changed.append("mark")
            after["mark"] = mark
            if "mark" not in before:
                problems.append(
                    Problem(
                        "this kernel keeps no marks of connections",
                        "mark",
                        declared.mark.low,
                        cure="use a kernel with CONFIG_NF_CONNTRACK_MARK",
                    )
                )
    helper = before.get("helper", "")
    if declared.helper is not None and declared.helper != helper:
        changed.append("helper")
        after.pop("helper", None)
        if declared.helper:
            problems.append(
                Problem(
                    "the kernel gives a helper to no connection that has begun",
                    "helper",
                    declared.helper,
                    repr(helper) if helper else "none",
                    "delete the connection, or assign the helper to new ones by a rule",
                )
            )
    set_, clear = declared.labels
    was = sum(1 << bit for bit in before.get("labels", ()))
    if (was | set_) & ~clear != was:
        changed.append("labels")
        after["labels"] = _numbers((was | set_) & ~clear)
    if problems:
        raise HostError.of(problems)
    return after, tuple(changed)


def _lasts(remaining: int, wanted: int) -> bool:
    """Whether what remains of a timeout is what is wanted, as far as one that runs down can be.

    It may have run down by a tenth, or by ten seconds.
    """
    return wanted - max(_SLACK, wanted // 10) <= remaining <= wanted


def _bits(words: list[str]) -> int:
    """A status as its bits."""
    found = 0
    for word in words:
        found |= STATUS[word] if word in STATUS else int(word, 16)
    return found


def _put_status(entry: dict[str, Any], bits: int) -> None:
    entry["status"] = [word for word, bit in STATUS.items() if bits & bit]
    entry["unreplied"] = not bits & uapi.IPS_SEEN_REPLY
    entry["assured"] = bool(bits & uapi.IPS_ASSURED)


def _numbers(bits: int) -> list[int]:
    return [bit for bit in range(labels.COUNT) if bits >> bit & 1]


def _no_labels() -> HostError:
    return HostError(
        "this connection has no room for labels",
        "labels",
        cure="have a rule that uses ct label; connections that begin after that have it",
    )


def _not_made(error: KernelError, declared: Declared) -> RempartError:
    """What a refusal to make a connection means."""
    if error.code == errno.EOPNOTSUPP and declared.helper:
        return HostError(
            "this kernel has no such helper for this protocol",
            "helper",
            declared.helper,
            cure="load its module, such as nf_conntrack_%s" % declared.helper,
        )
    if error.code == errno.EEXIST:
        return KernelError(
            "a connection with these addresses has been made meanwhile", error.code, cure="run this again"
        )
    if error.code == errno.ENOMEM:
        return KernelError(
            "there is no room for another connection", error.code, cure="raise nf_conntrack_max"
        )
    return error
