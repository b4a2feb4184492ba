# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types whose names an administrator keeps in files: marks, realms, device groups, connection labels."""

from __future__ import annotations

from .base import DataType, DatatypeError, parse_integer
from .lookups import looked_up

_IPROUTE2 = ("/etc/iproute2", "/usr/share/iproute2")


class HostTable:
    """One file of lines ``number name``, read when the first name is asked for.

    ``file`` is looked for in ``folders``, first come first served; no file is an empty table.
    """

    __slots__ = ("_file", "_folders", "_names", "_numbers")

    def __init__(self, file: str, folders: tuple[str, ...] = _IPROUTE2) -> None:
        self._file = file
        self._folders = folders
        self._names: dict[int, str] | None = None
        self._numbers: dict[str, int] = {}

    def names(self) -> dict[int, str]:
        """Name by number."""
        if self._names is None:
            self._read()
        return self._names or {}

    def numbers(self) -> dict[str, int]:
        """Number by name."""
        if self._names is None:
            self._read()
        return self._numbers

    def _read(self) -> None:
        self._names = {}
        for folder in self._folders:
            try:
                path = "%s/%s" % (folder, self._file)
                with open(path, encoding="utf-8", errors="surrogateescape") as lines:
                    for line in lines:
                        self._add(line.partition("#")[0].split())
            except OSError:
                continue
            return

    def _add(self, words: list[str]) -> None:
        number = parse_integer(words[0]) if len(words) > 1 else None
        if number is not None and self._names is not None:
            self._names.setdefault(number, words[1])
            self._numbers.setdefault(words[1], number)


class NamedByHost(DataType):
    """A number that the host may have a name for; nft prints the name in quotes.

    ``json_numbers`` False: nft's JSON gives a nameless number as text.
    """

    __slots__ = ("_json_numbers", "_table")

    def __init__(
        self,
        name: str,
        number: int,
        bits: int,
        table: HostTable,
        form: str = "%d",
        json_numbers: bool = True,
    ) -> None:
        super().__init__(name, number, bits, None, "host", form=form)
        self._table = table
        self._json_numbers = json_numbers

    def named(self, word: str) -> int | None:
        """The number the host's table gives the word."""
        if word[:1].isdecimal():
            return None
        return looked_up(self.name, word, self._table.numbers().get(word))

    def name_of(self, number: int) -> str | None:
        """The name the host's table gives the number."""
        return self._table.names().get(number)

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        """The name, else the number (as text where nft's JSON has it so)."""
        name = self.name_of(number)
        if name is not None:
            return name
        return number if self._json_numbers else str(number)

    def text_of(self, number: int) -> str:
        """The name in quotes, else the number."""
        name = self.name_of(number)
        return self.form % number if name is None else '"%s"' % name

    def _unknown(self, word: str) -> DatatypeError:
        from ...errors import nearest

        known = self._table.numbers()
        return DatatypeError(
            "unknown name for %s" % self._called(), word, self.allowed(), nearest(word, known)
        )
