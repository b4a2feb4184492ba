# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is remembered of an apply, and what becomes of a file that is not as it was written."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.ruleset import memory
from rempart.ruleset.memory import Memory

KEY = "boot-1"
EDGE = [(1, "edge")]
INNER = [(2, "inner")]


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path / "rempart")


def remember(directory: str, number: int, digest: str, tables: Any = EDGE, before: int | None = None) -> None:
    document = Memory(number, digest, "1.0", {"a.example": ["192.0.2.1", "2001:db8::1"]}, tables)
    assert memory.save(KEY, document, before, directory)


def test_what_was_saved_is_loaded(directory: str) -> None:
    remember(directory, 7, "abc")
    found = memory.load(KEY, "abc", directory)
    assert found is not None
    assert (found.generation, found.digest, found.engine) == (7, "abc", "1.0")
    assert found.hosts == {"a.example": ["192.0.2.1", "2001:db8::1"]}
    assert found.tables == EDGE
    assert memory.load(KEY, "other", directory) is None
    assert memory.load("boot-2", "abc", directory) is None


def test_file_and_directory_are_private(directory: str) -> None:
    before = os.umask(0)
    try:
        remember(directory, 7, "abc")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    (file,) = os.scandir(directory)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_forgetting_leaves_nothing(directory: str) -> None:
    memory.forget(KEY, directory)
    remember(directory, 7, "abc")
    memory.forget(KEY, directory)
    assert memory.load(KEY, "abc", directory) is None
    assert os.listdir(directory) == []


def test_of_many_namespaces_the_oldest_are_forgotten(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_MOST_FILES", 3)
    for number in range(5):
        key = "boot-%d" % number
        assert memory.save(key, Memory(number, "abc", "1.0"), directory=directory)
        os.utime(os.path.join(directory, key + ".json"), (number, number))
        assert memory.save("boot-0", Memory(0, "abc", "1.0"), directory=directory)
    assert sorted(os.listdir(directory)) == ["boot-0.json", "boot-3.json", "boot-4.json"]


def test_without_a_key_there_is_no_memory(directory: str) -> None:
    assert not memory.save(None, Memory(1, "abc", "1.0"), directory=directory)
    assert memory.load(None, "abc", directory) is None
    memory.forget(None, directory)
    assert not os.path.exists(directory)


def test_documents_with_other_tables_stay_in_force_over_an_own_transaction(directory: str) -> None:
    remember(directory, 7, "edge", EDGE)
    remember(directory, 8, "inner", INNER, before=7)
    found = memory.load(KEY, "edge", directory)
    assert found is not None
    assert found.generation == 8


def test_documents_do_not_stay_in_force_over_the_change_of_another(directory: str) -> None:
    remember(directory, 7, "edge", EDGE)
    remember(directory, 9, "inner", INNER, before=8)
    found = memory.load(KEY, "edge", directory)
    assert found is not None
    assert found.generation == 7


def test_a_document_that_shares_a_table_is_forgotten(directory: str) -> None:
    remember(directory, 7, "old", EDGE + INNER)
    remember(directory, 8, "new", EDGE, before=7)
    assert memory.load(KEY, "old", directory) is None


def test_the_number_of_documents_is_bounded(directory: str) -> None:
    for number in range(memory._MOST_ENTRIES + 5):
        remember(directory, number, "d%d" % number, [(1, "t%d" % number)])
    assert memory.load(KEY, "d0", directory) is None
    assert memory.load(KEY, "d%d" % (memory._MOST_ENTRIES + 4), directory) is not None


def _file(directory: str) -> Path:
    (found,) = Path(directory).iterdir()
    return found


@given(data=st.binary(max_size=60))
def test_a_damaged_file_counts_as_absent(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    directory = str(tmp_path_factory.mktemp("memory") / "rempart")
    remember(directory, 7, "abc")
    _file(directory).write_bytes(data)
    assert memory.load(KEY, "abc", directory) is None
    remember(directory, 8, "abc")
    assert memory.load(KEY, "abc", directory) is not None


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("generation", "7"),
        ("generation", True),
        ("digest", 3),
        ("engine", None),
        ("hosts", []),
        ("hosts", {"a": "192.0.2.1"}),
        ("hosts", {"a": [1]}),
        ("tables", [[1]]),
        ("tables", [["1", "t"]]),
        ("tables", 5),
    ],
)
def test_an_entry_of_the_wrong_type_counts_as_absent(directory: str, member: str, value: Any) -> None:
    remember(directory, 7, "abc")
    content = json.loads(_file(directory).read_text())
    content["documents"][0][member] = value
    _file(directory).write_text(json.dumps(content))
    assert memory.load(KEY, "abc", directory) is None


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "{}", "[]", "null", '{"format": 1, "key": "boot-2", "documents": []}']
)
def test_json_of_another_shape_counts_as_absent(directory: str, text: str) -> None:
    remember(directory, 7, "abc")
    _file(directory).write_text(text)
    assert memory.load(KEY, "abc", directory) is None


def test_a_file_that_others_could_have_written_is_not_believed(directory: str) -> None:
    remember(directory, 7, "abc")
    os.chmod(_file(directory), 0o666)
    assert memory.load(KEY, "abc", directory) is None
    os.chmod(_file(directory), 0o600)
    assert memory.load(KEY, "abc", directory) is not None
    os.chmod(directory, 0o777)
    assert memory.load(KEY, "abc", directory) is None
    assert not memory.save(KEY, Memory(1, "abc", "1.0"), directory=directory)


def test_a_link_is_not_followed(directory: str, tmp_path: Path) -> None:
    remember(directory, 7, "abc")
    file = _file(directory)
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    assert memory.load(KEY, "abc", directory) is None


def test_a_pipe_in_its_place_does_not_hang(directory: str) -> None:
    remember(directory, 7, "abc")
    file = _file(directory)
    file.unlink()
    os.mkfifo(file, 0o600)
    assert memory.load(KEY, "abc", directory) is None


def test_a_directory_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not memory.save(KEY, Memory(1, "abc", "1.0"), directory=str(tmp_path / "file" / "rempart"))
    assert not memory.save(KEY, Memory(1, "abc", "1.0"), directory=str(tmp_path / "no" / "such"))


def test_a_failed_write_leaves_the_old_file(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(directory, 7, "abc")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not memory.save(KEY, Memory(8, "abc", "1.0"), directory=directory)
    found = memory.load(KEY, "abc", directory)
    assert found is not None
    assert found.generation == 7
    assert len(os.listdir(directory)) == 1
