# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/statements.md: what the engine does with each JSON statement, from its own tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rempart.nftables.decode import SetView, decode_rule
from rempart.nftables.expressions import Verdict
from rempart.nftables.render import render_rule
from rempart.nftables.selectors import KINDS
from rempart.nftables.statements import STATEMENTS, CompiledStatements, compile_rule

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = json.loads((ROOT / "tests" / "data" / "statement_examples.json").read_text())

#: families in which the kernel has them; the others are examples of an inet table
FAMILY = {"fwd": "netdev", "dup": "ip"}

#: what does not come back as it was, and why
DECODED_AS = {
    "meter": "yes, where the set is known",
    "raw": "as what it stands for, where that is known",
}

HEAD = """<!--
SPDX-FileCopyrightText: The rempart authors
SPDX-License-Identifier: GPL-3.0-or-later
-->

# Statements and expressions

What libnftables-json(5) has, as an `expr` rule takes it, and what becomes of it: its text in nft's
syntax, the kernel expressions that it compiles to, and whether these decode to the same JSON again.
Made from the engine's own tables by `make reference`.
Whether a kernel takes a statement is the kernel's matter: one that it lacks compiles all the same,
and the kernel's refusal names the rule.

`xt` (an extension of iptables-nft) is shown and never written. Rempart's own are `tos`, since nft has
no statement that changes the whole byte and keeps the checksum right; the `rules` of a `jump` or `goto`,
which nft writes in braces and has no JSON for; and the key `tunnel` beside a `meta` key or raw bytes,
which are then those of the packet inside.
"""


COLUMNS = ("| JSON | nft text | kernel expressions | decodes back |", "|---|---|---|---|")


def rules_of(example: Any) -> list[list[dict[str, Any]]]:
    """An expression's example is a match, a statement of its own, or several rules."""
    if isinstance(example, list):
        return example
    return [[example] if "mangle" in example else [{"match": example}]]


def row(kind: str, examples: list[list[dict[str, Any]]], family: str) -> str:
    """One line of the table."""
    texts: list[str] = []
    kernel: list[str] = []
    again = True
    for statements in examples:
        compiled = compile_rule(statements, family)
        sets = {content.name: SetView.of(content) for content in compiled.sets}
        texts.append("`%s`" % render_rule(statements, family=family).replace("|", "\\|"))
        kernel = list(dict.fromkeys([*kernel, *(one.name for one in compiled.expressions)]))
        chains = name_inline_chains(compiled)
        again = again and decode_rule(compiled.expressions, family, sets.get, False, chains.get) == statements
    back = "yes" if again else DECODED_AS.get(kind, "in another form")
    return "| `%s` | %s | %s | %s |" % (kind.replace("|", "\\|"), "<br>".join(texts), ", ".join(kernel), back)


def name_inline_chains(compiled: CompiledStatements) -> dict[str, list[dict[str, Any]]]:
    """Name a rule's inline chains, as the kernel does; their rules by name."""
    chains: dict[str, list[dict[str, Any]]] = {}
    for expression in compiled.expressions:
        verdict = expression.__dict__.get("data")
        if isinstance(verdict, Verdict) and verdict.chain_id is not None:
            verdict.chain = "__chain%d" % verdict.chain_id
            chains[verdict.chain] = rules = []
            for rule, comment in compiled.chains[verdict.chain_id - 1].rules:
                statements = decode_rule(rule.expressions, "inet", lambda name: None)
                rules.append({"expr": statements, **({"comment": comment} if comment else {})})
    return chains


def alone(kind: str, example: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Several statements of the kind are several examples; with others before them they are one."""
    if all(kind in one for one in example):
        return [[one] for one in example]
    return [example]


def page() -> str:
    """The whole page."""
    lines = [HEAD, "## Statements\n", *COLUMNS]
    for kind in STATEMENTS:
        lines.append(row(kind, alone(kind, EXAMPLES["statements"][kind]), FAMILY.get(kind, "inet")))
    lines += ["\n## Expressions\n", *COLUMNS]
    for kind in KINDS:
        lines.append(row(kind, rules_of(EXAMPLES["expressions"][kind]), "inet"))
    return "\n".join(lines) + "\n"
