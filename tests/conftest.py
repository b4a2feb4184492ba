# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for every test, and the rule that as root nothing is skipped."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from tests.support.namespaces import Namespace, sweep


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remove the namespaces that a killed run left, and have Ctrl-C end what tests start.

    A shell lets what it runs in the background ignore that (POSIX, 2.11), and children inherit it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.geteuid() == 0:
        sweep()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """A test that skips itself fails if root runs it."""
    return _no_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """A file that skips itself fails if root runs it."""
    return _no_skip((yield))


def _no_skip(report: Any) -> Any:
    if os.geteuid() == 0 and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = "As root nothing is skipped. %s" % reason
    return report


@pytest.fixture
def make_netns() -> Iterator[Callable[[], Namespace]]:
    """Make a network namespace; all of them go at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Namespace())


@pytest.fixture
def netns(make_netns: Callable[[], Namespace]) -> Namespace:
    """One network namespace, its loopback device up."""
    return make_netns().up()
