# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units of systemd that apply the documents kept for boot, and the links that enable them.

systemd.special(7): whatever must be done before the network is configured orders itself before
network-pre.target, and pulls it in. Links are what ``systemctl enable`` makes; so an image, whose
systemd does not run, is enabled in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable

DIRECTORY = "/etc/systemd/system"
UNIT = "rempart-firewall.service"
DEVICE_UNIT = "rempart-firewall-devices.service"

_UNIT = """\
# Kept by rempart.
[Unit]
Description=Firewall of rempart, before the network
DefaultDependencies=no
RequiresMountsFor=%(mounts)s
After=local-fs.target systemd-modules-load.service systemd-sysctl.service
# What these load may flush every table: nothing of ours shall be there yet.
After=nftables.service netfilter-persistent.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%(command)s
ExecReload=%(command)s
StandardInput=null
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_ADMIN

[Install]
WantedBy=sysinit.target
"""

_DEVICE_UNIT = """\
# Kept by rempart.
[Unit]
Description=Firewall of rempart, for devices that have appeared
After=%(unit)s

[Service]
Type=oneshot
ExecStart=%(command)s
StandardInput=null
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_NET_ADMIN

[Install]
WantedBy=%(wanted)s
"""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_")


def unit(command: str, mounts: Iterable[str]) -> str:
    """The unit that applies the documents before the network; ``mounts`` are the paths that it needs."""
    return _UNIT % {"command": command, "mounts": " ".join(mounts)}


def device_unit(command: str, devices: Iterable[str]) -> str:
    """The unit that applies them again each time one of these devices appears."""
    wanted = " ".join(map(device, devices))
    return _DEVICE_UNIT % {"command": command, "unit": UNIT, "wanted": wanted}


def links(devices: Iterable[str]) -> dict[str, str]:
    """The links that enable the units: path to target."""
    found = {"%s/sysinit.target.wants/%s" % (DIRECTORY, UNIT): "%s/%s" % (DIRECTORY, UNIT)}
    for one in devices:
        found["%s/%s.wants/%s" % (DIRECTORY, device(one), DEVICE_UNIT)] = "%s/%s" % (DIRECTORY, DEVICE_UNIT)
    return found


def device(name: str) -> str:
    """The unit that stands for a network device: systemd.device(5), systemd-escape(1)."""
    return "sys-subsystem-net-devices-%s.device" % escaped(name)


def escaped(text: str) -> str:
    """A part of a path in a unit's name: systemd.unit(5), "String Escaping for Inclusion in Unit Names"."""
    return "".join(
        "-" if one == "/" else one if one in _PLAIN or one == "." else _hexadecimal(one) for one in text
    )


def _hexadecimal(character: str) -> str:
    return "".join("\\x%02x" % byte for byte in character.encode("utf-8", "surrogateescape"))
