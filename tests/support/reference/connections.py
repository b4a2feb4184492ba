# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/reference/filter.md, settings.md and helpers.md: connection tracking, from the engine's tables."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import yaml
from rempart.assignments.catalogue import HELPERS
from rempart.conntrack import kernel_filters, names
from rempart.conntrack.filters import KEYS
from rempart.tunables.table import PREFIX, TUNABLES
from rempart.tunables.timeouts import TIMEOUTS

from tests.support.reference.markdown import HEAD, cell, code, table

ROOT = Path(__file__).resolve().parents[3]

FILTER = """
# Every key of the connection filter

`rempart conntrack list`, `count`, `watch` and `top`, `rempart kill`, and the modules `conntrack_info` and
`conntrack_flush` take these keys. How values are written, and how several go together, is in [Tracked
connections](../connections.md#filters).

"Kernel" is the first Linux that compares the key itself when connections are listed: for one value that is
neither network nor range nor negated, addresses of IPv4 alone, ports of tcp and udp alone and with the
protocol. All else is compared here, and the result is the same. Connections are deleted by a filter in one
message only where the running kernel has been tried and deletes exactly those (Linux 6.12 for addresses and
ports). Elsewhere they are found first and deleted one by one.
"""

SETTINGS = """
# Every setting of connection tracking

The keys of `conntrack` in a document, and options of the module `conntrack`: what they are for is in
[Settings of connection tracking](../tunables.md).
"""

HELPER = """
# Every helper

What helpers do is in [Settings of connection tracking](../tunables.md#helpers). The port is the one that
rules assign where none is named. `netbios-ns` is understood too.
"""


def options_of_the_filter() -> dict[str, Any]:
    """The filter's keys with what Ansible's documentation says of each."""
    path = ROOT / "plugins" / "doc_fragments" / "connections.py"
    spec = importlib.util.spec_from_file_location("fragment", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = yaml.safe_load(module.ModuleDocFragment.DOCUMENTATION)["options"]
    return found


def plain(text: str | list[str]) -> str:
    """Ansible's markup as Markdown."""
    whole = text if isinstance(text, str) else " ".join(text)
    whole = re.sub(r"[OVC]\(([^)]*)\)", r"`\1`", whole)
    return cell(re.sub(r"[MR]V?\(([^)]*)\)", r"`\1`", whole))


def filter_page() -> str:
    """The keys of the filter."""
    described = options_of_the_filter()
    lines = []
    for key in KEYS:
        since: tuple[int, int] | None = kernel_filters.SINCE.get(key)
        if key in kernel_filters.TUPLE:
            since = kernel_filters.SINCE_TUPLE
        kernel = "always" if key == "family" else "%d.%d" % since if since else ""
        lines.append((code(key), plain(described[key]["description"]), kernel))
    parts = [HEAD % "the engine's own tables", FILTER.lstrip("\n"), table(("key", "", "kernel"), lines)]
    parts += ["## Words of `status`\n", ", ".join(map(code, [*names.STATUS, "unreplied"])) + "\n"]
    parts.append("## Words of `state`\n")
    states = [
        (code(_protocol(number)), ", ".join(map(code, found))) for number, found in names.STATES.items()
    ]
    parts.append(table(("protocol", "states"), states))
    return "\n".join(parts)


def _protocol(number: int) -> str:
    return next(name for name, one in names.PROTOCOLS.items() if one == number)


def kernels(one: Any) -> str:
    """Which kernels have a setting, and what else it takes."""
    found = []
    if one.since:
        found.append("since %s" % one.since)
    if one.until:
        found.append("up to %s" % one.until)
    if one.needs:
        found.append("needs %s" % one.needs)
    return ", ".join(found)


def settings_page() -> str:
    """The settings, then the timeouts."""
    lines = [
        (code(name), cell(one.help), cell(one.kind.allowed), code(PREFIX + one.key), kernels(one))
        for name, one in TUNABLES.items()
    ]
    parts = [HEAD % "the engine's own tables", SETTINGS.lstrip("\n")]
    parts.append(table(("setting", "", "allowed", "sysctl", "kernel"), lines))
    parts.append("## Timeouts\n")
    rows = [
        (
            code(one.name),
            code(PREFIX + one.key) if one.key else "none",
            str(one.attribute) if one.attribute else "none",
            kernels(one),
        )
        for states in TIMEOUTS.values()
        for one in states.values()
    ]
    parts.append("Each is %s.\n" % next(iter(TIMEOUTS["tcp"].values())).kind.allowed)
    parts.append(table(("setting", "sysctl", "number in cttimeout", "kernel"), rows))
    return "\n".join(parts)


def helpers_page() -> str:
    """The helpers."""
    lines = [
        (
            code(one.name),
            ", ".join("%s %d" % (kernel.protocol, kernel.port) for kernel in one.kernel.values()),
            ", ".join(
                sorted(
                    {{"inet": "IPv4, IPv6", "ip": "IPv4"}[kernel.l3proto] for kernel in one.kernel.values()}
                )
            ),
            ", ".join(dict.fromkeys(code(kernel.type) for kernel in one.kernel.values())),
            ", ".join(map(code, one.modules)),
            ", ".join(map(code, one.parameters)) or "none",
        )
        for one in HELPERS.values()
    ]
    head = ("helper", "port", "of", "the kernel's name", "modules", "parameters")
    return "\n".join([HEAD % "the engine's own tables", HELPER.lstrip("\n"), table(head, lines)])
