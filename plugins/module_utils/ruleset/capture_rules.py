# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dumped rules as rules of a document, fast where they differ only in their values.

Each rule of a new kind is decoded, lifted to flat keys, compiled again and compared
with the kernel's bytes. Of one that came back the same a form remains: its bytes with
holes for the values. A rule that fits a form is read off its holes. What does not
come back the same as flat keys is written as statements, and what does not so either
as the kernel's bytes.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, Callable, Optional

from ..document.flat import lower
from ..document.flat.interfaces import name_of
from ..document.inline import rules_in
from ..document.lifting import lift
from ..document.lifting.draft import is_whole
from ..errors import DocumentError
from ..nftables import uapi
from ..nftables.decode import decode_rule
from ..nftables.expressions import Expression, Trace, decode_list, encode_list
from ..nftables.sets.verbatim import told_of
from ..nftables.statements import compile_rule
from ..nftables.statements.raw import raw_statement
from ..nftables.traced import TracedNumber, TracedText
from . import canonical
from .compare_chains import identities
from .describe import inline_view, set_view
from .desired import DesiredTable
from .kernel import KernelRule, KernelTable
from .userdata import comment_of, comment_userdata, writable

_UNDECODED = ("unknown", "xt")

Rule = dict[str, Any]
Written = Callable[[bytes], Optional[Any]]
"""The value that a hole's bytes stand for; None where only a closer look can tell."""


def _ipv4(data: bytes) -> Any:
    return socket.inet_ntop(socket.AF_INET, data) if len(data) == 4 else None


def _ipv6(data: bytes) -> Any:
    return socket.inet_ntop(socket.AF_INET6, data) if len(data) == 16 else None


def _network(family: socket.AddressFamily, bits: int, length: int) -> Written:
    """A network of ``length`` bits, of which whole bytes are compared, or a whole address and a mask."""
    rest = (1 << (bits - length)) - 1

    def write(data: bytes) -> Any:
        padded = data.ljust(bits // 8, b"\0")
        if len(padded) != bits // 8 or int.from_bytes(padded, "big") & rest:
            return None
        return "%s/%d" % (socket.inet_ntop(family, padded), length)

    return write


def _port(data: bytes) -> Any:
    return int.from_bytes(data, "big") if len(data) == 2 else None


def _number(data: bytes) -> Any:
    return int.from_bytes(data, sys.byteorder) if len(data) == 4 else None


def _interface(data: bytes) -> Any:
    try:
        name = data.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        return None
    # what name_of() and the reading of values would make something else of
    return name if len(data) == 16 and name.replace("-", "").replace("_", "").isalnum() else None


def _address(value: Any) -> Written | None:
    if not isinstance(value, str):
        return None
    address, slash, length = value.partition("/")
    family, bits, plain = (socket.AF_INET6, 128, _ipv6) if ":" in address else (socket.AF_INET, 32, _ipv4)
    try:
        socket.inet_pton(family, address)
    except OSError:
        return None
    if not slash:
        return plain
    return _network(family, bits, int(length)) if length.isdecimal() and 0 < int(length) < bits else None


def _whole(written: Written) -> Callable[[Any], Written | None]:
    return lambda value: written if is_whole(value) else None


def _name(value: Any) -> Written | None:
    if not isinstance(value, str) or value[:1] in ("!", "@") or value[-1:] in ("*", "+"):
        return None
    try:
        return _interface if name_of(value) == value else None
    except DocumentError:
        return None


_KINDS: dict[str, Callable[[Any], Written | None]] = {
    "saddr": _address,
    "daddr": _address,
    "sport": _whole(_port),
    "dport": _whole(_port),
    "mark": _whole(_number),
    "ct_mark": _whole(_number),
    "iifname": _name,
    "oifname": _name,
}
"""The keys whose values can be holes: what reads a value back, by an example of it."""


class _Form:
    """A rule with holes.

    ``rule`` is an example of it, ``holes`` are (key, what reads its bytes); None reads counts.
    """

    __slots__ = ("holes", "rule")

    def __init__(self, rule: Rule, holes: list[tuple[str, Written | None]]) -> None:
        self.rule = rule
        self.holes = holes

    def read(self, found: tuple[bytes, ...]) -> Rule | None:
        """The rule with the values of these holes; None where one is out of the ordinary."""
        rule = self.rule.copy()
        for (key, written), data in zip(self.holes, found):
            if written is None:
                continue
            value = written(data)
            if value is None:
                return None
            rule[key] = value
        return rule


class _Layout:
    """Where rules of one length have their holes, and the forms by the bytes between these."""

    __slots__ = ("forms", "holes", "unpack")

    def __init__(self, cuts: tuple[tuple[int, int], ...], size: int) -> None:
        parts = []
        at = 0
        for start, stop in cuts:
            parts.append("%ds%ds" % (start - at, stop - start))
            at = stop
        parts.append("%ds" % (size - at))
        self.unpack = struct.Struct("".join(parts)).unpack
        self.forms: dict[tuple[bytes, ...], _Form] = {}


class RuleReader:
    """Reads the rules of one table.

    ``table`` is the dump, ``desired`` the document's table without its rules, compiled.
    With ``counts`` counters start where they stand, else at nought. ``carried`` counts
    the rules that only bytes can say, ``stranded`` those among them whose inline chains
    no bytes of the rule make anew, ``spoilt`` those whose comment has no place in a
    document.
    """

    def __init__(self, table: KernelTable, desired: DesiredTable, counts: bool = False) -> None:
        self.carried = 0
        self.stranded = 0
        self.spoilt = 0
        self._family = desired.family
        self._compiler = desired.compiler
        self._declared = desired.source.declared()
        self._sets = desired.sets
        self._counts = counts
        self._held = table.sets
        self._view = set_view(table)
        self._identity = identities(table)
        self._inline = inline_view(table)
        self._layouts: dict[int, dict[tuple[tuple[int, int], ...], _Layout]] = {}

    def read(self, rule: KernelRule) -> Rule:
        """The document's rule that compiles to this one."""
        encoded = canonical.effective(rule.expressions)
        layouts = self._layouts.get(len(encoded))
        if layouts is not None:
            for layout in layouts.values():
                pieces = layout.unpack(encoded)
                form = layout.forms.get(pieces[::2])
                if form is not None:
                    found = form.read(pieces[1::2])
                    if found is not None:
                        return self._commented(found, rule.userdata)
        return self._commented(self._look_closer(encoded, rule.expressions), rule.userdata)

    def _commented(self, found: Rule, userdata: bytes) -> Rule:
        if not userdata:
            return found
        comment = comment_of(userdata)
        if comment is None or comment_userdata(comment) != userdata or not writable(comment):
            self.spoilt += 1
        if comment is not None and writable(comment):
            found["comment"] = comment
        return found

    def _look_closer(self, encoded: bytes, held: bytes) -> Rule:
        """The rule by its expressions, ``held`` as the kernel has them."""
        expressions = self._decoded(encoded)
        for written_out in (False, True):
            statements = decode_rule(expressions, self._family, self._view, written_out, self._inline)
            if _undecoded(statements):
                break
            rule = lift(
                statements, self._family, None, lambda rule: self._same(rule, encoded), self._declared
            )
            if "expr" not in rule:
                self._remember(rule, encoded)
                return rule
            if self._same(rule, encoded):
                return rule
        self.carried += 1
        expressions = self._decoded(held)
        self.stranded += canonical.INLINE.encode() in held
        return {"expr": [raw_statement(encode_list(expressions), self._own_sets(expressions))]}

    def _own_sets(self, expressions: list[Expression]) -> dict[str, Any]:
        """The sets without a name that a rule looks into, as a raw rule brings them along."""
        names = [one.__dict__.get("set") for one in expressions]
        found = {name: self._held[name] for name in names if name in self._held}
        return {
            name: told_of(one, one.flags & ~uapi.NFT_SET_EXPR)
            for name, one in found.items()
            if one.flags & uapi.NFT_SET_ANONYMOUS
        }

    def _decoded(self, encoded: bytes) -> list[Expression]:
        """The expressions, with their counts or without."""
        expressions = decode_list(encoded)
        if not self._counts:
            for one in expressions:
                canonical.zeroed(one)
        return expressions

    def _same(self, rule: Rule, encoded: bytes) -> bool:
        """Whether a rule of a document compiles to these bytes, apart from counts."""
        try:
            # compiling may take a shortcut that does not look at every value
            self._compiler.statements(rule)
            made, wrong = self._compiler.compile([rule])
        except (DocumentError, ValueError):
            return False
        return (
            not wrong
            and len(made) == 1
            and canonical.of_desired(made[0])[:2] == canonical.of_kernel(encoded, b"", self._identity)[:2]
        )

    def _remember(self, rule: Rule, encoded: bytes) -> None:
        """Note the form of a rule that is all bytes and values."""
        if any(prefix in encoded for prefix in canonical.UNNAMED):
            return
        found = self._form(rule)
        if found is None:
            return
        form, cuts, made = found
        if len(made) != len(encoded):
            return
        layouts = self._layouts.setdefault(len(encoded), {})
        layout = layouts.get(cuts)
        if layout is None:
            layout = layouts[cuts] = _Layout(cuts, len(encoded))
        pieces = layout.unpack(encoded)[::2]
        if layout.unpack(made)[::2] == pieces:
            layout.forms[pieces] = form

    def _form(self, rule: Rule) -> tuple[_Form, tuple[tuple[int, int], ...], bytes] | None:
        """A rule's form, its holes as (start, stop), and the bytes it compiles to."""
        readers: list[tuple[str, Written]] = []
        marked = dict(rule)
        for key, value in rule.items():
            written = _KINDS[key](value) if key in _KINDS else None
            if written is not None:
                number = len(readers)
                marked[key] = (
                    TracedText.of(value, number) if isinstance(value, str) else TracedNumber.of(value, number)
                )
                readers.append((key, written))
        try:
            rows = lower(marked, self._family)
            compiled = compile_rule(rows[0], self._family, self._sets)
        except DocumentError:
            return None
        trace = Trace()
        made = encode_list(compiled.expressions, trace)
        cuts = [(offset, offset + len(slot), slot.source) for offset, slot in trace.slots]
        if sorted(str(source) for _unused, _unused, source in cuts) != sorted(
            str(number) for number in range(len(readers))
        ):
            return None
        if not self._counts:
            cuts += [(start, stop, None) for start, stop in trace.state]
        cuts.sort(key=lambda cut: cut[0])
        holes: list[tuple[str, Written | None]] = [
            readers[source] if isinstance(source, int) else ("", None) for _unused, _unused, source in cuts
        ]
        # a copy, since the caller goes on to add its own comment to the rule
        return _Form(dict(rule), holes), tuple((start, stop) for start, stop, _unused in cuts), made


def _undecoded(statements: list[dict[str, Any]]) -> bool:
    """Whether one of them, or of a rule inside them, stands for an expression that has no statement."""
    return any(name in one for one in statements for name in _UNDECODED) or any(
        _undecoded(inner["expr"]) for _unused, inner in rules_in({"expr": statements})
    )
