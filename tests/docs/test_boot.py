# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/after-a-reboot.md, firewall-role.md and the role's README: their plays, run on a host with files."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.docs.account import reading
from tests.docs.inventories import itself
from tests.support.machines import Machine

EDGE = [
    {
        "name": "edge",
        "chains": [
            {
                "name": "input",
                "hook": "input",
                "policy": "drop",
                "rules": [{"ct_state": ["established", "related"], "verdict": "accept"}],
            }
        ],
    }
]


def player(machine: Machine, *arguments: str) -> Callable[[str], None]:
    """What runs a block as a playbook."""

    def play(text: str) -> None:
        (machine.directory / "play.yml").write_text(text)
        words = ("ansible-playbook -i inventory", *arguments, "play.yml")
        shown = machine.type(" ".join(words))
        assert machine.code == 0 and "changed=0" not in shown, shown

    return play


def test_after_a_reboot(make_machines: Callable[..., dict[str, Machine]]) -> None:
    made = make_machines("")
    (host,) = made.values()
    itself(host, "web", "host", "router")
    (host.directory / "group_vars").mkdir()
    (host.directory / "group_vars/web.yml").write_text(json.dumps({"edge_tables": EDGE}))
    by_hand = {"- hosts: web": player(host), "- hosts: router": player(host)}
    with reading("docs/after-a-reboot.md", made, by_hand=by_hand):
        pass
    kept = host.run("ls", "/etc/rempart/boot").stdout.split()
    assert kept == ["firewall.json", "tos.json"]
    assert host.namespace.nft_text() == ""
    host.run("/usr/bin/python3", "-I", "-S", "/usr/local/lib/rempart/boot.pyz", "/etc/rempart/boot")
    assert host.namespace.nft_text("tables") == "table inet edge\ntable inet line\n"


def test_firewall_role(make_machines: Callable[..., dict[str, Machine]]) -> None:
    made = make_machines("")
    (host,) = made.values()
    itself(host, "all", "web1")
    (host.directory / "group_vars").mkdir()
    (host.directory / "group_vars/all.yml").write_text(json.dumps({"firewall_tables": EDGE}))

    with reading("docs/firewall-role.md", made, by_hand={"- hosts: all": player(host)}):
        pass
    assert "policy drop" in host.namespace.nft_text()


def test_firewall_readme(make_machines: Callable[..., dict[str, Machine]]) -> None:
    made = make_machines("")
    (host,) = made.values()
    itself(host, "web")
    with reading("roles/firewall/README.md", made, by_hand={"- hosts: web": player(host)}):
        pass
    assert "tcp dport { 22, 80, 443 } accept" in host.namespace.nft_text()
