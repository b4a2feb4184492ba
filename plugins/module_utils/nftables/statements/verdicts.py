# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verdict statements: accept, drop, continue, return, jump, goto, and verdict maps."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .. import uapi
from ..expressions import Verdict
from ..expressions.registers import Immediate, Lookup
from ..selectors import build
from ..selectors.base import at_the_right
from ..selectors.program import Program, wire_register
from ..verdicts import verdict_of
from .context import Context, Step
from .match import load_key
from .sets import anonymous_map, declared_map


class VerdictStep(Step):
    """An immediate verdict."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def emit(self, program: Program) -> None:
        """``immediate`` into the verdict register."""
        program.add(Immediate(dreg=uapi.NFT_REG_VERDICT, data=self.verdict))


class VerdictMapStep(Step):
    """A verdict looked up in a map."""

    def __init__(self, selector: Any, name: str, set_id: int | None, interval: bool) -> None:
        self.selector = selector
        self.name = name
        self.set_id = set_id
        self.interval = interval

    def emit(self, program: Program) -> None:
        """Load the key and look the verdict up."""
        register = load_key(program, self.selector, self.interval)
        program.add(
            Lookup(
                set=self.name,
                sreg=wire_register(register),
                dreg=uapi.NFT_REG_VERDICT,
                set_id=self.set_id,
            )
        )


def compile_verdict(name: str, value: Any, context: Context) -> None:
    """Append ``{name: value}``."""
    context.steps.append(VerdictStep(verdict_of({name: value})))


def compile_vmap(value: Any, context: Context) -> None:
    """Append ``{"vmap": value}``."""
    if not isinstance(value, dict) or set(value) != {"key", "data"}:
        raise DocumentError("not a verdict map", found=value, allowed='a mapping with "key" and "data"')
    try:
        selector = build(value["key"], context)
    except DocumentError as error:
        raise error.at("key") from None
    data = value["data"]
    if isinstance(data, str) and data.startswith("@"):
        try:
            declared = declared_map(context, data[1:], selector, "verdict")
        except DocumentError as error:
            raise error.at("data") from None
        interval = bool(declared and declared.interval)
        context.steps.append(VerdictMapStep(at_the_right(selector), data[1:], None, interval))
        return
    try:
        content = anonymous_map(
            context, selector, data.get("set") if isinstance(data, dict) else data, "verdict"
        )
    except DocumentError as error:
        raise error.at("data") from None
    context.steps.append(VerdictMapStep(selector, content.name, content.set_id, content.interval))
