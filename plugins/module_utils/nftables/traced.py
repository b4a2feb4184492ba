# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values that remember which key of a rule they came from.

They are ordinary text and numbers on their way through lowering and compiling;
where one reaches an expression unchanged, the encoded rule can serve as a
template in which only these bytes differ from rule to rule.
"""

from __future__ import annotations


class TracedText(str):
    """Text that came from the rule's value ``source``."""

    source: int

    @classmethod
    def of(cls, text: str, source: int) -> TracedText:
        """``text``, marked."""
        traced = cls(text)
        traced.source = source
        return traced


class TracedNumber(int):
    """A number that came from the rule's value ``source``."""

    source: int

    @classmethod
    def of(cls, number: int, source: int) -> TracedNumber:
        """``number``, marked."""
        traced = cls(number)
        traced.source = source
        return traced


def carry(origin: str, text: str) -> str:
    """``text``, marked as ``origin`` is: for what is cut out of a traced value."""
    source = getattr(origin, "source", None)
    return text if source is None else TracedText.of(text, source)
