# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Headers as data: nothing overlaps that shouldn't, every link leads somewhere, every width fits its type."""

from __future__ import annotations

import pytest
from rempart.nftables.datatypes import DatatypeError
from rempart.nftables.headers import (
    EXTHDRS,
    HEADERS,
    IP_OPTIONS,
    NEXT_BY_META,
    SCTP_CHUNKS,
    TCP_OPTIONS,
    Header,
    dccp_option,
    tcp_option,
)

EVERY = [
    *HEADERS.values(),
    *EXTHDRS.values(),
    *TCP_OPTIONS.values(),
    *IP_OPTIONS.values(),
    *SCTP_CHUNKS.values(),
    dccp_option(42),
    tcp_option(253),
]
# fields of ICMP lie over each other, by type; cfi is another name of dei
OVERLAPPING = {"icmp", "icmpv6", "vlan"}


@pytest.mark.parametrize("header", EVERY, ids=lambda header: header.name)
def test_fields(header: Header) -> None:
    end = 0
    for name, field in header.fields.items():
        assert field.name == name
        assert field.bits > 0
        # a type without a width, or one that is as wide as the field
        assert field.datatype.bits in (0, field.bits)
        assert field.byteorder == "big"
        if header.name not in OVERLAPPING:
            assert field.offset >= end
            end = field.offset + field.bits
        found = header.field_at(field.offset, field.bits)
        assert found is not None
        assert (found.offset, found.bits) == (field.offset, field.bits)
    if header.next and header.next[0]:
        assert header.next[0] in header.fields
        assert set(header.next[1].values()) <= set(HEADERS)
    assert not header.checksum or header.checksum in header.fields


def test_metadata_leads_to_headers() -> None:
    assert set(NEXT_BY_META) == {"nfproto", "protocol", "l4proto", "iiftype"}
    assert all(name in HEADERS for known in NEXT_BY_META.values() for name in known.values())


def test_known_places() -> None:
    """RFC 791, 9293, 8200, 826, 4861."""
    for header, field, offset, bits in (
        ("ip", "saddr", 96, 32),
        ("ip", "dscp", 8, 6),
        ("tcp", "flags", 104, 8),
        ("tcp", "dport", 16, 16),
        ("ip6", "daddr", 192, 128),
        ("arp", "daddr ip", 192, 32),
        ("vlan", "id", 4, 12),
        ("icmp", "mtu", 48, 16),
        ("icmpv6", "taddr", 64, 128),
        ("icmpv6", "daddr", 192, 128),
    ):
        found = HEADERS[header].fields[field]
        assert (found.offset, found.bits) == (offset, bits)


def test_tunnels() -> None:
    """RFC 2784, 7348, 8926: nft 1.0.6 doesn't know them, so no kernel test does."""
    for header, field, offset, bits in (
        ("gre", "version", 13, 3),
        ("gre", "protocol", 16, 16),
        ("vxlan", "vni", 32, 24),
        ("geneve", "type", 16, 16),
        ("geneve", "vni", 32, 24),
    ):
        found = HEADERS[header].fields[field]
        assert (found.offset, found.bits) == (offset, bits)


def test_a_value_must_fit_its_field() -> None:
    vlan = HEADERS["vlan"].fields["id"]
    assert vlan.number_of(4095) == 4095
    with pytest.raises(DatatypeError, match="0 to 4095"):
        vlan.number_of(4096)


def test_unknown_place() -> None:
    assert HEADERS["tcp"].field_at(1, 16) is None


def test_icmp_fields_that_not_every_packet_has() -> None:
    assert HEADERS["icmp"].fields["id"].icmp_types == (0, 8)
    assert HEADERS["icmpv6"].fields["mtu"].icmp_types == (2,)
    assert HEADERS["icmp"].fields["code"].icmp_types == ()
