# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types of packet metadata: marks, interfaces, owners, times, groups."""

from __future__ import annotations

import os

from ...errors import nearest
from ...links import interfaces
from .base import DataType, DatatypeError, Text
from .hostnames import HostTable, NamedByHost
from .lookups import looked_up


class _InterfaceIndex(DataType):
    """An interface that exists, by name or index."""

    __slots__ = ()

    def named(self, word: str) -> int | None:
        """The index of the interface, in the network namespace that is worked in."""
        return looked_up(self.name, word, interfaces.index_of(word))

    def name_of(self, number: int) -> str | None:
        return interfaces.name_of(number)

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        """The name; the index as text where there is no such interface."""
        return self.name_of(number) or str(number)

    def text_of(self, number: int) -> str:
        name = self.name_of(number)
        return str(number) if name is None else '"%s"' % name

    def allowed(self, bits: int = 0) -> str:
        return "an interface that exists, or its index"

    def _unknown(self, word: str) -> DatatypeError:
        return DatatypeError(
            "no such interface",
            word,
            self.allowed(),
            nearest(word, interfaces.names()) or "match its name (iifname, oifname)",
        )


class _InterfaceName(Text):
    """An interface name, existing or not.

    A star at the end stands for any ending and is no name: :func:`interface_prefix`
    gives its bytes. A star that belongs to the name is written ``\\*``, as nft does.
    """

    __slots__ = ()

    def number_of(self, value: object, bits: int = 0) -> int:
        """The integer of the name's sixteen bytes. Raises DatatypeError, for ``ppp*`` too."""
        if isinstance(value, str) and value.endswith("*"):
            if not value.endswith("\\*"):
                raise DatatypeError("a prefix where one interface name is due", value, self.allowed())
            value = value[:-2] + "*"
        return super().number_of(value)

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        return self._escaped(number)

    def text_of(self, number: int) -> str:
        return '"%s"' % self._escaped(number)

    def allowed(self, bits: int = 0) -> str:
        return "an interface name of 1 to 15 bytes"

    def _escaped(self, number: int) -> str:
        name = self._decoded(number)
        return name[:-1] + "\\*" if name.endswith("*") else name

    def _called(self) -> str:
        return "an interface name"


class _Owner(DataType):
    """A user or group id; names come from the host's databases. nft prints numbers."""

    __slots__ = ()

    def named(self, word: str) -> int | None:
        found: int | None
        try:
            if self.name == "uid":
                import pwd

                found = pwd.getpwnam(word).pw_uid
            else:
                import grp

                found = grp.getgrnam(word).gr_gid
        except (KeyError, ValueError):
            found = None
        return looked_up(self.name, word, found)

    def allowed(self, bits: int = 0) -> str:
        return "the name or number of a %s" % ("user" if self.name == "uid" else "group")

    def _unknown(self, word: str) -> DatatypeError:
        return DatatypeError("no such %s" % ("user" if self.name == "uid" else "group"), word, self.allowed())


class _ClassId(DataType):
    """A traffic control handle ``major:minor``, both hexadecimal; ``root`` and ``none``."""

    __slots__ = ()

    def named(self, word: str) -> int | None:
        major, colon, minor = word.partition(":")
        if colon:
            try:
                high, low = int(major or "0", 16), int(minor or "0", 16)
            except ValueError:
                return None
            return high << 16 | low if 0 <= high <= 0xFFFF and 0 <= low <= 0xFFFF else None
        return super().named(word)

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        return self.text_of(number)

    def text_of(self, number: int) -> str:
        return self.name_of(number) or "%x:%x" % (number >> 16, number & 0xFFFF)

    def allowed(self, bits: int = 0) -> str:
        return "major:minor in hexadecimal such as 1:10, root or none"


class _Boolean(DataType):
    """Whether something is there: true and false in JSON, ``exists`` and ``missing`` in text."""

    __slots__ = ()

    def number_of(self, value: object, bits: int = 0) -> int:
        """1 or 0. Raises DatatypeError."""
        if isinstance(value, bool):
            return int(value)
        return super().number_of(value)

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        return number != 0

    def allowed(self, bits: int = 0) -> str:
        return "true or false"


class _Duration(DataType):
    """A span of time in milliseconds. Numbers are seconds; a text may say ``1h30m``."""

    __slots__ = ()

    def number_of(self, value: object, bits: int = 0) -> int:
        """Milliseconds from seconds or from a text such as ``1d2h3m4s5ms``. Raises DatatypeError."""
        if isinstance(value, str):
            total = milliseconds_of(value)
            if total is None:
                raise self._unknown(value)
        else:
            total = super().number_of(value, 64) * 1000
        return self._in_range(total, value, bits)

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        """Whole seconds: nft's JSON has no room for milliseconds."""
        return number // 1000

    def text_of(self, number: int) -> str:
        """Days to milliseconds, each where it isn't nought."""
        rest, parts = number, ""
        for unit, size in _UNITS:
            count, rest = divmod(rest, size)
            if count:
                parts += "%d%s" % (count, unit)
        return parts or "0s"

    def allowed(self, bits: int = 0) -> str:
        return "seconds, or a time such as 1h30m"


class _Date(DataType):
    """A point in time: nanoseconds since 1970 in UTC, written in the host's time zone."""

    __slots__ = ()

    def number_of(self, value: object, bits: int = 0) -> int:
        """From ``YYYY-MM-DD [HH:MM[:SS]]`` in local time or seconds since 1970. Raises DatatypeError."""
        if isinstance(value, str) and "-" in value:
            # another one where the host moves to another time zone
            return looked_up(self.name, value, self._parsed(value) * 1000000000) or 0
        return super().number_of(value, 33) * 1000000000

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        import time

        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(number // 1000000000))

    def text_of(self, number: int) -> str:
        return '"%s"' % self.json_of(number)

    def allowed(self, bits: int = 0) -> str:
        return "a date such as 2026-01-31 or 2026-01-31 17:00:00, or seconds since 1970"

    def _parsed(self, value: str) -> int:
        import calendar
        import time

        for layout in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
            try:
                seconds = calendar.timegm(time.strptime(value, layout))
            except ValueError:
                continue
            local = seconds - time.localtime(seconds).tm_gmtoff
            if local >= 0:
                return local
        raise self._unknown(value)


class _Hour(DataType):
    """A time of day: seconds since midnight in UTC, written in the host's time zone."""

    __slots__ = ()

    def number_of(self, value: object, bits: int = 0) -> int:
        """From ``HH:MM[:SS]`` in local time or seconds of the UTC day. Raises DatatypeError."""
        if isinstance(value, str) and ":" in value:
            parts = value.split(":")
            if len(parts) > 3 or not all(0 < len(part) < 3 and part.isdecimal() for part in parts):
                raise self._unknown(value)
            hour, minute, second = (int(part) for part in (*parts, "0")[:3])
            if hour > 23 or minute > 59 or second > 59:
                raise self._unknown(value)
            # another one in summer
            return looked_up(self.name, value, (hour * 3600 + minute * 60 + second - _gmtoff()) % 86400) or 0
        number = super().number_of(value)
        if number >= 86400:
            raise DatatypeError("a day has 86400 seconds", value, self.allowed())
        return number

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        minutes, second = divmod((number + _gmtoff()) % 86400, 60)
        text = "%02d:%02d" % divmod(minutes, 60)
        return "%s:%02d" % (text, second) if second else text

    def text_of(self, number: int) -> str:
        return '"%s"' % self.json_of(number)

    def allowed(self, bits: int = 0) -> str:
        return "a time of day such as 17:00 or 17:00:30"


class _Day(DataType):
    """A day of the week, by name, unambiguous abbreviation (in any case) or number."""

    __slots__ = ()

    def named(self, word: str) -> int | None:
        lower = word.lower()
        if len(lower) > 2:
            for name, number in self.constants.items():
                if name.lower().startswith(lower):
                    return number
        return None

    def number_of(self, value: object, bits: int = 0) -> int:
        """0 (Sunday) to 6 (Saturday). Raises DatatypeError."""
        number = super().number_of(value)
        if number > 6:
            raise DatatypeError("a week has seven days", value, self.allowed())
        return number

    def text_of(self, number: int) -> str:
        name = self.name_of(number)
        return str(number) if name is None else '"%s"' % name

    def allowed(self, bits: int = 0) -> str:
        return "%s, or 0 (Sunday) to 6" % ", ".join(self.constants)


class _ControlGroup(DataType):
    """A control group (version 2) by its path below /sys/fs/cgroup; the integer is the directory's inode."""

    __slots__ = ()

    ROOT = "/sys/fs/cgroup"

    def named(self, word: str) -> int | None:
        if word.isdecimal() or ".." in word.split("/") or "\0" in word:
            return None
        try:
            return os.stat("%s/%s" % (self.ROOT, word.strip("/"))).st_ino
        except OSError:
            return None

    def name_of(self, number: int) -> str | None:
        for folder, inner, _unused in os.walk(self.ROOT):
            for name in inner:
                path = "%s/%s" % (folder, name)
                try:
                    if os.lstat(path).st_ino == number:
                        return path[len(self.ROOT) + 1 :]
                except OSError:
                    continue
        return None

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        return self.name_of(number) or str(number)

    def text_of(self, number: int) -> str:
        name = self.name_of(number)
        return str(number) if name is None else '"%s"' % name

    def allowed(self, bits: int = 0) -> str:
        return "the path of a control group that exists, such as system.slice/ssh.service"

    def _unknown(self, word: str) -> DatatypeError:
        return DatatypeError("no such control group", word, self.allowed())


_UNITS = (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000), ("ms", 1))

# linux/netfilter.h (NFPROTO_*): those that a packet can have
NF_PROTO = DataType("nf_proto", 2, 8, {"ipv4": 2, "ipv6": 10})
TIME = _Duration("time", 18, 32, byteorder="host")
MARK = NamedByHost("mark", 19, 32, HostTable("rt_marks"), form="0x%08x")
IFACE_INDEX = _InterfaceIndex("iface_index", 20, 32, byteorder="host")
# linux/if_arp.h (ARPHRD_*)
IFACE_TYPE = DataType(
    "iface_type",
    21,
    16,
    {"ether": 1, "ppp": 512, "ipip": 768, "ipip6": 769, "loopback": 772, "sit": 776, "ipgre": 778},
    "host",
)
REALM = NamedByHost("realm", 22, 32, HostTable("rt_realms"), json_numbers=False)
# linux/pkt_sched.h: TC_H_ROOT, TC_H_UNSPEC
CLASSID = _ClassId("classid", 23, 32, {"root": 0xFFFFFFFF, "none": 0}, "host")
UID = _Owner("uid", 24, 32, byteorder="host")
GID = _Owner("gid", 25, 32, byteorder="host")
# linux/if_packet.h (PACKET_*)
PKT_TYPE = DataType(
    "pkt_type", 31, 8, {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3}, "host"
)
DEVGROUP = NamedByHost("devgroup", 35, 32, HostTable("group"))
# linux/rtnetlink.h (RTN_*)
FIB_ADDRTYPE = DataType(
    "fib_addrtype",
    38,
    32,
    {
        "unspec": 0,
        "unicast": 1,
        "local": 2,
        "broadcast": 3,
        "anycast": 4,
        "multicast": 5,
        "blackhole": 6,
        "unreachable": 7,
        "prohibit": 8,
    },
    "host",
)
BOOLEAN = _Boolean("boolean", 39, 1, {"exists": 1, "missing": 0})
IFNAME = _InterfaceName("ifname", 41, 128)
# nft names this type "time" as well; a set's type cannot be written with it, only `typeof meta time`
DATE = _Date("date", 43, 64, byteorder="host")
HOUR = _Hour("hour", 44, 32, byteorder="host")
DAY = _Day(
    "day",
    45,
    8,
    {
        "Sunday": 0,
        "Monday": 1,
        "Tuesday": 2,
        "Wednesday": 3,
        "Thursday": 4,
        "Friday": 5,
        "Saturday": 6,
    },
    "host",
)
CGROUPSV2 = _ControlGroup("cgroupsv2", 46, 64, byteorder="host")

TYPES = (
    NF_PROTO,
    TIME,
    MARK,
    IFACE_INDEX,
    IFACE_TYPE,
    REALM,
    CLASSID,
    UID,
    GID,
    PKT_TYPE,
    DEVGROUP,
    FIB_ADDRTYPE,
    BOOLEAN,
    IFNAME,
    DATE,
    HOUR,
    DAY,
    CGROUPSV2,
)


def interface_prefix(name: str) -> bytes | None:
    """The bytes an interface wildcard compares: b"ppp" for ``ppp*`` and ``ppp+``, None for a plain name.

    Raises DatatypeError for a prefix that is too long, or empty.
    """
    if not name.endswith(("*", "+")) or name.endswith("\\*"):
        return None
    raw = name[:-1].encode("utf-8", "surrogateescape")
    if not 0 < len(raw) < Text.SIZE:
        raise DatatypeError(
            "an interface prefix of this length matches nothing useful",
            name,
            "1 to 15 bytes before the %s" % name[-1],
        )
    return raw


def interface_wildcard(prefix: bytes) -> str:
    """The wildcard nft prints for a compare over these bytes: ``ppp*``, in its text in quotes."""
    return prefix.decode("utf-8", "surrogateescape") + "*"


NEVER = "never"
"""The timeout of an element that stays although its set has one, as nft 1.1.1 and later say it."""


def milliseconds_of(text: str) -> int | None:
    """A time such as ``1d2h3m4s5ms`` or a bare number of seconds as milliseconds; None where it is neither.

    Units stand in falling order, each at most once.
    """
    if text.isdecimal() and text.isascii():
        return int(text) * 1000
    total, rest, last = 0, text, -1
    while rest:
        digits = 0
        while digits < len(rest) and rest[digits] in "0123456789":
            digits += 1
        unit = rest[digits : digits + 2]
        if unit != "ms":
            unit = unit[:1]
        position = _UNIT_NAMES.find(" %s " % unit)
        if not digits or not unit or position <= last:
            return None
        last = position
        total += int(rest[:digits]) * dict(_UNITS)[unit]
        rest = rest[digits + len(unit) :]
    return total if last >= 0 else None


_UNIT_NAMES = " d h m s ms "


def _gmtoff() -> int:
    """Seconds that local time is ahead of UTC now."""
    import time

    return time.localtime().tm_gmtoff
