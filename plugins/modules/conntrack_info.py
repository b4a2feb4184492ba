#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``conntrack_info``: tracked connections, expectations, and how full their table is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_info
author:
  - The rempart authors (@rempart)
short_description: List tracked connections, and tell how full their table is
version_added: 0.1.0
description:
  - Lists the connections that the kernel tracks, IPv4 and IPv6 together, as far as a filter means them.
  - Tells how many there are and may be, what each processor counted, and whether the table fills up.
  - An option of the filter that is null counts as not given, and so lists more. The filter C(mandatory) of
    Jinja has a missing fact fail instead; M(rempart.netfilter.conntrack_flush) refuses null.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.connections
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
  connections:
    description:
      - Return the connections themselves. Without it, they are only counted, and where no filter is given
        that takes no look at the table, however many there are.
    type: bool
    default: true
  limit:
    description:
      - How many connections to return at most. RV(count) is exact all the same.
    type: int
    default: 10000
  expectations:
    description: Return the expected connections too, which helpers announced.
    type: bool
    default: false
  line:
    description: Add to each connection the line by which C(conntrack -L -o extended) shows it.
    type: bool
    default: false
  xml:
    description: Return the connections as the XML of C(conntrack -L -o xml) too.
    type: bool
    default: false
  zero:
    description:
      - Set the counters of the connections listed to zero, in the same step that reads them. No packet is
        lost from the count, and none is counted twice.
      - This is the one thing that the module changes. Without it, it only informs.
      - Not with O(connections=false). All that the filter means are zeroed, beyond O(limit) too.
    type: bool
    default: false
seealso:
  - module: rempart.netfilter.conntrack
    description: Set how large the table may be, and how long connections stay in it.
  - name: conntrack(8)
    description: The command whose lines and XML these are.
    link: https://conntrack-tools.netfilter.org/
"""

EXAMPLES = r"""
- name: List who talks to the web server
  rempart.netfilter.conntrack_info:
    protocol: tcp
    dport: [http, https]
    state: ESTABLISHED
  register: web

- name: Show the clients
  ansible.builtin.debug:
    msg: "{{ web.connections | map(attribute='original.saddr') | unique | sort }}"

- name: Count without a look at the table
  rempart.netfilter.conntrack_info:
    connections: false
  register: table

- name: Fail before the table is full
  ansible.builtin.assert:
    that: table.saturation.verdict != 'full'
    fail_msg: "{{ table.saturation.reasons | map(attribute='message') | join('; ') }}"

- name: Read masqueraded connections and their counters since the last time
  rempart.netfilter.conntrack_info:
    snat: true
    zero: true
"""

RETURN = r"""
count:
  description: How many connections the filter means.
  returned: success
  type: int
  sample: 2
connections:
  description: The connections, in no order.
  returned: if O(connections=true)
  type: list
  elements: dict
  contains:
    family:
      description: V(ip) or V(ip6).
      type: str
      returned: always
    protocol:
      description: The protocol's name, V(unknown) for one that connection tracking does not know.
      type: str
      returned: always
    protonum:
      description: The protocol's number.
      type: int
      returned: always
    timeout:
      description: Seconds until it ends, unless a packet comes.
      type: int
      returned: always
    state:
      description: The protocol's state, such as V(ESTABLISHED).
      type: str
      returned: for protocols with states
    original:
      description:
        - The direction of the first packet. C(saddr), C(daddr), C(sport) and C(dport), or C(icmp_type),
          C(icmp_code) and C(icmp_id).
        - C(packets) and C(bytes) where the kernel counts them.
      type: dict
      returned: always
    reply:
      description: The other direction, with the same keys.
      type: dict
      returned: always
    status:
      description: Such as V(assured) and V(seen_reply).
      type: list
      elements: str
      returned: always
    assured:
      description: Whether it is kept when the table is full.
      type: bool
      returned: always
    unreplied:
      description: Whether no answer was seen.
      type: bool
      returned: always
    nat:
      description: What is translated, V(snat) and V(dnat).
      type: list
      elements: str
      returned: always
    mark:
      description: Its mark.
      type: int
      returned: where the kernel keeps one
    zone:
      description: Its zone.
      type: int
      returned: but for the default zone
    helper:
      description: Its helper.
      type: str
      returned: if it has one
    labels:
      description: The numbers of its labels.
      type: list
      elements: int
      returned: if it has any
    start:
      description: When it began, in nanoseconds since 1970.
      type: int
      returned: where timestamps are on
    id:
      description: The kernel's number for it.
      type: int
      returned: always
    line:
      description: The line of C(conntrack -L -o extended).
      type: str
      returned: if O(line=true)
  sample:
    - family: ip
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
      mark: 0
      id: 2868317034
truncated:
  description: Whether there are more connections than were returned.
  returned: if O(connections=true)
  type: bool
  sample: false
expectations:
  description: The expected connections, with C(expected), C(mask) and C(master), which announced it.
  returned: if O(expectations=true)
  type: list
  elements: dict
  sample: []
xml:
  description: The connections as the XML of C(conntrack -L -o xml).
  returned: if O(xml=true)
  type: str
  sample: >-
    <?xml version="1.0" encoding="utf-8"?> <conntrack> <flow>...</flow> </conntrack>
table:
  description: The table of all connections, whatever the filter.
  returned: success
  type: dict
  contains:
    entries:
      description: How many there are.
      type: int
    max:
      description: How many there may be, V(0) for no limit.
      type: int
    use:
      description: The per cent in use, empty without a limit.
      type: float
    buckets:
      description: Buckets of the hash table.
      type: int
    expectations:
      description: How many connections are expected.
      type: int
    expect_max:
      description: How many may be.
      type: int
    statistics:
      description: The sums of what the processors counted, such as C(drop) and C(early_drop).
      type: dict
    expect_statistics:
      description: The same of expectations.
      type: dict
    per_cpu:
      description: What each processor counted.
      type: list
      elements: dict
    expect_per_cpu:
      description: The same of expectations.
      type: list
      elements: dict
  sample:
    entries: 1211
    max: 262144
    use: 0.5
    buckets: 262144
    expectations: 0
    expect_max: 4096
    statistics: {found: 12, invalid: 3, insert: 0, insert_failed: 0, drop: 0, early_drop: 0}
saturation:
  description: Whether the table fills up.
  returned: success
  type: dict
  contains:
    verdict:
      description:
        - V(ok), V(filling) from 80 per cent on, V(full) from 95 per cent on or where connections are refused.
      type: str
    reasons:
      description: What it comes from, each with C(verdict), C(about) and C(message).
      type: list
      elements: dict
  sample: {verdict: ok, reasons: []}
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
    - place: protocol
      message: unknown protocol
      found: tpc
      allowed: a protocol such as tcp, udp or icmp, or a number from 0 to 255
      cure: did you mean 'tcp'?
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.connections import FILTER, filter_of
from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import NETNS


def main() -> None:
    """List what the filter means, and tell of the table."""
    module = AnsibleModule(
        argument_spec={
            **FILTER,
            "connections": {"type": "bool", "default": True},
            "limit": {"type": "int", "default": 10000},
            "expectations": {"type": "bool", "default": False},
            "line": {"type": "bool", "default": False},
            "xml": {"type": "bool", "default": False},
            "zero": {"type": "bool", "default": False},
            "netns": NETNS,
        },
        supports_check_mode=True,
    )
    with failing(module):
        from ..module_utils.conntrack import expectations, statistics
        from ..module_utils.errors import DocumentError
        from ..module_utils.netlink.socket import NetlinkSocket

        params = module.params
        filter = filter_of(params)
        if params["limit"] < 0:
            raise DocumentError("no number of connections", "limit", params["limit"], "0 or more")
        if params["zero"] and not params["connections"]:
            raise DocumentError(
                "counters that are not read", "zero", True, cure="leave out connections: false"
            )
        figures = statistics.figures(params["netns"])
        result: dict[str, Any] = {"changed": False}
        with NetlinkSocket(params["netns"]) as kernel:
            if params["connections"]:
                result.update(read(kernel, filter, params, module.check_mode))
            else:
                from ..module_utils.conntrack import scan

                result["count"] = scan.count(kernel, filter)
            if params["expectations"]:
                result["expectations"] = [expectations.decode(one) for one in expectations.read(kernel)]
        module.exit_json(table=figures, saturation=statistics.saturation(figures), **result)


def read(kernel: Any, filter: Any, params: dict[str, Any], check: bool) -> dict[str, Any]:
    """The connections, how many there are, and whether a counter was set to zero."""
    from ..module_utils.conntrack import line, xml
    from ..module_utils.conntrack.listing import listed

    found: list[dict[str, Any]] = []
    count = 0
    counted = False
    for entry in listed(kernel, filter, params["zero"] and not check):
        count += 1
        if params["zero"]:
            counted = counted or any(entry[way].get("packets") for way in ("original", "reply"))
        if len(found) < params["limit"]:
            if params["line"]:
                entry["line"] = line.connection(entry, extended=True)
            found.append(entry)
    result: dict[str, Any] = {"changed": counted, "count": count, "connections": found}
    result["truncated"] = count > len(found)
    if params["xml"]:
        result["xml"] = "\n".join(xml.document(xml.connection(entry) for entry in found))
    return result


if __name__ == "__main__":
    main()
