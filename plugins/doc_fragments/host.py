# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules need on the managed host, and where on it they work, for their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module needs on the managed host, and where on it to work."""

    DOCUMENTATION = r"""
options:
  netns:
    description:
      - The network namespace to work in, by the name that C(ip netns list) shows, or as the absolute path
        of a namespace file such as C(/proc/4711/ns/net).
      - Without it, the module works in the namespace that it runs in.
    type: str
requirements:
  - Linux with nf_tables
  - Python 3.9 or later on the managed host
  - root, or the capability CAP_NET_ADMIN
notes:
  - The module talks to the kernel itself, over netlink. It needs no C(nft) and no Python packages on the
    managed host.
seealso:
  - name: nft(8)
    description: The language of nftables, whose words the options and the results use.
    link: https://www.netfilter.org/projects/nftables/manpage.html
"""

    # For modules whose options are a document, checked by an action plugin.
    CHECKED = r"""
options:
  _document:
    description:
      - Not for playbooks. The options as the action plugin has checked them, as JSON text.
    type: str
requirements:
  - >-
    jsonschema on the controller; with jsonschema-rs 0.20 or later beside it, large documents are checked much
    faster
notes:
  - All that is wrong with the options is reported at once, by the controller, before any host is touched.
"""

    # For modules that may change what lets the connection pass that they come by.
    KEEPING = r"""
options:
  keep_session:
    description:
      - Keep the TCP connection that carries the task, such as Ansible's over SSH, whatever the rules say.
      - It is found among the sockets of the processes that the module descends from. Before a change it is
        entered in the table of connections, if it is older than connection tracking, so that it is
        C(established) to the new rules. After the change a packet of it must come through within five
        seconds, or else what was changed is put back as it was and the task fails.
      - Then the controller makes a new connection, and confirms the change over it. A change that nobody
        confirms, since the rules let in no new connection or the controller is gone, the host takes back
        by itself, after twice the connection's timeout and ten seconds.
      - Where nothing changes, and on hosts that no connection leads to, this does nothing. A change takes up
        to a second longer.
      - Needs Linux 5.6 and, in a container, the capability CAP_SYS_PTRACE. Elsewhere, and in tasks that run
        with C(async), no connection is found.
    type: bool
    default: true
  _confirm:
    description:
      - Not for playbooks. The seconds within which the action plugin confirms a change.
    type: float
    default: 0.0
"""
