# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data types without a kernel: round trips, the host's own names, and what is refused with which words."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rempart.nftables.datatypes import (
    BY_NUMBER,
    TYPES,
    DatatypeError,
    Flags,
    address_family,
    interface_prefix,
    mask_to_prefix,
    milliseconds_of,
    resolve_abbreviation,
)
from rempart.nftables.datatypes.hostnames import HostTable, NamedByHost
from rempart.nftables.datatypes.services import SERVICES

TEXTS = {"string", "ifname"}
# what nft prints for these depends on the host, or loses the finer part
UNEVEN = {"invalid", "verdict", "time", "date", "hour", "day", "cgroupsv2", "iface_index", "ct_label", *TEXTS}


def test_every_type_has_its_number_and_name() -> None:
    assert sorted(BY_NUMBER) == list(range(47))
    assert all(type.name == name and BY_NUMBER[type.number] is type for name, type in TYPES.items())


def test_flags_are_the_bitmask_types() -> None:
    flags = {"tcp_flag", "ct_state", "ct_status", "ct_label", "ct_event"}
    assert {name for name, type in TYPES.items() if type.bitmask} == flags
    assert all(isinstance(TYPES[name], Flags) for name in flags)


def test_constants_round_trip() -> None:
    for type in TYPES.values():
        if type.name in TEXTS:
            continue
        for name, number in {**type.constants, **type.aliases}.items():
            assert type.number_of(name) == number
            if type.name != "verdict":
                assert type.number_of(type.json_of(number)) == number


@given(st.data())
def test_numbers_round_trip_through_json(data: st.DataObject) -> None:
    type = TYPES[data.draw(st.sampled_from(sorted(set(TYPES) - UNEVEN)))]
    number = data.draw(st.integers(0, (1 << (type.bits or 32)) - 1))
    if type.name == "ll_addr":
        number &= 0xFFFFFFFFFFFF
    printed = type.json_of(number)
    if isinstance(printed, list):
        printed = ",".join(map(str, printed))
    assert type.number_of(json.loads(json.dumps(printed))) == number


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=15))
def test_interface_names_round_trip(name: str) -> None:
    type = TYPES["ifname"]
    if len(name.encode()) > 15 or name.endswith("*"):
        with pytest.raises(DatatypeError):
            type.number_of(name)
    else:
        number = type.number_of(name)
        assert number.to_bytes(16, "big") == name.encode().ljust(16, b"\0")
        assert type.json_of(number) == name
        assert type.text_of(number) == '"%s"' % name


@given(st.integers(0, 0xFFFFFFFF))
def test_durations_round_trip_through_text(milliseconds: int) -> None:
    type = TYPES["time"]
    assert type.number_of(type.text_of(milliseconds)) == milliseconds
    assert type.json_of(milliseconds) == milliseconds // 1000


@given(
    st.sampled_from(sorted(TYPES)),
    st.text(max_size=12) | st.integers() | st.floats() | st.booleans() | st.none(),
)
def test_anything_is_a_number_or_a_clear_error(name: str, value: Any) -> None:
    type = TYPES[name]
    try:
        number = type.number_of(value)
    except DatatypeError as error:
        assert error.message
        # of several flags in one text it is the wrong one
        part = type.bitmask and isinstance(value, str) and error.found and error.found in value
        assert error.found == value or value != value or part
        assert error.allowed
    else:
        assert isinstance(number, int)
        assert number >= 0 or name == "verdict"
        assert not type.bits or not max(number, 0) >> type.bits
        assert type.text_of(number)


REFUSED = [
    ("tcp_flag", "syn,akc", "unknown value for data type tcp_flag; found 'akc'", "did you mean 'ack'?"),
    ("tcp_flag", "syn,", "a name is missing beside a comma or |; found 'syn,'", ""),
    ("ct_event", "|", "a name is missing beside a comma or |; found '|'", ""),
    ("inet_service", "sshh", "unknown service; found 'sshh'", "did you mean 'ssh'?"),
    ("inet_service", 65536, "does not fit a port", "from 0 to 65535"),
    ("inet_service", -1, "does not fit a port", "from 0 to 65535"),
    ("inet_service", "070", "unknown service", ""),
    ("inet_service", True, "not a value of a port", ""),
    ("inet_service", 22.0, "not a value of a port", ""),
    ("inet_service", None, "not a value of a port", ""),
    ("inet_proto", "tpc", "unknown protocol", "did you mean 'tcp'?"),
    ("inet_proto", 256, "does not fit a protocol", "from 0 to 255"),
    ("ipv4_addr", "10.0.0.0/8", "not an IPv4 address", "not a network"),
    ("ipv4_addr", "2001:db8::1", "not an IPv4 address", "this is an IPv6 address"),
    ("ipv4_addr", "256.0.0.1", "not an IPv4 address", "at most 255"),
    ("ipv4_addr", "010.0.0.1", "not an IPv4 address", "without a leading zero"),
    ("ipv4_addr", 16909060, "not an IPv4 address", "quote it"),
    ("ipv6_addr", "192.0.2.1", "not an IPv6 address", "this is an IPv4 address"),
    ("ipv6_addr", "fe80::1%eth0", "not an IPv6 address", ""),
    ("ether_addr", "00:11:22:33:44", "not a link-layer address", "6 hexadecimal octets"),
    ("ether_addr", "00:11:22:33:44:gg", "not a link-layer address", "6 hexadecimal octets"),
    ("ifname", "sixteen-bytes-xx", "too long for an interface name", "1 to 15 bytes"),
    ("ifname", "", "no usable text for an interface name", "1 to 15 bytes"),
    ("ifname", "ppp*", "a prefix where one interface name is due", ""),
    ("ifname", 5, "not a text for an interface name", ""),
    ("iface_index", "no-such-link", "no such interface", "iifname"),
    ("icmp_type", "echo-reqest", "unknown value", "did you mean 'echo-request'?"),
    ("icmp_type", 256, "does not fit data type icmp_type", "0 to 255"),
    ("icmp_type", "nd-redirect", "unknown value", ""),
    ("tcp_flag", "syn,akc", "unknown value", "did you mean 'ack'?"),
    ("tcp_flag", 256, "does not fit", ""),
    ("ct_state", "establised", "unknown value", "did you mean 'established'?"),
    ("ct_label", 128, "no such connection label", "from 0 to 127"),
    ("ct_label", "bluk", "unknown connection label", "connlabel.conf"),
    ("dscp", 64, "does not fit data type dscp", "from 0 to 63"),
    ("dscp", "af44", "unknown value", "did you mean"),
    ("ecn", 4, "does not fit", "from 0 to 3"),
    ("mark", 1 << 32, "does not fit", "from 0 to 4294967295"),
    ("mark", "no-such-mark", "unknown name for data type mark", ""),
    ("uid", "no-such-user", "no such user", ""),
    ("gid", "no-such-group", "no such group", ""),
    ("classid", "1:10000", "unknown value", "major:minor"),
    ("classid", "-1:2", "unknown value", "major:minor"),
    ("boolean", "yes", "unknown value", "true or false"),
    ("boolean", 2, "does not fit", "true or false"),
    ("time", "1h30", "unknown value", "1h30m"),
    ("time", "5x", "unknown value", "1h30m"),
    ("date", "2024-13-01", "unknown value", "2026-01-31"),
    ("hour", "24:00", "unknown value", "17:00"),
    ("hour", 86400, "86400 seconds", ""),
    ("day", "Someday", "unknown value", "Sunday"),
    ("day", 7, "seven days", ""),
    ("cgroupsv2", "no/such/group", "no such control group", ""),
    ("cgroupsv2", "../../etc", "no such control group", ""),
]


@pytest.mark.parametrize(("name", "value", "message", "cure"), REFUSED)
def test_refusals_say_why(name: str, value: Any, message: str, cure: str) -> None:
    with pytest.raises(DatatypeError) as caught:
        TYPES[name].number_of(value)
    assert message in str(caught.value)
    assert cure in str(caught.value)
    assert caught.value.found == value or "," in str(value)
    assert isinstance(caught.value, ValueError)


def test_width_of_the_field_counts_where_the_type_has_none() -> None:
    integer = TYPES["integer"]
    assert integer.number_of("0xffff", 16) == 65535
    with pytest.raises(DatatypeError, match="a number from 0 to 65535"):
        integer.number_of(65536, 16)


def test_protocols_and_services_in_any_case() -> None:
    assert TYPES["inet_proto"].number_of("TCP") == TYPES["inet_proto"].number_of("tcp") == 6
    assert TYPES["inet_proto"].number_of("IPv6-ICMP") == TYPES["inet_proto"].number_of("icmpv6") == 58
    assert TYPES["inet_service"].number_of("WWW") == 80


def test_common_services_need_no_file() -> None:
    wanted = {
        "ssh": 22, "telnet": 23, "ftp": 21, "ftp-data": 20, "www": 80, "http": 80, "https": 443, "domain": 53,
        "dns": 53, "nntp": 119, "pop-3": 110, "pop3": 110, "snmp": 161, "sip": 5060, "tftp": 69, "auth": 113,
        "syslog": 514, "time": 37, "ntp": 123, "smtp": 25, "imap": 143, "irc": 194, "bootps": 67,
    }  # fmt: skip
    assert {name: SERVICES[name] for name in wanted} == wanted
    assert len(SERVICES) > 150
    assert all(name == name.lower() and 0 < port < 65536 for name, port in SERVICES.items())


def test_unknown_names_ask_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    asked: list[str] = []

    def lookup(name: str) -> int:
        asked.append(name)
        if name == "our-service":
            return 4711
        if name == "our-protocol":
            return 253
        raise OSError

    monkeypatch.setattr(socket, "getservbyname", lookup)
    monkeypatch.setattr(socket, "getprotobyname", lookup)
    assert TYPES["inet_service"].number_of("our-service") == 4711
    assert TYPES["inet_proto"].number_of("our-protocol") == 253
    assert TYPES["inet_service"].number_of("ssh") == 22
    assert TYPES["inet_service"].number_of("8080") == 8080
    assert asked == ["our-service", "our-protocol"]


@pytest.mark.parametrize(
    ("type", "word", "full"),
    [
        ("icmp_type", "echo-req", "echo-request"),
        ("icmp_type", "Dest", "destination-unreachable"),
        ("icmp_type", "ping", "echo-request"),
        ("icmp_type", "pi", "echo-request"),
        ("icmp_type", "pong", "echo-reply"),
        ("icmp_type", "para", "parameter-problem"),
        ("icmp_type", "redirect", "redirect"),
        ("icmp_type", "8", "8"),
        ("icmpv6_type", "nd-neighbor-s", "nd-neighbor-solicit"),
        ("icmpv6_type", "neighbour-s", "nd-neighbor-solicit"),
        ("icmpv6_type", "neigh-", None),
        # two names, one number
        ("icmpv6_type", "mld-listener-reduction", "mld-listener-done"),
        ("icmp_code", "port", "port-unreachable"),
        ("icmp_code", "prot", "prot-unreachable"),
        ("icmp_type", "r", None),
        ("icmp_type", "echo", None),
        ("icmp_type", "", None),
        ("icmp_type", "300", None),
        ("icmp_type", "nosuch", None),
    ],
)
def test_abbreviations(type: str, word: str, full: str | None) -> None:
    if full is None:
        with pytest.raises(DatatypeError):
            resolve_abbreviation(TYPES[type], word)
    else:
        assert resolve_abbreviation(TYPES[type], word) == full
        assert TYPES[type].number_of(full) is not None


def test_ambiguous_abbreviation_names_the_candidates() -> None:
    with pytest.raises(DatatypeError, match=r"ambiguous.*echo-reply, echo-request") as caught:
        resolve_abbreviation(TYPES["icmp_type"], "echo-re")
    assert caught.value.found == "echo-re"


@pytest.mark.parametrize(
    ("mask", "prefix"),
    [
        ("0.0.0.0", 0),
        ("128.0.0.0", 1),
        ("255.255.255.0", 24),
        ("255.255.255.254", 31),
        ("255.255.255.255", 32),
    ],
)
def test_masks(mask: str, prefix: int) -> None:
    assert mask_to_prefix(mask) == prefix


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ("255.0.255.0", "holes"),
        ("0.0.0.255", "the mask reversed is 255.255.255.0"),
        ("255.255.255.1", "such as 255.255.255.0"),
        ("255.255.255", "not an IPv4 mask"),
        ("24", "not an IPv4 mask"),
        ("", "not an IPv4 mask"),
    ],
)
def test_bad_masks(mask: str, words: str) -> None:
    with pytest.raises(DatatypeError) as caught:
        mask_to_prefix(mask)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("192.0.2.1", "ip"),
        ("2001:db8::1", "ip6"),
        ("::", "ip6"),
        ("::ffff:192.0.2.1", "ip6"),
        ("192.0.2.0/24", None),
        ("192.0.2", None),
        ("example.org", None),
        ("1.example.org", None),
        ("@set", None),
        ("", None),
        ("a:b", None),
        ("1.2.3.4\0", None),
    ],
)
def test_address_family(text: str, family: str | None) -> None:
    assert address_family(text) == family


def test_interface_prefixes() -> None:
    assert interface_prefix("ppp+") == interface_prefix("ppp*") == b"ppp"
    assert interface_prefix("ppp0") is None
    assert interface_prefix("odd\\*") is None
    for bad in ("+", "*", "sixteen-bytes-xx+"):
        with pytest.raises(DatatypeError):
            interface_prefix(bad)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("5", 5000),
        ("5s", 5000),
        ("500ms", 500),
        ("1h30m", 5400000),
        ("1d2h3m4s5ms", 93784005),
        ("1m1ms", 60001),
        ("", None),
        ("h", None),
        ("1m1h", None),
        ("1s1s", None),
        ("1h 30m", None),
        ("1w", None),
        ("-5s", None),
        ("٣s", None),
    ],
)
def test_times(text: str, milliseconds: int | None) -> None:
    assert milliseconds_of(text) == milliseconds


def test_several_flags() -> None:
    state = TYPES["ct_state"]
    assert isinstance(state, Flags)
    number = state.number_of("new, established|0x80")
    assert state.parts(number) == [2, 8, 0x80]
    assert state.json_of(number) == ["established", "new", 0x80]
    assert state.text_of(number) == "established,new,0x80"
    assert state.json_of(0) == 0
    assert state.text_of(0) == "0x0"


def test_host_table(tmp_path: Any) -> None:
    (tmp_path / "rt_marks").write_text("# comment\n\n5 five # tail\n0x10 sixteen\nbad\nx y\n6 five\n")
    table = HostTable("rt_marks", (str(tmp_path / "none"), str(tmp_path)))
    assert table.numbers() == {"five": 5, "sixteen": 16}
    assert table.names() == {5: "five", 16: "sixteen", 6: "five"}
    mark = NamedByHost("mark", 19, 32, table, form="0x%08x")
    with pytest.raises(DatatypeError, match="did you mean 'five'"):
        mark.number_of("fiv")
    assert HostTable("nothing", (str(tmp_path),)).names() == {}


def test_importing_brings_in_nothing_heavy() -> None:
    heavy = {"dataclasses", "difflib", "pwd", "grp", "calendar", "json", "ipaddress", "pathlib"}
    # what the interpreter has loaded by itself, an editable installation's finder included, doesn't count
    script = (
        "import sys; old = set(sys.modules); import rempart.nftables.headers; print(*set(sys.modules) - old)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "rempart.nftables.headers" in done.stdout.split()
    assert not heavy & set(done.stdout.split())
