# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The options by which modules are told which tracked connections are meant."""

from __future__ import annotations


class ModuleDocFragment:
    """The connection filter, whose keys are options of the module."""

    DOCUMENTATION = r"""
options:
  family:
    description: The IP version, V(ip) or V(ip6).
    type: raw
  protocol:
    description: The protocol, by name in any case or by number.
    type: raw
  saddr:
    description:
      - The source address of the original direction, as of the connection's first packet.
      - An address, a network such as V(10.0.0.0/8), or a range of two addresses.
    type: raw
  daddr:
    description: The destination address of the original direction.
    type: raw
  reply_saddr:
    description:
      - The source address of the reply direction. Where nothing is translated, the destination of the
        original one.
    type: raw
  reply_daddr:
    description: The destination address of the reply direction.
    type: raw
  address:
    description: An address at either end, in either direction.
    type: raw
  sport:
    description: The source port of the original direction, by number, service name or range. A range is
      V(1-1023), or V(1024-) from a port on.
    type: raw
  dport:
    description: The destination port of the original direction.
    type: raw
  reply_sport:
    description: The source port of the reply direction.
    type: raw
  reply_dport:
    description: The destination port of the reply direction.
    type: raw
  port:
    description: A port at either end, in either direction.
    type: raw
  icmp_type:
    description: The ICMP or ICMPv6 type, by name or number.
    type: raw
  icmp_code:
    description: The ICMP or ICMPv6 code, by name or number.
    type: raw
  icmp_id:
    description: The id of ICMP echo packets.
    type: raw
  snat:
    description: V(true), V(false), or the address that the source is translated to.
    type: raw
  dnat:
    description: V(true), V(false), or the address that the destination is translated to.
    type: raw
  nat:
    description: V(true), V(false), or the address that either end is translated to.
    type: raw
  mark:
    description: The connection's mark, a number, or a number and a mask such as V(0x10/0xf0).
    type: raw
  zone:
    description: The zone of both directions. V(0) where there is none.
    type: raw
  orig_zone:
    description: The zone of the original direction alone.
    type: raw
  reply_zone:
    description: The zone of the reply direction alone.
    type: raw
  labels:
    description:
      - A label, by the number of its bit or its name in C(connlabel.conf). V(a+b) is both of two labels.
    type: raw
  secctx:
    description: The security context, as the kernel writes it.
    type: raw
  status:
    description:
      - Bits of its status, such as V(assured), V(seen_reply), V(expected), V(helper) or V(unreplied).
      - V(a+b) is both of two.
    type: raw
  state:
    description: The protocol's state, such as V(ESTABLISHED) or V(TIME_WAIT), in any case.
    type: raw
  helper:
    description: The name of the connection's helper, such as V(ftp).
    type: raw
  timeout:
    description:
      - The time until the connection ends without a packet.
      - Seconds, or such as V(<30), V(>=1h) or V(10-20).
    type: raw
  age:
    description:
      - The time since the connection began, in seconds or such as V(<30), V(>=1h) or V(10-20).
      - Needs C(nf_conntrack_timestamp).
    type: raw
  packets:
    description: Packets of both directions, such as V(>1000) or V(>=10k). Needs C(nf_conntrack_acct).
    type: raw
  bytes:
    description: Bytes of both directions, such as V(>1G). Needs C(nf_conntrack_acct).
    type: raw
  packets_original:
    description: Packets of the original direction.
    type: raw
  packets_reply:
    description: Packets of the reply direction.
    type: raw
  bytes_original:
    description: Bytes of the original direction.
    type: raw
  bytes_reply:
    description: Bytes of the reply direction.
    type: raw
  ids:
    description: The kernel's numbers of connections, as C(rempart.netfilter.conntrack_info) returns them.
    type: raw
requirements:
  - Linux with nf_conntrack and ctnetlink
notes:
  - Every option of the filter that is given must hold. Its value is one or several, in a list or with commas
    between them, of which one must be the connection's. With V(!) before them none may be, as in
    V(!10.0.0.0/8).
  - Part of a filter is evaluated by the kernel, as far as it is one that can, and the rest here. The
    connections are the same either way.
"""
