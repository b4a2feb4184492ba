#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``set_elements``: elements of one set or map."""

from __future__ import annotations

DOCUMENTATION = r"""
module: set_elements
author:
  - The rempart authors (@rempart)
short_description: Put elements into an nftables set or map, or take them out
version_added: 0.1.0
description:
  - Changes elements of one set or map, without knowing the rest of its table, and whoever made it. For
    instance, it bans an address for an hour.
  - Only the elements given are looked at, unless O(state=exact), and all is one transaction. One element of
    a set with a hundred thousand is one small message.
  - In a set of intervals an address that a network or a range covers already is no change. Where the set has
    C(auto-merge), networks and ranges that overlap or touch are joined, and those from which a part is taken
    are split; what is left keeps its timeout and comment. A network without a timeout stays whole, so pieces
    of it that were there with a timeout lose that. An address with a longer timeout than the network that
    covers it is taken out of the network. In other sets an interval comes and goes as a whole, and an overlap
    in part, or of one that goes earlier, is an error.
  - An element that is there stays as it is, unless what is given for it (timeout, comment, counter, value of
    a map) differs. What is not given is not compared.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
attributes:
  diff_mode:
    support: full
    details:
      - The elements that change alone, before and after, in nft syntax.
  idempotent:
    support: partial
    details:
      - With O(refresh=true) each run begins the times of the elements anew, which is a change.
options:
  table:
    description: The name of the table that the set is in.
    type: str
    required: true
  family:
    description: The table's family. V(inet) stands for IPv4 and IPv6.
    type: str
    default: inet
    choices: [inet, ip, ip6, arp, bridge, netdev]
  set:
    description: The name of the set or map. It must be there already.
    type: str
    required: true
  elements:
    description:
      - The elements, as O(rempart.netfilter.ruleset#module:tables[].sets) have them. A list, one element, or
        a text with commas between the elements.
      - An element of a set is a value, such as V(192.0.2.1), V(192.0.2.0/24), V(192.0.2.1-192.0.2.9) or
        V(192.0.2.1 . 22), or a mapping of C(elem) and any of C(timeout), C(comment), C(counter), C(limit),
        C(quota), C(ct_count) and C(last).
      - For a map it is a mapping of keys to values, or a list of mappings of C(key), C(value) and the rest.
        In a text there is a colon with blanks around it between key and value.
      - With O(state=absent) only keys count, and a map's values may be left out.
      - Host names are not looked up; a set is of addresses.
    type: raw
    required: true
  state:
    description:
      - With V(present) the set shall hold the elements given, among others.
      - With V(absent) it shall hold none of them.
      - With V(exact) it shall hold the elements given and no others.
    type: str
    default: present
    choices: [present, absent, exact]
  timeout:
    description:
      - How long elements stay, in seconds, or as a text such as V(1h30m); V(never) for those that stay
        although their set has a timeout. It is for elements without a C(timeout) of their own.
      - The set must have been made with the flag C(timeout).
    type: raw
  refresh:
    description:
      - Begin the times of elements anew that are there already. Counters of their own begin anew, too.
      - A run with this changes something whenever such an element is there.
    type: bool
    default: false
seealso:
  - module: rempart.netfilter.ruleset
    description: Whole tables with their sets. C(elements=keep) there leaves them to this module.
"""

EXAMPLES = r"""
- name: Ban an address for an hour
  rempart.netfilter.set_elements:
    table: edge
    set: blocked
    elements: 203.0.113.9
    timeout: 1h

# The same by hand:
#   ansible web -m rempart.netfilter.set_elements
#     -a 'table=edge set=blocked elements=203.0.113.9 timeout=1h'

- name: Let it in again
  rempart.netfilter.set_elements:
    table: edge
    set: blocked
    elements: 203.0.113.9
    state: absent

- name: Only these may connect, and one of them not for long
  rempart.netfilter.set_elements:
    table: edge
    set: friends
    elements:
      - 192.0.2.1 . ssh
      - {elem: 192.0.2.7 . https, timeout: 10m, comment: the auditor}
    state: exact

- name: Send a port elsewhere
  rempart.netfilter.set_elements:
    table: edge
    set: by_port
    elements: {8080: jump web}
"""

RETURN = r"""
added:
  description: The elements that came (in check mode, would come), in nft syntax.
  returned: success
  type: list
  elements: str
  sample: [203.0.113.9 timeout 1h]
removed:
  description:
    - The elements that went, in nft syntax.
    - One that changed, such as a range that was split or an element whose timeout is another now, is in both
      lists.
  returned: success
  type: list
  elements: str
  sample: []
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
    - place: elements[3]
      message: no address
      found: 203.0.113.256
      allowed: an address, a network 192.0.2.0/24 or 192.0.2.0/255.255.255.0, or a range a-b
      cure: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import FAMILY, NETNS


def main() -> None:
    """Put the elements into the set, or take them out."""
    module = AnsibleModule(
        argument_spec={
            "table": {"type": "str", "required": True},
            "family": FAMILY,
            "set": {"type": "str", "required": True},
            "elements": {"type": "raw", "required": True},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent", "exact"]},
            "timeout": {"type": "raw"},
            "refresh": {"type": "bool", "default": False},
            "netns": NETNS,
        },
        supports_check_mode=True,
    )
    params = module.params
    with failing(module):
        from ..module_utils.ruleset.membership import change_elements

        done = change_elements(
            params["netns"],
            params["family"],
            params["table"],
            params["set"],
            params["elements"],
            params["state"],
            params["timeout"],
            params["refresh"],
            module.check_mode,
        )
        result = {"changed": done.changed, "added": done.added(), "removed": done.removed()}
        if module._diff:
            result["diff"] = done.diff()
        module.exit_json(**result)


if __name__ == "__main__":
    main()
