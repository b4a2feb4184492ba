# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong: a clear line, the right exit code, an unchanged kernel, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import SCRIPT, environment, rempart, rempart_json
from tests.support.namespaces import Namespace

NOBODY = 65534
#: a user without privileges, who may read this directory even where it lies in root's own
UNPRIVILEGED = (
    "setpriv",
    "--reuid=%d" % NOBODY,
    "--clear-groups",
    "--bounding-set=-all,+dac_read_search",
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
)

WRONG = """\
tables:
  - name: edge
    chains:
      - name: input
        hook: input
        polcy: drop
        rules:
          - {protocol: tcp, dport: "5999:1024", verdict: accept}
          - {protocol: icmp, dport: 22, verdict: accept}
          - {saddr: 10.0.0.0/255.0.255.0, verdict: accept}
          - {jump: nowhere}
"""


def places(text: str) -> list[str]:
    return [line.partition(": ")[0] for line in text.splitlines()]


@pytest.mark.parametrize("command", ["plan", "apply", "check", "validate"])
def test_every_problem_of_a_document_is_a_line(command: str, netns: Namespace) -> None:
    where = [] if command == "validate" else ["--netns", netns.name]
    done = rempart(command, "-", *where, input=WRONG)
    assert (done.returncode, done.stdout) == (1, "")
    chain = "tables[0].chains[0]"
    assert places(done.stderr) == [
        chain + ".polcy",
        chain + ".rules[0].dport",
        chain + ".rules[1].dport",
        chain + ".rules[2].saddr",
    ]
    assert "unknown key; found 'drop'" in done.stderr
    assert "did you mean 'policy'?" in done.stderr
    assert netns.nft_text() == ""


def test_a_jump_to_a_missing_chain(netns: Namespace) -> None:
    rules = [{"jump": "nowhere"}]
    document = {"tables": [{"name": "edge", "chains": [{"name": "input", "hook": "input", "rules": rules}]}]}
    done = rempart("apply", "-", "--netns", netns.name, input=json.dumps(document))
    assert done.returncode == 1
    assert places(done.stderr) == ["tables[0].chains[0].rules[0].jump"]
    assert "nowhere" in done.stderr
    assert netns.nft_text() == ""


def test_a_host_name_that_does_not_resolve(netns: Namespace) -> None:
    rules = [
        {"saddr": "no-such-host.invalid", "verdict": "accept"},
        {"protocol": "tcp", "dport": "9:1", "verdict": "accept"},
    ]
    document = {"tables": [{"name": "edge", "chains": [{"name": "input", "hook": "input", "rules": rules}]}]}
    done = rempart("apply", "-", "--netns", netns.name, input=json.dumps(document))
    assert done.returncode == 1
    assert places(done.stderr) == [
        "tables[0].chains[0].rules[0].saddr",
        "tables[0].chains[0].rules[1].dport",
    ]
    assert "the host name does not resolve" in done.stderr
    # Whether a name resolves is for the machine that applies the document.
    assert places(rempart("validate", "-", input=json.dumps(document)).stderr) == [
        "tables[0].chains[0].rules[1].dport"
    ]


def test_the_rule_that_the_kernel_refuses_is_named(netns: Namespace) -> None:
    proxy = {"tproxy": {"port": 1080}}  # nft_tproxy_validate(): on prerouting only
    chain = {"name": "forward", "hook": "forward", "rules": [{"verdict": "accept"}, {"expr": [proxy]}]}
    document = {"tables": [{"name": "edge", "chains": [chain]}]}
    done = rempart("apply", "-", "--netns", netns.name, input=json.dumps(document))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "tables[0].chains[0].rules[1]: the kernel refused this rule: Operation not supported; "
        "found 'tproxy to :1080'"
    )
    assert netns.nft_text() == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "standard input: the document is empty; allowed: a mapping with the key 'tables' or"),
        ("- a\n", "standard input: a document is a mapping with the key 'tables' or 'conntrack'; found"),
        ("a: [1\n", "standard input: no YAML: "),
        ('{"tables": [}', "standard input: no YAML: "),
        ("a: 1\na: 2\n", "standard input: no YAML: the key 'a' stands twice"),
        ("\0", "standard input: no YAML: "),
    ],
)
def test_what_is_no_document(text: str, message: str, netns: Namespace) -> None:
    done = rempart("apply", "-", "--netns", netns.name, input=text)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


def test_bytes_that_are_no_text(tmp_path: Path, netns: Namespace) -> None:
    path = tmp_path / "fw.yml"
    for content in (b"tables: []  # \xff", b"tables: [{{ name }}]  # \xff"):
        path.write_bytes(content)
        done = rempart("plan", path, "--netns", netns.name)
        assert done.returncode == 1
        assert done.stderr == "%s: the text is not UTF-8 (byte %d)\n" % (path, content.index(b"\xff"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = rempart("plan", tmp_path / "none.yml")
    assert missing.returncode == 1
    assert missing.stderr == "%s: cannot read the file: No such file or directory\n" % (tmp_path / "none.yml")
    directory = rempart("validate", tmp_path)
    assert directory.stderr == "%s: cannot read the file: Is a directory\n" % tmp_path
    variables = rempart("validate", "-", "--vars", tmp_path / "none.yml", input="tables: []")
    assert variables.stderr.startswith("%s: cannot read the file: " % (tmp_path / "none.yml"))


def test_no_such_namespace() -> None:
    for command in (["plan", "-"], ["apply", "-"], ["check", "-"], ["show"]):
        done = rempart(*command, "--netns", "rempart-test-none", input="tables: []")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("rempart: no such network namespace; found 'rempart-test-none'")


def test_without_root() -> None:
    document = {"tables": [{"name": "edge", "chains": [{"name": "input", "hook": "input"}]}]}
    for command in (["plan", "-"], ["apply", "-"], ["check", "-"], ["show"]):
        with Namespace() as netns:
            done = subprocess.run(
                netns.argv(
                    *UNPRIVILEGED,
                    str(SCRIPT),
                    *command,
                ),
                input=json.dumps(document),
                capture_output=True,
                text=True,
                env=environment(),
            )
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("rempart: ")
            assert "run as root" in done.stderr
            assert len(done.stderr.splitlines()) == 1
            assert netns.nft_text() == ""


def test_validate_needs_no_privilege() -> None:
    done = subprocess.run(
        [*UNPRIVILEGED, SCRIPT, "validate", "-"],
        input="tables: [{name: edge, chains: [{name: input, rules: [{verdict: accept}]}]}]",
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "standard input: valid (1 table, 1 chain, 1 rule)\n",
        "",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan"], "Missing argument 'FILE'"),
        (["plan", "a", "b"], "unexpected extra argument"),
        (["plan", "a", "--nets", "b"], "No such option"),
        (["aply", "a"], "No such command 'aply'"),
        (["show", "inte:edge"], "no family 'inte'"),
    ],
)
def test_a_usage_error_does_not_exit_like_a_difference(arguments: list[str], message: str) -> None:
    done = rempart(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert done.stderr.startswith("Usage: rempart")


def test_json_has_the_errors_too(netns: Namespace) -> None:
    code, found = rempart_json("apply", "-", "--netns", netns.name, input=WRONG)
    assert code == 1
    assert {key: found[key] for key in ("changed", "changes", "diff")} == {
        "changed": False,
        "changes": [],
        "diff": [],
    }
    assert [set(one) for one in found["errors"]] == [{"place", "message", "found", "allowed", "cure"}] * 4
    assert found["errors"][1]["place"] == "tables[0].chains[0].rules[0].dport"
    assert found["errors"][1]["found"] == "5999:1024"
    done = rempart("apply", "-", "--netns", netns.name, "--json", input=WRONG)
    assert len(done.stderr.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "empty"),
    [
        (["plan", "/no/such/file"], {"changed": False, "changes": [], "diff": []}),
        (["validate", "/no/such/file"], {"valid": False}),
        (["show", "--netns", "rempart-test-none"], {"tables": []}),
        (["plan", "--nothing"], {}),
        (["nothing"], {}),
    ],
)
def test_json_keeps_its_shape(arguments: list[str], empty: dict[str, Any]) -> None:
    code, found = rempart_json(*arguments)
    assert code == 1
    assert len(found.pop("errors")) == 1
    assert found == empty


def test_validate_as_json() -> None:
    assert rempart_json("validate", "-", input="tables: []") == (0, {"valid": True, "errors": []})
    code, found = rempart_json("validate", "-", input=WRONG)
    assert (code, found["valid"], len(found["errors"])) == (1, False, 4)


def test_a_reader_that_goes_away(netns: Namespace) -> None:
    netns.nft("table ip t {\nchain c {\n%s}\n}" % ("ip saddr 192.0.2.1 accept\n" * 5000))
    with subprocess.Popen(
        [SCRIPT, "show", "--netns", netns.name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        assert child.stdout.readline() == b"table ip t {\n"
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(60) == 1


def test_a_full_disk(netns: Namespace) -> None:
    netns.nft("table ip t {\nchain c { accept; }\n}")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [SCRIPT, "show", "--netns", netns.name],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
    assert done.returncode == 1
    assert done.stderr == "rempart: cannot write the output: No space left on device\n"


def test_closed_outputs(netns: Namespace) -> None:
    netns.nft("table ip t {\nchain c { accept; }\n}")
    for redirection, code in ((">&-", 0), ("2>&-", 1), ("<&-", 1)):
        command = {"2>&-": "show none", "<&-": "plan -"}.get(redirection, "show")
        line = "%s %s --netns %s %s" % (SCRIPT, command, netns.name, redirection)
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=environment())
        assert done.returncode == code
        assert "Traceback" not in done.stderr


def waiting_for_input(child: subprocess.Popen[str]) -> None:
    """Return when the child reads its standard input: all is imported, nothing is done."""
    deadline = time.monotonic() + 30
    while "pipe_read" not in Path("/proc/%d/wchan" % child.pid).read_text():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_interruption(options: list[str], netns: Namespace) -> None:
    with subprocess.Popen(
        [str(SCRIPT), "apply", "-", "--netns", netns.name, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as child:
        waiting_for_input(child)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err.lstrip("\n") == "rempart: interrupted; nothing was changed\n"
    if options:
        assert json.loads(out)["errors"][0]["message"] == "interrupted; nothing was changed"
    assert netns.nft_text() == ""


def test_a_failure_of_the_command_itself_is_one_line(tmp_path: Path) -> None:
    # A package that is broken stands for a defect.
    (tmp_path / "yaml.py").write_text("raise RuntimeError('broken')\n")
    env = environment(PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = rempart("validate", "-", input="tables: []", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "rempart: internal error: RuntimeError: broken; "
        "this is a bug; with REMPART_DEBUG=1 in the environment it shows where\n"
    )
    assert (
        "Traceback" in rempart("validate", "-", input="tables: []", env={**env, "REMPART_DEBUG": "1"}).stderr
    )
