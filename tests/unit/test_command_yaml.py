# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The YAML that ``rempart capture`` writes: as a person writes it, and never read back as anything else."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rempart.command.yaml_text import document_text, scalar

DOCUMENT = {
    "tables": [
        {
            "name": "edge",
            "family": "inet",
            "flags": ["dormant"],
            "sets": [
                {
                    "name": "hosts",
                    "type": "ipv4_addr",
                    "elements": ["10.0.0.%d" % number for number in range(20)],
                },
                {
                    "name": "said",
                    "type": "ipv4_addr",
                    "elements": ["10.0.0.1", {"elem": "10.0.0.2", "comment": "b"}],
                },
                {"name": "kept", "type": "ipv4_addr", "elements": "keep"},
            ],
            "maps": [
                {
                    "name": "ports",
                    "type": "inet_service",
                    "map": "verdict",
                    "elements": {22: "accept", "80-90": "drop"},
                }
            ],
            "counters": [{"name": "web"}],
            "chains": [
                {
                    "name": "input",
                    "hook": "input",
                    "policy": "drop",
                    "rules": [
                        {"protocol": "tcp", "dport": [22, 80], "verdict": "accept"},
                        {"saddr": "!2001:db8::/32", "limit": "10/second", "log": "no: ", "verdict": "drop"},
                    ],
                },
                {"name": "empty", "rules": []},
            ],
        }
    ]
}

TEXT = """\
tables:
  - name: edge
    family: inet
    flags: [dormant]
    sets:
      - name: hosts
        type: ipv4_addr
        elements: [10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, 10.0.0.8,
          10.0.0.9, 10.0.0.10, 10.0.0.11, 10.0.0.12, 10.0.0.13, 10.0.0.14, 10.0.0.15, 10.0.0.16, 10.0.0.17,
          10.0.0.18, 10.0.0.19]
      - name: said
        type: ipv4_addr
        elements:
          - 10.0.0.1
          - {elem: 10.0.0.2, comment: b}
      - name: kept
        type: ipv4_addr
        elements: keep
    maps:
      - name: ports
        type: inet_service
        map: verdict
        elements: {22: accept, 80-90: drop}
    counters:
      - {name: web}
    chains:
      - name: input
        hook: input
        policy: drop
        rules:
          - {protocol: tcp, dport: [22, 80], verdict: accept}
          - {saddr: "!2001:db8::/32", limit: 10/second, log: "no: ", verdict: drop}
      - name: empty
        rules: []
"""


def test_a_document_reads_as_a_person_would_write_it() -> None:
    assert document_text(DOCUMENT) == TEXT
    assert yaml.safe_load(TEXT) == DOCUMENT


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "No",
        "on",
        "null",
        "~",
        "1",
        "0x1f",
        "1_000",
        "1e3",
        "1:30",
        "2001-01-01",
        "=",
        "<<",
        "",
        " a",
        "a ",
        "a: b",
        "a #b",
        "#a",
        "- a",
        "@a",
        "!a",
        "&a",
        "*",
        "|",
        ">",
        "%a",
        "`a",
        "'a'",
        '"',
        "\\",
        "a,b",
        "[a]",
        "{a}",
        "?",
        "a\tb",
        "a\nb",
        "\x85",
        "\u2028",
        "\ufeff",
        "é",
        "日本",
        "\U0001f525",
        "\x7f",
        "\udc80",
        ".inf",
        ".",
        "..",
        "...",
    ],
)
def test_a_text_stays_that_text(text: str) -> None:
    for value in ({"k": text}, {"k": [text, {"a": text}]}, {text: 1}, {"rules": [{text: text}]}):
        assert yaml.safe_load(document_text(value)) == value


def test_plain_words_have_no_quotes() -> None:
    for text in (
        "accept",
        "10.0.0.0/8",
        "10/second",
        "1024-65535",
        "over 10/minute burst 5 packets",
        "eth*",
        "ip saddr",
    ):
        assert scalar(text) == text


_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=4)
    ),
    max_leaves=15,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["rules", "chains", "elements", "tables", "a"]) | st.text(max_size=5), _values
    )
)
def test_any_value_is_read_back(value: dict[str, Any]) -> None:
    assert yaml.safe_load(document_text(value) if value else "{}") == value
