# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The helpers of the Linux kernel: their names there, their modules, default ports and parameters.

net/netfilter/nf_conntrack_*.c, net/netfilter/nf_nat_*.c and net/ipv4/netfilter/nf_nat_*.c of Linux 6.18.
"""

from __future__ import annotations


class KernelHelper:
    """One helper as the kernel knows it: ``type`` is its name, ``port`` the one registered for it at IANA."""

    __slots__ = ("l3proto", "port", "protocol", "type")

    def __init__(self, type: str, protocol: str, port: int, l3proto: str = "inet") -> None:
        self.type = type
        self.protocol = protocol
        self.port = port
        self.l3proto = l3proto


class Parameter:
    """A parameter of a helper's module.

    ``kind`` is "bool", "number", "ports" or "text"; a number is from ``low`` to ``high``.
    """

    __slots__ = ("high", "kind", "low", "name")

    def __init__(self, name: str, kind: str, low: int = 0, high: int = 0xFFFFFFFF) -> None:
        self.name = name
        self.kind = kind
        self.low = low
        self.high = high


class Helper:
    """A helper as people name it: ``module`` does it, ``nat_module`` does it for translated connections.

    ``nat_module`` is empty where no address stands in what the protocol sends.
    """

    __slots__ = ("kernel", "module", "name", "nat_module", "parameters")

    def __init__(
        self,
        name: str,
        kernel: list[KernelHelper],
        nat_module: str = "",
        parameters: tuple[Parameter, ...] = (),
    ) -> None:
        self.name = name
        self.kernel = {one.protocol: one for one in kernel}
        self.module = "nf_conntrack_" + name
        self.nat_module = nat_module
        self.parameters = {one.name: one for one in parameters}

    @property
    def protocols(self) -> tuple[str, ...]:
        """The transport protocols that it understands."""
        return tuple(self.kernel)

    @property
    def modules(self) -> list[str]:
        """Its modules, in the order in which they are loaded."""
        return [self.module, self.nat_module] if self.nat_module else [self.module]

    def object_name(self, protocol: str) -> str:
        """The name of its object in the table of assignments, one for each protocol."""
        return self.name if len(self.kernel) == 1 else "%s_%s" % (self.name, protocol)


_PORTS = Parameter("ports", "ports")

HELPERS: dict[str, Helper] = {
    one.name: one
    for one in (
        Helper("amanda", [KernelHelper("amanda", "udp", 10080)], "nf_nat_amanda",
               (Parameter("master_timeout", "number"), Parameter("ts_algo", "text"))),
        Helper("ftp", [KernelHelper("ftp", "tcp", 21)], "nf_nat_ftp", (_PORTS, Parameter("loose", "bool"))),
        # H.225.0: registration, admission and status over UDP, calls over TCP. The kernel itself
        # gives the helper of H.245 to the connections that a call announces.
        Helper("h323", [KernelHelper("RAS", "udp", 1719), KernelHelper("Q.931", "tcp", 1720)], "nf_nat_h323",
               (Parameter("default_rrq_ttl", "number"), Parameter("gkrouted_only", "number", 0, 1),
                Parameter("callforward_filter", "bool"))),
        Helper("irc", [KernelHelper("irc", "tcp", 6667, "ip")], "nf_nat_irc",
               (_PORTS, Parameter("max_dcc_channels", "number", 1, 255), Parameter("dcc_timeout", "number"))),
        Helper("netbios_ns", [KernelHelper("netbios-ns", "udp", 137, "ip")],
               parameters=(Parameter("timeout", "number"),)),
        Helper("pptp", [KernelHelper("pptp", "tcp", 1723, "ip")], "nf_nat_pptp"),
        Helper("sane", [KernelHelper("sane", "tcp", 6566)], parameters=(_PORTS,)),
        Helper("sip", [KernelHelper("sip", "udp", 5060), KernelHelper("sip", "tcp", 5060)], "nf_nat_sip",
               (_PORTS, Parameter("sip_timeout", "number"),
                Parameter("sip_direct_signalling", "number", 0, 1),
                Parameter("sip_direct_media", "number", 0, 1),
                Parameter("sip_external_media", "number", 0, 1))),
        Helper("snmp", [KernelHelper("snmp", "udp", 161, "ip")], "nf_nat_snmp_basic",
               (Parameter("timeout", "number"),)),
        Helper("tftp", [KernelHelper("tftp", "udp", 69)], "nf_nat_tftp", (_PORTS,)),
    )
}  # fmt: skip

SPELLINGS = {"netbios-ns": "netbios_ns"}
"""Other names that people know a helper by."""

PARTS = {
    "RAS": "RAS is the part of h323 over udp: name h323 with protocol udp",
    "Q.931": "Q.931 is the part of h323 over tcp: name h323 with protocol tcp",
    "H.245": "the kernel assigns H.245 itself, to the connections that Q.931 announces: name h323",
}
"""Names of the kernel's that stand for a part of a helper."""

MOST_PORTS = 8
"""MAX_PORTS of the helpers' sources: the most ports that the parameter ``ports`` takes."""
