# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Routes, sockets, fingerprints, IPsec and tunnels as selectors."""

from __future__ import annotations

from .. import uapi
from ..datatypes import TYPES
from ..expressions import loads
from .base import Concatenation, Selector
from .program import Program, wire_register

RT_KEYS: dict[str, tuple[int, str, int, str]] = {
    "classid": (uapi.NFT_RT_CLASSID, "realm", 32, "host"),
    "ip nexthop": (uapi.NFT_RT_NEXTHOP4, "ipv4_addr", 32, "big"),
    "ip6 nexthop": (uapi.NFT_RT_NEXTHOP6, "ipv6_addr", 128, "big"),
    "mtu": (uapi.NFT_RT_TCPMSS, "integer", 16, "host"),
    "ipsec": (uapi.NFT_RT_XFRM, "boolean", 1, "host"),
}
RT_NAMES = {row[0]: key for key, row in RT_KEYS.items()}

SOCKET_KEYS: dict[str, tuple[int, str, int, str]] = {
    "transparent": (uapi.NFT_SOCKET_TRANSPARENT, "integer", 8, "host"),
    "mark": (uapi.NFT_SOCKET_MARK, "mark", 32, "host"),
    "wildcard": (uapi.NFT_SOCKET_WILDCARD, "integer", 8, "host"),
    "cgroupv2": (uapi.NFT_SOCKET_CGROUPV2, "cgroupsv2", 64, "host"),
}
SOCKET_NAMES = {row[0]: key for key, row in SOCKET_KEYS.items()}

FIB_RESULTS: dict[str, tuple[int, str, int, str]] = {
    "oif": (uapi.NFT_FIB_RESULT_OIF, "iface_index", 32, "host"),
    "oifname": (uapi.NFT_FIB_RESULT_OIFNAME, "ifname", 128, "big"),
    "type": (uapi.NFT_FIB_RESULT_ADDRTYPE, "fib_addrtype", 32, "host"),
}
FIB_NAMES = {row[0]: key for key, row in FIB_RESULTS.items()}
FIB_FLAGS = {
    "saddr": uapi.NFTA_FIB_F_SADDR,
    "daddr": uapi.NFTA_FIB_F_DADDR,
    "mark": uapi.NFTA_FIB_F_MARK,
    "iif": uapi.NFTA_FIB_F_IIF,
    "oif": uapi.NFTA_FIB_F_OIF,
}

OSF_TTL = {"loose": 1, "skip": 2}  # NF_OSF_TTL_LESS, NF_OSF_TTL_NOCHECK (linux/netfilter/nf_osf.h)
OSF_TTL_NAMES = {number: name for name, number in OSF_TTL.items()}

XFRM_KEYS: dict[str, tuple[int, str, int, str]] = {
    "ip saddr": (uapi.NFT_XFRM_KEY_SADDR_IP4, "ipv4_addr", 32, "big"),
    "ip daddr": (uapi.NFT_XFRM_KEY_DADDR_IP4, "ipv4_addr", 32, "big"),
    "ip6 saddr": (uapi.NFT_XFRM_KEY_SADDR_IP6, "ipv6_addr", 128, "big"),
    "ip6 daddr": (uapi.NFT_XFRM_KEY_DADDR_IP6, "ipv6_addr", 128, "big"),
    "reqid": (uapi.NFT_XFRM_KEY_REQID, "integer", 32, "host"),
    "spi": (uapi.NFT_XFRM_KEY_SPI, "integer", 32, "big"),
}
XFRM_NAMES = {row[0]: key for key, row in XFRM_KEYS.items()}
XFRM_DIRECTIONS = {"in": 0, "out": 1}  # XFRM_POLICY_IN, XFRM_POLICY_OUT (linux/xfrm.h)

TUNNEL_KEYS: dict[str, tuple[int, str, int, str]] = {
    "path": (uapi.NFT_TUNNEL_PATH, "boolean", 1, "host"),
    "id": (uapi.NFT_TUNNEL_ID, "integer", 32, "host"),
}
TUNNEL_NAMES = {row[0]: key for key, row in TUNNEL_KEYS.items()}


class _Keyed(Selector):
    def __init__(self, row: tuple[int, str, int, str]) -> None:
        self.number, datatype, self.bits, self.byteorder = row
        self.datatype = TYPES[datatype]


class Rt(_Keyed):
    """One key of the packet's route."""

    def load(self, program: Program, register: int) -> None:
        """``rt load``."""
        program.add(loads.Rt(key=self.number, dreg=wire_register(register)))


class Socket(_Keyed):
    """One key of the local socket; ``level`` is the depth of cgroupv2."""

    def __init__(self, row: tuple[int, str, int, str], level: int | None = None) -> None:
        super().__init__(row)
        self.level = level

    def load(self, program: Program, register: int) -> None:
        """``socket load``."""
        program.add(loads.Socket(key=self.number, dreg=wire_register(register), level=self.level))


class Fib(_Keyed):
    """An answer of the routing table. ``present`` asks only whether there is one."""

    def __init__(self, result: str, flags: int, present: bool = False) -> None:
        super().__init__(FIB_RESULTS[result])
        self.flags = flags
        self.present = present
        if present:
            self.datatype = TYPES["boolean"]
            self.bits = 32
            self.byteorder = "host"

    def load(self, program: Program, register: int) -> None:
        """``fib load``."""
        flags = self.flags | (uapi.NFTA_FIB_F_PRESENT if self.present else 0)
        program.add(loads.Fib(dreg=wire_register(register), result=self.number, flags=flags))


class Osf(Selector):
    """The operating system that a SYN packet looks like: its name, or name and version."""

    bits = 128
    byteorder = "big"

    def __init__(self, ttl: int, version: bool) -> None:
        self.datatype = TYPES["string"]
        self.ttl = ttl
        self.version = version

    def load(self, program: Program, register: int) -> None:
        """``osf load``."""
        flags = 1 if self.version else 0  # NFT_OSF_F_VERSION
        program.add(loads.Osf(dreg=wire_register(register), ttl=self.ttl, flags=flags))


class Xfrm(_Keyed):
    """A property of the IPsec state that the packet came from or goes to."""

    def __init__(self, row: tuple[int, str, int, str], direction: int, spnum: int) -> None:
        super().__init__(row)
        self.direction = direction
        self.spnum = spnum

    def load(self, program: Program, register: int) -> None:
        """``xfrm load``."""
        program.add(
            loads.Xfrm(dreg=wire_register(register), key=self.number, dir=self.direction, spnum=self.spnum)
        )


class Tunnel(_Keyed):
    """A property of the tunnel that the packet came through."""

    def load(self, program: Program, register: int) -> None:
        """``tunnel load``."""
        program.add(loads.Tunnel(key=self.number, dreg=wire_register(register), mode=0))


class Numgen(Selector):
    """A counted-up or random number."""

    bits = 32
    byteorder = "host"

    def __init__(self, mode: int, modulus: int, offset: int) -> None:
        self.datatype = TYPES["integer"]
        self.mode = mode
        self.modulus = modulus
        self.offset = offset

    def load(self, program: Program, register: int) -> None:
        """``numgen``."""
        program.add(
            loads.Numgen(
                dreg=wire_register(register), modulus=self.modulus, type=self.mode, offset=self.offset
            )
        )


class Hash(Selector):
    """The Jenkins hash of another selector, or (``source`` None) the flow's symmetric hash."""

    bits = 32
    byteorder = "host"

    def __init__(self, source: Selector | None, modulus: int, seed: int | None, offset: int) -> None:
        self.datatype = TYPES["integer"]
        self.source = source
        self.modulus = modulus
        self.seed = seed
        self.offset = offset

    def load(self, program: Program, register: int) -> None:
        """``jhash`` or ``symhash``."""
        if self.source is None:
            program.add(
                loads.Hash(
                    dreg=wire_register(register),
                    modulus=self.modulus,
                    offset=self.offset or None,
                    type=uapi.NFT_HASH_SYM,
                )
            )
            return
        source = program.take(self.source.units if isinstance(self.source, Concatenation) else 4)
        self.source.load(program, source)
        program.low = source
        program.add(
            loads.Hash(
                sreg=wire_register(source),
                dreg=wire_register(register),
                len=self.source.width // 8,
                modulus=self.modulus,
                seed=self.seed,
                offset=self.offset or None,
                type=uapi.NFT_HASH_JENKINS,
            )
        )


NUMGEN_MODES = {"inc": uapi.NFT_NG_INCREMENTAL, "random": uapi.NFT_NG_RANDOM}
NUMGEN_NAMES = {number: name for name, number in NUMGEN_MODES.items()}
