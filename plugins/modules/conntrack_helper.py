#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``conntrack_helper``: helpers of connection tracking and the traffic they are for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: conntrack_helper
author:
  - The rempart authors (@rempart)
short_description: Assign connection tracking helpers to traffic, and load their modules
version_added: 0.1.0
description:
  - A helper reads what a protocol such as FTP or SIP says over its control connection. A connection that is
    announced there is C(related) to it, and a firewall can let it in without having its port open.
  - Since Linux 6.0 a helper reads only connections that a rule assigns to it. This module keeps such rules
    for new connections, and the kernel's modules loaded, now and at boot.
  - The rules are in the table C(inet rempart_helpers), in chains on hooks prerouting and output that are
    each helper's own, after connection tracking and before destinations are translated. A task changes the
    helpers that it names; those of other tasks stay.
  - Helpers that are built into the kernel are recognised. For them nothing is loaded.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
attributes:
  check_mode:
    support: partial
    details:
      - Changes nothing. On a host that does not show all modules of its kernel, such as a container, it
        warns that it cannot tell whether the kernel has a helper, as asking for it could load its module.
options:
  helpers:
    description:
      - The helpers, each as a name, or as a mapping of C(name) and any of C(ports), C(protocol),
        C(parameters) and keys that match traffic. A text with commas between names is a list too.
      - The names are V(amanda), V(ftp), V(h323), V(irc), V(netbios_ns), V(pptp), V(sane), V(sip), V(snmp) and
        V(tftp). The same helper can be there several times, for traffic of several kinds.
      - C(ports) are the ports of servers, as C(dport) of a rule has them. Without it, they are those
        registered for the protocol, for ftp 21, sip 5060, tftp 69, irc 6667, pptp 1723, amanda 10080,
        netbios_ns 137, snmp 161, sane 6566, and h323 1719 over UDP and 1720 over TCP.
      - C(protocol) is V(tcp) or V(udp), and needed for few. sip and h323 understand both, and are assigned
        for both without it. C(ports) of h323 need it.
      - C(parameters) are those of the helper's module, see O(parameters).
      - Keys that match traffic are those of a rule, such as C(saddr), C(daddr), C(iifname) or C(oifname), as
        in O(rempart.netfilter.ruleset#module:tables[].chains[].rules). C(counter), C(log) and C(comment) go
        with them. Without any, the helper is for everybody's connections to these ports.
    type: list
    elements: raw
  name:
    description:
      - One helper, in place of O(helpers).
    type: str
  ports:
    description:
      - The ports of O(name), as C(ports) of O(helpers).
    type: raw
  protocol:
    description:
      - The protocol of O(name), as C(protocol) of O(helpers).
    type: raw
  parameters:
    description:
      - Parameters of the module of O(name), by their names. They are set now where the kernel lets them be
        changed, and when the module is loaded.
      - For ftp C(ports) and C(loose); for sip C(ports), C(sip_timeout), C(sip_direct_signalling),
        C(sip_direct_media) and C(sip_external_media); for irc C(ports), C(max_dcc_channels) and
        C(dcc_timeout); for tftp and sane C(ports); for amanda C(master_timeout) and C(ts_algo); for h323
        C(default_rrq_ttl), C(gkrouted_only) and C(callforward_filter); for netbios_ns and snmp C(timeout).
      - The parameter C(ports) is not needed for the helper to be assigned to other ports. It counts on
        kernels before 6.0 alone, where helpers can be assigned without rules.
      - Without it, parameters stay as they are. V({}) gives none at boot.
    type: dict
  state:
    description:
      - With V(present) the helpers are assigned to their traffic.
      - With V(absent) they are not, whatever their ports, and their modules are not loaded at boot. The table
        goes with the last of its helpers. Connections that have a helper keep it.
    type: str
    default: present
    choices: [present, absent]
  persistent:
    description:
      - Have modules that are not built into the kernel loaded at boot, by
        C(/etc/modules-load.d/rempart-helpers.conf), with parameters by
        C(/etc/modprobe.d/rempart-helpers.conf).
      - It does not keep the rules. A playbook that runs at boot does, or M(rempart.netfilter.snapshot).
    type: bool
    default: true
  unload:
    description:
      - With O(state=absent), unload the modules.
      - It is refused, and nothing is changed, while rules of other tables refer to the helper, while anything
        else uses its module, and if it is built into the kernel.
    type: bool
    default: false
  root:
    description:
      - The directory that C(/etc), C(/lib), C(/proc), C(/sbin) and C(/sys) of the host are in. For tests
        of the module.
    type: path
    default: /
requirements:
  - jsonschema on the controller
  - kmod on the managed host, where modules are to be loaded or unloaded
notes:
  - All that is wrong with the options is reported at once, by the controller, before any host is touched.
seealso:
  - module: rempart.netfilter.ruleset
    description: The same rules in a table of one's own, with C(ct_helpers) and C(set).
  - module: rempart.netfilter.conntrack_timeout
  - name: Secure use of helpers
    description: Why helpers are assigned to the traffic that needs them, and to no other.
    link: https://home.regit.org/netfilter-en/secure-use-of-helpers/
"""

EXAMPLES = r"""
- name: Active and passive FTP, with a firewall that names port 21 only
  rempart.netfilter.conntrack_helper:
    helpers: [ftp]

# The same by hand, with a second port:
#   ansible ftp -m rempart.netfilter.conntrack_helper -a 'name=ftp ports=21,2121'

- name: The firewall that goes with it
  rempart.netfilter.ruleset:
    tables:
      - name: edge
        chains:
          - name: input
            hook: input
            policy: drop
            rules:
              - {ct_state: [established, related], verdict: accept}
              - {protocol: tcp, dport: ftp, ct_state: new, verdict: accept}

- name: Telephones reach their exchange, whose media it announces itself
  rempart.netfilter.conntrack_helper:
    helpers:
      - name: sip
        protocol: udp
        ports: [5060, 5062]
        saddr: 192.0.2.0/24
        daddr: 198.51.100.5
        parameters: {sip_direct_media: false}
      - {name: tftp, iifname: phones}

- name: No helper for FTP any more
  rempart.netfilter.conntrack_helper:
    helpers: [ftp]
    state: absent
    unload: true
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
      description:
        - What it is done to, V(table), V(ct helper), V(chain), V(rule), V(module), V(parameter) or V(file).
      type: str
      returned: always
    family:
      description: The table's family.
      type: str
      returned: for what is in the table
    table:
      description: The table's name.
      type: str
      returned: for what is in the table
    chain:
      description: The chain's name.
      type: str
      returned: for chains and rules
    name:
      description: The name of the helper's object.
      type: str
      returned: for the kind V(ct helper)
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
    module:
      description: The kernel's module.
      type: str
      returned: for modules and parameters
    parameter:
      description: The module's parameter.
      type: str
      returned: for parameters
    before:
      description: The parameter's value before.
      type: str
      returned: for parameters
    after:
      description: The parameter's value after.
      type: str
      returned: for parameters
    path:
      description: The file.
      type: str
      returned: for files
  sample:
    - {action: add, kind: module, module: nf_conntrack_ftp}
    - action: add
      kind: rule
      family: inet
      table: rempart_helpers
      chain: ftp
      place: helpers[0]
      rule: tcp dport 21 ct helper set "ftp"
helpers:
  description:
    - By helper, its C(modules) with the state of each after the run.
    - The state is V(loaded), V(builtin), V(available) (to be loaded) or V(missing), in check mode also
      V(unknown).
  returned: success
  type: dict
  sample:
    ftp: {modules: {nf_conntrack_ftp: loaded, nf_nat_ftp: loaded}}
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
  description: All that is wrong with the options or the host, or what the kernel refused.
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
    - place: helpers[0].protocol
      message: the helper ftp does not understand this protocol
      found: udp
      allowed: tcp
      cure: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.document import result_of
from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import NETNS, STATE, given


def main() -> None:
    """Load the helpers' modules and assign them to their traffic, or neither."""
    module = AnsibleModule(
        argument_spec={
            "helpers": {"type": "list", "elements": "raw"},
            "name": {"type": "str"},
            "ports": {"type": "raw"},
            "protocol": {"type": "raw"},
            "parameters": {"type": "dict"},
            "state": STATE,
            "persistent": {"type": "bool", "default": True},
            "unload": {"type": "bool", "default": False},
            "root": {"type": "path", "default": "/"},
            "netns": NETNS,
        },
        mutually_exclusive=[("helpers", "name")],
        required_one_of=[("helpers", "name")],
        supports_check_mode=True,
    )
    params = module.params
    places: dict[str, str] = {}
    with failing(module, places):
        from ..module_utils.assignments.assign import assign
        from ..module_utils.assignments.helpers import wanted

        asked = wanted(given(params))
        places.update(asked.request.places)
        done = assign(
            asked,
            params["netns"],
            module.check_mode,
            params["root"],
            params["persistent"],
            params["unload"],
        )
        result = result_of(done.outcome, module._diff, places)
        changes = done.modules.changes()
        result["changed"] = result["changed"] or bool(changes)
        result["changes"] += changes
        result["helpers"] = done.states()
        if "diff" in result:
            result["diff"] += done.modules.diff()
        for warning in done.modules.warnings:
            module.warn(warning)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
