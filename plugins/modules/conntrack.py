#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``conntrack``: settings and timeouts of connection tracking."""

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack
author:
  - The rempart authors (@rempart)
short_description: Set the sizes, switches and timeouts of connection tracking
version_added: 0.1.0
description:
  - Sets how the kernel tracks connections, now and after a reboot.
  - What is not named is not touched. What has the value wanted already is not set again.
  - Everything is read and tried out before anything is set. If one setting fails all the same, those set
    before it are put back.
  - An option that the running kernel does not have is an error, which says since which Linux there is one,
    or up to which there was.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
options:
  buckets:
    description:
      - Buckets of the table of connections, a number or V(auto).
      - The kernel rounds them up to whole pages of memory, 512 buckets on most machines.
      - With V(auto), as many as the number in O(max); without one there, what the kernel itself takes at its
        start, 262144 with more than 4 GiB of memory, 65536 with more than 1 GiB, or else one for each
        128 KiB, at least 1024.
      - The same for all network namespaces, and set in the first one only.
    type: raw
  max:
    description:
      - Connections that are tracked at most, a number or V(auto). With V(0) there is no limit.
      - With V(auto), as many as there are buckets, or shall be by O(buckets). This is the kernel's own ratio.
      - More than four connections for each bucket, and fewer than there are connections now, are worth
        a warning.
      - The same for all network namespaces, and set in the first one only. There each may have that many.
    type: raw
  expect_max:
    description:
      - Expectations that are kept at most, such as those of FTP for its data connections.
      - The same for all network namespaces, and set in the first one only.
    type: int
  acct:
    description: Count packets and bytes of each connection.
    type: bool
  timestamp:
    description: Note when each connection began and ended.
    type: bool
  events:
    description:
      - Tell programs of new, changed and ended connections, V(true), V(false) or V(auto).
      - With V(auto), only while a program listens. Needs Linux 5.19.
    type: raw
  checksum:
    description: Hold packets with a wrong checksum for invalid.
    type: bool
  log_invalid:
    description:
      - Log invalid packets of a protocol, by its name or number, of V(all) protocols, or of V(none).
    type: raw
  tcp_loose:
    description:
      - Take up TCP connections whose beginning was not seen.
      - Without it, a connection that is cut cannot come back by its next packet.
    type: bool
  tcp_be_liberal:
    description: Hold only resets outside of the TCP window for invalid, not every segment there.
    type: bool
  tcp_ignore_invalid_rst:
    description: Do not hold resets outside of the TCP window for invalid. Needs Linux 5.14.
    type: bool
  tcp_max_retrans:
    description:
      - Segments sent again without an answer before the timeout C(retrans) of C(tcp) counts, V(0) to V(255).
    type: int
  dccp_loose:
    description: Take up DCCP connections whose beginning was not seen. Up to Linux 6.17.
    type: bool
  frag6_low_thresh:
    description:
      - Bytes of memory for IPv6 fragments down to which old ones go once O(frag6_high_thresh) is reached.
    type: int
  frag6_high_thresh:
    description: Bytes of memory for IPv6 fragments that wait to be put together, at most.
    type: int
  frag6_timeout:
    description: How long an IPv6 fragment waits for the others, in seconds or as a text such as V(1m).
    type: raw
  helper:
    description:
      - Give connections their helper by their port. Up to Linux 5.19.
      - On every later kernel rules do that, with C(ct_helper) in
        O(rempart.netfilter.ruleset#module:tables[].chains[].rules).
    type: bool
  timeouts:
    description:
      - How long a connection stays without a packet, by protocol and state. Times are whole seconds, or
        texts such as V(5d), V(12h) or V(2m30s), up to 2147483 seconds.
      - C(tcp) has C(syn_sent), C(syn_recv), C(established), C(fin_wait), C(close_wait), C(last_ack),
        C(time_wait), C(close), C(syn_sent2), C(retrans), C(unack) and C(offload).
      - C(udp) has C(unreplied), C(replied) and C(offload), C(gre) and C(udplite) the first two. C(stream)
        means the same as C(replied). The kernel has one timeout for UDP-Lite and UDP.
      - C(sctp) has C(closed), C(cookie_wait), C(cookie_echoed), C(established), C(shutdown_sent),
        C(shutdown_recd), C(shutdown_ack_sent), C(heartbeat_sent) and, up to Linux 6.1, C(heartbeat_acked).
      - C(dccp), up to Linux 6.17, has C(request), C(respond), C(partopen), C(open), C(closereq), C(closing)
        and C(timewait).
      - C(icmp), C(icmpv6) and C(generic), which is every other protocol, have one timeout. It is written
        without a state.
      - C(offload) is how long a flowtable keeps a flow that sends nothing. Needs Linux 5.14.
      - C(syn_sent2) cannot be kept over a reboot, since it has no sysctl key.
    type: dict
  masquerade_timeouts:
    description:
      - The three timeouts of C(ipchains -M -S), as a mapping of C(tcp), C(tcp_fin) and C(udp), or as a list
        of these three. V(0) keeps what is.
      - C(tcp) is the timeout C(established) of C(tcp) in O(timeouts), C(tcp_fin) is C(fin_wait) of C(tcp),
        and C(udp) is both C(unreplied) and C(replied) of C(udp).
      - They count for all connections, masqueraded or not.
    type: raw
  persist:
    description:
      - Keep the settings over a reboot, in C(/etc/sysctl.d/70-rempart-conntrack.conf). A run replaces the
        settings there that it names, and leaves the others.
      - C(/etc/modules-load.d/rempart-conntrack.conf) has nf_conntrack loaded at boot before that, since the
        settings do not exist without it.
      - The default is V(true), but not in a network namespace other than the first, whose settings end with
        it.
    type: bool
  root:
    description:
      - Write the two files below this directory, an absolute path, and leave the kernel alone. For the image
        of another host.
    type: path
  state:
    description:
      - With V(present) the settings named are in force, and kept.
      - With V(absent) nothing is kept over a reboot any more, and the two files go. The kernel's settings
        stay until then.
    type: str
    default: present
    choices: [present, absent]
  _document:
    description:
      - Not for playbooks. The options as the action plugin has checked them, as JSON text.
    type: str
attributes:
  diff_mode:
    description:
      - Returns the settings named before and after, one a line, and each file that changes.
    support: full
notes:
  - Timeouts are set over netlink where the kernel offers that (nfnetlink_cttimeout), and through
    C(/proc/sys/net/netfilter) where not, as all other settings.
  - A connection that is there keeps the timeout that it has until its next packet.
  - All that is wrong with the options is reported at once, by the controller, before any host is touched.
seealso:
  - module: rempart.netfilter.ruleset
    description: Timeouts for some connections only, with C(ct_timeouts).
  - name: Netfilter conntrack sysfs variables
    description: The kernel's own description of its settings.
    link: https://docs.kernel.org/networking/nf_conntrack-sysctl.html
"""

EXAMPLES = r"""
- name: A busy router
  rempart.netfilter.conntrack:
    max: 1048576
    buckets: auto
    tcp_loose: false
    acct: true
    timeouts:
      tcp: {established: 12h, time_wait: 30s}
      udp: {stream: 3m}
      icmp: 10

- name: What ipchains -M -S 7200 10 160 set
  rempart.netfilter.conntrack:
    masquerade_timeouts: [7200, 10, 160]

- name: Log invalid TCP segments until the next boot
  rempart.netfilter.conntrack:
    log_invalid: tcp
    persist: false

- name: Settings of an image that is being built
  rempart.netfilter.conntrack:
    max: 262144
    root: /srv/images/router

- name: Let the next boot have the kernel's defaults
  rempart.netfilter.conntrack:
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
      description: V(change); for files also V(add) or V(remove).
      type: str
      returned: always
    kind:
      description: What it is done to, V(setting), V(timeout) or V(file).
      type: str
      returned: always
    name:
      description: The setting, such as V(max) or V(timeouts.tcp.established).
      type: str
      returned: for settings and timeouts
    key:
      description: The setting's sysctl key, empty where there is none.
      type: str
      returned: for settings and timeouts
    before:
      description: The value before, of timeouts in seconds.
      type: raw
      returned: for settings and timeouts
    after:
      description: The value after, of timeouts in seconds.
      type: raw
      returned: for settings and timeouts
    place:
      description: Where it stands in the options.
      type: str
      returned: for settings and timeouts
    path:
      description: The file.
      type: str
      returned: for files
  sample:
    - action: change
      kind: timeout
      name: timeouts.tcp.established
      key: net.netfilter.nf_conntrack_tcp_timeout_established
      before: 432000
      after: 43200
      place: timeouts.tcp.established
    - {action: add, kind: file, path: /etc/sysctl.d/70-rempart-conntrack.conf}
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
    - place: timeouts.tcp.establised
      message: no state of tcp
      found: 12h
      allowed: syn_sent, syn_recv, established, fin_wait, close_wait, last_ack, time_wait, close, syn_sent2,
        retrans, unack, offload
      cure: did you mean 'established'?
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import DOCUMENT, NETNS, STATE


def main() -> None:
    """Set what differs, and write the files for boot."""
    module = AnsibleModule(
        argument_spec={
            "buckets": {"type": "raw"},
            "max": {"type": "raw"},
            "expect_max": {"type": "int"},
            "acct": {"type": "bool"},
            "timestamp": {"type": "bool"},
            "events": {"type": "raw"},
            "checksum": {"type": "bool"},
            "log_invalid": {"type": "raw"},
            "tcp_loose": {"type": "bool"},
            "tcp_be_liberal": {"type": "bool"},
            "tcp_ignore_invalid_rst": {"type": "bool"},
            "tcp_max_retrans": {"type": "int"},
            "dccp_loose": {"type": "bool"},
            "frag6_low_thresh": {"type": "int"},
            "frag6_high_thresh": {"type": "int"},
            "frag6_timeout": {"type": "raw"},
            "helper": {"type": "bool"},
            "timeouts": {"type": "dict"},
            "masquerade_timeouts": {"type": "raw"},
            "persist": {"type": "bool"},
            "root": {"type": "path"},
            "state": STATE,
            "netns": NETNS,
            "_document": DOCUMENT,
        },
        mutually_exclusive=[("netns", "root")],
        supports_check_mode=True,
    )
    params = module.params
    with failing(module):
        import json

        from ..module_utils.ansible.conntrack import section_of
        from ..module_utils.tunables import describe
        from ..module_utils.tunables.plan import plan, plan_removal
        from ..module_utils.tunables.settings import load

        declared = load(json.loads(params["_document"]) if params["_document"] else section_of(params))
        if params["state"] == "absent":
            found = plan_removal(params["root"])
        else:
            found = plan(declared, params["netns"], params["persist"], params["root"])
        if not module.check_mode:
            found.apply()
        for warning in found.warnings:
            module.warn(warning)
        result = {"changed": found.changed, "changes": describe.changes(found)}
        if module._diff:
            result["diff"] = describe.differences(found)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
