# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A packet's way through the hooks: docs/images/packet-way.svg, and in words docs/how-it-works.md.

:data:`HOOKS` is both. tests/kernel/test_packet_way.py proves it with packets.
"""

from __future__ import annotations

from typing import NamedTuple
from xml.sax.saxutils import escape

BEGIN, END = "<!-- made by make reference -->\n", "<!-- until here -->"
FIRST, LAST = -(1 << 31), (1 << 31) - 1


class Step(NamedTuple):
    """What happens at a priority. ``by`` is kernel, rempart or "": a name that chains may have."""

    priority: int
    what: str
    by: str = ""


_FRAGMENTS = Step(-400, "fragments put together", "kernel")
_RAW = Step(-300, "raw")
_NOTRACK = Step(-300, "rempart_notrack", "rempart")
_TRACKING = Step(-200, "connection tracking", "kernel")
_CUT = Step(-190, "rempart_cut", "rempart")
_MANGLE = Step(-150, "mangle")
_HELPERS = Step(-150, "rempart_helpers, _timeouts", "rempart")
_DNAT = Step(-100, "dstnat: new destination", "kernel")
_FILTER = Step(0, "filter")
_SECURITY = Step(50, "security")
_SNAT = Step(100, "srcnat: new source", "kernel")
_CONFIRM = Step(LAST, "tracking keeps what is new", "kernel")

HOOKS: dict[str, list[Step]] = {
    "ingress": [_FILTER],
    "prerouting": [_FRAGMENTS, _RAW, _NOTRACK, _TRACKING, _CUT, _MANGLE, _HELPERS, _DNAT, _FILTER],
    "input": [_MANGLE, _FILTER, _SECURITY, _SNAT, _CONFIRM, Step(LAST, "rempart_session", "rempart")],
    "forward": [_MANGLE, _FILTER, _SECURITY],
    "output": [
        Step(FIRST, "rempart_session", "rempart"),
        _FRAGMENTS,
        Step(-310, "rempart_cut", "rempart"),
        _RAW,
        _NOTRACK,
        _TRACKING,
        _CUT,
        Step(-150, "mangle; type route: a new route"),
        _HELPERS,
        _DNAT,
        _FILTER,
        _SECURITY,
        Step(LAST, "rempart_session", "rempart"),
    ],
    "postrouting": [_MANGLE, Step(-150, "rempart_tos", "rempart"), _FILTER, _SNAT, _CONFIRM],
    "egress": [_FILTER],
}
"""What happens on each hook, in its order."""

WAYS = {
    "forward": ("ingress", "prerouting", "forward", "postrouting", "egress"),
    "in": ("ingress", "prerouting", "input"),
    "out": ("output", "postrouting", "egress"),
}
"""The hooks that packets pass, by where they come from and go to."""

BRIDGE: dict[str, list[Step]] = {
    "prerouting": [Step(-300, "dstnat"), Step(-200, "filter")],
    "input": [Step(-200, "filter")],
    "forward": [Step(-200, "filter")],
    "output": [Step(-200, "filter"), Step(100, "out")],
    "postrouting": [Step(-200, "filter"), Step(300, "srcnat")],
}

BRIDGE_WAYS = {
    "forward": ("prerouting", "forward", "postrouting"),
    "in": ("prerouting", "input"),
    "out": ("output", "postrouting"),
}


_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!--
SPDX-FileCopyrightText: The rempart authors
SPDX-License-Identifier: GPL-3.0-or-later
Made by `make reference`.
-->"""


def number(priority: int) -> str:
    """A priority as people write it."""
    return {FIRST: "first", LAST: "last"}.get(priority, str(priority).replace("-", "\u2212"))


def words() -> str:
    """The picture as a table."""
    lines = ["| hook | in this order |", "|---|---|"]
    for hook, steps in HOOKS.items():
        parts = [
            "%s %s%s" % (number(one.priority), one.what, " (kernel)" if one.by == "kernel" else "")
            for one in steps
        ]
        lines.append("| `%s` | %s |" % (hook, "<br>".join(parts)))
    return "\n".join(lines) + "\n"


ROW, TITLE, PAD = 21, 30, 8

STYLE = """
    text { font-family: "DejaVu Sans", Verdana, sans-serif; font-size: 12.5px; fill: #1f2328; }
    .hook { font-size: 14px; font-weight: bold; }
    .head { font-size: 16px; font-weight: bold; }
    .number { fill: #59636e; text-anchor: end; }
    .kernel { fill: #0757b5; }
    .rempart { fill: #a33b00; }
    .note { fill: #59636e; }
    .end { text-anchor: end; }
    .middle { text-anchor: middle; }
    .paper { fill: #ffffff; }
    .box { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.2; }
    .place { fill: #ffffff; stroke: #8c959f; stroke-width: 1.2; }
    .line { fill: none; stroke: #59636e; stroke-width: 1.8; marker-end: url(#arrow); }
    .tip { fill: #59636e; }
    .rule { stroke: #d1d9e0; stroke-width: 1; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .number, .note { fill: #9198a1; }
      .kernel { fill: #79b8ff; }
      .rempart { fill: #ffa657; }
      .paper { fill: #0d1117; }
      .box { fill: #161b22; stroke: #6e7681; }
      .place { fill: #0d1117; stroke: #6e7681; }
      .line { stroke: #9198a1; }
      .tip { fill: #9198a1; }
      .rule { stroke: #30363d; }
    }
"""

NAMES = (
    ("ingress", 20, 100, 108),
    ("prerouting", 160, 100, 250),
    ("forward", 560, 100, 150),
    ("postrouting", 750, 100, 250),
    ("egress", 1040, 100, 108),
    ("input", 418, 340, 250),
    ("output", 750, 290, 280),
)
"""The boxes: hook, left, top, width."""

BRIDGED = (
    ("prerouting", 160, 712, 150),
    ("forward", 560, 712, 150),
    ("postrouting", 750, 712, 150),
    ("input", 360, 822, 150),
    ("output", 750, 842, 150),
)


def height(steps: list[Step]) -> int:
    """Of a box with so many steps."""
    return TITLE + ROW * len(steps) + PAD


def text(x: float, y: float, content: str, kind: str = "") -> str:
    """A line of text."""
    attribute = ' class="%s"' % kind if kind else ""
    return '  <text x="%g" y="%g"%s>%s</text>' % (x, y, attribute, escape(content))


def box(hook: str, left: int, top: int, width: int, steps: list[Step]) -> list[str]:
    """A hook with what happens there."""
    shape = '  <rect class="box" x="%d" y="%d" width="%d" height="%d" rx="6"/>'
    made = [shape % (left, top, width, height(steps)), text(left + width / 2, top + 20, hook, "hook middle")]
    rule = '  <path class="rule" d="M%d %dh%d"/>'
    made.append(rule % (left, top + TITLE, width))
    for index, one in enumerate(steps):
        y = top + TITLE + ROW * index + 16
        made += [text(left + 42, y, number(one.priority), "number"), text(left + 50, y, one.what, one.by)]
    return made


def place(left: int, top: int, width: int, tall: int, *lines: str) -> list[str]:
    """Something beside the hooks."""
    shape = '  <rect class="place" x="%d" y="%d" width="%d" height="%d" rx="%d"/>'
    made = [shape % (left, top, width, tall, tall / 2)]
    start = top + tall / 2 + 4.5 - 8 * (len(lines) - 1)
    return made + [text(left + width / 2, start + 16 * i, one, "middle") for i, one in enumerate(lines)]


def line(path: str) -> str:
    """An arrow."""
    return '  <path class="line" d="%s"/>' % path


def svg() -> str:
    """The whole picture."""
    out = [_HEAD]
    size = 'viewBox="0 0 1168 968" width="1168" height="968"'
    out.append('<svg xmlns="http://www.w3.org/2000/svg" %s role="img" aria-labelledby="title">' % size)
    out.append('  <title id="title">A packet\'s way through the hooks, with the priorities on each</title>')
    out.append("  <style>%s  </style>" % STYLE)
    tip = '<path class="tip" d="M0 0L10 5L0 10z"/>'
    marker = 'id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"'
    out.append("  <defs><marker %s>%s</marker></defs>" % (marker, tip))
    out.append('  <rect class="paper" width="1168" height="968" rx="8"/>')
    out.append(text(20, 34, "IPv4 and IPv6", "head"))
    out.append(text(20, 60, "Within a hook the lowest number comes first."))
    out.append(text(330, 60, "The kernel's own steps", "kernel"))
    out.append(text(500, 60, "tables of rempart's own, where it was asked for what they do", "rempart"))
    for hook, left, top, width in NAMES:
        out += box(hook, left, top, width, HOOKS[hook])
    out += place(438, 112, 94, 44, "routing")
    out += place(418, 536, 250, 40, "a program of this host")
    out += place(560, 600, 108, 36, "routing")
    out += [line(one) for one in ARROWS]
    out.append(text(20, 88, "a frame comes in", "note"))
    out.append(text(1148, 88, "a frame goes out", "note end"))
    out.append(text(494, 262, "to this host", "note"))
    out.append(text(560, 88, "to another host", "note"))
    out.append('  <path class="rule" d="M20 660h1128"/>')
    out.append(text(20, 692, "Frames of a bridge", "head"))
    out.append(text(200, 692, "tables of family bridge, with priorities of their own", "note"))
    for hook, left, top, width in BRIDGED:
        out += box(hook, left, top, width, BRIDGE[hook])
    out += place(20, 718, 108, 44, "ingress", "of the port")
    out += place(1040, 718, 108, 44, "egress", "of the port")
    out += place(348, 718, 174, 44, "whose address?")
    out += place(335, 908, 200, 40, "ingress of the bridge", "device, as above")
    out += place(1000, 864, 148, 40, "egress of the bridge", "device, from above")
    out += [line(one) for one in BRIDGE_ARROWS]
    return "\n".join([*out, "</svg>"]) + "\n"


ARROWS = (
    "M128 134H158",
    "M410 134H436",
    "M532 134H558",
    "M710 134H748",
    "M1000 134H1038",
    "M485 156V338",
    "M543 504V534",
    "M614 576V598",
    "M668 618H708V310H748",
    "M890 290V245",
)

BRIDGE_ARROWS = (
    "M128 740H158",
    "M310 740H346",
    "M522 740H558",
    "M710 740H748",
    "M900 740H1038",
    "M435 762V820",
    "M435 881V906",
    "M1000 884H902",
    "M825 842V794",
)
