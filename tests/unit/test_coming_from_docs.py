# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/coming-from/ leaves out no command of the texts of old, and shows no example that is not tested."""

from __future__ import annotations

import pytest
import yaml

from tests.support.coming_from import DATA, NAMES, ROOT, Row, commands, label, rows

SEEDS: dict[str, list[str]] = yaml.safe_load((DATA / "seeds.yml").read_text(encoding="utf-8"))
EXAMPLES = ("rules", "chains", "conntrack", "tables", "command", "task")
PROOFS = ({"packets", "iptables"}, {"packets", "listing"}, {"run", "command"}, {"proof"})


@pytest.mark.parametrize(("name", "command"), [(name, one) for name in SEEDS for one in SEEDS[name]])
def test_every_command_of_old_is_on_its_page(name: str, command: str) -> None:
    known = [one for row in rows(name) for one in commands(row)]
    assert any(command in one for one in known)
    page = (ROOT / "docs" / "coming-from" / (name + ".md")).read_text(encoding="utf-8")
    assert command in page


@pytest.mark.parametrize(
    "row", [pytest.param(row, id="%s: %s" % (name, label(row))) for name in NAMES for row in rows(name)]
)
def test_every_example_is_tested(row: Row) -> None:
    """What a test runs it by is there; a row without an example says something in words."""
    if any(key in row for key in EXAMPLES):
        assert any(proof <= set(row) for proof in PROOFS) or ("conntrack" in row and "old" in row)
    else:
        assert row["here"]


def test_every_page_is_linked() -> None:
    index = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
    assert all("(coming-from/%s.md)" % name in index for name in NAMES)
