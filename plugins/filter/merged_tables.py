# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The filter ``merged_tables``: lists of tables from several variables as one."""

from __future__ import annotations

DOCUMENTATION = r"""
name: merged_tables
author:
  - The rempart authors (@rempart)
short_description: Merge lists of nftables tables that several variables hold
version_added: 0.1.0
description:
  - Makes one list of tables of those that several variables hold, such as one variable for each group that a
    host is in. The role P(rempart.netfilter.firewall#role) does this with all variables whose name begins
    with C(firewall_tables).
  - Variables are taken in the order of their names, which counts digits before letters.
  - Tables are the same by family and name. Chains, sets, maps and what else a table declares are the same by
    name. The rules of a chain and the elements of a set or map follow each other in the order of the
    variables.
  - Whatever else is said by two variables must be said alike. A conflict is an error that names both.
  - The whole is then checked as M(rempart.netfilter.ruleset) does it, but every error names the variable.
options:
  _input:
    description: The lists of tables by the names of their variables.
    type: dict
    required: true
seealso:
  - module: rempart.netfilter.ruleset
"""

EXAMPLES = r"""
- name: Hold what all groups of the host say
  rempart.netfilter.ruleset:
    tables: "{{ dict(names | zip(query('ansible.builtin.vars', *names))) | rempart.netfilter.merged_tables }}"
  vars:
    names: "{{ query('ansible.builtin.varnames', '^edge_tables_') }}"
    edge_tables_10_all:
      - name: edge
        chains:
          - name: input
            hook: input
            policy: drop
            rules:
              - {ct_state: [established, related], verdict: accept}
              - {protocol: tcp, dport: ssh, verdict: accept}
    edge_tables_50_web:
      - name: edge
        chains:
          - name: input
            rules:
              - {protocol: tcp, dport: [http, https], verdict: accept}
"""

RETURN = r"""
_value:
  description: The tables, as O(rempart.netfilter.ruleset#module:tables) takes them.
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ..module_utils.document.merging import merge
from ..module_utils.errors import RempartError, moved_problems
from ..plugin_utils.controller import checked


def merged_tables(lists: Any) -> list[Any]:
    """The lists of tables of a mapping, merged in the order of its keys' names."""
    if not isinstance(lists, Mapping):
        raise AnsibleFilterError("merged_tables takes a mapping of variables' names to lists of tables")
    try:
        merged = merge({str(name): lists[name] for name in sorted(lists)})
        try:
            checked({"tables": merged.tables})
        except RempartError as error:
            error.problems = moved_problems(error.problems, merged.places)
            raise
    except RempartError as error:
        raise AnsibleFilterError(str(error)) from None
    return merged.tables


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Each filter by its name."""
        return {"merged_tables": merged_tables}
