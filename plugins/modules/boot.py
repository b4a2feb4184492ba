#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``boot``: tables that stand after a reboot before the network does."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot
author:
  - The rempart authors (@rempart)
short_description: Have nftables tables stand after a reboot before the network does
version_added: 0.1.0
description:
  - Keeps tables on the host for its boot to apply. The tables that the kernel holds now are not touched, that
    is what M(rempart.netfilter.ruleset) does.
  - Boot needs no Ansible, no C(nft) and nothing from pip. The module leaves the tables in
    C(/etc/rempart/boot/), for root alone, the engine in one file, C(/usr/local/lib/rempart/boot.pyz), and a
    unit of systemd, C(rempart-firewall.service), which is done before C(network-pre.target).
  - Host names, users and groups are looked up now, and what they stand for is kept with the tables, since no
    resolver answers yet when boot applies them.
  - What changes is first tried out, by the very program that boot runs, in a network namespace of its own. If
    it fails there, nothing is kept and the task fails. Tables bound to devices (hooks C(ingress) and
    C(egress), flowtables) cannot be tried out there.
  - If at boot one table is refused, the others stand all the same.
  - A table bound to a device needs the device, on Linux before 6.16. A second unit,
    C(rempart-firewall-devices.service), applies everything again whenever one of these devices appears.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host.checked
attributes:
  diff_mode:
    details: Shows the files. Of the program, only its size.
options:
  tables:
    description:
      - The tables, as O(rempart.netfilter.ruleset#module:tables).
      - Required with O(state=present).
    type: list
    elements: dict
  name:
    description:
      - The name that the tables are kept under. Each name has tables of its own, and boot applies those of
        all names in one transaction.
      - Letters, digits, C(_) and C(-).
    type: str
    default: firewall
  state:
    description:
      - With V(present) boot shall apply the tables.
      - With V(absent) it shall apply none of this name. With the last name the program and the units go too.
    type: str
    default: present
    choices: [present, absent]
  root:
    description:
      - The directory below which the files are written, an absolute path.
      - With any other than V(/) the host is an image, and systemd is not told.
    type: path
    default: /
  python:
    description:
      - The interpreter that boot uses, Python 3.9 or later. It needs its standard library alone.
      - The default is C(/usr/bin/python3) or, where that is missing or too old, the one that the module runs
        with.
    type: path
requirements:
  - Linux with nf_tables
  - Python 3.9 or later on the managed host
  - root
notes:
  - On a host without systemd the module warns, with the command that its boot must run.
  - A network namespace is not booted. Only the one that the host's first process is in has its tables kept.
seealso:
  - module: rempart.netfilter.ruleset
    description: Make the kernel hold the tables now.
  - name: systemd.special(7)
    description: What network-pre.target is.
    link: https://www.freedesktop.org/software/systemd/man/latest/systemd.special.html
"""

EXAMPLES = r"""
- name: Hold tables now and after a reboot
  vars:
    edge_tables:
      - name: edge
        chains:
          - name: input
            hook: input
            policy: drop
            rules:
              - {ct_state: [established, related], verdict: accept}
              - {iifname: lo, verdict: accept}
              - {protocol: tcp, dport: [ssh, http, https], verdict: accept}
  block:
    - name: Now
      rempart.netfilter.ruleset:
        tables: "{{ edge_tables }}"
    - name: After a reboot
      rempart.netfilter.boot:
        tables: "{{ edge_tables }}"

- name: Have an image boot with types of service
  rempart.netfilter.boot:
    name: tos
    root: /srv/images/web
    tables:
      - name: tos
        chains:
          - name: output
            type: route
            hook: output
            priority: mangle
            rules:
              - {protocol: tcp, dport: ssh, tos: {and: 0x01, xor: 0x08}}

- name: Boot without these tables from now on
  rempart.netfilter.boot:
    state: absent
"""

RETURN = r"""
changes:
  description: The files and links that were changed (in check mode, would be).
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(add), V(remove) or V(change).
      type: str
      returned: always
    kind:
      description: V(file) or V(link).
      type: str
      returned: always
    path:
      description: Its path on the host.
      type: str
      returned: always
  sample:
    - {action: change, kind: file, path: /etc/rempart/boot/firewall.json}
command:
  description: What boot runs.
  returned: success
  type: list
  elements: str
  sample: [/usr/bin/python3, -I, -S, /usr/local/lib/rempart/boot.pyz, /etc/rempart/boot]
names:
  description: The names that tables are kept under.
  returned: success
  type: list
  elements: str
  sample: [firewall]
errors:
  description: All that is wrong with the options, or what stood in the way.
  returned: failure
  type: list
  elements: dict
  contains:
    place:
      description: Where it stands in the options, or the file.
      type: str
    message:
      description: What is wrong.
      type: str
    found:
      description: What was found there.
      type: raw
    allowed:
      description: What is allowed there.
      type: str
    cure:
      description: What to do about it.
      type: str
  sample:
    - place: tables[0].chains[0].rules[3].dprot
      message: unknown key
      found: 22
      allowed: ""
      cure: did you mean 'dport'?
"""

import json
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import DOCUMENT, STATE

if TYPE_CHECKING:
    from ..module_utils.boot.install import Plan
    from ..module_utils.host.placing import Placed


def main() -> None:
    """Compare what boot has with what it shall have, and put that there."""
    module = AnsibleModule(
        argument_spec={
            "tables": {"type": "list", "elements": "dict"},
            "name": {"type": "str", "default": "firewall"},
            "state": STATE,
            "root": {"type": "path", "default": "/"},
            "python": {"type": "path"},
            "_document": DOCUMENT,
        },
        required_if=[("state", "present", ["tables"])],
        supports_check_mode=True,
    )
    params = module.params
    with failing(module):
        from ..module_utils.boot import install

        tables: list[Any] | None = None
        if params["state"] == "present":
            text = params["_document"]
            tables = json.loads(text)["tables"] if text else params["tables"]
        plan = install.plan(params["name"], tables, params["root"], params["python"])
        if plan.changed:
            plan.rehearse()
            if not module.check_mode:
                plan.apply()
        for warning in plan.warnings:
            module.warn(warning)
        module.exit_json(**result_of(plan, module._diff))


def result_of(plan: Plan, diff: bool) -> dict[str, Any]:
    """What the module returns."""
    result: dict[str, Any] = {
        "changed": plan.changed,
        "changes": [{"action": action(one), "kind": kind(one), "path": one.path} for one in plan.changes],
        "command": plan.command,
        "names": sorted(plan.documents),
    }
    if diff:
        result["diff"] = [difference(one) for one in plan.changes]
    return result


def action(one: Placed) -> str:
    """What is done to a file or link."""
    if one.before is None:
        return "add"
    return "remove" if one.content is None else "change"


def kind(one: Placed) -> str:
    """Whether it is a file or a link."""
    return "link" if isinstance(one.before if one.content is None else one.content, str) else "file"


def difference(one: Placed) -> dict[str, str]:
    """One entry of Ansible's diff."""
    before, after = shown(one.before, one.before_mode), shown(one.content, one.mode)
    return {"before_header": one.path, "after_header": one.path, "before": before, "after": after}


def shown(content: bytes | str | None, mode: int) -> str:
    """A file's text, after its mode if that is no usual one; of the program its size."""
    if content is None:
        return ""
    if isinstance(content, str):
        return "link to %s\n" % content
    head = "" if mode == 0o644 else "mode %04o\n" % mode
    if content.startswith(b"PK"):
        return "%sprogram of %d bytes\n" % (head, len(content))
    return head + content.decode(errors="replace")


if __name__ == "__main__":
    main()
