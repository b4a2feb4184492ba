# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every relative link and anchor of the pages leads somewhere."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for found in (
        "*.md",
        "docs/**/*.md",
        "roles/*/*.md",
        "molecule/**/*.md",
        "tests/data/**/*.md",
        "extensions/**/*.md",
    )
    for path in ROOT.glob(found)
)
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
SOURCE = re.compile(r"<(?:img|source|a)\s[^>]*?(?:src|srcset|href)=\"([^\"]+)\"")


def without_code(text: str) -> str:
    """The text without code, in which brackets are no links."""
    text = re.sub(r"^( *)(```+|~~~+).*?^ *\2 *$", "", text, flags=re.M | re.S)
    return re.sub(r"(`+).*?\1", "x", text, flags=re.S)


def links(path: Path) -> list[str]:
    """The targets of a page's links that are not on the network."""
    text = without_code(path.read_text(encoding="utf-8"))
    found = [*LINK.findall(text), *SOURCE.findall(text)]
    return [one for one in found if not re.match(r"[a-z]+:", one)]


def anchors(path: Path) -> set[str]:
    """What GitHub and MyST make of a page's headings."""
    found: set[str] = set()
    seen: Counter[str] = Counter()
    text = re.sub(r"^( *)(```+|~~~+).*?^ *\2 *$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for heading in re.findall(r"^#+ +(.*?) *#*$", text, re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found.add("%s-%d" % (slug, seen[slug]) if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert ROOT in target.parents or target == ROOT, "%s leads out of the repository" % link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), link


def test_links_are_found() -> None:
    assert len(PAGES) > 15
    assert "docs/document.md" in links(ROOT / "README.md")
    assert "whole-chains" in anchors(ROOT / "docs" / "coming-from" / "ipchains.md")
