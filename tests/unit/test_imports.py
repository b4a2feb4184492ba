# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine's imports run one way, and docs/how-it-works.md shows them as they are."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "plugins" / "module_utils"
PAGE = ROOT / "docs" / "how-it-works.md"


def room(path: Path) -> str:
    """The part of the engine that a file belongs to: a package, or a file beside packages."""
    parts = path.relative_to(ENGINE).with_suffix("").parts
    if parts[0] == "nftables" and len(parts) > 1 and parts[1] != "__init__":
        return "%s/%s" % parts[:2]
    return parts[0]


def module(path: Path) -> str:
    """A file as its own part."""
    return str(path.relative_to(ENGINE).with_suffix(""))


def at_start(tree: ast.Module) -> Iterator[ast.AST]:
    """What runs when a file is imported: not its functions, and not what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield from ast.walk(node)


def imports(part: Callable[[Path], str] = room) -> dict[str, set[str]]:
    """Which part imports which others."""
    edges: dict[str, set[str]] = defaultdict(set)
    for path in sorted(ENGINE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        for node in at_start(tree) if part is module else ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = path.parent
            for _ in range(node.level - 1):
                base = base.parent
            target = base.joinpath(*(node.module or "").split(".")) if node.module else base
            for alias in node.names:
                found = next(
                    (
                        one
                        for one in (
                            target / (alias.name + ".py"),
                            target / alias.name / "__init__.py",
                            target.with_suffix(".py"),
                            target / "__init__.py",
                        )
                        if one.is_file()
                    ),
                    None,
                )
                assert found is not None, "%s imports %s from nowhere" % (path, alias.name)
                if part(found) != part(path):
                    edges[part(path)].add(part(found))
    return edges


def levels(edges: dict[str, set[str]]) -> dict[str, int]:
    """How deep below everything else each part lies; fails on a circle."""
    depth: dict[str, int] = {}

    def visit(name: str, way: tuple[str, ...]) -> int:
        assert name not in way, "imports run in a circle: %s" % " -> ".join((*way, name))
        if name not in depth:
            depth[name] = 1 + max((visit(one, (*way, name)) for one in edges.get(name, ())), default=-1)
        return depth[name]

    for name in list(edges):
        visit(name, ())
    return depth


def drawing() -> str:
    """One line a part, the highest first: what it imports, without what those import anyway."""
    edges = imports()
    depth = levels(edges)

    def below(name: str) -> set[str]:
        found = set(edges.get(name, ()))
        for one in edges.get(name, ()):
            found |= below(one)
        return found

    lines = []
    for name in sorted(depth, key=lambda one: (-depth[one], one)):
        direct = edges.get(name, set())
        shown = sorted(one for one in direct if not any(one in below(other) for other in direct - {one}))
        lines.append("%-22s -> %s" % (name, ", ".join(shown)) if shown else name)
    return "\n".join(lines)


def test_imports_run_one_way() -> None:
    """No part of the engine imports, by however long a way, what imports it; nor does a file."""
    levels(imports())
    levels(imports(module))


def test_the_picture_is_the_code() -> None:
    """The page shows the graph as it is; run this file to print it."""
    assert drawing() in PAGE.read_text(), (
        "docs/how-it-works.md shows another import graph; it is\n" + drawing()
    )


if __name__ == "__main__":
    print(drawing())
