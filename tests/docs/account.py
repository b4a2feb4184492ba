# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account of the documentation: for every page the test that runs its commands and playbooks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from tests.support.machines import Machine
from tests.support.pages import Account, Handler, Reader

RUNNING = "Ansible is the one that the test runs by"

PAGES: dict[str, Account] = {
    "docs/tutorial.md": Account(
        "tests/docs/test_tutorial.py::test_tutorial",
        exempt={"# /opt/rempart/bin/pip install --quiet ansible-core": RUNNING},
        instead={
            "apt-get install -y python3-venv nftables netcat-openbsd": "make setup has installed them",
            "ansible-galaxy collection install rempart.netfilter": "the tarball of this tree is installed",
        },
    ),
    "docs/guide/audit-in-ci.md": Account("tests/docs/test_guide_fleet.py::test_audit_in_ci"),
    "docs/guide/ban.md": Account("tests/docs/test_guide_services.py::test_ban"),
    "docs/guide/busy-proxy.md": Account("tests/docs/test_guide_busy_proxy.py::test_busy_proxy"),
    "docs/guide/from-iptables.md": Account("tests/docs/test_guide_fleet.py::test_from_iptables"),
    "docs/guide/ftp.md": Account("tests/docs/test_guide_services.py::test_ftp"),
    "docs/guide/kill.md": Account("tests/docs/test_guide_router.py::test_kill"),
    "docs/guide/router.md": Account("tests/docs/test_guide_router.py::test_router"),
    "docs/guide/slow-link.md": Account("tests/docs/test_guide_services.py::test_slow_link"),
    "docs/guide/web-server.md": Account("tests/docs/test_guide_web_server.py::test_web_server"),
}


@contextlib.contextmanager
def reading(
    page: str,
    machines: Mapping[str, Machine],
    varies: Mapping[str, str] | None = None,
    by_hand: Mapping[str, Handler] | None = None,
    instead: Mapping[str, str] | None = None,
) -> Iterator[Reader]:
    """Read a page by its account while the block runs, and what is left of the page at the end.

    ``instead`` are the account's commands that cannot be typed as they stand, with what is typed for them.
    """
    reader = Reader(page, PAGES[page], machines, varies or {}, by_hand or {}, instead or {})
    try:
        yield reader
        reader.done()
    finally:
        reader.write()
