# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a page of the documentation as a reader does who tries everything in it, in order.

What a fenced block of a page is:

- ``console``: lines that begin with ``# `` or ``$ `` are typed as they stand there, with what a backslash
  at the end of a line continues. What follows is what the terminal must show. ``client# `` and
  ``client$ `` are typed at the machine ``client``. A line ``...`` of the output stands for lines that are
  left out, or for none. Where a block shows no output at all, each of its commands has to succeed.
- Any other block below a line that ends in a file's name and a colon, such as "``firewall.yml``:", is
  written into that file. A YAML document is checked against the schema. Each file has to be named by a
  command that comes later.
- Whatever else there is needs a place in the page's account (tests/docs/account.py): the test that covers
  it, or the reason why none does.

What varies from run to run is given as ``varies``: texts of the page, each with the regular expression of
what may stand there. Runs of spaces, of ``*`` and of ``─`` match runs of any length, as columns widen.

``REMPART_WRITE_PAGES=1`` in the environment has the outputs of the blocks that are run written into the pages
anew, to be read before they are committed. ``all`` in place of 1 writes into blocks that show none, too.
"""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from rempart.document.validation import check

from tests.support.machines import Machine
from tests.support.playbooks import ROOT

_FENCE = re.compile(r"^( *)(`{3,})(\w*)$")
_FILE = re.compile(r"`([^`\s]*[./][^`\s]*)`[^`]*:$")
_PROMPT = re.compile(r"^(\w*)[#$] (.*)$")
_RUNS = re.compile(r"( {2,}|\*{3,}|─+)")

WRITE = "REMPART_WRITE_PAGES"

Handler = Callable[[str], None]


class Block:
    """A fenced block: ``kind`` is its info string, ``line`` that of its fence, ``file`` the name above it.

    ``name`` is its first line, with `` #2`` behind it for the second block of the page that has this one.
    """

    def __init__(self, page: str, line: int, kind: str, file: str, heading: str, text: str) -> None:
        self.page, self.line, self.kind, self.file = page, line, kind, file
        self.heading, self.text = heading, text
        self.name = text.split("\n", 1)[0].strip()

    def __repr__(self) -> str:
        return "%s:%d: %s" % (self.page, self.line, self.name)


class Step:
    """A command of a console block, for a machine, and what is shown for it."""

    def __init__(self, machine: str, command: str) -> None:
        self.machine, self.command = machine, command
        self.shown: list[str] = []
        self.typed: list[str] = []


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, which is named relative to the repository."""
    found = []
    heading = above = ""
    lines = iter(enumerate((ROOT / page).read_text(encoding="utf-8").split("\n"), 1))
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            if line.startswith("#"):
                heading = line.lstrip("# ")
            above = line.strip() or above
            continue
        inside = []
        for _, line in lines:
            if line.strip() == fence[2]:
                break
            inside.append(line[len(fence[1]) :])
        named = _FILE.search(above)
        text = "".join(one + "\n" for one in inside)
        file = named[1] if named and fence[3] != "console" else ""
        found.append(Block(page, number, fence[3], file, heading, text))
        above = ""
    names = Counter[str]()
    for one in found:
        names[one.name] += 1
        if names[one.name] > 1:
            one.name += " #%d" % names[one.name]
    return found


def steps(block: Block) -> list[Step]:
    """The commands of a console block."""
    found: list[Step] = []
    continued = False
    for line in block.text.split("\n")[:-1]:
        prompt = _PROMPT.match(line)
        if continued:
            found[-1].command += "\n" + line
            found[-1].typed.append(line)
        elif prompt:
            found.append(Step(prompt[1], prompt[2]))
            found[-1].typed.append(line)
        else:
            assert found, "%r begins with no command" % block
            found[-1].shown.append(line)
            continue
        continued = line.endswith("\\")
    return found


def pattern(shown: list[str], varies: Mapping[str, str]) -> re.Pattern[str]:
    """The regular expression of an output that a page shows as these lines."""
    if shown == [""]:
        return re.compile("\n")
    parts = []
    for line in shown:
        if line.strip() == "...":
            parts.append("(?:.*\n)*?")
        else:
            parts.append(_of_line(line, varies) + " *\n")
    return re.compile("".join(parts))


def _of_line(line: str, varies: Mapping[str, str]) -> str:
    if varies:
        pieces = re.split("(%s)" % "|".join(map(re.escape, sorted(varies, key=len, reverse=True))), line)
    else:
        pieces = [line]
    made = ""
    for piece in pieces:
        if piece in varies:
            made += varies[piece]
            continue
        for run in _RUNS.split(piece):
            made += "%s+" % re.escape(run[0]) if run and _RUNS.fullmatch(run) else re.escape(run)
    return made


class Account:
    """Who runs a page's blocks: ``test`` does, as ``file::function``, but for these, by the blocks' names.

    ``whole`` is a test elsewhere that takes every block of the page, whatever it is. ``elsewhere`` are run by
    other tests, which it names; ``exempt`` by none, for the reason given.
    ``instead`` are single commands in whose place the test types another one, for the reason given.
    """

    def __init__(
        self,
        test: str = "",
        whole: str = "",
        elsewhere: Mapping[str, str] | None = None,
        exempt: Mapping[str, str] | None = None,
        instead: Mapping[str, str] | None = None,
    ) -> None:
        self.test = test
        self.whole = whole
        self.elsewhere = dict(elsewhere or {})
        self.exempt = dict(exempt or {})
        self.instead = dict(instead or {})


class Reader:
    """Somebody who tries a page. The machine ``""`` is the one at which bare prompts are typed.

    ``by_hand`` are blocks, by their names, that the test itself does something with. What the page's
    account leaves to other tests, or to none, is passed over.
    """

    def __init__(
        self,
        page: str,
        account: Account,
        machines: Mapping[str, Machine],
        varies: Mapping[str, str],
        by_hand: Mapping[str, Handler],
        instead: Mapping[str, str],
    ) -> None:
        self.page = page
        self.machines = machines
        self.varies = dict(varies)
        self._by_hand = dict(by_hand)
        self._passed = {**account.elsewhere, **account.exempt}
        self._instead = dict(instead)
        assert set(instead) == set(account.instead), page
        self._blocks = blocks(page)
        self._files: list[str] = []
        self._written: dict[int, list[str]] = {}
        for one in (*self._by_hand, *self._passed):
            assert one in [block.name for block in self._blocks], "%s has no block %r" % (page, one)

    def read(self, heading: str = "") -> None:
        """Try everything up to the first block below ``heading``, or to the end."""
        if heading:
            assert heading in [one.heading for one in self._blocks], "%s: %r" % (self.page, heading)
        while self._blocks and not (heading and self._blocks[0].heading == heading):
            block = self._blocks.pop(0)
            if block.name in self._by_hand:
                self._by_hand[block.name](block.text)
            elif block.name in self._passed:
                continue
            elif block.kind == "console":
                self._type(block)
            elif block.file:
                self._write(block)
            else:
                raise AssertionError("%r: no test runs this block" % block)

    def _write(self, block: Block) -> None:
        if block.kind == "yaml" and "{%" not in block.text and "{{" not in block.text:
            loaded = yaml.safe_load(block.text)
            if isinstance(loaded, dict) and {"tables", "conntrack"} & set(loaded):
                assert check(loaded) == [], "%r" % block
        machine = self.machines[""]
        path = machine.directory / block.file
        if path.is_relative_to(machine.directory):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        else:
            machine.run("mkdir", "-p", str(path.parent))
            machine.run("tee", str(path), input=block.text)
        self._files.append(block.file)

    def _type(self, block: Block) -> None:
        found = steps(block)
        silent = not any(step.shown for step in found)
        for step in found:
            command = self._instead.pop(step.command, step.command)
            output = self.machines[step.machine].type(command)
            self._files = [one for one in self._files if not _names(step.command, one)]
            lines = _trimmed(output.split("\n"))
            wanted = _trimmed(step.shown)
            if silent and os.environ.get(WRITE) != "all":
                if self.machines[step.machine].code == 0:
                    continue
            elif pattern(wanted, self.varies).fullmatch("".join(line + "\n" for line in lines)):
                continue
            if os.environ.get(WRITE):
                step.shown = lines
                continue
            raise AssertionError(
                "%r: %s shows something else (page, then terminal)\n%s"
                % (block, step.command, "\n".join(difflib.ndiff(wanted, lines)))
            )
        self._written[block.line] = [line for step in found for line in (*step.typed, *step.shown)]

    def done(self) -> None:
        """Try the rest, and see that every file was used."""
        self.read()
        assert self._files == [], "%s: no command of the page uses %s" % (self.page, self._files)
        assert self._instead == {}, "%s has no command %s" % (self.page, list(self._instead))

    def write(self) -> None:
        """Write what was shown into the page, where that is wanted."""
        if not os.environ.get(WRITE):
            return
        path = ROOT / self.page
        lines = path.read_text(encoding="utf-8").split("\n")
        for line, inside in sorted(self._written.items(), reverse=True):
            end = next(at for at in range(line, len(lines)) if lines[at].strip().startswith("```"))
            lines[line:end] = inside
        path.write_text("\n".join(lines), encoding="utf-8")


def _trimmed(lines: list[str]) -> list[str]:
    """The lines without space behind them, and without empty ones before the first and behind the last."""
    return "\n".join(line.rstrip() for line in lines).strip("\n").split("\n")


def _names(command: str, file: str) -> bool:
    """Whether a command makes use of a file: it names the file, or Ansible finds it by itself."""
    if file.startswith(("group_vars/", "host_vars/")):
        return "ansible" in command
    return re.search(r"(?<![\w.-])%s(?![\w-])" % re.escape(Path(file).name), command) is not None


def markdown() -> list[str]:
    """Every page of the documentation, relative to the repository."""
    found: list[Path] = [ROOT / "README.md"]
    for glob in ("docs/**/*.md", "roles/*/README.md"):
        found += sorted(ROOT.glob(glob))
    return [str(one.relative_to(ROOT)) for one in found]
