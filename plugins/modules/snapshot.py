#!/usr/bin/python
# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The Ansible module ``snapshot``: the kernel's tables into a file of the host, and back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: snapshot
author:
  - The rempart authors (@rempart)
short_description: Save nftables tables in a file of the host, and restore them
version_added: 0.1.0
description:
  - With O(state=saved) writes the tables that the kernel holds, whoever made them, in one file on the managed
    host. The file is root's alone and is replaced as a whole.
  - Of elements that time out, what is left of their time is saved, and is what they get when they are
    restored. The time that the file lies there does not count. A file in which nothing else would change
    stays as it is.
  - With O(state=restored) puts the tables of such a file back in one transaction. Tables that it does not
    hold stay as they are.
  - The file is the one that C(rempart save) writes and C(rempart restore) reads.
extends_documentation_fragment:
  - rempart.netfilter.attributes
  - rempart.netfilter.host
options:
  path:
    description: The file on the managed host.
    type: path
    default: /var/lib/rempart/tables.json
  state:
    description:
      - With V(saved) the file shall hold the kernel's tables.
      - With V(restored) the kernel shall hold the file's tables.
    type: str
    required: true
    choices: [saved, restored]
  tables:
    description: Only these tables; all, if none are given. A table that does not exist is an error.
    type: list
    elements: dict
    suboptions:
      name:
        description: The table's name.
        type: str
        required: true
      family:
        description: The table's family. Without it, the tables of this name in every family.
        type: str
        choices: [inet, ip, ip6, arp, bridge, netdev]
  on_clash:
    description:
      - With O(state=restored), what becomes of a table that is there and differs from the one in the file.
      - With V(fail) nothing at all is changed if there is such a table.
      - With V(skip) it stays as it is, with V(replace) it is made as it was saved.
    type: str
    default: fail
    choices: [fail, skip, replace]
  counts:
    description:
      - With O(state=saved), save what packets counted, and the elements that they added to dynamic sets.
      - Without it counters start at zero when they are restored, and a dynamic set keeps what it has, or is
        empty where it is made.
    type: bool
    default: false
seealso:
  - module: rempart.netfilter.ruleset
    description: Make the kernel hold exactly the tables given.
  - module: rempart.netfilter.ruleset_info
    description: What the kernel holds.
"""

EXAMPLES = r"""
- name: Save every table before a risky change
  rempart.netfilter.snapshot:
    state: saved
    path: /var/lib/rempart/before.json

- name: Put back what the change broke
  rempart.netfilter.snapshot:
    state: restored
    path: /var/lib/rempart/before.json
    on_clash: replace

- name: Put one table back if it is missing
  rempart.netfilter.snapshot:
    state: restored
    tables:
      - {name: edge, family: inet}
    on_clash: skip
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /var/lib/rempart/tables.json
tables:
  description: The tables of the file, each with what was done (in check mode, would be).
  returned: success
  type: list
  elements: dict
  contains:
    family:
      description: The table's family.
      type: str
      returned: always
    name:
      description: The table's name.
      type: str
      returned: always
    result:
      description: V(saved), or V(restored), V(replaced), V(skipped) or V(same).
      type: str
      returned: always
  sample:
    - {family: inet, name: edge, result: restored}
notes:
  description: What the file cannot say of the tables, in words.
  returned: with O(state=saved)
  type: list
  elements: str
  sample: []
errors:
  description: What was wrong, such as every table that is there and differs.
  returned: failure
  type: list
  elements: dict
  contains:
    place:
      description: Where in the file.
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
    - place: /var/lib/rempart/before.json
      message: "cannot read the file: No such file or directory"
      found: null
      allowed: ""
      cure: ""
"""

from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.ansible.failure import failing
from ..module_utils.ansible.options import FAMILIES, NETNS

if TYPE_CHECKING:
    from ..module_utils.ruleset.saved import Saved

#: stands in AnsibleModule's argument spec too, before the engine may be imported
DEFAULT = "/var/lib/rempart/tables.json"


def main() -> None:
    """Save or restore."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": DEFAULT},
            "state": {"type": "str", "required": True, "choices": ["saved", "restored"]},
            "tables": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "family": {"type": "str", "choices": FAMILIES},
                },
            },
            "on_clash": {"type": "str", "default": "fail", "choices": ["fail", "skip", "replace"]},
            "counts": {"type": "bool", "default": False},
            "netns": NETNS,
        },
        supports_check_mode=True,
    )
    wanted = [(one["family"] or "", one["name"]) for one in module.params["tables"] or ()]
    with failing(module):
        done = save(module, wanted) if module.params["state"] == "saved" else restore(module, wanted)
        module.exit_json(**done)


def save(module: AnsibleModule, wanted: list[tuple[str, str]]) -> dict[str, Any]:
    """Write the file, unless it holds the same tables already."""
    from ..module_utils.netlink.socket import NetlinkSocket
    from ..module_utils.ruleset import saved

    path = module.params["path"]
    with NetlinkSocket(module.params["netns"]) as kernel:
        taken = saved.take(kernel, wanted, module.params["counts"])
    before = held(path)
    changed = before is None or not before.holds(taken)
    if changed and not module.check_mode:
        saved.write(path, taken.as_json())
    result: dict[str, Any] = {
        "changed": changed,
        "path": path,
        "tables": [{"family": family, "name": name, "result": "saved"} for family, name in taken.names()],
        "notes": taken.header.get("notes", []),
    }
    if module._diff and changed:
        result["diff"] = [
            {
                "before_header": path,
                "after_header": path,
                "before": "" if before is None else before.tables_text(),
                "after": taken.tables_text(),
            }
        ]
    return result


def held(path: str) -> Saved | None:
    """What the file holds; None where there is none, or another's."""
    from ..module_utils.errors import DocumentError
    from ..module_utils.ruleset import saved

    try:
        with open(path, "rb") as opened:
            return saved.parse(opened.read(), path)
    except (OSError, DocumentError):
        return None


def restore(module: AnsibleModule, wanted: list[tuple[str, str]]) -> dict[str, Any]:
    """Put the tables back."""
    from ..module_utils.errors import HostError
    from ..module_utils.ruleset import describe, saved

    path, on_clash = module.params["path"], module.params["on_clash"]
    try:
        with open(path, "rb") as opened:
            content = opened.read()
    except OSError as error:
        raise HostError("cannot read the file: %s" % error.strerror, path) from None
    decide = (
        saved.refuse("set on_clash to skip or to replace") if on_clash == "fail" else saved.always(on_clash)
    )
    done = saved.restore(
        saved.parse(content, path).only(wanted), decide, module.params["netns"], module.check_mode
    )
    result: dict[str, Any] = {
        "changed": done.changed,
        "path": path,
        "tables": [
            {"family": family, "name": name, "result": result} for family, name, result in done.tables
        ],
    }
    if module._diff and done.changed:
        result["diff"] = describe.differences(done.plan)
    return result


if __name__ == "__main__":
    main()
