# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong, as one family of exceptions.

Every error says where (``place``), what was found, what is allowed there and
what cures it. Modules turn them into ``fail_json`` and the command into text
through :meth:`RempartError.result` and ``str()``; nothing else formats them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Problem:
    """One thing that is wrong, at one place.

    ``place`` is a path such as ``tables[0].chains[1].rules[4].dport``; ``found``
    is the offending value (any JSON value, ``None`` where there is none to show).
    """

    __slots__ = ("allowed", "cure", "found", "message", "place")

    def __init__(
        self, message: str, place: str = "", found: object = None, allowed: str = "", cure: str = ""
    ) -> None:
        self.message = message
        self.place = place
        self.found = found
        self.allowed = allowed
        self.cure = cure

    def at(self, place: str) -> Problem:
        """The same problem, seen from one level further out."""
        joined = join_place(place, self.place)
        return Problem(self.message, joined, self.found, self.allowed, self.cure)

    def as_dict(self) -> dict[str, object]:
        """The problem as Ansible results and ``--json`` output carry it."""
        return {key: getattr(self, key) for key in ("place", "message", "found", "allowed", "cure")}

    def __str__(self) -> str:
        text = "%s: %s" % (self.place, self.message) if self.place else self.message
        if self.found is not None:
            text += "; found %s" % shorten(self.found)
        if self.allowed:
            text += "; allowed: %s" % self.allowed
        if self.cure:
            text += "; %s" % self.cure
        return text


class RempartError(Exception):
    """The root of the family: one or more problems that stopped the work."""

    def __init__(
        self, message: str, place: str = "", found: object = None, allowed: str = "", cure: str = ""
    ) -> None:
        super().__init__(message)
        self.problems = [Problem(message, place, found, allowed, cure)]

    @classmethod
    def of(cls, problems: list[Problem]) -> RempartError:
        """One error that reports several problems at once."""
        error = cls(problems[0].message)
        error.problems = list(problems)
        return error

    def at(self, place: str) -> RempartError:
        """Prefix every problem's place, in passing: ``raise error.at("rules[3]")``."""
        self.problems = [problem.at(place) for problem in self.problems]
        return self

    def result(self) -> dict[str, object]:
        """The error as the arguments of ``fail_json``."""
        return {"msg": str(self), "errors": [problem.as_dict() for problem in self.problems]}

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class DocumentError(RempartError):
    """The document does not say something that could be done."""


class KernelError(RempartError):
    """The kernel refused: ``code`` is the positive errno, ``sequence`` the message refused."""

    def __init__(
        self,
        message: str,
        code: int = 0,
        sequence: int = 0,
        place: str = "",
        found: object = None,
        allowed: str = "",
        cure: str = "",
    ) -> None:
        super().__init__(message, place, found, allowed, cure)
        self.code = code
        self.sequence = sequence


class HostError(RempartError):
    """The host is not in a state to be worked on: no root, no such namespace, an old kernel."""


def join_place(outer: str, inner: str) -> str:
    """Two parts of a place as one: a key joins with a dot, an index does not."""
    if not outer or not inner or inner.startswith("["):
        return outer + inner
    return outer + "." + inner


def moved(place: str, places: Mapping[str, str]) -> str:
    """A place, with the first of these beginnings that it has replaced by what belongs there."""
    for before, after in places.items():
        if place.startswith(before):
            return after + place[len(before) :]
    return place


def moved_problems(problems: Iterable[Problem], places: Mapping[str, str]) -> list[Problem]:
    """Problems with their places moved. What two rules made of one option have in common is said once."""
    found: dict[str, Problem] = {}
    for problem in problems:
        problem.place = moved(problem.place, places)
        found.setdefault(str(problem), problem)
    return list(found.values())


def shorten(value: object, limit: int = 80) -> str:
    """A value for a message: its JSON-like form, cut at ``limit`` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(word: str, known: Iterable[object]) -> str:
    """The sentence that suggests the known word nearest to ``word``, or nothing."""
    import difflib

    close = difflib.get_close_matches(str(word), [str(one) for one in known], 1, 0.6)
    return "did you mean %r?" % close[0] if close else ""
