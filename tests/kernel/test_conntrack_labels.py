# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file that names labels, as conntrack(8) reads it."""

from __future__ import annotations

import string
from pathlib import Path

from rempart.conntrack import labels

from tests.support import connections, conntrack_tool
from tests.support.namespaces import Namespace

# A rule that sets a label makes room for labels in connections.
RULE = """
table inet t {
  chain c {
    type filter hook output priority 0;
    ct label set 1
  }
}
"""
LINES = (
    *("# 3 names", "  1 one", "\t2 two", "3", "4 a b  c ", "5 dup", "6 dup", "7 first", "7 second"),
    *("8 9", "9 9x", "10 %s" % ("l" * 70), "11 1a", "0x 12", "12.5 x", "13 ABC", "14    pad\t ", "15 _x"),
    *(
        "16 -x",
        "16x",
        "128 no",
        "+17 plus",
        "-1 minus",
        "18 # x",
        "19x foo",
        "20 cr\r",
        "0x15 hex",
        "026 oct",
    ),
    *("22 d\tt", "09 nine", "0X20 HEX", "23 f\u00fcnf", "", " ", "x y", "24x", "127 last"),
    *("%d a%sb" % (number, sign) for number, sign in enumerate(string.punctuation, 40)),
)


def test_names_as_conntrack_reads_them(netns: Namespace, tmp_path: Path) -> None:
    netns.nft(RULE)
    connections.inject(
        netns, (connections.tcp(sport=bit, mark=bit, labels=[bit]) for bit in range(labels.COUNT))
    )
    text = "".join("%s\n" % line for line in LINES)
    told = {}
    for line in conntrack_tool.listing(netns, "-o", "labels", labels=text):
        fields = line.split(" labels=")
        if len(fields) == 2:
            told[int(line.split("mark=")[1].split()[0])] = fields[1]
    path = tmp_path / "connlabel.conf"
    path.write_text(text)
    assert labels.names(str(path)) == told
    assert len(told) > 15
