# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A document on its way through a module: text or options in, an engine's outcome out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import moved
from .places import NO_PLACES

if TYPE_CHECKING:
    from ..ruleset.reconcile import Outcome, Source


def text_of(document: dict[str, Any]) -> str:
    """A document as the JSON text that travels to the host, and whose digest is remembered there."""
    return json.dumps(document, separators=(",", ":"))


def source_of(text: str) -> Source:
    """The engine's source of a document in JSON text, parsed only if the engine asks for it."""
    from ..ruleset.reconcile import Source

    return Source.of_bytes(text.encode(), json.loads)


def result_of(outcome: Outcome, diff: bool, places: Mapping[str, str] = NO_PLACES) -> dict[str, Any]:
    """What a module returns of an outcome; the texts of ``diff`` only if asked for, they take time.

    ``places`` as of ``errors.moved``.
    """
    changes = outcome.changes() if outcome.changed else []
    for change in changes:
        if places and "place" in change:
            change["place"] = moved(change["place"], places)
    result: dict[str, Any] = {
        "changed": outcome.changed,
        "changes": changes,
        "generation": outcome.generation,
        "compared": outcome.compared,
    }
    if diff:
        result["diff"] = outcome.diff() if outcome.changed else []
    return result


def chain_document(options: Mapping[str, Any]) -> dict[str, Any]:
    """The document of one chain from the options of the module ``chain``; without it if it shall go."""
    table = {
        key: options[given] for key, given in (("name", "table"), ("family", "family")) if given in options
    }
    if options.get("state") != "absent":
        elsewhere = ("table", "family", "state", "netns", "keep_session", "_document", "_confirm")
        table["chains"] = [{key: value for key, value in options.items() if key not in elsewhere}]
    return {"tables": [table]}
