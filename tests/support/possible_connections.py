# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random connections that the kernel takes as they are, for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from rempart.conntrack import names, tuples

NUMBER = st.integers(1, 0xFFFF)
ADDRESS = {
    "ip": st.integers(1, 250).map("10.1.2.%d".__mod__),
    "ip6": st.integers(1, 250).map("fd00::%x".__mod__),
}


@st.composite
def possible(draw: st.DrawFn) -> dict[str, Any]:
    """The entry of a connection, without a zone; labels need a rule of the namespace that sets one."""
    family = draw(st.sampled_from(["ip", "ip6"]))
    icmp = "icmp" if family == "ip" else "icmpv6"
    protocol = draw(st.sampled_from(["tcp", "udp", "udplite", "sctp", "gre", icmp, "unknown"]))
    protonum = names.PROTOCOLS.get(protocol, 99)

    def side() -> dict[str, Any]:
        found: dict[str, Any] = {"saddr": draw(ADDRESS[family]), "daddr": draw(ADDRESS[family])}
        for key in tuples.keys_of(protonum):
            found[key] = draw(NUMBER)
        if protocol == icmp:
            found.update(icmp_type=draw(st.sampled_from([8, 13] if icmp == "icmp" else [128])), icmp_code=0)
        return found

    original = side()
    entry: dict[str, Any] = {
        "family": family,
        "protocol": protocol,
        "protonum": protonum,
        "timeout": draw(st.integers(100, 2**31 // 1000)),
        "original": original,
        "reply": tuples.opposite(original, protonum),
        "status": draw(
            st.sampled_from(
                [
                    ["confirmed"],
                    ["seen_reply", "confirmed"],
                    ["seen_reply", "assured", "confirmed"],
                    ["seen_reply", "assured", "confirmed", "fixed_timeout"],
                ]
            )
        ),
        "mark": draw(st.integers(0, 2**32 - 1)),
    }
    if draw(st.booleans()):
        entry["reply"]["daddr"] = draw(ADDRESS[family])
    if draw(st.booleans()):
        entry["labels"] = sorted(draw(st.sets(st.integers(0, 127), min_size=1)))
    if protocol == "tcp":
        entry["state"] = draw(st.sampled_from(names.TCP_STATES))
        for one in (entry["original"], entry["reply"]):
            one["tcp_flags"] = draw(st.sampled_from([[], ["sack_perm"], ["be_liberal", "maxack_set"]]))
        if draw(st.booleans()):
            for one in (entry["original"], entry["reply"]):
                one["wscale"] = draw(st.integers(0, 14))
                one["tcp_flags"] = ["window_scale", *one["tcp_flags"]]
        if draw(st.booleans()):
            entry["helper"] = "ftp"
    if protocol == "sctp":
        entry["state"] = draw(st.sampled_from(names.SCTP_STATES[:9]))  # the last is gone from Linux 6.1 on
        for one in (entry["original"], entry["reply"]):
            one["vtag"] = draw(st.integers(0, 2**32 - 1))
    return entry
