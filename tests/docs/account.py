# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account of the documentation: for every page the test that runs its commands and playbooks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from tests.support.machines import Machine
from tests.support.pages import Account, Handler, Reader

RUNNING = "Ansible is the one that the test runs by"

_DRAWING = "a drawing"
_FIREWALL = "tests/unit/test_firewall_docs.py::"
_CONNTRACK = "tests/playbooks/test_role_conntrack_docs.py::"
_REFERENCE = "tests/unit/test_document_reference.py::test_every_document_is_right"
_TUNABLES = "tests/unit/test_tunables_settings.py::test_every_document_of_the_page_is_right"

PAGES: dict[str, Account] = {
    "README.md": Account(
        "tests/docs/test_readme.py::test_readme",
        elsewhere={
            "# make demo    # a home network's firewall in network namespaces, with real packets": (
                "tests/playbooks/test_demo.py::test_the_demonstration_runs_to_its_end"
            )
        },
    ),
    "docs/after-a-reboot.md": Account("tests/docs/test_boot.py::test_after_a_reboot"),
    "docs/coming-from/ipchains.md": Account(
        elsewhere={
            "tables:": "tests/kernel/test_coming_from.py::test_packets_meet_what_they_met",
            "tables: #2": "tests/kernel/test_coming_from.py::test_rows_with_a_way_of_their_own",
        }
    ),
    "docs/coming-from/iptables.md": Account(
        whole="tests/kernel/test_coming_from.py::test_packets_meet_what_they_met"
    ),
    "docs/command.md": Account("tests/docs/test_command.py::test_command"),
    "docs/connections.md": Account(
        "tests/docs/test_connections.py::test_connections",
        elsewhere={
            "# rempart conntrack top -n 5": (
                "tests/kernel/test_command_conntrack.py::test_top_shows_who_is_busy"
            ),
            "# rempart conntrack watch protocol=tcp dport=22 -e new,destroy": (
                "tests/kernel/test_command_conntrack.py::test_events_as_they_come"
            ),
        },
    ),
    "docs/document.md": Account(whole=_REFERENCE),
    "docs/firewall-role.md": Account(
        "tests/docs/test_boot.py::test_firewall_role",
        elsewhere={
            "# group_vars/all.yml": _FIREWALL + "test_variables_of_the_groups_make_a_document",
            "# group_vars/web.yml": _FIREWALL + "test_variables_of_the_groups_make_a_document",
            "firewall_tables_50_web[0].chains[0].policy: differs from "
            "firewall_tables_10_base[0].chains[0].policy; found 'accept';": (
                _FIREWALL + "test_variables_of_the_groups_make_a_document"
            ),
            "these tables cut the connection of 192.0.2.10 port 51820 with 198.51.100.1 port 22: "
            "nothing of it came through within": (
                "tests/playbooks/test_role_firewall.py::"
                "test_first_run_over_ssh_that_forgets_ssh_is_taken_back"
            ),
            "with these tables no new connection to the host could be made "
            "(Failed to connect to the host via ssh: ... Connection": (
                "tests/playbooks/test_role_firewall.py::"
                "test_first_run_over_ssh_that_lets_nobody_in_again_is_taken_back"
            ),
        },
    ),
    "docs/how-it-works.md": Account(
        elsewhere={
            "ansible                -> session, tunables": (
                "tests/unit/test_imports.py::test_the_picture_is_the_code"
            )
        },
        exempt={
            "document --validate--> tables --lower--> statements --compile--> expression bytes --+": _DRAWING,
        },
    ),
    "docs/killing.md": Account("tests/docs/test_command.py::test_killing"),
    "docs/molecule.md": Account(
        elsewhere={
            **dict.fromkeys(
                (
                    "$ ansible-galaxy collection install rempart.netfilter -p collections",
                    "$ mkdir -p molecule",
                    "# group_vars/firewalls.yml",
                    "# site.yml",
                    "# molecule/edge/molecule.yml",
                    "# molecule/edge/converge.yml",
                    "$ molecule test -s edge",
                ),
                "tests/playbooks/test_molecule_docs.py::test_project",
            ),
            **dict.fromkeys(
                (
                    "JUNIT_OUTPUT_DIR=reports ANSIBLE_CALLBACKS_ENABLED=ansible.builtin.junit "
                    "ansible-playbook -i inventory audit.yml",
                    "{",
                ),
                "tests/playbooks/test_molecule.py::test_compliance_is_an_audit",
            ),
        },
        exempt={
            "pip install ansible-core molecule jsonschema": RUNNING,
            "export MOLECULE_GLOB='molecule/*/molecule.yml'": "silences a warning of molecule's",
            "# .gitlab-ci.yml": "GitLab alone runs it; its commands are those above",
        },
    ),
    "docs/monitoring.md": Account(
        elsewhere={
            "- hosts: routers": _CONNTRACK + "test_plays_are_about_variables_that_there_are",
            "- hosts: routers #2": _CONNTRACK + "test_plays_are_about_variables_that_there_are",
            "[Unit]": _CONNTRACK + "test_what_is_written_by_hand_works",
            "[Unit] #2": _CONNTRACK + "test_units_written_by_hand_are_ones_that_systemd_takes",
            "#!/bin/sh": _CONNTRACK + "test_what_is_written_by_hand_works",
            "groups:": _CONNTRACK + "test_alerts_and_tables_name_metrics_that_there_are",
        },
        exempt={
            "[rempart_conntrack]": "munin's node alone reads its files, and no test has one",
        },
    ),
    "docs/notrack.md": Account(
        "tests/docs/test_command.py::test_notrack",
        elsewhere={
            "- hosts: name_servers": _CONNTRACK + "test_the_role_makes_the_table_of_the_document",
            "tables: #2": _CONNTRACK + "test_a_name_server_without_state",
        },
    ),
    "docs/tunables.md": Account(whole=_TUNABLES),
    "roles/conntrack/README.md": Account(
        elsewhere={"- hosts: routers": _CONNTRACK + "test_the_play_of_the_readme_runs"}
    ),
    "roles/firewall/README.md": Account("tests/docs/test_boot.py::test_firewall_readme"),
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
