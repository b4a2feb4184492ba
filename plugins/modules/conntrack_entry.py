#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``conntrack_entry``: one tracked connection."""

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_entry
author:
  - The rempart authors (@rempart)
short_description: Change, make or delete one tracked connection
version_added: 0.1.0
description:
  - Sets the mark, timeout, labels or status of one connection, makes it, or deletes it.
  - The addresses and ports of the connection's first packet name it, with its protocol and zone. Nothing else
    of it need be known, and what is not given stays as it is.
  - It is looked up by its name, which takes the same time however large the table is.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
attributes:
  diff_mode:
    support: full
    details:
      - The connection before and after, as C(conntrack -L) shows it.
  idempotent:
    support: partial
    details:
      - A timeout runs down. One that has run down by a tenth, or by ten seconds, counts as the one wanted.
options:
  protocol:
    description: The protocol, by name in any case or by number.
    type: raw
    required: true
  saddr:
    description: The source address of the connection's first packet.
    type: str
    required: true
  daddr:
    description: The destination address of the first packet, before any translation.
    type: str
    required: true
  sport:
    description: The source port, by number or service name. TCP, UDP, UDP-Lite, SCTP and DCCP need it.
    type: raw
  dport:
    description: The destination port, by number or service name, needed where O(sport) is.
    type: raw
  icmp_type:
    description: The ICMP or ICMPv6 type of the request, by name or number. Both protocols need it.
    type: raw
  icmp_code:
    description: The ICMP or ICMPv6 code, by name or number. V(0) if not given.
    type: raw
  icmp_id:
    description: The id of the request. ICMP and ICMPv6 need it.
    type: raw
  srckey:
    description: The key of GRE packets from O(saddr). GRE needs it, V(0) where packets have none.
    type: raw
  dstkey:
    description: The key of GRE packets to O(saddr). GRE needs it, V(0) where packets have none.
    type: raw
  zone:
    description: The connection's zone. V(0) if not given.
    type: raw
  timeout:
    description:
      - How long the connection stays without a packet, in seconds or as a text such as V(1h30m).
      - The next packet gives it the time that its protocol's state has, unless its O(status) is
        V(fixed_timeout).
      - A connection that is made has 60 seconds if not given.
    type: raw
  mark:
    description:
      - The mark, a number. With a mask, as in V(0x10/0xf0), only the bits of the mask are set, and the others
        stay.
    type: raw
  labels:
    description:
      - Labels that the connection shall have, by the numbers of their bits or their names in
        C(connlabel.conf). With V(!) before it, a label that it shall not have. All others stay.
      - The kernel gives a connection room for labels when it begins, if a rule uses C(ct label) then.
    type: raw
  status:
    description:
      - Bits of the status that shall be set, V(seen_reply), V(assured) or V(fixed_timeout).
      - With V(!) before it, one that shall not be set. The kernel clears none, so that this is an error where
        it is set.
      - A connection that is V(assured) is kept when the table is full.
    type: raw
  helper:
    description:
      - The name of its helper, such as V(ftp), or an empty text for none.
      - The kernel gives a helper to connections that begin. It can be taken from one that is there, and
        not given to one.
    type: str
  tcp_state:
    description:
      - The state of a TCP connection that is made, such as V(SYN_SENT). V(ESTABLISHED) if not given.
      - One that is there keeps its state.
    type: str
  state:
    description:
      - With V(present) the connection is there, as described. One that is made is not translated.
      - With V(absent) it is deleted. Its next packet may make it anew. It is an error where
        M(rempart.netfilter.conntrack_flush) has cut the connection and still blocks it, as that would end
        the block.
    type: str
    default: present
    choices: [present, absent]
  create:
    description:
      - With V(false), a connection that is not there is not made, and that is no change.
    type: bool
    default: true
requirements:
  - Linux with nf_conntrack and ctnetlink
seealso:
  - module: rempart.netfilter.conntrack_flush
    description: Ends connections, so that they stay dead.
  - module: rempart.netfilter.conntrack_info
    description: Finds connections. What it returns of each as C(original) names it here.
  - module: rempart.netfilter.conntrack
    description: Timeouts for all connections.
  - module: rempart.netfilter.conntrack_timeout
    description: Timeouts for some traffic.
"""

EXAMPLES = r"""
- name: Mark one connection for the slow link
  rempart.netfilter.conntrack_entry:
    protocol: tcp
    saddr: 192.0.2.7
    sport: 40522
    daddr: 198.51.100.1
    dport: https
    mark: 0x10/0xf0
    create: false

# The same by hand:
#   ansible router -m rempart.netfilter.conntrack_entry
#     -a 'protocol=tcp saddr=192.0.2.7 sport=40522 daddr=198.51.100.1 dport=443 mark=0x10/0xf0 create=no'

- name: Find the tunnel's connection
  rempart.netfilter.conntrack_info:
    protocol: udp
    dport: 51820
  register: tunnel

- name: Keep it for a day, packets or not
  rempart.netfilter.conntrack_entry:
    protocol: udp
    saddr: "{{ item.original.saddr }}"
    sport: "{{ item.original.sport }}"
    daddr: "{{ item.original.daddr }}"
    dport: "{{ item.original.dport }}"
    timeout: 1d
    status: [assured, fixed_timeout]
    create: false
  loop: "{{ tunnel.connections }}"
  loop_control:
    label: "{{ item.original.saddr }}"

- name: Let the answer in to a request that another host sends
  rempart.netfilter.conntrack_entry:
    protocol: udp
    saddr: 192.0.2.10
    sport: 5060
    daddr: 203.0.113.5
    dport: 5060
    timeout: 30s

- name: Forget an echo request
  rempart.netfilter.conntrack_entry:
    protocol: icmp
    saddr: 192.0.2.7
    daddr: 198.51.100.1
    icmp_type: echo-request
    icmp_id: 4711
    state: absent
"""

RETURN = r"""
action:
  description: What was done (in check mode, would be), V(add), V(change), V(remove), or V(none).
  returned: success
  type: str
  sample: change
changes:
  description: The settings that were changed, with their values before and after.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The setting, such as V(mark).
      type: str
    before:
      description: Its value before.
      type: raw
    after:
      description: Its value after.
      type: raw
  sample:
    - {name: mark, before: 1, after: 17}
connection:
  description:
    - The connection as it is now (in check mode, as it would be), as
      RV(rempart.netfilter.conntrack_info#module:connections) has it. Empty where there is none.
  returned: success
  type: dict
  sample:
    family: ip
    protocol: tcp
    protonum: 6
    timeout: 431999
    state: ESTABLISHED
    original: {saddr: 192.0.2.7, daddr: 198.51.100.1, sport: 40522, dport: 443}
    reply: {saddr: 198.51.100.1, daddr: 192.0.2.7, sport: 443, dport: 40522}
    status: [seen_reply, assured, confirmed]
    unreplied: false
    assured: true
    nat: []
    mark: 17
    id: 2868317034
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
    - place: helper
      message: the kernel gives a helper to no connection that has begun
      found: ftp
      allowed: none
      cure: delete the connection, or assign the helper to new ones by a rule
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import NETNS, STATE


def main() -> None:
    """Bring the connection to what is declared of it."""
    module = AnsibleModule(
        argument_spec={
            "protocol": {"type": "raw", "required": True},
            "saddr": {"type": "str", "required": True},
            "daddr": {"type": "str", "required": True},
            "sport": {"type": "raw"},
            "dport": {"type": "raw"},
            "icmp_type": {"type": "raw"},
            "icmp_code": {"type": "raw"},
            "icmp_id": {"type": "raw"},
            "srckey": {"type": "raw", "no_log": False},
            "dstkey": {"type": "raw", "no_log": False},
            "zone": {"type": "raw"},
            "timeout": {"type": "raw"},
            "mark": {"type": "raw"},
            "labels": {"type": "raw"},
            "status": {"type": "raw"},
            "helper": {"type": "str"},
            "tcp_state": {"type": "str"},
            "state": STATE,
            "create": {"type": "bool", "default": True},
            "netns": NETNS,
        },
        supports_check_mode=True,
    )
    params = module.params
    with failing(module):
        from ..module_utils.conntrack import declared, one
        from ..module_utils.killing.cut_table import refuse_deletion
        from ..module_utils.netlink.socket import NetlinkSocket

        options = {key: params[key] for key in (*declared.NAMING, *declared.SETTINGS)}
        wanted = declared.load(options, params["state"])
        with NetlinkSocket(params["netns"]) as kernel:
            planned = one.plan(kernel, wanted, params["state"], params["create"])
            found = planned.after
            if planned.action == "remove" and planned.before is not None:
                refuse_deletion(kernel, planned.before["id"])
            if planned.action and not module.check_mode:
                one.carry_out(kernel, planned)
                found = one.find(kernel, wanted)
        result: dict[str, Any] = {
            "changed": bool(planned.action),
            "action": planned.action or "none",
            "changes": planned.changes(),
            "connection": found or {},
        }
        if module._diff:
            result["diff"] = []
            if planned.action:
                before, after = one.text(planned.before), one.text(planned.after)
                header = "connection"
                shown = {"before": before, "after": after, "before_header": header, "after_header": header}
                result["diff"].append(shown)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
