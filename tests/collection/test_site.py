# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation's site has every page, and its links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.checkers import make
from tests.support.playbooks import ROOT

SITE = ROOT / ".build/site"


class _Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            if name in ("href", "src") and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def site() -> dict[Path, _Page]:
    """Every page of the site, built anew; ``make docs`` takes warnings for errors."""
    make("docs")
    return {path: _Page(path) for path in SITE.glob("**/*.html")}


def sources() -> Iterator[Path]:
    """The Markdown pages of the repository that readers of the collection see."""
    yield ROOT / "README.md"
    yield from ROOT.glob("docs/**/*.md")
    yield from ROOT.glob("roles/*/README.md")


def test_the_site(site: dict[Path, _Page]) -> None:
    front = SITE / "index.html"
    listed = {(front.parent / unquote(urlsplit(link).path)).resolve() for link in site[front].links}
    for path in sources():
        if path.parent == ROOT:
            continue
        name = path.relative_to(ROOT).with_suffix(".html")
        assert SITE / name in site
        assert SITE / name in listed or name.parts[0] == "roles", "%s is not in the navigation" % name
    for directory, kind in (("modules", "module"), ("connection", "connection"), ("filter", "filter")):
        for path in (ROOT / "plugins" / directory).glob("[a-z]*.py"):
            assert SITE / "collections/rempart/netfilter" / ("%s_%s.html" % (path.stem, kind)) in listed
    for path in (ROOT / "roles").iterdir():
        assert SITE / "collections/rempart/netfilter" / (path.name + "_role.html") in listed
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), "%s links to %s" % (path, link)
            if parts.fragment and target in site and parts.path:
                assert unquote(parts.fragment) in site[target].anchors, "%s links to %s" % (path, link)
        assert "this-will-duplicate-information" not in path.read_text(encoding="utf-8")


def test_links_lead_somewhere_on_a_git_host_too() -> None:
    """A host makes a heading's anchor of its words: lower case, blanks as hyphens, no punctuation."""

    def anchors(path: Path) -> set[str]:
        plain = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        return {
            re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
        }

    for path in sources():
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / parts.path).resolve() if parts.path else path
            assert target.exists(), "%s links to %s" % (path, link)
            if parts.fragment:
                assert parts.fragment in anchors(target), "%s links to %s" % (path, link)
