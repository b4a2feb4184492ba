# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents that nobody wrote: applied, compared, rendered, loaded and changed into each other."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings

from tests.support.documents import documents
from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, content, generation, text_of, watched

bounded = settings(
    max_examples=50,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def empty(*places: Namespace) -> None:
    for where in places:
        where.run("nft", "flush", "ruleset")


@bounded
@given(document=documents(apart=False))
def test_what_was_applied_is_in_line(document: Any, pair: tuple[Namespace, Namespace]) -> None:
    where, _ = pair
    empty(where)
    assert apply(document, where).changed
    at = generation(where)
    with watched() as seen:
        again = apply(document, where, full=True)
    assert again.compared and not again.changed
    assert again.changes() == [] and again.diff() == []
    assert not seen.batches and generation(where) == at
    # an element's time ends without a new generation of the ruleset
    assert apply(document, where).compared == any(
        one["name"].startswith("timed") and one["elements"]
        for table in document["tables"]
        for one in table.get("sets", ())
    )


@bounded
@given(document=documents())
def test_the_rendered_text_is_the_same_ruleset(document: Any, pair: tuple[Namespace, Namespace]) -> None:
    ours, nfts = pair
    empty(ours, nfts)
    apply(document, ours)
    nfts.nft(text_of(document))
    assert content(ours) == content(nfts)
    assert not apply(document, nfts, check=True, full=True).changed


@bounded
@given(first=documents(apart=False), second=documents(apart=False))
def test_the_way_does_not_matter(first: Any, second: Any, pair: tuple[Namespace, Namespace]) -> None:
    changed, fresh = pair
    empty(changed, fresh)
    apply(first, changed)
    apply(second, changed)
    apply(second, fresh)
    mine = {(one.get("family", "inet"), one["name"]) for one in second["tables"]}
    others = {(one.get("family", "inet"), one["name"]) for one in first["tables"]} - mine
    found = content(changed)
    assert {place: found[place] for place in mine} == content(fresh)
    assert found.keys() == mine | others
