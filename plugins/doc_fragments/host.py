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
