# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A difference as a unified diff of nft text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import Match, SequenceMatcher

from rempart.ruleset.sequence import common

#: lines shown around a difference
_CONTEXT = 3


def lines(differences: Iterable[dict[str, str]]) -> Iterator[str]:
    """The lines of a unified diff, without their ends; ``differences`` is what ``Outcome.diff`` gives."""
    for one in differences:
        before, after = one["before"].splitlines(), one["after"].splitlines()
        if before == after:
            continue
        yield "--- " + one["before_header"]
        yield "+++ " + one["after_header"]
        for group in _Alignment(before, after).get_grouped_opcodes(_CONTEXT):
            first, last = group[0], group[-1]
            yield "@@ -%s +%s @@" % (_span(first[1], last[2]), _span(first[3], last[4]))
            for kind, old, old_end, new, new_end in group:
                if kind == "equal":
                    yield from (" " + line for line in before[old:old_end])
                    continue
                yield from ("-" + line for line in before[old:old_end])
                yield from ("+" + line for line in after[new:new_end])


class _Alignment(SequenceMatcher[str]):
    """difflib's matcher over the engine's longest common subsequence.

    difflib's own search takes the square of the lines where thousands of them differ.
    """

    def __init__(self, before: list[str], after: list[str]) -> None:
        super().__init__(None, before, after, autojunk=False)
        self._before, self._after = before, after

    def get_matching_blocks(self) -> list[Match]:
        """Runs of equal lines as (place before, place after, length), with the end as the last."""
        blocks: list[Match] = []
        for old, new in common(self._before, self._after):
            last = blocks[-1] if blocks else Match(-1, -1, 0)
            if (old, new) == (last.a + last.size, last.b + last.size):
                blocks[-1] = Match(last.a, last.b, last.size + 1)
            else:
                blocks.append(Match(old, new, 1))
        return [*blocks, Match(len(self._before), len(self._after), 0)]


def _span(start: int, end: int) -> str:
    """Lines of one side as diff(1) counts them: from 1, and of none the line before."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return "%d,%d" % (start + 1 if length else start, length)
