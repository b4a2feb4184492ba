#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``ruleset``: whole tables."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ruleset
author:
  - The rempart authors (@rempart)
short_description: Make the kernel hold exactly the nftables tables given
version_added: 0.1.0
description:
  - Compares the tables given with those that the kernel holds, rule by rule, and changes what differs in one
    transaction. At no instant does a packet meet half a ruleset.
  - A table given here is owned whole. What is in it and not in O(tables) goes. Tables not given, such as
    those of Docker or fail2ban, are never touched.
  - Rules that stay keep their handles and their counters.
  - Where nothing has changed any ruleset since the last run, the module knows it without reading the
    ruleset, see O(full).
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
  - rempart.netfilter.host.checked
  - rempart.netfilter.host.keeping
options:
  tables:
    description:
      - The tables, as in a document for the C(rempart) command.
      - With O(state=absent) only O(tables[].family) and O(tables[].name) count.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The table's name, at most 255 bytes.
        type: str
        required: true
      family:
        description:
          - What packets the table sees.
          - V(inet) stands for IPv4 and IPv6.
        type: str
        default: inet
        choices: [inet, ip, ip6, arp, bridge, netdev]
      comment:
        description: A comment that the kernel keeps, at most 128 bytes.
        type: str
      flags:
        description:
          - With V(dormant) the table is there but sees no packets.
          - V(persist), from Linux 6.9 on, marks a table that a program left behind when it ended.
        type: list
        elements: str
        choices: [dormant, persist]
      chains:
        description: The table's chains.
        type: list
        elements: dict
        suboptions:
          name:
            description: The chain's name, at most 255 bytes.
            type: str
            required: true
          type:
            description:
              - The type of a base chain.
              - V(filter) if O(tables[].chains[].hook) is given without a type.
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
              - A number, a name such as V(raw), V(mangle), V(dstnat), V(filter), V(security) or V(srcnat),
                or a name with a distance such as V(filter + 10).
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
            description: Several devices, instead of O(tables[].chains[].device).
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
              - The rules, in their order.
              - "A rule is a mapping of keys. Some match packets, such as C(saddr), C(daddr), C(protocol),
                C(sport), C(dport), C(iifname), C(oifname), C(icmp_type), C(tcp_flags), C(ct_state) or
                C(mark). Others say what to do with those that match: C(counter), C(limit), C(log), C(set),
                C(tos), C(notrack), and one of C(verdict), C(jump), C(goto), C(masquerade), C(redirect),
                C(snat) and C(dnat)."
              - A value that begins with V(!) is negated.
              - C(expr) takes a list of libnftables JSON statements instead, for whatever nft can express.
              - Host names are resolved on the managed host.
              - All keys and their values are in the collection's file C(docs/document.md).
              - Quote values with a colon, such as V("20:21"), which YAML takes for numbers to base sixty.
            type: list
            elements: dict
      sets:
        description: Named sets, which rules refer to as C(@name).
        type: list
        elements: dict
      maps:
        description: Named maps and verdict maps.
        type: list
        elements: dict
      counters:
        description: Named counters.
        type: list
        elements: dict
      quotas:
        description: Named quotas.
        type: list
        elements: dict
      limits:
        description: Named limits.
        type: list
        elements: dict
      ct_helpers:
        description: Named helpers of connection tracking.
        type: list
        elements: dict
      ct_timeouts:
        description: Named timeout policies of connection tracking.
        type: list
        elements: dict
      ct_expectations:
        description: Named expectations of connection tracking.
        type: list
        elements: dict
      synproxies:
        description: Named SYN proxies.
        type: list
        elements: dict
      secmarks:
        description: Named security marks.
        type: list
        elements: dict
      tunnels:
        description: Named outer headers for tunnel devices.
        type: list
        elements: dict
      flowtables:
        description: Flowtables, which take established flows past the chains.
        type: list
        elements: dict
  state:
    description:
      - With V(present) the kernel shall hold the tables as given.
      - With V(absent) it shall hold no tables of these names.
    type: str
    default: present
    choices: [present, absent]
  full:
    description:
      - Compare with the kernel's ruleset in any case.
      - Otherwise a run with the options of an earlier one is told from the kernel's generation number,
        which every change of any ruleset increments, that nothing has changed since.
    type: bool
    default: false
seealso:
  - module: rempart.netfilter.chain
    description: One chain, its siblings left alone.
  - module: rempart.netfilter.ruleset_info
    description: What the kernel holds.
"""

EXAMPLES = r"""
- name: A firewall for a web server
  rempart.netfilter.ruleset:
    tables:
      - name: edge
        chains:
          - name: input
            hook: input
            policy: drop
            rules:
              - {ct_state: [established, related], verdict: accept}
              - {iifname: lo, verdict: accept}
              - {protocol: [icmp, icmpv6], verdict: accept}
              - {protocol: tcp, dport: [ssh, http, https], ct_state: new, counter: true, verdict: accept}
              - {limit: 5/minute, log: "input dropped: "}

- name: Masquerade an inside network behind a modem
  rempart.netfilter.ruleset:
    tables:
      - name: home
        family: ip
        chains:
          - name: postrouting
            type: nat
            hook: postrouting
            priority: srcnat
            rules:
              - {saddr: 192.168.1.0/24, oifname: ppp+, masquerade: true}

- name: Look what would change, and compare even if nothing seems to have happened
  rempart.netfilter.ruleset:
    tables: "{{ firewall_tables }}"
    full: true
  check_mode: true
  diff: true
  vars:
    firewall_tables:
      - name: edge
        chains:
          - name: input
            hook: input
            rules:
              - expr:
                  - match: {op: "==", left: {meta: {key: pkttype}}, right: broadcast}
                  - drop: null

- name: Remove both tables
  rempart.netfilter.ruleset:
    tables:
      - {name: edge}
      - {name: home, family: ip}
    state: absent
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
    state:
      description: V(dormant) or V(active).
      type: str
      returned: for tables whose flag changes
  sample:
    - {action: change, kind: policy, family: inet, table: edge, chain: input, before: accept, after: drop}
    - action: add
      kind: rule
      family: inet
      table: edge
      chain: input
      place: tables[0].chains[0].rules[1]
      rule: iifname "lo" accept
generation:
  description:
    - The kernel's generation number after the run.
    - Every change of any ruleset in the network namespace increments it.
  returned: success
  type: int
  sample: 42
compared:
  description:
    - Whether the tables were compared with the kernel's.
    - V(false) if it was known without, see O(full).
  returned: success
  type: bool
  sample: false
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
    - place: tables[0].chains[0].rules[3].dprot
      message: unknown key
      found: 22
      allowed: ""
      cure: did you mean 'dport'?
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.document import result_of, source_of, text_of
from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.keeping import KEEPING, applied
from ..module_utils.ansible.options import DOCUMENT, NETNS, STATE, TABLES, given_tables


def main() -> None:
    """Make the kernel hold the tables, or remove them."""
    module = AnsibleModule(
        argument_spec={
            "tables": TABLES,
            "state": STATE,
            "netns": NETNS,
            "full": {"type": "bool", "default": False},
            **KEEPING,
            "_document": DOCUMENT,
        },
        supports_check_mode=True,
    )
    params = module.params
    with failing(module):
        from ..module_utils.ruleset.reconcile import remove

        text = params["_document"] or text_of({"tables": given_tables(params["tables"])})
        pending: dict[str, Any] = {}
        if params["state"] == "present":
            outcome, pending = applied(module, source_of(text), full=params["full"])
        else:
            tables = json.loads(text)["tables"]
            outcome = remove(
                [(table.get("family", "inet"), table["name"]) for table in tables],
                params["netns"],
                module.check_mode,
            )
        module.exit_json(**result_of(outcome, module._diff), **pending)


if __name__ == "__main__":
    main()
