# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every block of every page has a test that runs it, or a reason; and what runs them can fail."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.account import PAGES
from tests.support.machines import Machine
from tests.support.pages import WRITE, Account, Reader, blocks, markdown, pattern
from tests.support.playbooks import ROOT


def functions(path: str) -> dict[str, str]:
    """The test functions of a file, each with its source."""
    source = (ROOT / path).read_text(encoding="utf-8")
    return {
        one.name: ast.get_source_segment(source, one) or ""
        for one in ast.parse(source).body
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    }


def test_every_page_has_an_account() -> None:
    assert set(PAGES) == {page for page in markdown() if blocks(page)}


@pytest.mark.parametrize("page", PAGES)
def test_the_account_is_true(page: str) -> None:
    account = PAGES[page]
    names = {block.name for block in blocks(page)}
    named = [*account.elsewhere, *account.exempt]
    assert sorted(named) == sorted(set(named)), "twice in the account"
    assert set(named) <= names, "the page has no block %s" % (set(named) - names)
    for test in (*account.elsewhere.values(), *filter(None, [account.whole])):
        file, _, name = test.partition("::")
        assert name in functions(file), test
    assert all(account.exempt.values()) and all(account.instead.values()), "a reason is missing"
    if account.whole:
        assert (account.test, named) == ("", [])
    elif names - set(named):
        file, _, name = account.test.partition("::")
        reads = re.search(r'reading\(\s*"%s"' % re.escape(page), functions(file)[name])
        assert reads, "%s does not read the page" % account.test
    else:
        assert account.test == ""


def made(tmp_path: Path, machine: Machine, text: str, account: Account | None = None) -> Reader:
    """A reader of a page made up here."""
    page = tmp_path / "page.md"
    page.write_text(text)
    return Reader(str(page), account or Account(), {"": machine}, {}, {}, {})


def test_commands_run_as_they_are_written(
    tmp_path: Path, make_machines: Callable[..., dict[str, Machine]]
) -> None:
    (machine,) = make_machines("").values()
    made(
        tmp_path,
        machine,
        "`a/b.txt`:\n\n```\nfirst\nlast\n```\n\n"
        "```console\n# export NUMBER=7; cd a\n$ echo $NUMBER \\\n  and; cat b.txt\n7 and\n...\nlast\n"
        "# false\n# echo $?\n1\n```\n\n"
        "`/etc/made`:\n\n```\nhere\n```\n\n```console\n# test -t 1 && cat /etc/made\nhere\n```\n",
    ).done()
    assert not Path("/etc/made").exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```console\n# echo one\ntwo\n```\n", "shows something else"),
        ("```console\n# echo one\n# echo two\ntwo\n```\n", "shows something else"),
        ("```console\n# false\n```\n", "shows something else"),
        ("```console\n# true\none\n```\n", "shows something else"),
        ("```yaml\na: 1\n```\n", "no test runs this block"),
        ("`a.yml`:\n\n```yaml\na: 1\n```\n", "no command of the page uses"),
        ("`a.yml`:\n\n```yaml\ntables: 1\n```\n\n```console\n# cat a.yml\n```\n", "tables"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(
    tmp_path: Path,
    make_machines: Callable[..., dict[str, Machine]],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    error: str,
) -> None:
    monkeypatch.delenv(WRITE, raising=False)
    (machine,) = make_machines("").values()
    with pytest.raises(AssertionError, match=error):
        made(tmp_path, machine, text).done()


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        (["port 36004 left 5"], "port 1 left 5\n", True),
        (["port 36004 left 5"], "port 36004 left 6\n", False),
        (["a  b ──", "******"], "a      b ─────\n***\n", True),
        (["a  b"], "ab\n", False),
        (["a", "...", "z"], "a\nb\nc\nz\n", True),
        (["a", "...", "z"], "a\nb\n", False),
    ],
)
def test_what_an_output_may_be(shown: list[str], output: str, same: bool) -> None:
    assert (pattern(shown, {"36004": r"\d+"}).fullmatch(output) is not None) is same
