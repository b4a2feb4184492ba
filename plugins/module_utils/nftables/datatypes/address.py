# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses: IPv4, IPv6, Ethernet and other link layers."""

from __future__ import annotations

import socket

from .base import DataType, DatatypeError


class _InternetAddress(DataType):
    """An IPv4 or IPv6 address; the integer is its big-endian value. Host names are not its business."""

    __slots__ = ("_family", "_kind")

    def __init__(self, name: str, number: int, bits: int, family: int, kind: str) -> None:
        super().__init__(name, number, bits)
        self._family = family
        self._kind = kind

    def number_of(self, value: object, bits: int = 0) -> int:
        """The address as an integer. Raises DatatypeError, naming what the text is instead."""
        if isinstance(value, str):
            try:
                return int.from_bytes(socket.inet_pton(self._family, value), "big")
            except (OSError, UnicodeError, ValueError):
                pass
        raise DatatypeError("not an %s address" % self._kind, value, self.allowed(), self._cure(value))

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        return self.text_of(number)

    def text_of(self, number: int) -> str:
        return socket.inet_ntop(self._family, number.to_bytes(self.bits // 8, "big"))

    def allowed(self, bits: int = 0) -> str:
        return "an %s address such as %s" % (
            self._kind,
            "192.0.2.1" if self._family == socket.AF_INET else "2001:db8::1",
        )

    def _cure(self, value: object) -> str:
        if not isinstance(value, str):
            return "quote it" if isinstance(value, (int, float)) else ""
        if "/" in value:
            return "one address is due here, not a network"
        family = address_family(value)
        if family is not None:
            return "this is an %s address" % ("IPv4" if family == "ip" else "IPv6")
        octets = value.split(".")
        if self._family == socket.AF_INET and len(octets) == 4 and all(one.isdecimal() for one in octets):
            if any(len(one) > 1 and one[0] == "0" for one in octets):
                return "write each part without a leading zero"
            return "each part is at most 255"
        return ""


class _LinkAddress(DataType):
    """A link-layer address: hexadecimal octets joined by colons; a dash does as well."""

    __slots__ = ()

    def number_of(self, value: object, bits: int = 0) -> int:
        """The octets as a big-endian integer. Raises DatatypeError."""
        bits = bits or self.bits
        if isinstance(value, str):
            octets = value.replace("-", ":").split(":")
            if (len(octets) * 8 == bits or not bits) and all(
                0 < len(one) < 3 and all(digit in "0123456789abcdefABCDEF" for digit in one) for one in octets
            ):
                return int("".join(one.rjust(2, "0") for one in octets), 16)
        raise DatatypeError("not a link-layer address", value, self.allowed(bits))

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        return self.text_of(number)

    def text_of(self, number: int) -> str:
        """Lower-case octets; where the type has no width, as many as the number needs, six at least."""
        size = self.bits // 8 or max(6, (number.bit_length() + 7) // 8)
        return number.to_bytes(size, "big").hex(":")

    def allowed(self, bits: int = 0) -> str:
        count = (bits or self.bits) // 8 or 6
        return "%d hexadecimal octets joined by colons, such as %s" % (
            count,
            ":".join(("00", "11", "22", "33", "44", "55", "66", "77")[index % 8] for index in range(count)),
        )


LL_ADDR = _LinkAddress("ll_addr", 6, 0)
IPV4_ADDR = _InternetAddress("ipv4_addr", 7, 32, socket.AF_INET, "IPv4")
IPV6_ADDR = _InternetAddress("ipv6_addr", 8, 128, socket.AF_INET6, "IPv6")
ETHER_ADDR = _LinkAddress("ether_addr", 9, 48)


class _OptionAddress(DataType):
    """An IPv4 address that is written as a number, since versions of nft before 1.1.2 read none but that."""

    __slots__ = ()

    def number_of(self, value: object, bits: int = 0) -> int:
        """The integer of a dotted address or a number. Raises DatatypeError."""
        if isinstance(value, str) and "." in value:
            return IPV4_ADDR.number_of(value)
        return super().number_of(value, bits)


OPTION_ADDR = _OptionAddress("option_addr", 4, 0)  # an integer, for no set can be declared of it

TYPES = (LL_ADDR, IPV4_ADDR, IPV6_ADDR, ETHER_ADDR)


def address_family(text: str) -> str | None:
    """Whether the text is one plain address: "ip", "ip6", or None for anything else."""
    if ":" in text:
        family, name = socket.AF_INET6, "ip6"
    elif text[:1].isdecimal():
        family, name = socket.AF_INET, "ip"
    else:
        return None
    try:
        socket.inet_pton(family, text)
    except (OSError, UnicodeError, ValueError):
        return None
    return name


def mask_to_prefix(mask: str) -> int:
    """The prefix length of a dotted IPv4 mask: 24 for ``255.255.255.0``.

    Raises DatatypeError for a text that is no mask and for a mask with holes.
    """
    try:
        number = int.from_bytes(socket.inet_pton(socket.AF_INET, mask), "big")
    except (OSError, UnicodeError, ValueError):
        raise DatatypeError("not an IPv4 mask", mask, "a mask such as 255.255.255.0") from None
    hosts = number ^ 0xFFFFFFFF
    if hosts & (hosts + 1):
        filled = (1 << hosts.bit_length()) - 1 ^ 0xFFFFFFFF
        cure = "the mask reversed is %s" % IPV4_ADDR.text_of(hosts) if not number & (number + 1) else ""
        raise DatatypeError(
            "a mask with holes: its one bits must all stand before its zero bits",
            mask,
            "a mask such as %s" % IPV4_ADDR.text_of(filled),
            cure,
        )
    return 32 - hosts.bit_length()
