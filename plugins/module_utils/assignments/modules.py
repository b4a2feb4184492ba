# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel modules of helpers: what is to be loaded, set, written and unloaded for a task."""

from __future__ import annotations

from typing import Any

from ..errors import HostError, Problem
from ..host import boot_modules
from ..host.kernel_modules import AVAILABLE, BUILTIN, LOADED, MISSING, KernelModules
from .catalogue import Helper
from .helpers import TABLE, Wanted
from .request import FAMILY

SUBJECT = "helpers"
DOCUMENT_SUBJECT = "document-helpers"
UNKNOWN = "unknown"
"""Of a module that only a run, not a check, can tell of: the kernel may load it by itself."""

_WORDS = {"Y": "1", "N": "0"}
"""How the kernel shows parameters that are on or off."""


class ModulePlan:
    """What is to be done about modules.

    ``states`` has every module of the task's helpers with its state as of ``KernelModules.state``,
    or UNKNOWN, as it will be afterwards. ``warnings`` is what cannot be done now.
    """

    def __init__(self, wanted: Wanted, root: str = "/") -> None:
        self.wanted = wanted
        self.kernel = KernelModules(root)
        self.states: dict[str, str] = {}
        self.warnings: list[str] = []
        subject = DOCUMENT_SUBJECT if wanted.exact else SUBJECT
        self._files = [boot_modules.load_file(subject, root), boot_modules.options_file(subject, root)]
        self._loads: list[tuple[str, dict[str, str]]] = []
        self._unloads: list[str] = []
        self._sets: list[tuple[str, str, str | None, str]] = []

    def prepare(self) -> None:
        """Load modules, set parameters: what rules need. Raises HostError."""
        for name, parameters in self._loads:
            self.kernel.load(name, parameters)
        for name, parameter, _unused, value in self._sets:
            self.kernel.change(name, parameter, value)

    def finish(self) -> None:
        """Write what counts from the next boot on, unload what rules no longer need. Raises HostError."""
        for file in self._files:
            file.write()
        if self._unloads:
            for name in self._unloads:
                self.kernel.await_release(name, self._unloads)
            self.kernel.unload(self._unloads)

    def changes(self) -> list[dict[str, Any]]:
        """What there is to do, for programs."""
        listed: list[dict[str, Any]] = []
        for name, _unused in self._loads:
            listed.append({"action": "add", "kind": "module", "module": name})
        for name, parameter, before, after in self._sets:
            one = {"module": name, "parameter": parameter, "before": before, "after": after}
            listed.append({"action": "change", "kind": "parameter", **one})
        for file in self._files:
            if file.changed:
                action = "add" if not file.before else "change" if file.after else "remove"
                listed.append({"action": action, "kind": "file", "path": file.path})
        for name in self._unloads:
            listed.append({"action": "remove", "kind": "module", "module": name})
        return listed

    def diff(self) -> list[dict[str, str]]:
        """What there is to do, for people, as Ansible's diff mode takes it."""
        shown = []
        now = [(name, "", "loaded") for name, _unused in self._loads]
        now += [(name, "loaded", "") for name in self._unloads]
        for name, before, after in now:
            shown.append(_difference("module %s" % name, before, after))
        for name, parameter, value, wanted in self._sets:
            line = "%s.%s=%%s" % (name, parameter)
            shown.append(_difference("parameter of %s" % name, line % (value or ""), line % wanted))
        for file in self._files:
            if file.changed:
                header = {"before_header": file.path, "after_header": file.path}
                shown.append({**header, "before": file.before, "after": file.after})
        return shown


def _difference(header: str, before: str, after: str) -> dict[str, str]:
    texts = {"before": before and before + "\n", "after": after and after + "\n"}
    return {"before_header": header, "after_header": header, **texts}


def plan_present(
    wanted: Wanted, root: str = "/", persistent: bool | None = True, check: bool = False
) -> ModulePlan:
    """Have the helpers' modules in the kernel, now and with ``persistent`` after every boot.

    With None what is loaded at boot stays as it is.

    ``root`` is where the host's /etc, /lib, /proc and /sys are. Where files do not tell whether the
    kernel has a helper, it is asked, but with ``check`` only one that cannot load modules for it.
    Raises HostError where it has not.
    """
    plan = ModulePlan(wanted, root)
    problems: list[Problem] = []
    loads: dict[str, str | None] = {}
    options: dict[str, str | None] = {}
    for helper in wanted.helpers:
        parameters = wanted.parameters.get(helper.name)
        for name in helper.modules:
            state = plan.kernel.state(name)
            if state == MISSING and name == helper.module:
                state = _ask(helper, plan, check, problems)
            if state == AVAILABLE:
                plan._loads.append((name, (parameters or {}) if name == helper.module else {}))
                state = LOADED
            elif name == helper.module and parameters:
                _compare(helper, parameters, state, bool(persistent), plan)
            plan.states[name] = state
            loads[name] = name if persistent and state == LOADED else None
        if parameters is not None:
            kept = persistent and plan.states[helper.module] != BUILTIN
            options[helper.module] = boot_modules.options_line(helper.module, parameters) if kept else None
    if problems:
        raise HostError.of(problems)
    if persistent is not None:
        plan._files[0].keep(loads, wanted.exact)
        plan._files[1].keep(options, wanted.exact)
    return plan


def _ask(helper: Helper, plan: ModulePlan, check: bool, problems: list[Problem]) -> str:
    """The state of a helper's module that no file tells of."""
    from .evidence import has_helper

    loadable = plan.kernel.loadable
    if check and loadable:
        plan.warnings.append(
            "%s is not among the modules of the kernel as far as this host shows them; "
            "whether the kernel has it all the same, only a run that is no check tells" % helper.module
        )
        return UNKNOWN
    if all(has_helper(one) for one in helper.kernel.values()):
        return LOADED if loadable else BUILTIN
    problems.append(
        Problem(
            "this kernel has no helper %s" % helper.name,
            found=helper.module,
            cure="install the package with its module (linux-modules-extra, kernel-modules-extra), or use "
            "a kernel with CONFIG_%s" % helper.module.upper(),
        )
    )
    return MISSING


def _compare(
    helper: Helper, parameters: dict[str, str], state: str, persistent: bool, plan: ModulePlan
) -> None:
    """Plan the parameters of a module that is in the kernel already."""
    module = helper.module
    for name, value in sorted(parameters.items()):
        now = plan.kernel.parameter(module, name)
        held = now if now is None else _WORDS.get(now, now)
        if held == value:
            continue
        if plan.kernel.can_change(module, name):
            plan._sets.append((module, name, now, value))
        elif state == LOADED:
            when = "when it is loaded next" if persistent else "if it is given when the module is loaded"
            plan.warnings.append("%s=%s of %s takes effect %s" % (name, value, module, when))
        if state == BUILTIN and (persistent or not plan.kernel.can_change(module, name)):
            plan.warnings.append(
                "%s is built into the kernel: %s=%s takes effect from the next boot on if the kernel's "
                "command line has %s.%s=%s" % (module, name, value, module, name, value)
            )


def plan_absent(
    wanted: Wanted, root: str = "/", unload: bool = False, netns: str | None = None
) -> ModulePlan:
    """Have nothing load the helpers' modules at boot any more, and with ``unload`` no modules.

    Raises HostError where they are built in, or in use by anything but the assignments that go.
    """
    plan = ModulePlan(wanted, root)
    names = [name for helper in wanted.helpers for name in helper.modules]
    gone: dict[str, str | None] = dict.fromkeys(names)
    plan._files[0].keep(gone)
    plan._files[1].keep(gone)
    plan.states = {name: plan.kernel.state(name) for name in names}
    if unload:
        _plan_unloading(plan, netns)
    return plan


def _plan_unloading(plan: ModulePlan, netns: str | None) -> None:
    from .evidence import references

    problems: list[Problem] = []
    referring = references(plan.wanted.helpers, netns)
    for helper in plan.wanted.helpers:
        own = 0
        others = []
        for one in referring.get(helper.name, []):
            if (one.family, one.table) == (FAMILY, TABLE):
                own += one.uses
            else:
                others.append(one)
        for one in others:
            problems.append(
                Problem(
                    "the module %s is in use" % helper.module,
                    found=str(one),
                    cure="remove the rules and the object there first, or leave out unload",
                )
            )
        for name in reversed(helper.modules):
            state = plan.states[name]
            if state == BUILTIN:
                problems.append(
                    Problem("%s is built into the kernel" % name, found=name, cure="leave out unload")
                )
            elif state == LOADED:
                uses = plan.kernel.uses(name)
                if name == helper.module:
                    leaving = sum(1 for one in plan.kernel.holders(name) if one in helper.modules)
                    uses -= own + leaving
                if uses > 0 and not others:
                    strangers = [one for one in plan.kernel.holders(name) if one not in helper.modules]
                    problems.append(
                        Problem(
                            "the module %s is in use, beside what goes %d times" % (name, uses),
                            found=", ".join(strangers) or name,
                            cure="look for rules of other network namespaces and of iptables (CT target)",
                        )
                    )
                plan._unloads.append(name)
                plan.states[name] = AVAILABLE
    if problems:
        raise HostError.of(problems)
