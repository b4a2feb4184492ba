# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What the modules support, for their documentation."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes of the modules. A module says its own where it differs."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell what it would change without changing it.
    support: full
  diff_mode:
    description:
      - Returns what it changes (in check mode, what it would change) as text before and after, in nft
        syntax.
    support: full
  idempotent:
    description: A second run with the same options changes nothing.
    support: full
  platform:
    description: What the managed host must be.
    platforms: linux
    support: full
  action_group:
    description:
      - Use C(group/rempart.netfilter.netfilter) in C(module_defaults) to set options of all these modules.
    support: full
    membership:
      - rempart.netfilter.netfilter
"""
