# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document's check against its schema, on the controller."""

from __future__ import annotations

import jsonschema
from rempart.document import validation

from . import firewalls
from .measure import Side, alternate
from .programs import require
from .results import Benchmark, Result, Target, Under


class Schema(Benchmark):
    """A right document, the ordinary case."""

    name = "schema"
    work = "schema check of a 10,000-rule document on the controller"
    against = "jsonschema alone, the same schema"
    target = Under(0.2)
    notes = "A document without a mistake; both validators are built beforehand."

    def measure(self, repetitions: int) -> Result:
        """Check one document by both."""
        document = firewalls.document(10_000)
        alone = jsonschema.Draft202012Validator(validation.schema())
        ours = Side(lambda _: require(not validation.check(document), "the document was refused"))
        theirs = Side(lambda _: require(alone.is_valid(document), "the document was refused"))
        return self.result(*alternate(repetitions, ours, theirs))


class Mistake(Benchmark):
    """A wrong document: its mistakes explained, each with its place."""

    name = "schema-mistakes"
    work = "the same with three mistakes, all explained"
    against = "jsonschema alone, the same schema"
    target = Target()
    notes = "Three rules with a misspelt key, an unknown verdict and a port out of range."

    def measure(self, repetitions: int) -> Result:
        """Explain one document's mistakes by both."""
        document = firewalls.document(10_000)
        rules = document["tables"][0]["chains"][1]["rules"]
        rules[10] = {"source": "10.0.0.1", "verdict": "accept"}
        rules[5000] = {"saddr": "10.0.0.1", "verdict": "acept"}
        rules[9990] = {"protocol": "tcp", "dport": 70000, "verdict": "accept"}
        alone = jsonschema.Draft202012Validator(validation.schema())
        ours = Side(lambda _: require(len(validation.check(document)) == 3, "not three mistakes"))
        theirs = Side(lambda _: require(len(list(alone.iter_errors(document))) == 3, "not three mistakes"))
        return self.result(*alternate(repetitions, ours, theirs))


BENCHMARKS: list[Benchmark] = [Schema(), Mistake()]
