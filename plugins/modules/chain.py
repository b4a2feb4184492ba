#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``chain``: one chain of a table."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chain
author:
  - The rempart authors (@rempart)
short_description: Make one nftables chain hold exactly the rules given
version_added: 0.1.0
description:
  - Compares one chain with what the kernel holds, and changes what differs in one transaction.
  - The chain is owned whole. What is in it and not in O(rules) goes; rules that stay keep their handles and
    counters.
  - Other chains of the table, its sets and the table itself stay as they are. A table that is missing is
    made.
  - A chain whose type, hook, priority, devices, flags or comment differ is made anew in the same transaction,
    since the kernel cannot change them.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
  - rempart.netfilter.host.checked
  - rempart.netfilter.host.keeping
options:
  table:
    description: The name of the table that the chain is in.
    type: str
    required: true
  family:
    description: The table's family. V(inet) stands for IPv4 and IPv6.
    type: str
    default: inet
    choices: [inet, ip, ip6, arp, bridge, netdev]
  name:
    description: The chain's name, at most 255 bytes.
    type: str
    required: true
  type:
    description:
      - The type of a base chain.
      - V(filter) if O(hook) is given without a type.
    type: str
    choices: [filter, nat, route]
  hook:
    description:
      - Where packets enter the chain, which makes it a base chain.
      - A chain without a hook is entered only by rules that jump to it.
    type: str
    choices: [prerouting, input, forward, output, postrouting, ingress, egress]
  priority:
    description:
      - The order of base chains on one hook, from low to high.
      - A number, a name such as V(raw), V(mangle), V(dstnat), V(filter), V(security) or V(srcnat), or a
        name with a distance such as V(filter + 10).
      - V(filter) if not given.
    type: raw
  policy:
    description:
      - What becomes of a packet that no rule of a base chain decided on.
      - V(accept) if not given.
    type: str
    choices: [accept, drop]
  device:
    description: The device whose packets a chain on hook V(ingress) or V(egress) sees.
    type: str
  devices:
    description: Several devices, instead of O(device).
    type: list
    elements: str
  flags:
    description: With V(offload) the devices of a chain on hook V(ingress) do its work, if they can.
    type: list
    elements: str
    choices: [offload]
  comment:
    description: A comment that the kernel keeps, at most 128 bytes.
    type: str
  rules:
    description:
      - The rules, in their order, as O(rempart.netfilter.ruleset#module:tables[].chains[].rules).
      - They may jump to other chains of the table, which the kernel must hold already.
    type: list
    elements: dict
  state:
    description:
      - With V(present) the kernel shall hold the chain as given.
      - With V(absent) it shall hold no chain of this name. That fails as long as something leads to the
        chain; the error names the rules that do. The table stays.
    type: str
    default: present
    choices: [present, absent]
seealso:
  - module: rempart.netfilter.ruleset
    description: Whole tables in one transaction.
  - module: rempart.netfilter.ruleset_info
    description: What the kernel holds.
"""

EXAMPLES = r"""
- name: A chain for what comes from outside
  rempart.netfilter.chain:
    table: edge
    name: from_outside
    rules:
      - {protocol: tcp, dport: [http, https], counter: true, verdict: accept}
      - {protocol: icmp, icmp_type: echo-request, limit: 5/second, verdict: accept}

- name: The chain that leads there
  rempart.netfilter.chain:
    table: edge
    name: input
    hook: input
    policy: drop
    rules:
      - {ct_state: [established, related], verdict: accept}
      - {iifname: lo, verdict: accept}
      - {iifname: ppp+, jump: from_outside}

- name: Remove both, the one that jumps first
  rempart.netfilter.chain:
    table: edge
    name: "{{ item }}"
    state: absent
  loop:
    - input
    - from_outside
"""

RETURN = r"""
changes:
  description: What was changed (in check mode, would be), for programs.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(add), V(remove) or V(change).
      type: str
      returned: always
    kind:
      description: What it is done to, V(table), V(chain), V(policy) or V(rule).
      type: str
      returned: always
    family:
      description: The table's family.
      type: str
      returned: always
    table:
      description: The table's name.
      type: str
      returned: always
    chain:
      description: The chain's name.
      type: str
      returned: but for tables
    rule:
      description: The rule in nft syntax.
      type: str
      returned: for rules
    place:
      description: Where the rule stands in the options.
      type: str
      returned: for rules that are added
    handle:
      description: The rule's handle in the kernel.
      type: int
      returned: for rules that are removed
    rules:
      description: The number of rules in the chain.
      type: int
      returned: for chains
    before:
      description: The policy before.
      type: str
      returned: for policies
    after:
      description: The policy after.
      type: str
      returned: for policies
  sample:
    - {action: change, kind: policy, family: inet, table: edge, chain: input, before: accept, after: drop}
    - action: add
      kind: rule
      family: inet
      table: edge
      chain: input
      place: rules[1]
      rule: iifname "lo" accept
generation:
  description:
    - The kernel's generation number after the run.
    - Every change of any ruleset in the network namespace increments it.
  returned: success
  type: int
  sample: 42
compared:
  description: Always V(true); one chain is compared with the kernel's in any case.
  returned: success
  type: bool
  sample: true
errors:
  description: All that is wrong with the options, or what the kernel refused.
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
    - place: rules[3].dprot
      message: unknown key
      found: 22
      allowed: ""
      cure: did you mean 'dport'?
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.document import chain_document, result_of, source_of, text_of
from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.keeping import KEEPING, applied
from ..module_utils.ansible.options import CHAIN, DOCUMENT, FAMILY, NETNS, STATE, given
from ..module_utils.ansible.places import CHAIN as PLACES


def main() -> None:
    """Make the kernel hold the chain, or remove it."""
    module = AnsibleModule(
        argument_spec={
            "table": {"type": "str", "required": True},
            "family": FAMILY,
            "name": {"type": "str", "required": True},
            **CHAIN,
            "state": STATE,
            "netns": NETNS,
            **KEEPING,
            "_document": DOCUMENT,
        },
        supports_check_mode=True,
    )
    params = module.params
    with failing(module, PLACES):
        text = params["_document"] or text_of(chain_document(given(params)))
        gone: list[str] = []
        if params["state"] == "absent":
            from ..module_utils.ruleset.jumps import refuse_removal

            refuse_removal(params["family"], params["table"], params["name"], params["netns"])
            gone = [params["name"]]
        outcome, pending = applied(module, source_of(text), partial=True, remove_chains=gone)
        module.exit_json(**result_of(outcome, module._diff, PLACES), **pending)


if __name__ == "__main__":
    main()
