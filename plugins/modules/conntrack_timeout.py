#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``conntrack_timeout``: timeouts of the connections of one service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_timeout
author:
  - The rempart authors (@rempart)
short_description: Give the connections of a service timeouts of their own
version_added: 0.1.0
description:
  - A timeout policy says how long connection tracking keeps a connection in each of its states without a
    packet. This module keeps a named policy and the rules that attach it to new connections of some
    traffic, so that they live longer or shorter than all others.
  - Policies are in the table C(inet rempart_timeouts), each with chains of its own on hooks prerouting and
    output, after connection tracking and before destinations are translated. A task changes the policy that
    it names; those of other tasks stay.
  - A policy counts for connections that begin after it is there. When a policy changes, connections that it
    was attached to go on with the timeouts of all others.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
options:
  name:
    description:
      - The policy's name. It begins with a letter, V(_) or V(.), and goes on with these, digits and V(-).
    type: str
    required: true
  protocol:
    description:
      - The protocol of the connections, V(tcp) or V(udp). One policy is for one protocol.
    type: raw
  l3proto:
    description:
      - V(ip) for connections over IPv4, V(ip6) for those over IPv6, V(inet) for both.
    type: str
    default: inet
    choices: [inet, ip, ip6]
  policy:
    description:
      - The time in each state, in seconds or as a text such as V(12h), V(5d) or V(1h30m), at most 24 days.
      - States of tcp are C(syn_sent), C(syn_recv), C(established), C(fin_wait), C(close_wait), C(last_ack),
        C(time_wait), C(close), C(syn_sent2), C(retrans) and C(unack).
      - States of udp are C(unreplied), and C(replied) of those that were answered for two seconds.
      - States that it does not name have what the kernel has where nobody changed it, such as 5 days for
        C(established), whatever is set for all other connections.
    type: dict
  traffic:
    description:
      - Which connections the policy is for. One that matches any of these mappings belongs to it, and an
        empty mapping means all of the protocol.
      - A mapping has keys of a rule that match packets, such as C(daddr), C(dport), C(saddr) or C(iifname),
        as in O(rempart.netfilter.ruleset#module:tables[].chains[].rules). C(counter), C(log) and C(comment)
        go with them.
      - They are about the first packet of a connection, that of the client.
      - Of several policies that a connection belongs to, one counts, and which is not said.
    type: list
    elements: dict
  state:
    description:
      - With V(present) the policy is there and attached to O(traffic).
      - With V(absent) it is not. The table goes with the last policy.
    type: str
    default: present
    choices: [present, absent]
requirements:
  - jsonschema on the controller
notes:
  - All that is wrong with the options is reported at once, by the controller, before any host is touched.
seealso:
  - module: rempart.netfilter.ruleset
    description: The same rules in a table of one's own, with C(ct_timeouts) and C(set).
  - module: rempart.netfilter.conntrack_helper
"""

EXAMPLES = r"""
- name: Idle SSH sessions to the servers outlive a long weekend
  rempart.netfilter.conntrack_timeout:
    name: patient
    protocol: tcp
    policy: {established: 7d}
    traffic:
      - {daddr: 192.0.2.0/24, dport: ssh}

- name: Questions to the name servers do not fill the table
  rempart.netfilter.conntrack_timeout:
    name: names
    protocol: udp
    policy: {unreplied: 5, replied: 10s}
    traffic:
      - {dport: domain}

# The same by hand:
#   ansible dns -m rempart.netfilter.conntrack_timeout
#     -a '{"name": "names", "protocol": "udp", "policy": {"replied": 10}, "traffic": [{"dport": 53}]}'

- name: As all others again
  rempart.netfilter.conntrack_timeout:
    name: patient
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
      description: What it is done to, V(table), V(ct timeout), V(chain) or V(rule).
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
      returned: for chains and rules
    name:
      description: The policy's name.
      type: str
      returned: for the kind V(ct timeout)
    rule:
      description: The rule in nft syntax.
      type: str
      returned: for rules
    place:
      description: Where it stands in the options.
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
  sample:
    - {action: add, kind: ct timeout, family: inet, table: rempart_timeouts, name: patient}
    - action: add
      kind: rule
      family: inet
      table: rempart_timeouts
      chain: patient
      place: traffic[0]
      rule: ip daddr 192.0.2.0/24 tcp dport 22 ct timeout set "patient"
generation:
  description:
    - The kernel's generation number after the run.
    - Every change of any ruleset in the network namespace increments it.
  returned: success
  type: int
  sample: 42
compared:
  description: Whether the table was compared with the kernel's, which it always is.
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
    - place: policy.establised
      message: no state of tcp
      found: 2h
      allowed: syn_sent, syn_recv, established, fin_wait, close_wait, last_ack, time_wait, close, syn_sent2,
        retrans, unack
      cure: did you mean 'established'?
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.document import result_of
from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import NETNS, STATE, given


def main() -> None:
    """Have the policy there and attached to its traffic, or not there."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "protocol": {"type": "raw"},
            "l3proto": {"type": "str", "default": "inet", "choices": ["inet", "ip", "ip6"]},
            "policy": {"type": "dict"},
            "traffic": {"type": "list", "elements": "dict"},
            "state": STATE,
            "netns": NETNS,
        },
        required_if=[("state", "present", ("protocol", "policy", "traffic"))],
        supports_check_mode=True,
    )
    params = module.params
    places: dict[str, str] = {}
    with failing(module, places):
        from ..module_utils.assignments.timeouts import timeout_request

        request = timeout_request(given(params))
        places.update(request.places)
        outcome = request.apply(params["netns"], module.check_mode)
        module.exit_json(**result_of(outcome, module._diff, places))


if __name__ == "__main__":
    main()
