# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation as a web site: the pages of docs/, and those that antsibull-docs writes of plugins.

    build.py DIRECTORY

The pages lie in DIRECTORY.source as they do in the repository, so that the
links between them lead to the same places on the site and on a git host. Every
page is in the navigation: in the order of ``SECTIONS``, or at its end. Warnings
are errors.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

COLLECTION = "collections/rempart/netfilter"

# Captions of the navigation with their pages in order, by patterns; an earlier section takes first.
SECTIONS = (
    ("Start", ["docs/tutorial", "docs/coming-from-*"]),
    ("Guide", ["docs/guide/*"]),
    (
        "Firewall",
        ["docs/document", "docs/statements", "docs/firewall-role", "docs/after-a-reboot", "docs/command"],
    ),
    (
        "Connection tracking",
        [
            "docs/connections",
            "docs/killing",
            "docs/tunables",
            "docs/notrack",
            "docs/monitoring",
            "roles/conntrack/README",
            "extensions/*",
        ],
    ),
    ("Roles", [COLLECTION + "/*_role"]),
    ("Modules", [COLLECTION + "/*_module"]),
    ("Plugins", [COLLECTION + "/*_connection", COLLECTION + "/*_filter", COLLECTION + "/index"]),
    ("Reference", ["docs/reference/*", "docs/errors", "docs/compatibility"]),
    ("Background", ["docs/how-it-works", "docs/benchmarks", "CHANGELOG"]),
)
REST = "More"
TITLES = {"CHANGELOG": "Changes <%s>"}
# A role's page among the collection's says what this one does.
UNLISTED = ["roles/*/README"]

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")


# The site has the contents of each page beside it, and the order of pages from here.
CONTENTS = re.compile(r"^\.\. contents::.*\n(?:[ ]+:.*\n)*", re.MULTILINE)
TOCTREE = re.compile(r"^\.\. toctree::.*\n(?:[ ]+.*\n|\n)*", re.MULTILINE)


class Pages:
    """The directory that Sphinx reads, being filled."""

    def __init__(self, source: Path) -> None:
        self.source = source
        #: names of pages, in the order in which they were added
        self.names: list[str] = []
        self._listings: dict[Path, str] = {}

    def add(self, path: Path, name: str = "") -> None:
        """A Markdown page of the repository, and what it links to that is no page itself."""
        text = LINK.sub(lambda link: self._target(path, link), path.read_text(encoding="utf-8"))
        self.write((name or str(path.relative_to(ROOT).with_suffix(""))) + ".md", text)

    def write(self, name: str, text: str) -> None:
        """A page, by its file's name in the source."""
        target = self.source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        self.names.append(str(Path(name).with_suffix("")))

    def _target(self, page: Path, link: re.Match[str]) -> str:
        target = (page.parent / link[1]).resolve()
        if not target.exists() or ROOT not in target.parents:
            raise SystemExit("%s: links to %s, which is not there" % (page.relative_to(ROOT), link[1]))
        if target.is_dir():
            return link[1].rstrip("/") + "/index.md"
        if target.suffix not in (".md", ".rst"):
            copy = self.source / target.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, copy)
        return link[0]

    def add_directories(self) -> None:
        """A page for each directory that a page links to, with the files in it."""
        for name in list(self.names):
            if not (self.source / (name + ".md")).exists():
                continue
            text = (self.source / (name + ".md")).read_text(encoding="utf-8")
            for link in LINK.finditer(text):
                if link[1].endswith("/index.md"):
                    directory = (ROOT / name).parent / link[1][: -len("/index.md")]
                    self._add_directory(directory.resolve())

    def _add_directory(self, directory: Path) -> None:
        name = str(directory.relative_to(ROOT) / "index")
        if name in self.names:
            return
        parts = ["# %s" % directory.name.capitalize().replace("_", " ")]
        for path in sorted(directory.iterdir()):
            if path.is_file():
                parts.append("## %s" % path.name)
                text = re.sub(r"^(---|# SPDX.*)\n+", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
                parts.append("````yaml\n%s````" % text)
        self.write(name + ".md", "\n\n".join(parts) + "\n")


def navigation(names: list[str]) -> tuple[str, list[str]]:
    """The hidden tables of contents of the front page, and the pages that are in none."""
    left = [name for name in names if name != "index"]
    parts = []
    for caption, patterns in (*SECTIONS, (REST, ["*"])):
        pages = []
        for pattern in patterns:
            found = sorted((name for name in left if fnmatch(name, pattern)), key=entry)
            if caption == REST:
                found = [name for name in found if not any(fnmatch(name, one) for one in UNLISTED)]
            pages += found
            left = [name for name in left if name not in found]
        if pages:
            parts.append(
                "```{toctree}\n:hidden:\n:caption: %s\n\n%s\n```\n" % (caption, "\n".join(map(entry, pages)))
            )
    return "\n".join(parts), left


def entry(page: str) -> str:
    """A page's line in a table of contents. Plugins and roles have their names, others their titles."""
    place, _slash, name = page.rpartition("/")
    if place != COLLECTION:
        return TITLES.get(page, "%s") % ("/" + page)
    return "%s </%s>" % ("Overview" if name == "index" else name.rpartition("_")[0], page)


def run(*command: str) -> None:
    """Run a program of this environment; what it says goes to the terminal, what fails ends everything."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]], cwd=ROOT, check=False
    )
    if done.returncode:
        raise SystemExit("%s failed" % command[0])


def main(site: Path) -> None:
    """Write the site."""
    source = site.with_name(site.name + ".source")
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(site, ignore_errors=True)
    pages = Pages(source)
    pages.add(ROOT / "README.md", "index")
    for path in sorted(ROOT.glob("docs/**/*.md")) + sorted(ROOT.glob("roles/*/README.md")):
        pages.add(path)
    pages.add_directories()
    changes = (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    pages.write("CHANGELOG.rst", CONTENTS.sub("", changes))
    run(
        "antsibull-docs",
        "collection",
        "--use-current",
        "--fail-on-error",
        "--no-indexes",
        *("--dest-dir", str(source)),
        "rempart.netfilter",
    )
    for path in sorted((source / COLLECTION).glob("*.rst")):
        text = path.read_text(encoding="utf-8")
        pages.write(str(path.relative_to(source)), CONTENTS.sub("", TOCTREE.sub("", text)))
    contents, unlisted = navigation(pages.names)
    with (source / "index.md").open("a", encoding="utf-8") as front:
        front.write("\n" + contents)
    for name in unlisted:
        path = source / (name + ".md")
        path.write_text("---\norphan: true\n---\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    run(
        "sphinx-build",
        *("-W", "--keep-going", "--quiet", "-b", "html"),
        *("-c", str(ROOT / "docs/docsite"), "-d", str(source) + ".trees"),
        str(source),
        str(site),
    )
    print("%s/index.html" % site)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
