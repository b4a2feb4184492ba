# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements of one set, changed without knowing the rest of its table.

For the ad-hoc case: ban this address for an hour. The kernel is asked for the elements
that matter, or where these are many for all, and what differs is sent as one
transaction of the generation that was read.
"""

from __future__ import annotations

import errno
from typing import Any

from ..document.elements import Read, read_object_name, read_verdict, value_reader
from ..document.given_elements import PLACE, Asked, lower_elements
from ..errors import DocumentError, HostError, KernelError, Problem, RempartError, nearest
from ..links import interfaces
from ..netlink.attributes import attribute, table
from ..netlink.socket import LostRace, NetlinkSocket, Refused
from ..nftables import uapi
from ..nftables.decode.sets import SetView, decode_elements
from ..nftables.sets import VERDICT_TYPE, fill
from . import describe, kernel
from .asking import IntervalQuestions, TooMany
from .batch import write
from .boxes import Box
from .compare_elements import plan_bare
from .desired import FAMILY_NAMES
from .element_attributes import (
    Rest,
    combined,
    differs,
    is_timed,
    outlasts,
    packed,
    rest_of,
    says_how_long,
    value_of,
)
from .generation import generation as generation_of
from .intervals import Holding, Interval, Overlap
from .kernel import KernelSet, KernelTable
from .named_sets import MAPS, content_of, find_named, parts_of
from .points import floor, of_points, to_points
from .refusal import explain
from .steps import Plan, SetPlan, TablePlan

STATES = ("present", "absent", "exact")

_ATTEMPTS = 20
_CLEARING = 200  # attempts, each some milliseconds
_QUESTIONS = 2000  # asked one by one in about the time that reading some ten thousand elements takes


class Membership:
    """What became of a set's elements, or with ``check`` would become of them.

    ``plan`` has the payloads; ``set`` is the set as the kernel has it, without elements.
    """

    __slots__ = ("change", "family", "plan", "set", "table")

    def __init__(self, family: str, table_name: str, held: KernelSet, change: SetPlan, plan: Plan) -> None:
        self.family = family
        self.table = table_name
        self.set = held
        self.change = change
        self.plan = plan

    @property
    def changed(self) -> bool:
        """Whether there was anything to do."""
        return self.plan.changed

    @property
    def word(self) -> str:
        """What it is: "set" or "map"."""
        return "map" if self.set.flags & MAPS else "set"

    def added(self) -> list[str]:
        """The elements that came, in nft syntax."""
        return element_texts(self.set, self.change.add)

    def removed(self) -> list[str]:
        """The elements that went, in nft syntax."""
        return element_texts(self.set, self.change.remove)

    def diff(self) -> list[dict[str, str]]:
        """Ansible's ``diff``: the elements that changed, before and after."""
        if not self.changed:
            return []
        header = "%s %s %s %s" % (self.word, self.family, self.table, self.set.name)
        sides = ["".join(one + "\n" for one in listed) for listed in (self.removed(), self.added())]
        return [
            {
                "before_header": header + " (changed elements)",
                "after_header": header + " (changed elements)",
                "before": sides[0],
                "after": sides[1],
            }
        ]


def element_texts(held: KernelSet, payloads: list[bytes]) -> list[str]:
    """Elements of a set in nft syntax."""
    return describe.element_texts(_view(held, payloads)) if payloads else []


def _view(held: KernelSet, payloads: list[bytes]) -> SetView:
    view = SetView.of(held)
    view.elements = payloads
    return view


class Listing:
    """A set with all its elements: its ``texts`` are nft's, ``json`` is libnftables'."""

    __slots__ = ("family", "json", "set", "table", "texts")

    def __init__(self, family: str, table_name: str, held: KernelSet, payloads: list[bytes]) -> None:
        self.family = family
        self.table = table_name
        self.set = held
        self.texts = element_texts(held, payloads)
        self.json = decode_elements(_view(held, payloads)) if payloads else []


def list_elements(netns: str | None, family: str, table_name: str, set_name: str) -> Listing:
    """The elements of a set. Raises HostError where it is not there, KernelError."""
    with interfaces.of(netns), NetlinkSocket(netns) as socket:
        number, held = find_named(socket, family, table_name, set_name)
        payloads = kernel.elements(socket, number, table_name, held)
        return Listing(FAMILY_NAMES[number], table_name, held, payloads)


def change_elements(
    netns: str | None,
    family: str,
    table_name: str,
    set_name: str,
    elements: Any,
    state: str = "present",
    timeout: Any = None,
    refresh: bool = False,
    check: bool = False,
) -> Membership:
    """Make elements present or absent in a set or map, or its only ones (``exact``).

    ``family`` is "" for the one table of that name. ``elements`` is what a document's
    ``elements`` may hold, or a text, see ``given_elements``; those without a timeout get
    ``timeout``. ``refresh`` starts the times of present elements anew. With ``check``
    nothing is changed. Raises DocumentError for elements that do not fit, HostError
    where the set is not there, KernelError.
    """
    refused: RempartError | None = None
    with interfaces.of(netns), NetlinkSocket(netns) as socket:
        for _unused in range(_ATTEMPTS):
            generation = generation_of(socket)
            number, held = find_named(socket, family, table_name, set_name)
            work = _Work(socket, number, table_name, held, state, refresh)
            wanted = work.lower(elements, timeout)
            try:
                work.compare(wanted, _QUESTIONS)
            except TooMany:
                work.compare(wanted, 0)
            done = work.finish(generation)
            if check:
                # Questions asked one by one are one picture only if nothing changed meanwhile.
                if generation_of(socket) == generation:
                    return done
                continue
            if not done.changed:
                return done
            try:
                work.send(done.plan)
            except LostRace:
                continue
            except Refused as error:
                refused = work.explained(error, done.plan)
                # An element's time may have ended since it was read, and packets take some away:
                # neither makes a new generation.
                if done.change.remove and {one.code for one in error.refusals} == {errno.ENOENT}:
                    continue
                raise refused from None
            return done
    raise refused or HostError(
        "the ruleset changed during each of %d attempts" % _ATTEMPTS,
        cure="find the program that keeps changing it (nft monitor), or try again",
    )


class _Work:
    """One attempt: what is asked for, compared with what the set holds."""

    def __init__(
        self,
        socket: NetlinkSocket,
        family: int,
        table_name: str,
        held: KernelSet,
        state: str,
        refresh: bool,
    ) -> None:
        self._socket = socket
        self._family = family
        self._table = table_name
        self._held = held
        self._state = state
        self._refresh = refresh
        self._content = content_of(held, keys_only=state == "absent")
        self._points = self._content.interval and not held.fields
        self._change = SetPlan(held.name, "keep", held, None)

    def lower(self, elements: Any, timeout: Any) -> list[Any]:
        """The elements given as libnftables JSON. Raises DocumentError."""
        held = self._held
        asked = Asked(
            held.name,
            parts_of(self._content.key),
            self._reader(),
            self._state == "absent",
            self._content.interval,
            bool(held.flags & uapi.NFT_SET_TIMEOUT),
        )
        return lower_elements(elements, asked, timeout)

    def _reader(self) -> Read | None:
        """What reads the values of a map."""
        if self._held.flags & uapi.NFT_SET_OBJECT:
            return read_object_name
        if not self._held.flags & uapi.NFT_SET_MAP:
            return None
        if self._held.data_type == VERDICT_TYPE:
            return read_verdict
        data = self._content.data
        return value_reader(parts_of(data)) if data is not None else read_object_name

    def compare(self, wanted: list[Any], questions: int) -> None:
        """Fill in what comes and goes. Raises TooMany where more than so many questions are needed.

        Without questions, or for ``exact``, the whole set is read.
        """
        self._change.add, self._change.remove, self._change.emptied = [], [], False
        whole = self._state == "exact" or not questions
        if not whole and len(wanted) > questions:
            raise TooMany
        if self._points:
            self._compare_points(wanted, 0 if whole else questions)
            return
        given = self._compiled(wanted, False)
        if self._held.fields:
            self._compare_boxes(given, whole)
            return
        found = self._read() if whole else self._asked(given)
        if self._state != "exact" or not plan_bare(self._change, found, given, False):
            self._compare_values(given, found)

    def _compiled(self, wanted: list[Any], merge: bool) -> list[bytes]:
        try:
            fill(self._content, wanted, merge, told=False)
        except DocumentError as error:
            raise error.at(PLACE) from None
        return self._content.elements

    def _read(self) -> list[bytes]:
        return kernel.elements(self._socket, self._family, self._table, self._held)

    def _ask(self, payload: bytes) -> list[bytes]:
        return kernel.find_elements(self._socket, self._family, self._table, self._held, payload)

    def _asked(self, given: list[bytes]) -> list[bytes]:
        return [one for payload in given for one in self._ask(payload)]

    def _compare_values(self, given: list[bytes], found: list[bytes]) -> None:
        """Single values: the key tells what is the same element."""
        held = {_key(payload): payload for payload in found}
        wanted = {_key(payload): payload for payload in given}
        if self._state == "absent":
            self._change.remove += [held[key] for key in wanted if key in held]
            return
        for key, payload in wanted.items():
            self._put(held.get(key), payload)
        if self._state == "exact":
            self._change.remove += [payload for key, payload in held.items() if key not in wanted]

    def _put(self, old: bytes | None, payload: bytes) -> None:
        """An element that shall be there, and the one with its key that is."""
        if old is None:
            self._change.add.append(payload)
            return
        before, given = rest_of(old), rest_of(payload)
        if differs(before, given, self._held.timeout) or (self._refresh and is_timed(before)):
            self._change.remove.append(old)
            self._change.add.append(_place_of(payload) + packed(combined(before, given)))

    def _compare_boxes(self, given: list[bytes], whole: bool) -> None:
        """Concatenations with intervals: each element is a box, one interval for each part of the key.

        The kernel takes no element whose first or last key another one has, so an
        element that it gives for these keys is the one that matters.
        """
        catchall = [payload for payload in given if not _key(payload)[0]]
        plain = [payload for payload in given if _key(payload)[0]]
        boxes = {Box.of(payload, self._held.fields): payload for payload in plain}
        removing = self._state == "absent"
        if not whole and removing and not all(box.single for box in boxes):
            raise TooMany
        if whole:
            found = self._read()
        else:
            found = self._asked(catchall)
            for box in boxes:
                found += [one for end in box.ends() for one in self._ask(end)]
        self._compare_values(catchall, [one for one in found if not _key(one)[0]])
        held = {Box.of(one, self._held.fields): one for one in found if _key(one)[0]}
        if self._state == "exact":
            self._compare_values(plain, list(held.values()))
            return
        for box, payload in boxes.items():
            if removing:
                self._take_box(box, held)
            else:
                self._put_box(box, payload, held)

    def _put_box(self, box: Box, payload: bytes, held: dict[Box, bytes]) -> None:
        if box not in held:
            for one, other in held.items():
                given, there = rest_of(payload), rest_of(other)
                longer = says_how_long(given) and outlasts(given, there, self._held.timeout)
                if value_of(there) == value_of(given) and one.covers(box) and not longer:
                    return
                if one.has_an_end_of(box):
                    raise self._box_overlap(box, payload, other)
        self._put(held.get(box), payload)
        held[box] = payload

    def _take_box(self, box: Box, held: dict[Box, bytes]) -> None:
        for one, other in list(held.items()):
            if box.covers(one):
                self._change.remove.append(held.pop(one))
            elif box.meets(one):
                raise self._box_overlap(box, box.payload(), other)

    def _box_overlap(self, box: Box, payload: bytes, other: bytes) -> DocumentError:
        texts = [element_texts(self._held, [one])[0] for one in (payload, other)]
        return self._overlapping(*texts)

    def _text(self, one: Interval) -> str:
        return element_texts(self._held, to_points(one, self._content.key.width))[0]

    def _overlapping(self, given: str, held: str) -> DocumentError:
        cure = "name the one that it holds"
        if self._points:
            cure += ", or give the set auto-merge"
        return DocumentError(
            "set %s holds %s, which overlaps this one" % (self._held.name, held),
            PLACE,
            given,
            cure=cure,
        )

    def _compare_points(self, wanted: list[Any], questions: int) -> None:
        """Intervals, which the kernel holds as points."""
        merge = self._content.auto_merge
        removing = self._state == "absent"
        compiled = [self._group(group, merge or removing) for group in self._groups(wanted)]
        payloads = [] if questions else self._read()
        alike = len(compiled) == 1
        if self._state == "exact" and alike and plan_bare(self._change, payloads, compiled[0], True):
            return
        width = self._content.key.width
        parsed = [of_points(points, width) for points in compiled]
        given = [one for found in parsed for one in found.intervals]
        catchall = [payload for found in parsed for payload in found.others]
        asked = None
        if questions:
            asked = IntervalQuestions(self._socket, self._family, self._table, self._held, width, questions)
            near = {
                one.low: one for span in given for one in asked.near(span.low, span.high, int(not removing))
            }
            held, others, has_floor = list(near.values()), self._asked(catchall), False
        else:
            found = of_points(payloads, width)
            held, others, has_floor = found.intervals, found.others, found.floor
        self._compare_values(catchall, others)
        holding = Holding(held, merge, self._held.timeout)
        try:
            if self._state == "exact":
                holding.replace(_disjoint(given, merge, self._held.timeout), self._refresh)
            for one in given:
                if removing:
                    holding.take(one)
                elif self._state == "present":
                    holding.put(one, self._refresh)
        except Overlap as overlap:
            raise self._overlapping(self._text(overlap.given), self._text(overlap.held)) from None
        gone, come = holding.changes()
        self._change.remove += [point for one in gone for point in to_points(one, width)]
        self._change.add += [point for one in come for point in to_points(one, width)]
        self._mind_the_floor(holding, asked, has_floor)

    def _mind_the_floor(self, holding: Holding, asked: IntervalQuestions | None, has_floor: bool) -> None:
        """The end at zero, as nft has it: there unless an interval starts at zero.

        The kernel cannot be asked for it, but does not mind being sent it again.
        """
        gone, come = holding.changes()
        at_zero = any(not one.low for one in (*gone, *come))
        if not come and not at_zero:
            return
        if asked is not None and at_zero:
            raise TooMany
        width = self._content.key.width
        low = asked.starts_at_zero() if asked is not None else bool(holding.near(0, 0))
        if low and has_floor:
            self._change.remove.append(floor(width))
        elif not low and not has_floor and holding.intervals:
            self._change.add.append(floor(width))

    def _groups(self, wanted: list[Any]) -> list[list[Any]]:
        """What was given, with what says the same beside its keys together, to be compiled and merged so."""
        mapped = self._content.flags & MAPS
        if not mapped and not any("elem" in one for one in wanted if isinstance(one, dict)):
            return [wanted]
        groups: dict[str, list[Any]] = {}
        for one in wanted:
            groups.setdefault(self._said(one), []).append(one)
        return list(groups.values())

    def _group(self, group: list[Any], merge: bool) -> list[bytes]:
        try:
            return self._compiled(group, merge)
        except DocumentError:
            if merge:
                raise
        # Some overlap, which matters only where none of the two covers the other.
        width = self._content.key.width
        holding = Holding([])
        others: list[bytes] = []
        alone = [of_points(self._compiled([one], False), width) for one in group]
        for found in alone:
            others += found.others
        for one in sorted((one for found in alone for one in found.intervals), key=_widest_first):
            try:
                holding.put(one)
            except Overlap as overlap:
                texts = [
                    element_texts(self._held, to_points(each, width))
                    for each in (overlap.given, overlap.held)
                ]
                raise DocumentError(
                    "%s overlaps %s in part" % (", ".join(texts[0]), ", ".join(texts[1])),
                    PLACE,
                    cure="name what they are together, or give the set auto-merge",
                ) from None
        points = [point for one in holding.intervals for point in to_points(one, width)]
        if points and holding.intervals[0].low:
            points.insert(0, floor(width))
        return points + others

    def _said(self, element: Any) -> str:
        """What an element says beside its key, as something to compare."""
        value = ""
        if self._content.flags & MAPS:
            element, value = element[0], repr(element[1])
        if isinstance(element, dict) and "elem" in element:
            value += repr(sorted((key, one) for key, one in element["elem"].items() if key != "val"))
        return value

    def finish(self, generation: int) -> Membership:
        """The plan with its messages."""
        family = FAMILY_NAMES[self._family]
        header = KernelTable(self._family, self._table, 0, 0, 0, 0, b"")
        owner = TablePlan(family, self._family, self._table, header, None)
        owner.sets = [self._change]
        plan = Plan([owner], generation)
        write(plan)
        return Membership(family, self._table, self._held, self._change, plan)

    def explained(self, error: Refused, plan: Plan) -> RempartError:
        """Why the kernel refused the transaction, in terms of the set."""
        held = self._held
        codes = {one.code for one in error.refusals}
        problem = None
        if errno.ENFILE in codes:
            problem = Problem(
                "set %s is full" % held.name, "set", held.size, cure="declare it with a larger size"
            )
        elif errno.EBUSY in codes and held.flags & uapi.NFT_SET_CONSTANT:
            problem = Problem(
                "set %s is constant: a rule uses it, so it stays as it is" % held.name,
                "set",
                cure="change it with the document, or declare it without the flag constant",
            )
        elif codes <= {errno.EEXIST, errno.ENOTEMPTY} and held.flags & uapi.NFT_SET_TIMEOUT:
            message = "elements of set %s whose time is over are still in the way" % held.name
            problem = Problem(message, PLACE, cure="try again in some seconds")
        elif errno.ENOENT in codes and self._change.add and held.flags & MAPS:
            problem = self._unknown_target()
        if problem is None:
            return explain(error, plan)
        found = KernelError(problem.message, error.code, error.sequence)
        found.problems = [problem]
        return found

    def send(self, plan: Plan) -> None:
        """Carry the plan out. Raises LostRace and Refused.

        Elements whose time is over stay in the kernel's way for a while, unseen. Each
        attempt to add clears one of those that it meets (nft_rbtree_insert() of
        net/netfilter/nft_set_rbtree.c).
        """
        attempts = _CLEARING if self._held.flags & uapi.NFT_SET_TIMEOUT else 1
        for left in reversed(range(attempts)):
            try:
                self._socket.transact(plan.batch, generation=plan.generation)
                return
            except Refused as error:
                if not left or {one.code for one in error.refusals} - {errno.EEXIST, errno.ENOTEMPTY}:
                    raise

    def _unknown_target(self) -> Problem | None:
        """The object or chain that a map's new element names and that is not there."""
        chains = self._held.data_type == VERDICT_TYPE
        known: list[str] = []
        if chains:
            listed = self._socket.dump(uapi.NFNL_SUBSYS_NFTABLES << 8 | uapi.NFT_MSG_GETCHAIN, self._family)
            mine = attribute(uapi.NFTA_CHAIN_TABLE, self._table.encode("utf-8", "surrogateescape") + b"\0")
            known = [kernel.parse_chain(body).name for body in listed if mine in body]
        elif self._held.flags & uapi.NFT_SET_OBJECT:
            objects = kernel.objects(self._socket, self._family, self._table)
            known = [name for kind, name in objects if kind == self._held.object_type]
        for _unused, value in decode_elements(_view(self._held, self._change.add)):
            name: Any = value
            if isinstance(value, dict):
                name = next((one["target"] for one in value.values() if isinstance(one, dict)), None)
            if isinstance(name, str) and name not in known:
                word = "chain" if chains else "object of this kind"
                return Problem(
                    "the table has no %s %s" % (word, name),
                    PLACE,
                    name,
                    ", ".join(known),
                    nearest(name, known),
                )
        return None


def _key(payload: bytes) -> tuple[bytes | None, ...]:
    found = table(payload)
    return found.get(uapi.NFTA_SET_ELEM_KEY), found.get(uapi.NFTA_SET_ELEM_KEY_END)


def _place_of(payload: bytes) -> bytes:
    """An element's key and flags alone."""
    kinds = (uapi.NFTA_SET_ELEM_KEY, uapi.NFTA_SET_ELEM_KEY_END, uapi.NFTA_SET_ELEM_FLAGS)
    return packed(tuple(one for one in _attributes(payload) if one[0] in kinds))


def _attributes(payload: bytes) -> Rest:
    return tuple(table(payload).items())


def _widest_first(one: Interval) -> tuple[int, int]:
    return one.low - one.high, one.low


def _disjoint(given: list[Interval], merge: bool, timeout: int) -> list[Interval]:
    """Given intervals as the set would hold them by themselves. Raises Overlap."""
    alone = Holding([], merge, timeout)
    for one in given:
        alone.put(one)
    return alone.intervals
