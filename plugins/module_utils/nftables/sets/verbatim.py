# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sets without a name of rules that are carried as bytes: they are carried as bytes, too."""

from __future__ import annotations

from typing import Any

from ...errors import DocumentError
from ...netlink.attributes import attribute
from ...netlink.lists import payloads
from .. import uapi
from ..parameters import base64_bytes, base64_text, checked, whole
from ..selectors.base import Typed
from .content import SetContent

_NUMBERS = ("flags", "key_type", "key_len", "data_type", "data_len", "obj_type")
_KEYS = (*_NUMBERS, "fields", "userdata", "elements")


class VerbatimSet(SetContent):
    """A set by the numbers and bytes with which the kernel told of it."""

    __slots__ = ("_fields", "_userdata")

    def __init__(self, name: str, set_id: int, told: dict[str, Any]) -> None:
        """``told`` is what :func:`told_of` gave. Raises DocumentError."""
        told = checked(told, _KEYS)
        numbers = {key: whole(told[key], key) for key in _NUMBERS if key in told}
        super().__init__(name, set_id, Typed("integer", 8), numbers.get("flags", 0))
        self.key_type = numbers.get("key_type", 0)
        self.key_length = numbers.get("key_len", 0)
        self.data_type = numbers.get("data_type")
        self.data_length = numbers.get("data_len", 0)
        self.object_type = numbers.get("obj_type")
        fields = told.get("fields", [])
        if not isinstance(fields, list):
            raise DocumentError("no list", "fields", fields, "a list of lengths in bytes")
        self._fields = [whole(one, "fields") for one in fields]
        self._userdata = base64_bytes(told.get("userdata", ""), "userdata")
        try:
            self.elements = payloads(base64_bytes(told.get("elements", ""), "elements"))
        except ValueError:
            raise DocumentError("no elements", "elements", told.get("elements")) from None
        if not self.flags & uapi.NFT_SET_ANONYMOUS:
            raise DocumentError("not a set of the rule alone", "flags", told.get("flags"))

    @property
    def fields(self) -> list[int]:
        """The byte lengths of a concatenation's parts."""
        return self._fields

    def userdata(self) -> bytes:
        """What nft noted for listing the set."""
        return self._userdata


def told_of(held: Any, flags: int) -> dict[str, Any]:
    """A dumped set for a document: its numbers, and its user data and elements as base64 texts.

    ``held`` has ``key_type``, ``key_length``, ``data_type``, ``data_length``, ``object_type``, ``fields``,
    ``userdata`` and ``elements`` (payloads); ``flags`` are those to send.
    """
    told: dict[str, Any] = {"flags": flags, "key_type": held.key_type, "key_len": held.key_length}
    if held.data_type is not None:
        told.update(data_type=held.data_type, data_len=held.data_length)
    if held.object_type:
        told["obj_type"] = held.object_type
    if held.fields:
        told["fields"] = list(held.fields)
    told["userdata"] = base64_text(held.userdata)
    told["elements"] = base64_text(
        b"".join(attribute(uapi.NFTA_LIST_ELEM, one) for one in held.elements or ())
    )
    return told
