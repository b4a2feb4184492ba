#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``conntrack_flush``: connections that are ended."""

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_flush
author:
  - The rempart authors (@rempart)
short_description: Kill connections, so that they stay dead
version_added: 0.1.0
description:
  - Kills the connections that a filter means. Made for C(ansible -m), at an hour at which nobody wants to
    think about what deleting an entry of connection tracking does and what it does not.
  - As a rule, that is no more than forgetting it. The next packet of the connection makes a new entry, as far
    as the ruleset lets it, and data flows on. So this module cuts.
  - A TCP connection is reset at both ends at once, idle or not, through whatever ruleset and translation.
    Sockets of the host itself are closed.
  - Packets of a connection that cannot be reset, such as one of UDP, are refused for O(block_for).
  - Nothing else is touched, neither the ruleset nor another connection, be it between the same hosts or
    with the same addresses and ports in another zone.
  - The connection by which the module is being run, that of SSH, is never cut.
  - With no filter nothing is killed, but for O(everything=true).
  - An option that is null, such as one made of a fact that is missing, is refused by the controller, since as
    an option not given it would narrow nothing. An empty text and an empty list are refused too.
    The filter C(default) with C(omit) leaves an option out.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.connections
  - rempart.netfilter.host
attributes:
  check_mode:
    support: full
    details:
      - Returns the connections that would be killed.
  diff_mode:
    support: full
    details:
      - Shows the connections, and the expected ones, as C(conntrack -L) would before, and nothing after.
  idempotent:
    support: partial
    details:
      - Changes nothing where the filter means no connection. What it has cut, a second run does not find
        again. What has begun since, it does.
options:
  how:
    description:
      - With V(cut), connections are over afterwards, at both ends.
      - With V(forget), only their entries are deleted, as C(conntrack -D) does. Their next packets meet the
        ruleset as packets of new connections. The right thing after a change of address translation, and
        to make room in a table that is full.
    type: str
    default: cut
    choices: [cut, forget]
  block_for:
    description:
      - How long packets of a connection are refused that cannot be told to be over, in seconds or as a text
        such as V(1m30s), up to V(24h). That is every connection but one of TCP whose ends were reset.
      - Its entry stays that long, since it is what its packets are known by, and goes then.
      - With V(0) such an entry is deleted, and its next packet may make it anew.
    type: raw
    default: 30s
  connections:
    description:
      - Connections as M(rempart.netfilter.conntrack_info) returned them, as they are or after a filter of
        Jinja. Of each, family, protocol, original direction, zone and id count.
      - One that has ended since is not killed, and neither is another one with its addresses and ports.
      - With options of the filter beside it, those of them that the filter means.
    type: list
    elements: dict
  everything:
    description: Kill every connection. With no filter, this must be said.
    type: bool
    default: false
  max_kills:
    description:
      - If more connections than this are meant, none is killed, and the module fails and says how many.
      - The default is 1000. With O(everything=true) there is none.
    type: int
  expectations:
    description:
      - Delete expected connections too, those that the filter means by what they expect, and those of
        connections that are killed.
    type: bool
    default: false
  only_expectations:
    description:
      - Delete expected connections and kill none. They are those that the filter means by what they expect,
        those that O(connections) expect, or with O(everything=true) all.
    type: bool
    default: false
  limit:
    description: How many connections to return at most. RV(count) is exact all the same.
    type: int
    default: 1000
notes:
  - Sends forged packets to the ends of TCP connections, so that those that are idle learn of it. That takes
    the capability CAP_NET_RAW too.
  - While connections are cut there is a table C(inet rempart_cut). It goes with the last block, and holds
    nothing else.
  - Cutting needs Linux 5.9.
  - Connections that a flowtable carries cannot be killed. The module fails where it meets some, after it
    has killed the others.
seealso:
  - module: rempart.netfilter.conntrack_info
    description: List connections by the same filter.
  - module: rempart.netfilter.ruleset
    description: Keep somebody out for good.
"""

EXAMPLES = r"""
- name: Cut whatever a host has going with us
  rempart.netfilter.conntrack_flush:
    address: 198.51.100.7

- name: By hand, on all hosts
  # ansible all -m rempart.netfilter.conntrack_flush -a 'saddr=198.51.100.7'
  rempart.netfilter.conntrack_flush:
    saddr: 198.51.100.7

- name: Cut database sessions from everywhere but two networks
  rempart.netfilter.conntrack_flush:
    protocol: tcp
    dport: 5432
    saddr: ["!10.0.0.0/8", "!2001:db8::/32"]
    max_kills: 50

- name: Cut what a host that is being retired has left, by its facts
  rempart.netfilter.conntrack_flush:
    address: "{{ hostvars['db1'].ansible_facts.all_ipv4_addresses }}"

- name: List connections
  rempart.netfilter.conntrack_info:
    dport: 443
  register: web

- name: Cut those that have sent more than a gigabyte
  rempart.netfilter.conntrack_flush:
    connections: "{{ web.connections | selectattr('original.bytes', '>', 1000000000) }}"

- name: Empty the table of expectations, and leave connections alone
  rempart.netfilter.conntrack_flush:
    only_expectations: true
    everything: true

- name: Have UDP meet a changed address translation at once
  rempart.netfilter.conntrack_flush:
    protocol: udp
    how: forget
    max_kills: 100000
"""

RETURN = r"""
count:
  description: How many connections were meant.
  returned: success
  type: int
  sample: 1
killed:
  description: The connections as they were before (in check mode, are), in no order, up to O(limit).
  returned: success
  type: list
  elements: dict
  contains:
    outcome:
      description:
        - V(reset) if both ends have it no more, V(blocked) if its packets are refused until
          RV(blocked_until), V(deleted) if its entry alone was deleted, V(already_gone) if it ended by itself.
      type: str
      returned: but for check mode
    original:
      description:
        - The direction of the first packet. This and all else is as M(rempart.netfilter.conntrack_info)
          returns it.
      type: dict
      returned: always
  sample:
    - family: ip
      protocol: tcp
      protonum: 6
      timeout: 431999
      state: ESTABLISHED
      original: {saddr: 198.51.100.7, daddr: 192.0.2.1, sport: 40522, dport: 443}
      reply: {saddr: 192.0.2.1, daddr: 198.51.100.7, sport: 443, dport: 40522}
      status: [seen_reply, assured, confirmed]
      unreplied: false
      assured: true
      nat: []
      mark: 0
      id: 2868317034
      outcome: reset
truncated:
  description: Whether there are more connections than were returned.
  returned: success
  type: bool
  sample: false
deleted:
  description: Entries that were deleted.
  returned: success
  type: int
  sample: 1
already_gone:
  description: Connections that had ended by themselves before they could be killed.
  returned: success
  type: int
  sample: 0
already_cut:
  description: Connections that an earlier run has cut and still blocks. They are not counted again.
  returned: success
  type: int
  sample: 0
spared:
  description: Connections that were meant, and by which the module itself is being run. They are not counted.
  returned: success
  type: int
  sample: 0
sockets_closed:
  description: Sockets of the host that were closed.
  returned: success
  type: int
  sample: 0
reset:
  description: TCP connections that neither end has any more.
  returned: success
  type: int
  sample: 1
blocked:
  description: Connections whose packets are refused until RV(blocked_until).
  returned: success
  type: int
  sample: 0
blocked_until:
  description: When the blocks end, in UTC. Empty if there is none.
  returned: success
  type: str
  sample: "2030-05-01T03:12:30Z"
expectations:
  description: Expected connections that were deleted (in check mode, would be).
  returned: success
  type: int
  sample: 0
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
    - place: max_kills
      message: more connections match than may be killed; none is
      found: 20711
      allowed: up to 1000
      cure: narrow the filter, or raise the ceiling
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.connections import FLUSH, arguments_of
from ..module_utils.ansible.failure import failing


def main() -> None:
    """Find what is meant, and kill it."""
    module = AnsibleModule(
        argument_spec=FLUSH,
        supports_check_mode=True,
    )
    params = module.params
    with failing(module):
        from ..module_utils.killing import keeper, kill, report
        from ..module_utils.killing.wanted import Wanted
        from ..module_utils.netlink.socket import NetlinkSocket

        wanted = Wanted(
            arguments_of(params),
            params["connections"],
            params["everything"],
            params["how"],
            params["block_for"],
            params["max_kills"],
            params["expectations"],
            params["only_expectations"],
        )
        netns, limit = params["netns"], max(0, params["limit"])
        with NetlinkSocket(netns) as kernel:
            found = kill.find(kernel, netns, wanted)
            killed = None
            if found.any and not module.check_mode:
                killed = kill.kill(kernel, netns, wanted, found)
                if killed.blocked:
                    keeper.leave(kernel)
        result = report.result(found, killed, limit)
        if module._diff:
            result["diff"] = report.difference(found, limit)
        problem = report.offloaded(found)
        if problem is not None:
            module.fail_json(msg=str(problem), errors=[problem.as_dict()], **result)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
