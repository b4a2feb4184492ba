# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""All pages that are made, by their paths in the repository."""

from __future__ import annotations

from pathlib import Path

from tests.support.coming_from import NAMES
from tests.support.reference import coming_from, command, connections, modules, packet_way, schema, statements

ROOT = Path(__file__).resolve().parents[3]


def pages() -> dict[str, str]:
    """Each path, relative to the repository, with the text that belongs there."""
    return {
        **{"docs/coming-from/%s.md" % name: coming_from.page(name) for name in NAMES},
        "docs/reference/document.md": schema.page(),
        "docs/reference/command.md": command.page(),
        "docs/reference/filter.md": connections.filter_page(),
        "docs/reference/settings.md": connections.settings_page(),
        "docs/reference/helpers.md": connections.helpers_page(),
        "docs/reference/results.md": modules.page(),
        "docs/statements.md": statements.page(),
        "docs/images/packet-way.svg": packet_way.svg(),
        "docs/how-it-works.md": how_it_works(),
    }


def how_it_works() -> str:
    """A page of which one table is made, between two marks."""
    text = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    before, mark, rest = text.partition(packet_way.BEGIN)
    _, end, after = rest.partition(packet_way.END)
    assert mark and end
    return before + mark + "\n" + packet_way.words() + "\n" + end + after
