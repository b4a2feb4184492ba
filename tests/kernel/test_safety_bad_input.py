# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every kind of bad input meets a clear error and leaves the kernel as it was.

``docs/errors.md`` shows what is printed: ``python -m tests.kernel.test_safety_bad_input`` writes it anew.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rempart.command.problems import find
from rempart.document import hosts
from rempart.document.model import load
from rempart.document.validation import check, read
from rempart.errors import DocumentError, HostError, KernelError, RempartError
from rempart.netlink import namespace
from rempart.netlink.namespace import Entered
from rempart.ruleset.desired import compile_tables
from rempart.ruleset.reconcile import Source, reconcile, remove

from tests.support.namespaces import Namespace
from tests.support.rulesets import apply, generation, raw, table_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "errors.md"
INPUT = json.loads((ROOT / "tests" / "data" / "bad_input.json").read_text())
HOSTS = json.loads((ROOT / "tests" / "data" / "bad_hosts.json").read_text())
NOBODY = 65534

#: what the bad documents would change: their tables, with other rules
BEFORE = {
    "tables": [
        {
            "name": "edge",
            "family": family,
            "sets": [{"name": "blocked", "type": "mark", "elements": [1, 2]}],
            "chains": [
                {"name": "input", "hook": "input", "rules": [{"mark": "@blocked", "verdict": "drop"}]},
                {"name": "other", "rules": [{"counter": True}]},
            ],
        }
        for family in ("inet", "ip", "ip6")
    ]
}


def no_such_host(name: str) -> list[str]:
    """A resolver that knows nothing, and says so in the same words everywhere."""
    raise OSError(-2, "Name or service not known")


@pytest.fixture(scope="module")
def guarded() -> Iterator[Namespace]:
    """A namespace with a ruleset in it."""
    with Namespace() as where:
        apply(BEFORE, where)
        yield where


@pytest.fixture
def unchanged(guarded: Namespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Namespace]:
    """The guarded namespace; afterwards its generation and every byte of its dump are what they were."""
    monkeypatch.setattr(hosts, "system_lookup", no_such_host)
    before = generation(guarded), raw(guarded)
    assert len(before[1]) > 10
    yield guarded
    assert (generation(guarded), raw(guarded)) == before


def refusal(source: Source, where: Namespace, **options: Any) -> RempartError:
    with pytest.raises(RempartError) as caught:
        reconcile(source, where.name, **options)
    return caught.value


# Documents


@pytest.mark.parametrize("row", INPUT["documents"], ids=lambda row: row["name"])
def test_a_bad_document_changes_nothing(row: dict[str, Any], unchanged: Namespace) -> None:
    """Neither alone nor beside a table in which all is right: all or nothing."""
    good = {"name": "good", "chains": [{"name": "input", "hook": "input"}]}
    tables = row["document"].get("tables")
    more = [*tables, good] if isinstance(tables, list) else tables
    for document in (row["document"], {**row["document"], "tables": more}):
        error = refusal(Source.of_mapping(document), unchanged, full=True)
        assert isinstance(error, DocumentError)
    message = row.get("without_schema", row["message"])
    if more is not tables:
        found = [one for one in error.problems if one.place == row["place"] and message in str(one)]
        assert found, str(error)


@pytest.mark.parametrize("row", INPUT["texts"], ids=lambda row: row["name"])
def test_a_bad_text_changes_nothing(row: dict[str, Any], unchanged: Namespace) -> None:
    source = Source.of_bytes(row["text"].encode(), lambda content: read(content, "firewall.yml"))
    error = refusal(source, unchanged)
    assert isinstance(error, DocumentError)
    assert row["message"] in str(error) and error.problems[0].place == "firewall.yml"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"tables: [\x00]", b"\x7fELF\x02\x01\x01"])
def test_bytes_that_are_no_text_change_nothing(content: bytes, unchanged: Namespace) -> None:
    error = refusal(Source.of_bytes(content, lambda given: read(given, "firewall.yml")), unchanged)
    assert isinstance(error, DocumentError) and error.problems[0].place == "firewall.yml"


def test_a_document_of_no_tables_is_no_mistake_and_changes_nothing(unchanged: Namespace) -> None:
    assert check({"tables": []}) == []
    assert not apply({"tables": []}, unchanged).changed


def test_all_mistakes_come_at_once(unchanged: Namespace) -> None:
    rules = [{"saddr": "192.0.2.300"}, {"verdict": "accept"}, {"dport": 22, "verdict": "drop"}]
    document = {"tables": [{"name": "edge", "chains": [{"name": "input", "hook": "input", "rules": rules}]}]}
    error = refusal(Source.of_mapping(document), unchanged)
    place = "tables[0].chains[0]."
    assert [one.place for one in error.problems] == [place + "rules[0].saddr", place + "rules[2].dport"]


def test_a_hundred_thousand_rules_are_applied_and_known_again(netns: Namespace) -> None:
    chains = []
    for number in range(20):
        rules = [
            {
                "saddr": "10.%d.%d.%d" % (number, *divmod(one, 256)),
                "protocol": "tcp",
                "dport": 22,
                "counter": True,
            }
            for one in range(5000)
        ]
        chains.append({"name": "c%d" % number, "hook": "input", "rules": rules})
    content = json.dumps({"tables": [{"name": "edge", "chains": chains}]}).encode()
    source = Source.of_bytes(content, read)
    assert check(source.parse()) == []
    assert reconcile(source, netns.name).changed
    found = table_of(netns, name="edge").chains
    assert {name: len(chain.rules) for name, chain in found.items()} == {
        "c%d" % one: 5000 for one in range(20)
    }
    again = reconcile(source, netns.name)
    assert not again.changed and not again.compared
    again = reconcile(source, netns.name, full=True)
    assert not again.changed and again.compared


# The kernel


@pytest.mark.parametrize("row", HOSTS["refused"], ids=lambda row: row["name"])
def test_what_the_kernel_refuses_is_said_in_the_documents_terms(
    row: dict[str, Any], unchanged: Namespace
) -> None:
    load(row["document"])
    assert apply(row["document"], unchanged, check=True).changed
    for _ in range(2):
        error = refusal(Source.of_mapping(row["document"]), unchanged)
        assert isinstance(error, KernelError)
        assert str(error) == row["message"]
        assert os.strerror(error.code) in row["message"]


def test_what_only_the_kernel_knows_of_other_chains(netns: Namespace) -> None:
    """One chain alone is declared: that its jump leads to a reject on a forbidden hook, the kernel sees."""
    chains = [{"name": "refuse", "rules": [{"reject": "icmpx no-route"}]}]
    apply({"tables": [{"name": "edge", "chains": chains}]}, netns)
    before = generation(netns), raw(netns)
    chain = {
        "name": "out",
        "hook": "postrouting",
        "rules": [{"counter": True}, {"mark": 3, "jump": "refuse"}],
    }
    document = {"tables": [{"name": "edge", "chains": [chain]}]}
    with pytest.raises(KernelError) as caught:
        apply(document, netns, partial=True)
    assert caught.value.code == errno.EOPNOTSUPP
    (problem,) = caught.value.problems
    assert problem.place == "tables[0].chains[0].rules[1]"
    assert problem.found == "meta mark 0x00000003 jump refuse"
    assert os.strerror(errno.EOPNOTSUPP) in problem.message
    assert (generation(netns), raw(netns)) == before


def test_one_refused_rule_among_many_is_the_one_named(unchanged: Namespace) -> None:
    rules: list[dict[str, Any]] = [{"mark": one, "counter": True} for one in range(3000)]
    rules[1234] = {"expr": [{"tproxy": {"port": 1080}}]}
    chains = [{"name": "input", "hook": "input", "rules": rules}]
    error = refusal(Source.of_mapping({"tables": [{"name": "edge", "chains": chains}]}), unchanged)
    assert [one.place for one in error.problems] == ["tables[0].chains[0].rules[1234]"]


# The host


def as_nobody(function: Callable[[], Any]) -> str:
    """What a call raises in a child without privileges, as text; "" if nothing."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        text = "did not come to an end"
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                function()
                text = ""
            except RempartError as error:
                text = "%s: %s" % (type(error).__name__, error)
        except BaseException as error:
            text = repr(error)
        finally:
            os.write(writing, text.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read().decode()
    os.waitpid(child, 0)
    return told


def message_of(name: str) -> str:
    return str(next(one["message"] for one in HOSTS["hosts"] if one["name"] == name))


DOCUMENT = {"tables": [{"name": "edge", "chains": [{"name": "input", "hook": "input"}]}]}


@pytest.mark.parametrize("known", [False, True], ids=["new", "in force"])
def test_no_root(known: bool, unchanged: Namespace) -> None:
    source = Source.of_mapping(BEFORE if known else DOCUMENT)
    for call in (
        lambda: reconcile(source),
        lambda: reconcile(source, check=True),
        lambda: reconcile(source, full=True),
        lambda: remove([("inet", "edge")]),
    ):
        with Entered(unchanged.name):
            told = as_nobody(call)
        assert told == "HostError: " + message_of("no root")


def test_no_root_and_a_namespace(unchanged: Namespace) -> None:
    told = as_nobody(lambda: reconcile(Source.of_mapping(DOCUMENT), unchanged.name))
    assert told == "HostError: " + message_of("no root, and a namespace").replace(
        "'router'", repr(unchanged.name)
    )


def test_no_such_namespace(netns: Namespace) -> None:
    with pytest.raises(HostError) as caught:
        reconcile(Source.of_mapping(DOCUMENT), netns.name + "x")
    (problem,) = caught.value.problems
    assert (problem.message, problem.found) == ("no such network namespace", netns.name + "x")
    assert netns.name in problem.allowed and problem.cure == "did you mean %r?" % netns.name
    for call in (remove, lambda tables, where: reconcile(Source.of_mapping(DOCUMENT), where)):
        for where in (netns.name + "x", "/proc/0/ns/net"):
            with pytest.raises(HostError, match="no such network namespace"):
                call([("inet", "edge")], where)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_no_name_of_a_namespace(name: str) -> None:
    with pytest.raises(HostError, match="not the name of a network namespace"):
        reconcile(Source.of_mapping(DOCUMENT), name)


def test_a_file_that_is_no_namespace(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(HostError, match="is not a network namespace"):
        reconcile(Source.of_mapping(DOCUMENT), str(file))


@pytest.mark.parametrize(
    ("asked", "name"), [("routre", "no such namespace"), ("xyz", "no such namespace, and none like it")]
)
def test_the_words_for_no_such_namespace(asked: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespace, "_known", lambda: ["inside", "outside", "router"])
    with pytest.raises(HostError) as caught:
        reconcile(Source.of_mapping(DOCUMENT), asked)
    assert str(caught.value) == message_of(name)


# The page

HEAD = """<!--
SPDX-FileCopyrightText: The rempart authors
SPDX-License-Identifier: GPL-3.0-or-later
-->

# Errors

What a mistake is answered with. In every case nothing in the kernel changes, also where the rest of the
document is right, and all mistakes of a document are reported at once. Made from `tests/data/bad_input.json`
and `tests/data/bad_hosts.json` by `tests/kernel/test_safety_bad_input.py`, which also checks it.

A message begins with the place, such as `tables[0].chains[0].rules[0].dport`; where only a rule or a table is
shown here, the place is shown from there on.
"""

_RULE = "tables[0].chains[0].rules[0]"
_MOST = 160  # characters of a document that are shown


def flow(value: Any) -> str:
    """A value as one line of YAML."""
    text = yaml.safe_dump(
        _cut(value), default_flow_style=True, width=1 << 30, sort_keys=False, allow_unicode=True
    )
    text = text.removesuffix("\n...\n").strip()
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > 40:
        return value[:20] + "…"
    if isinstance(value, list):
        return [_cut(one) for one in value]
    if isinstance(value, dict):
        return {_cut(key): _cut(one) for key, one in value.items()}
    return value


def excerpt(document: dict[str, Any]) -> tuple[str, str, Any]:
    """What of a document is shown: a heading, the place where it stands, and the part itself."""
    tables = document.get("tables")
    if set(document) != {"tables"} or not isinstance(tables, list) or len(tables) != 1:
        return "Documents", "", document
    (table,) = tables
    if not isinstance(table, dict):
        return "Documents", "", document
    plain = {"name": "edge", "chains": table.get("chains")}
    if table in (plain, {**plain, "family": "inet"}) and isinstance(table["chains"], list):
        (chain, *more) = table["chains"] or [None]
        rules = chain.get("rules") if isinstance(chain, dict) else None
        usual = {"name": "input", "hook": "input", "rules": rules}
        if not more and chain == usual and isinstance(rules, list) and len(rules) == 1:
            return "Rules", _RULE, rules[0]
    return "Tables, chains, sets, maps and objects", "tables[0]", table


def printed(document: dict[str, Any]) -> str:
    """What the command prints; names are looked up when a document is applied only."""
    problems = find(document)
    if not problems:
        try:
            tables = load(document)
            compile_tables(tables, hosts.resolve(hosts.names(tables), no_such_host))
        except DocumentError as error:
            problems = error.problems
    return "\n".join(str(one) for one in problems)


def cell(text: str) -> str:
    """Text for a cell of a table, and nothing in it taken for markup."""
    return re.sub(r"([\\|*<>`\[\]])", r"\\\1", text).replace("\n", "<br>")


def code(text: str) -> str:
    """Text for a cell of a table, as it is."""
    shown = text.replace("\n", "⏎").replace("|", "\\|")
    return "`%s`" % shown if shown else "(nothing)"


def page() -> str:
    """The whole page."""
    parts: dict[str, list[str]] = {"Rules": [], "Tables, chains, sets, maps and objects": [], "Documents": []}
    for row in INPUT["documents"]:
        heading, place, part = excerpt(row["document"])
        message = re.sub(r"^%s\.?" % re.escape(place), "", printed(row["document"]), flags=re.M).strip()
        message = re.sub(r"^: ", "", message, flags=re.M)
        parts[heading].append("| %s | %s | %s |" % (cell(row["name"]), code(flow(part)), cell(message)))
    parts["Files"] = []
    for row in INPUT["texts"]:
        try:
            read(row["text"], "firewall.yml")
        except DocumentError as error:
            line = (cell(row["name"]), code(row["text"]), cell(str(error)))
            parts["Files"].append("| %s | %s | %s |" % line)
    parts["The host"] = [
        "| %s | %s | %s |" % (cell(row["name"]), code(row["given"]), cell(row["message"]))
        for row in HOSTS["hosts"]
    ]
    parts["What the kernel refuses"] = [
        "| %s | %s | %s |"
        % (cell(row["name"]), code(flow(row["document"]["tables"][0])), cell(row["message"]))
        for row in HOSTS["refused"]
    ]
    lines = [HEAD]
    for heading, rows in parts.items():
        lines += ["## %s\n" % heading, "| | given | message |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def test_the_page_is_what_is_printed() -> None:
    """Run this module to write the page anew."""
    assert PAGE.read_text() == page()


def test_the_page_has_every_mistake_and_the_words_due() -> None:
    """One mistake, one message: none that only follows from it."""
    lines = page().splitlines()
    rows = [*INPUT["documents"], *INPUT["texts"]]
    for row in rows:
        (line,) = [one for one in lines if one.startswith("| %s | " % cell(row["name"]))]
        assert cell(row["message"]) in line
        assert "<br>" not in line


if __name__ == "__main__":
    PAGE.write_text(page())
