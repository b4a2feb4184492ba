# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents as the command reads them: variables, templates, all problems at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rempart.command import documents, problems
from rempart.command.variables import collect
from rempart.errors import DocumentError, HostError

TEMPLATE = """tables:
  - name: edge
    chains:
      - name: input
        rules:
          - {protocol: tcp, dport: {{ ports }}, verdict: accept}
"""


def read(tmp_path: Path, text: str, *assignments: str, files: tuple[str, ...] = ()) -> documents.Document:
    path = tmp_path / "fw.yml"
    path.write_text(text)
    return documents.read(str(path), files, assignments)


def dport(document: documents.Document) -> Any:
    return document.parse()["tables"][0]["chains"][0]["rules"][0]["dport"]


@pytest.mark.parametrize(
    ("assignment", "found"),
    [
        ("ports=22", 22),
        ('ports="22"', 22),
        ("other=1 ports=80", 80),
        ("{ports: [22, ssh]}", [22, "ssh"]),
        ('{"ports": ["22:25", "ssh"]}', ["22:25", "ssh"]),
        ("{ports: {not: [22, 23]}}", {"not": [22, 23]}),
    ],
)
def test_a_variable_is_put_in(assignment: str, found: Any, tmp_path: Path) -> None:
    assert dport(read(tmp_path, TEMPLATE, assignment)) == found


def test_later_variables_win(tmp_path: Path) -> None:
    for name, text in (("a.yml", "ports: 1\n"), ("b.json", '{"ports": 2}'), ("c.yml", "ports: 3\n")):
        (tmp_path / name).write_text(text)
    a, b, c = (str(tmp_path / name) for name in ("a.yml", "b.json", "c.yml"))
    assert collect([a, b], []) == {"ports": 2}
    assert collect([b, a], []) == {"ports": 1}
    assert collect([a, b], ["@" + c]) == {"ports": 3}
    assert collect([a, b], ["@" + c, "ports=4"]) == {"ports": "4"}
    assert dport(read(tmp_path, TEMPLATE, files=(a,))) == 1


def test_times_in_a_file_of_variables_are_texts(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("ports: 20:21\n")
    assert collect([str(tmp_path / "a.yml")], []) == {"ports": "20:21"}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("ports", "not a variable"),
        ("", "not a variable"),
        ("a=1 b", "not a variable; found 'b'"),
        ("1a=2", "no name of a variable; found '1a'"),
        ("a='1", "No closing quotation"),
        ("{a: [}", "no YAML"),
        ("@/no/such/file", "/no/such/file: cannot read the file: No such file or directory"),
    ],
)
def test_what_is_no_variable(assignment: str, message: str) -> None:
    with pytest.raises((DocumentError, HostError)) as caught:
        collect([], [assignment])
    assert message in str(caught.value)


def test_a_file_of_variables_holds_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "vars.yml"
    path.write_text("[1, 2]\n")
    with pytest.raises(DocumentError, match=r"vars\.yml: variables are a mapping"):
        collect([str(path)], [])
    path.write_text("")
    assert collect([str(path)], []) == {}


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    text = "tables: []  # {# not a template #}\n"
    assert read(tmp_path, text).content == text.encode()


def test_marks_alone_make_a_template(tmp_path: Path) -> None:
    document = read(tmp_path, "tables: []\n{% for one in [1, 2] %}\n# {{ one }}\n{% endfor %}\n")
    assert document.content == b"tables: []\n# 1\n# 2\n"


def test_the_digest_is_that_of_the_rendered_text(tmp_path: Path) -> None:
    digests = [read(tmp_path, TEMPLATE, one).source().digest for one in ("ports=1", "ports=2", "ports=1 x=3")]
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEMPLATE, "fw.yml: the template fails at line 6: 'ports' is undefined; give it with -e or --vars"),
        ("tables:\n{% if %}\n", "fw.yml: the template fails at line 2: Expected an expression"),
        ("\n\n{{ 1 / 0 }}\n", "fw.yml: the template fails at line 3: ZeroDivisionError: division by zero"),
        ("\n{% include 'more.yml' %}\n", "fw.yml: the template fails at line 2: 'more.yml' not found"),
        ("{{ ''.__class__.__mro__ }}", "fw.yml: the template fails at line 1: access to attribute"),
    ],
)
def test_a_template_that_fails_says_where(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value).replace(str(tmp_path) + "/", "")


def test_an_error_in_an_included_file_is_that_file_s(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text("\n{{ nothing }}\n")
    with pytest.raises(DocumentError, match=r"rules\.yml: the template fails at line 2: 'nothing'"):
        read(tmp_path, "{% include 'rules.yml' %}")


def test_an_included_file_is_part_of_the_document(tmp_path: Path) -> None:
    (tmp_path / "tables.yml").write_text("tables: [{name: {{ name }}}]\n")
    document = read(tmp_path, "{% include 'tables.yml' %}", "name=edge")
    assert document.parse() == {"tables": [{"name": "edge"}]}


WRONG: dict[str, Any] = {
    "tables": [
        {
            "name": "edge",
            "familly": "inet",
            "chains": [
                {
                    "name": "input",
                    "hook": "prerouted",
                    "rules": [
                        *[{"verdict": "accept"}] * 9,
                        {"protocol": "tcp", "dport": "5999:1024", "verdict": "accept"},
                        {"protocol": "tcp", "dprot": 22},
                        {"saddr": "10.0.0.0/255.0.255.0", "verdict": "denied"},
                        {"saddr": "host.example", "verdict": "accept"},
                    ],
                }
            ],
        }
    ]
}


def test_all_problems_at_once_by_place_and_none_twice() -> None:
    found = problems.find(WRONG)
    places = [problem.place for problem in found]
    rules = "tables[0].chains[0].rules"
    assert places == [
        "tables[0].chains[0].hook",
        rules + "[9].dport",
        rules + "[10].dprot",
        rules + "[11].saddr",
        rules + "[11].verdict",
        "tables[0].familly",
    ]
    assert "upside down" in found[1].message
    assert "dport" in found[2].cure


def test_a_right_document_has_no_problems() -> None:
    document = {"tables": [{"name": "edge", "chains": [{"name": "input", "hook": "input"}]}]}
    assert problems.find(document) == []
