# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that log, refuse, divert, copy or queue a packet."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from .. import uapi
from ..datatypes import TYPES, DatatypeError
from ..expressions import Expression, actions
from ..headers import HEADERS
from ..parameters import checked, choice, whole
from ..selectors.base import Typed
from ..selectors.meta import Meta
from ..selectors.program import Program, wire_register
from .context import Context, Step
from .stateful import Plain
from .values import Value, build_value

#: syslog(3) levels, and audit (NFT_LOGLEVEL_AUDIT)
LOG_LEVELS = {
    "emerg": 0,
    "alert": 1,
    "crit": 2,
    "err": 3,
    "warn": 4,
    "notice": 5,
    "info": 6,
    "debug": 7,
    "audit": 8,
}
#: NF_LOG_* of linux/netfilter/nf_log.h
LOG_FLAGS = {
    "tcp sequence": 0x01,
    "tcp options": 0x02,
    "ip options": 0x04,
    "skuid": 0x08,
    "ether": 0x20,
    "all": 0x2F,
}
_PREFIX_LIMIT = 127  # NF_LOG_PREFIXLEN is 128 with its NUL


def _flag_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def compile_log(value: Any, context: Context) -> None:
    """Append ``{"log": value}``."""
    mapping = checked(value, ("prefix", "group", "snaplen", "queue-threshold", "level", "flags"))
    log = actions.Log()
    if "prefix" in mapping:
        prefix = mapping["prefix"]
        if not isinstance(prefix, str) or len(prefix.encode()) > _PREFIX_LIMIT:
            raise DocumentError(
                "not a log prefix",
                place="prefix",
                found=prefix,
                allowed="text of at most %d bytes" % _PREFIX_LIMIT,
            )
        log.prefix = prefix
    if any(key in mapping for key in ("group", "snaplen", "queue-threshold")):
        log.group = whole(mapping.get("group", 0), "group", 0xFFFF)
        log.snaplen = whole(mapping.get("snaplen", 0), "snaplen")
        log.qthreshold = whole(mapping.get("queue-threshold", 0), "queue-threshold", 0xFFFF)
        if "level" in mapping or "flags" in mapping:
            raise DocumentError(
                "a log group takes no level and no flags",
                found=mapping,
                cure="give either group or level and flags",
            )
        if not log.snaplen:
            log.snaplen = None
        if not log.qthreshold:
            log.qthreshold = None
    else:
        log.level = choice(mapping.get("level", "warn"), LOG_LEVELS, "level")
        flags = 0
        for one in _flag_list(mapping.get("flags", [])):
            flags |= choice(one, LOG_FLAGS, "flags")
        log.flags = flags or None
    context.steps.append(Plain(log))


#: type: (NFT_REJECT_*, data type of the code)
REJECT_TYPES = {
    "icmp": (uapi.NFT_REJECT_ICMP_UNREACH, "icmp_code"),
    "icmpv6": (uapi.NFT_REJECT_ICMP_UNREACH, "icmpv6_code"),
    "icmpx": (uapi.NFT_REJECT_ICMPX_UNREACH, "icmpx_code"),
}
_NETWORK = {"icmp": "ip", "icmpv6": "ip6"}
_BY_NETWORK = {"ip": "icmp", "ip6": "icmpv6"}


def compile_reject(value: Any, context: Context) -> None:
    """Append ``{"reject": value}``; the protocols it presumes are matched first of all."""
    mapping = checked(value, ("type", "expr"))
    kind = mapping.get("type")
    if kind is None:
        kind = _BY_NETWORK.get(context.network or "", "icmpx")
    if kind == "tcp reset":
        _first(context, "tcp")
        context.steps.append(Plain(actions.Reject(type=uapi.NFT_REJECT_TCP_RST)))
        return
    number, datatype = choice(kind, REJECT_TYPES, "type")
    if kind in _NETWORK:
        _first(context, _NETWORK[kind])
    try:
        code = TYPES[datatype].number_of(mapping.get("expr", "port-unreachable"))
    except DatatypeError as error:
        raise DocumentError(
            error.message, place="expr", found=mapping.get("expr"), allowed=error.allowed, cure=error.cure
        ) from None
    if kind == "icmpx" and context.network in _BY_NETWORK and context.family in ("ip", "ip6"):
        raise DocumentError(
            "icmpx is for tables of several families",
            place="type",
            found=kind,
            allowed="tcp reset, %s" % _BY_NETWORK[context.network],
        )
    context.steps.append(Plain(actions.Reject(type=number, icmp_code=code)))


def _first(context: Context, header: str) -> None:
    """Presume a header before everything else in the rule."""
    before = len(context.steps)
    context.need(HEADERS[header])
    implied = context.steps[before:]
    del context.steps[before:]
    context.steps[:0] = implied


class Registers(Step):
    """An expression whose operands are loaded into registers first, in order."""

    def __init__(self, expression: Expression, operands: list[tuple[str, Value]]) -> None:
        self.expression = expression
        self.operands = operands

    def emit(self, program: Program) -> None:
        """Load each operand into a register and name it in the expression."""
        for name, value in self.operands:
            register = program.take(value.units)
            value.load(program, register)
            setattr(self.expression, name, wire_register(register))
        program.add(self.expression)


ADDRESS = {"ip": Typed("ipv4_addr", 32), "ip6": Typed("ipv6_addr", 128)}
PORT = Typed("inet_service", 16)
DEVICE = Meta("oif")
NFPROTO = {"ip": 2, "ip6": 10}  # NFPROTO_IPV4, NFPROTO_IPV6 (linux/netfilter.h)


def address_family_of(mapping: dict[str, Any], context: Context) -> str | None:
    """The family of an address operand: named, the table's, the rule's, or the address' own."""
    family = mapping.get("family")
    if family is not None:
        choice(family, NFPROTO, "family")
        return str(family)
    if context.network in NFPROTO:
        return context.network
    from ..datatypes import address_family

    address = mapping.get("addr")
    if isinstance(address, dict) and isinstance(address.get("range"), list) and address["range"]:
        address = address["range"][0]
    elif isinstance(address, dict) and isinstance(address.get("prefix"), dict):
        address = address["prefix"].get("addr")
    return address_family(address) if isinstance(address, str) else None


def compile_dup(value: Any, context: Context) -> None:
    """Append ``{"dup": value}``."""
    mapping = checked(value, ("addr", "dev"))
    operands: list[tuple[str, Value]] = []
    if context.family == "netdev" and "dev" not in mapping:
        # the only target there is a device, and libnftables calls it the address
        operands.append(("sreg_dev", build_value(mapping.get("addr"), DEVICE, context)))
    elif "addr" in mapping:
        family = address_family_of(mapping, context) or "ip"
        operands.append(("sreg_addr", build_value(mapping["addr"], ADDRESS[family], context)))
    if "dev" in mapping:
        operands.append(("sreg_dev", build_value(mapping["dev"], DEVICE, context)))
    context.steps.append(Registers(actions.Dup(), operands))


def compile_fwd(value: Any, context: Context) -> None:
    """Append ``{"fwd": value}``."""
    mapping = checked(value, ("dev", "addr", "family"))
    operands = [("sreg_dev", build_value(mapping.get("dev"), DEVICE, context))]
    forward = actions.Fwd()
    if "addr" in mapping:
        family = address_family_of(mapping, context) or "ip"
        operands.append(("sreg_addr", build_value(mapping["addr"], ADDRESS[family], context)))
        forward.nfproto = NFPROTO[family]
    context.steps.append(Registers(forward, operands))


def compile_tproxy(value: Any, context: Context) -> None:
    """Append ``{"tproxy": value}``."""
    mapping = checked(value, ("family", "addr", "port"))
    family = address_family_of(mapping, context) if "addr" in mapping or "family" in mapping else None
    if family is None and context.family in NFPROTO:
        family = context.family
    operands = []
    if "addr" in mapping:
        operands.append(("reg_addr", build_value(mapping["addr"], ADDRESS[family or "ip"], context)))
    if "port" in mapping:
        operands.append(("reg_port", build_value(mapping["port"], PORT, context)))
    context.steps.append(Registers(actions.Tproxy(family=NFPROTO.get(family or "", 0)), operands))


#: NF_SYNPROXY_OPT_* (linux/netfilter/nf_synproxy.h)
SYNPROXY_FLAGS = {"timestamp": 0x08, "sack-perm": 0x04}
_SYNPROXY_MSS = 0x01
_SYNPROXY_WSCALE = 0x02


def synproxy_expression(mapping: dict[str, Any]) -> actions.Synproxy:
    """The proxy's parameters."""
    flags = 0
    for one in _flag_list(mapping.get("flags", [])):
        flags |= choice(one, SYNPROXY_FLAGS, "flags")
    mss = wscale = None
    if "mss" in mapping:
        mss = whole(mapping["mss"], "mss", 0xFFFF)
        flags |= _SYNPROXY_MSS
    if "wscale" in mapping:
        wscale = whole(mapping["wscale"], "wscale", 14)
        flags |= _SYNPROXY_WSCALE
    return actions.Synproxy(mss=mss or 0, wscale=wscale or 0, flags=flags)


def compile_synproxy(value: Any, context: Context) -> None:
    """Append ``{"synproxy": value}``."""
    from .stateful import compile_object

    if compile_object("synproxy", value, context):
        return
    context.steps.append(Plain(synproxy_expression(checked(value, ("mss", "wscale", "flags")))))


#: NFT_QUEUE_FLAG_*
QUEUE_FLAGS = {"bypass": uapi.NFT_QUEUE_FLAG_BYPASS, "fanout": uapi.NFT_QUEUE_FLAG_CPU_FANOUT}


def compile_queue(value: Any, context: Context) -> None:
    """Append ``{"queue": value}``."""
    mapping = checked(value, ("num", "flags"))
    number = mapping.get("num", 0)
    flags = 0
    for one in _flag_list(mapping.get("flags", [])):
        flags |= choice(one, QUEUE_FLAGS, "flags")
    if isinstance(number, dict) and set(number) == {"range"}:
        low, high = (whole(one, "num", 0xFFFF) for one in number["range"])
        context.steps.append(Plain(actions.Queue(num=low, total=high - low + 1, flags=flags)))
    elif isinstance(number, dict):
        operand = build_value(number, Typed("integer", 16, "host"), context)
        context.steps.append(Registers(actions.Queue(flags=flags), [("sreg_qnum", operand)]))
    else:
        context.steps.append(Plain(actions.Queue(num=whole(number, "num", 0xFFFF), total=1, flags=flags)))


def compile_notrack(value: Any, context: Context) -> None:
    """Append ``{"notrack": null}``."""
    checked(value, ())
    context.steps.append(Plain(actions.Notrack()))


def compile_flow(value: Any, context: Context) -> None:
    """Append ``{"flow": value}``."""
    mapping = checked(value, ("op", "flowtable"))
    name = mapping.get("flowtable")
    if mapping.get("op", "add") != "add" or not isinstance(name, str) or not name.startswith("@"):
        raise DocumentError(
            "not a flow statement", found=value, allowed='{"op": "add", "flowtable": "@name"}'
        )
    context.steps.append(Plain(actions.FlowOffload(table=name[1:])))


def compile_reset(value: Any, context: Context) -> None:
    """Append ``{"reset": {"tcp option": …}}``: the option is overwritten with NOPs."""
    from ..expressions.loads import Exthdr as ExthdrExpression
    from ..selectors import build
    from ..selectors.exthdr import Exthdr

    option = build(value, context)
    if not isinstance(option, Exthdr) or option.op != uapi.NFT_EXTHDR_OP_TCPOPT:
        raise DocumentError(
            "only a TCP option can be reset", found=value, allowed='{"tcp option": {"name": …}}'
        )
    context.steps.append(
        Plain(ExthdrExpression(type=option.kind, offset=0, len=0, flags=0, op=uapi.NFT_EXTHDR_OP_TCPOPT))
    )
