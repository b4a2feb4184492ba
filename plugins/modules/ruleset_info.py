#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``ruleset_info``: what the kernel holds."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ruleset_info
author:
  - The rempart authors (@rempart)
short_description: List nftables tables, chains and rules with exact counters
version_added: 0.1.0
description:
  - Lists the tables that the kernel holds, whoever made them, as one consistent picture.
  - Each rule comes in nft syntax, as libnftables JSON statements, and with the exact values of its counter.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
attributes:
  check_mode:
    support: full
    details:
      - With O(zero=true), check mode reads the counters and leaves them as they are.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - Changes nothing, unless O(zero=true) is given and a counter is not zero.
options:
  tables:
    description: Only these tables; all, if none are given. A table that does not exist is an error.
    type: list
    elements: dict
    suboptions:
      name:
        description: The table's name.
        type: str
        required: true
      family:
        description: The table's family. Without it, the tables of this name in every family.
        type: str
        choices: [inet, ip, ip6, arp, bridge, netdev]
  zero:
    description:
      - Set the counters and quotas of the rules listed to zero, in the same step that reads them. No packet
        is lost from the count, and none is counted twice.
      - This is the one thing that the module changes. Without it, it only informs.
      - Needs Linux 6.2 or later.
    type: bool
    default: false
  document:
    description:
      - Return what is there as a document too, in the words of
        O(rempart.netfilter.ruleset#module:tables). Given to that module on the same host it changes nothing;
        on another it makes the same tables.
      - Counters start at nought in it, and sets that packets fill keep what they have.
        M(rempart.netfilter.snapshot) can keep both.
    type: bool
    default: false
seealso:
  - module: rempart.netfilter.ruleset
    description: Make the kernel hold exactly the tables given.
  - module: rempart.netfilter.snapshot
    description: Keep a host's tables in a file, and put them back.
"""

EXAMPLES = r"""
- name: List everything
  rempart.netfilter.ruleset_info:
  register: held

- name: Show every rule that has counted packets
  ansible.builtin.debug:
    msg: "{{ item.1.rule }}: {{ item.1.counter.packets }} packets"
  loop: "{{ held.tables | map(attribute='chains') | flatten | subelements('rules') }}"
  loop_control:
    label: "{{ item.0.name }}"
  when: item.1.counter.packets | default(0) > 0

- name: Take a host's firewall over, as it is
  rempart.netfilter.ruleset_info:
    document: true
  register: held

- name: Write it beside the playbook
  ansible.builtin.copy:
    content: "{{ held.document | to_nice_yaml }}"
    dest: "{{ playbook_dir }}/{{ inventory_hostname }}.firewall.yml"
    mode: "0600"
  delegate_to: localhost

- name: Read one table's counters and set them to zero
  rempart.netfilter.ruleset_info:
    tables:
      - {name: edge, family: inet}
    zero: true
"""

RETURN = r"""
tables:
  description: The tables, in the kernel's order.
  returned: success
  type: list
  elements: dict
  contains:
    family:
      description: The table's family.
      type: str
      returned: always
    name:
      description: The table's name.
      type: str
      returned: always
    handle:
      description: The table's number in the kernel.
      type: int
      returned: always
    flags:
      description: Such as V(dormant).
      type: list
      elements: str
      returned: if there are any
    comment:
      description: The table's comment.
      type: str
      returned: if there is one
    chains:
      description: The table's chains.
      type: list
      elements: dict
      returned: always
      contains:
        name:
          description: The chain's name.
          type: str
          returned: always
        handle:
          description: The chain's number in the kernel.
          type: int
          returned: always
        type:
          description: V(filter), V(nat) or V(route).
          type: str
          returned: for base chains
        hook:
          description: Where packets enter.
          type: str
          returned: for base chains
        prio:
          description: The priority, as a number.
          type: int
          returned: for base chains
        policy:
          description: V(accept) or V(drop).
          type: str
          returned: for base chains
        dev:
          description: The devices of a chain on hook V(ingress) or V(egress).
          type: list
          elements: str
          returned: if there are any
        comment:
          description: The chain's comment.
          type: str
          returned: if there is one
        references:
          description: How many rules and elements of verdict maps jump or go to the chain.
          type: int
          returned: for chains without a hook
        rules:
          description: The rules, in their order.
          type: list
          elements: dict
          returned: always
          contains:
            handle:
              description: The rule's number in the kernel.
              type: int
              returned: always
            rule:
              description: The rule in nft syntax.
              type: str
              returned: always
            expr:
              description: The rule as libnftables JSON statements.
              type: list
              elements: raw
              returned: always
            counter:
              description: Packets and bytes that the rule has counted.
              type: dict
              returned: for rules with a counter
              contains:
                packets:
                  description: Packets.
                  type: int
                bytes:
                  description: Bytes.
                  type: int
            comment:
              description: The rule's comment.
              type: str
              returned: if there is one
    sets:
      description: The named sets, as libnftables JSON.
      type: list
      elements: dict
      returned: always
    maps:
      description: The named maps, as libnftables JSON.
      type: list
      elements: dict
      returned: always
    objects:
      description: The named counters, quotas and other objects, as libnftables JSON.
      type: list
      elements: dict
      returned: always
    flowtables:
      description: The flowtables, as libnftables JSON.
      type: list
      elements: dict
      returned: always
  sample:
    - family: inet
      name: edge
      handle: 1
      chains:
        - name: input
          handle: 1
          type: filter
          hook: input
          prio: 0
          policy: drop
          rules:
            - handle: 2
              rule: iifname "lo" counter packets 12 bytes 1040 accept
              expr:
                - match: {op: "==", left: {meta: {key: iifname}}, right: lo}
                - counter: {packets: 12, bytes: 1040}
                - accept: null
              counter: {packets: 12, bytes: 1040}
      sets: []
      maps: []
      objects: []
      flowtables: []
document:
  description: The same tables as a document, with flat keys where a rule fits them and C(expr) elsewhere.
  returned: if O(document=true)
  type: dict
  contains:
    tables:
      description: As O(rempart.netfilter.ruleset#module:tables).
      type: list
      elements: dict
  sample:
    tables:
      - name: edge
        family: inet
        chains:
          - name: input
            type: filter
            hook: input
            priority: filter
            policy: drop
            rules:
              - {iifname: lo, counter: true, verdict: accept}
notes:
  description: What the document does not say, or not as the kernel has it, in words.
  returned: if O(document=true)
  type: list
  elements: str
  sample: []
errors:
  description: What the host or the kernel refused.
  returned: failure
  type: list
  elements: dict
  contains:
    place:
      description: Where it stands in the options.
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
    - place: ""
      message: no such table
      found: egde
      allowed: inet edge, ip nat
      cure: did you mean 'edge'?
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import FAMILIES, NETNS


def main() -> None:
    """List what the kernel holds."""
    module = AnsibleModule(
        argument_spec={
            "tables": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "family": {"type": "str", "choices": FAMILIES},
                },
            },
            "zero": {"type": "bool", "default": False},
            "document": {"type": "bool", "default": False},
            "netns": NETNS,
        },
        supports_check_mode=True,
    )
    params = module.params
    with failing(module):
        from ..module_utils.ruleset import inventory
        from ..module_utils.ruleset.kernel import Picture

        wanted = [(one["family"] or "", one["name"]) for one in params["tables"] or ()]
        zero = params["zero"] and not module.check_mode
        picture, places = Picture(0, {}), []
        if params["tables"] != []:
            picture, places = inventory.read(params["netns"], wanted, zero)
        tables = inventory.listed(picture, places)
        counted = add_counters(tables)
        result: dict[str, Any] = {"changed": params["zero"] and counted, "tables": tables}
        if params["document"]:
            from ..module_utils.ruleset.capture import of_picture

            captured = of_picture(picture, places)
            result["document"] = captured.document
            result["notes"] = [str(note) for note in captured.notes]
        module.exit_json(**result)


def add_counters(tables: list[dict[str, Any]]) -> bool:
    """Put each rule's counter beside its statements; whether a counter or quota is not zero."""
    counted = False
    for table in tables:
        for chain in table["chains"]:
            for rule in chain["rules"]:
                for statement in rule["expr"]:
                    counter = statement.get("counter")
                    if isinstance(counter, dict):
                        rule.setdefault("counter", counter)
                        counted = counted or counter["packets"] > 0 or counter["bytes"] > 0
                    quota = statement.get("quota")
                    counted = counted or (isinstance(quota, dict) and quota.get("used", 0) > 0)
    return counted


if __name__ == "__main__":
    main()
