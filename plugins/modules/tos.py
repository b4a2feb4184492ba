#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``tos``: types of service and queue lengths."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tos
author:
  - The rempart authors (@rempart)
short_description: Set the type of service of traffic classes, and the queue length of slow links
version_added: 0.1.0
description:
  - Sets the type-of-service byte of packets by their traffic class, in a chain of its own, so that
    interactive traffic goes ahead of bulk transfers on a slow link.
  - The chain is on hook postrouting. Packets of the host itself and packets that it forwards pass there,
    each once, before their source address is translated.
  - All eight bits of the byte can be set, in IPv4 (where the header's checksum stays right) and in IPv6.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
  - rempart.netfilter.host.checked
options:
  classes:
    description:
      - The traffic classes. The first one that a packet belongs to decides.
      - A class has C(tos) and any keys of a rule that match packets, such as C(protocol), C(sport),
        C(dport), C(saddr), C(daddr) or C(oifname), as in
        O(rempart.netfilter.ruleset#module:tables[].chains[].rules). C(counter), C(limit), C(log),
        C(comment) and C(bidirectional) go with them.
      - C(tos) is V(minimum-delay), V(maximum-throughput), V(maximum-reliability) or V(minimum-cost); or a
        mapping with C(and) and C(xor), each from 0 to 255; or a text with both in hexadecimal, such as
        V(0x01 0x10). The byte becomes what it was AND the first, XOR the second.
      - The lowest two bits of the byte are those of explicit congestion notification today, see RFC 3168.
        V(minimum-cost) sets one of them.
    type: list
    elements: dict
    default: []
  queue_priority:
    description:
      - Give the packet the priority in the kernel's queues that belongs to its new type of service, see
        tc-prio(8).
      - The kernel itself looks at the byte before the chain does. Without this, the new value counts for
        other machines only, not for the queue of the link that the packet leaves by.
      - Only for classes whose C(tos) decides the bits for delay and throughput, as the four names do.
    type: bool
    default: true
  queue_length:
    description:
      - The transmit queue length of devices, in packets, by the device's name. On a slow link, V(4) to V(10)
        is right.
      - The devices must be there. They are set with O(state=absent) too.
      - Needs pyroute2 0.7.2 or later on the managed host.
    type: dict
    default: {}
  table:
    description:
      - The table that the chain is in.
      - The default is a table of the module's own, owned whole. In any other table it owns its chain alone.
    type: str
    default: rempart_tos
  family:
    description: The table's family.
    type: str
    default: inet
    choices: [inet, ip, ip6]
  chain:
    description: The chain's name.
    type: str
    default: tos
  priority:
    description:
      - The chain's priority among those on the hook, as
        O(rempart.netfilter.ruleset#module:tables[].chains[].priority).
    type: raw
    default: mangle
  state:
    description:
      - With V(present) the chain sets the type of service of O(classes).
      - With V(absent) the table of the module's own goes, or in another table the chain.
    type: str
    default: present
    choices: [present, absent]
requirements:
  - pyroute2 0.7.2 or later on the managed host, for O(queue_length)
seealso:
  - module: rempart.netfilter.ruleset
    description: The same rules in a table of one's own, with the key C(tos).
  - name: tc-prio(8)
    description: How packets are queued by their type of service.
    link: https://man7.org/linux/man-pages/man8/tc-prio.8.html
"""

EXAMPLES = r"""
- name: Keep a modem link interactive while files are transferred
  rempart.netfilter.tos:
    classes:
      - {protocol: tcp, dport: [ssh, telnet], tos: minimum-delay}
      - {protocol: tcp, dport: ftp, tos: minimum-delay}
      - {protocol: tcp, dport: ftp-data, tos: maximum-throughput}
      - {protocol: udp, dport: domain, tos: minimum-delay}

- name: The same on a device whose queue is short
  rempart.netfilter.tos:
    classes:
      - {oifname: dummy0, protocol: tcp, dport: ssh, tos: {and: 0x01, xor: 0x10}}
    queue_length: {dummy0: 10}

- name: Leave the type of service as it is
  rempart.netfilter.tos:
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
      description: What it is done to, V(table), V(chain), V(policy), V(rule) or V(queue_length).
      type: str
      returned: always
    family:
      description: The table's family.
      type: str
      returned: but for queue lengths
    table:
      description: The table's name.
      type: str
      returned: but for queue lengths
    chain:
      description: The chain's name.
      type: str
      returned: for chains, policies and rules
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
    interface:
      description: The device.
      type: str
      returned: for queue lengths
    before:
      description: The policy, or the queue length in packets, before.
      type: raw
      returned: for policies and queue lengths
    after:
      description: The policy, or the queue length in packets, after.
      type: raw
      returned: for policies and queue lengths
  sample:
    - action: add
      kind: rule
      family: inet
      table: rempart_tos
      chain: tos
      place: classes[0]
      rule: meta nfproto ipv4 tcp dport 22 meta priority set 0:6 tos set tos & 0x01 ^ 0x10 accept
    - {action: change, kind: queue_length, interface: ppp0, before: 1000, after: 10}
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
    - V(false) if the kernel's generation number told that nothing has changed any ruleset since.
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
    - place: classes[3].dprot
      message: unknown key
      found: 22
      allowed: ""
      cure: did you mean 'dport'?
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.document import result_of, source_of, text_of
from ..module_utils.ansible.failure import failing, within
from ..module_utils.ansible.options import DOCUMENT, NETNS, STATE, given
from ..module_utils.ansible.places import TOS


def main() -> None:
    """Set or remove the classes, then the queue lengths."""
    module = AnsibleModule(
        argument_spec={
            "classes": {"type": "list", "elements": "dict", "default": []},
            "queue_priority": {"type": "bool", "default": True},
            "queue_length": {"type": "dict", "default": {}},
            "table": {"type": "str", "default": "rempart_tos"},
            "family": {"type": "str", "default": "inet", "choices": ["inet", "ip", "ip6"]},
            "chain": {"type": "str", "default": "tos"},
            "priority": {"type": "raw", "default": "mangle"},
            "state": STATE,
            "netns": NETNS,
            "_document": DOCUMENT,
        },
        supports_check_mode=True,
    )
    params = module.params
    with failing(module, TOS):
        from ..module_utils.ruleset.reconcile import reconcile, remove

        text = params["_document"]
        if not text:
            from ..module_utils.ansible.tos import tos_document
            from ..module_utils.errors import DocumentError

            document, problems = tos_document(given(params))
            if problems:
                raise DocumentError.of(problems)
            text = text_of(document)
        netns, check = params["netns"], module.check_mode
        lengths = []
        if params["queue_length"]:
            from ..module_utils.links import queue_length

            # Before the chain is touched: what is wrong here shall leave everything as it was.
            with within("queue_length"):
                queue_length.check(params["queue_length"])
                lengths = queue_length.compare(params["queue_length"], netns)
        own = params["table"] == "rempart_tos"
        if own and params["state"] == "absent":
            outcome = remove([(params["family"], params["table"])], netns, check)
        else:
            gone = [params["chain"]] if params["state"] == "absent" else []
            outcome = reconcile(source_of(text), netns, check, partial=not own, remove_chains=gone)
        if lengths and not check:
            with within("queue_length"):
                queue_length.apply(lengths, netns)
        result = result_of(outcome, module._diff, TOS)
        for one in lengths:
            add_length(result, one.interface, one.before, one.after)
        module.exit_json(**result)


def add_length(result: dict[str, Any], interface: str, before: int, after: int) -> None:
    """Put a queue length that changes into the module's result."""
    result["changed"] = True
    change = {
        "action": "change",
        "kind": "queue_length",
        "interface": interface,
        "before": before,
        "after": after,
    }
    result["changes"].append(change)
    if "diff" in result:
        header = "transmit queue length of %s" % interface
        shown = {"before": "%s qlen %d\n" % (interface, before), "after": "%s qlen %d\n" % (interface, after)}
        result["diff"].append({"before_header": header, "after_header": header, **shown})


if __name__ == "__main__":
    main()
