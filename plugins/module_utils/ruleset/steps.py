# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of tables and what is in them: the plan as data.

``action`` is "keep", "create", "remove" or "recreate" everywhere; a table's may
be "none" where there is nothing and shall be nothing. What cannot be changed in
place is recreated: removed and made again in the same transaction.
"""

from __future__ import annotations

from ..nftables.declared import ObjectContent
from ..nftables.sets import SetContent
from .desired import DesiredChain, DesiredFlowtable, DesiredTable
from .kernel import KernelChain, KernelFlowtable, KernelObject, KernelRule, KernelSet, KernelTable
from .rules import DesiredRule


class Kept:
    """A rule that stays: the kernel's and the document's."""

    __slots__ = ("desired", "kernel")

    def __init__(self, kernel: KernelRule, desired: DesiredRule) -> None:
        self.kernel = kernel
        self.desired = desired


class ChainPlan:
    """What becomes of one chain.

    ``action``: "keep", "create", "remove" or "recreate"; ``entries`` are the rules in
    their final order with what goes in between: a Kept, a DesiredRule (to come) or a
    KernelRule (to go). ``moves``: not all of them are Kept.
    """

    __slots__ = ("action", "desired", "entries", "kernel", "moves", "name", "policy")

    def __init__(
        self, name: str, action: str, kernel: KernelChain | None, desired: DesiredChain | None
    ) -> None:
        self.name = name
        self.action = action
        self.kernel = kernel
        self.desired = desired
        self.entries: list[Kept | DesiredRule | KernelRule] = []
        self.moves = False
        self.policy: int | None = None

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return self.action != "keep" or self.policy is not None or self.moves


class SetPlan:
    """What becomes of one set or map. ``add`` and ``remove`` are element payloads to send.

    Of a set that stays, ``desired`` may be None: its elements alone are described.
    ``emptied``: ``remove`` is all that it holds.
    """

    __slots__ = ("action", "add", "desired", "emptied", "kernel", "name", "remove")

    def __init__(self, name: str, action: str, kernel: KernelSet | None, desired: SetContent | None) -> None:
        self.name = name
        self.action = action
        self.kernel = kernel
        self.desired = desired
        self.add: list[bytes] = []
        self.remove: list[bytes] = []
        self.emptied = False

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return self.action != "keep" or bool(self.add or self.remove)


class ObjectPlan:
    """What becomes of one named object."""

    __slots__ = ("action", "desired", "kernel", "kind", "name")

    def __init__(
        self, kind: int, name: str, action: str, kernel: KernelObject | None, desired: ObjectContent | None
    ) -> None:
        self.kind = kind
        self.name = name
        self.action = action
        self.kernel = kernel
        self.desired = desired

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return self.action != "keep"


class FlowtablePlan:
    """What becomes of one flowtable."""

    __slots__ = ("action", "desired", "kernel", "name")

    def __init__(
        self, name: str, action: str, kernel: KernelFlowtable | None, desired: DesiredFlowtable | None
    ) -> None:
        self.name = name
        self.action = action
        self.kernel = kernel
        self.desired = desired

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        return self.action != "keep"


class TablePlan:
    """What becomes of one table and of what is in it."""

    __slots__ = (
        "action",
        "chains",
        "desired",
        "family",
        "flags",
        "flowtables",
        "kernel",
        "name",
        "number",
        "objects",
        "sets",
    )

    def __init__(
        self, family: str, number: int, name: str, kernel: KernelTable | None, desired: DesiredTable | None
    ) -> None:
        self.family = family
        self.number = number
        self.name = name
        self.kernel = kernel
        self.desired = desired
        self.action = "keep"
        self.flags: int | None = None
        self.objects: list[ObjectPlan] = []
        self.flowtables: list[FlowtablePlan] = []
        self.sets: list[SetPlan] = []
        self.chains: list[ChainPlan] = []

    @property
    def changed(self) -> bool:
        """Whether anything is to be done."""
        if self.action == "none":
            return False
        return (
            self.action != "keep"
            or self.flags is not None
            or any(one.changed for one in self.objects)
            or any(one.changed for one in self.flowtables)
            or any(one.changed for one in self.sets)
            or any(one.changed for one in self.chains)
        )


class Purpose:
    """What one message of a transaction is for."""

    __slots__ = ("part", "rule", "table")

    def __init__(
        self,
        table: TablePlan,
        part: ChainPlan | SetPlan | ObjectPlan | FlowtablePlan | None = None,
        rule: DesiredRule | KernelRule | None = None,
    ) -> None:
        self.table = table
        self.part = part
        self.rule = rule


class Plan:
    """What becomes of some tables, and the transaction that does it.

    ``generation`` is the kernel's that it was made from. ``purposes`` has for each
    message of ``batch`` what it is for, so that a refusal can name the document's rule.
    """

    __slots__ = ("batch", "generation", "purposes", "tables")

    def __init__(self, tables: list[TablePlan], generation: int) -> None:
        self.tables = tables
        self.generation = generation
        self.batch: list[bytes] = []
        self.purposes: list[Purpose] = []

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.batch)

    def add(self, message: bytes, purpose: Purpose) -> None:
        """Append one message of the transaction."""
        self.batch.append(message)
        self.purposes.append(purpose)
