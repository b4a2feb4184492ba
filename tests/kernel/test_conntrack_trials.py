# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a trial has shown is known in the next process, and what could be wrong with that is not believed."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from rempart.conntrack import kernel_filters, probing, trials
from rempart.conntrack.filters import Filter
from rempart.errors import KernelError

MANY = Filter({"daddr": "192.0.2.1", "protocol": "tcp", "dport": 443})
SIX = Filter({"saddr": "2001:db8::1"})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where answers are kept; it is not there, and nothing is known."""
    place = tmp_path / "run" / "filters.json"
    monkeypatch.setattr(trials, "PATH", str(place))
    forget(monkeypatch)
    return place


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no more than a new process."""
    monkeypatch.setattr(trials, "_known", None)
    monkeypatch.setattr(trials, "_doubtful", {})


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by what is really tried."""
    found: list[str] = []
    for name in ("lists", "deletes"):
        method = getattr(probing.Trial, name)

        def spied(*given: Any, name: str = name, method: Any = method) -> Any:
            found.append(name)
            return method(*given)

        monkeypatch.setattr(probing.Trial, name, spied)
    return found


def answers() -> tuple[bool, frozenset[str]]:
    """Whether the kernel deletes by a filter, and what a dump of IPv6 is asked for."""
    return kernel_filters.of_deletion(MANY) is not None, frozenset(kernel_filters.of_dump(SIX).values)


def test_each_is_tried_once_in_a_boot(file: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    first = answers()
    assert tried == ["deletes", "lists"]
    assert answers() == first and len(tried) == 2
    forget(monkeypatch)
    assert answers() == first and len(tried) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    known = json.loads(file.read_bytes())["known"]
    assert list(known.values()) == [first[0], "saddr" in first[1]]


def damaged(file: Path, how: str) -> None:
    """Do to the file what makes it one that is not believed."""
    content = json.loads(file.read_bytes())
    forged = {**content, "known": {key: not value for key, value in content["known"].items()}}
    if how == "cut short":
        file.write_bytes(file.read_bytes()[:-9])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "no text":
        file.write_bytes(b"\xff\xfe\0")
    elif how == "deep":
        file.write_bytes(b"[" * 100_000)
    elif how == "long":
        file.write_bytes(json.dumps(forged).encode() + b" " * 300_000)
    elif how == "list":
        file.write_text("[]")
    elif how == "numbers":
        file.write_text(json.dumps({**forged, "known": dict.fromkeys(content["known"], 1)}))
    elif how == "format":
        file.write_text(json.dumps({**forged, "format": 0}))
    elif how == "boot":
        kernel = ["00000000-0000-0000-0000-000000000000", *content["kernel"][1:]]
        file.write_text(json.dumps({**forged, "kernel": kernel}))
    elif how == "patch":
        file.write_text(json.dumps({**forged, "kernel": [*content["kernel"], "patch x"]}))
    else:
        file.write_text(json.dumps(forged))
        if how == "readable":
            file.chmod(0o644)
        elif how == "directory":
            file.parent.chmod(0o777)
        elif how == "foreign":
            os.chown(file, 65534, 65534)
        else:
            moved = file.rename(file.with_suffix(".moved"))
            file.symlink_to(moved)


@pytest.mark.parametrize(
    "how",
    [
        *("cut short", "empty", "no text", "deep", "long", "list", "numbers", "format", "boot", "patch"),
        *("readable", "directory", "foreign", "link"),
    ],
)
def test_what_could_be_wrong_is_tried_again(
    file: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    right = answers()
    damaged(file, how)
    forget(monkeypatch)
    assert answers() == right
    assert len(tried) == 4


def test_without_a_place_to_write_it_is_right_all_the_same(
    file: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = answers()
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("no directory")
    forget(monkeypatch)
    assert answers() == right
    assert len(tried) == 4


def test_two_processes_add_to_one_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel_filters.of_deletion(MANY)
    mine = trials._known
    monkeypatch.setattr(trials, "_known", {})  # of a process that has looked before the file was there
    kernel_filters.of_dump(SIX)
    assert len(json.loads(file.read_bytes())["known"]) == 2
    assert mine is not None and len(mine) == 1


@pytest.mark.parametrize(("code", "kept"), [(errno.EOPNOTSUPP, True), (errno.ENOMEM, False)])
def test_what_memory_alone_was_missing_for_is_not_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch, code: int, kept: bool
) -> None:
    def refused(*_: Any) -> None:
        raise KernelError("refused", code)

    monkeypatch.setattr(probing.Trial, "_deleted", refused)
    assert kernel_filters.of_deletion(MANY) is None
    assert file.exists() == kept
