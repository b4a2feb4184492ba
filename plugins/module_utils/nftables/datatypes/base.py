# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a data type is: the bridge between a value as people write it and its integer.

A value travels as one integer everywhere in the engine. ``byteorder`` says how
that integer becomes bytes in a register or in a packet: addresses, ports and
strings are "big", what the kernel keeps in its own variables is "host".
"""

from __future__ import annotations

from ...errors import nearest, shorten


class DatatypeError(ValueError):
    """A value that its data type does not know; the caller adds the place.

    ``message``, ``found``, ``allowed`` and ``cure`` go as they are into a
    :class:`~.errors.Problem`.
    """

    def __init__(self, message: str, found: object = None, allowed: str = "", cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.found = found
        self.allowed = allowed
        self.cure = cure

    def __str__(self) -> str:
        text = self.message
        if self.found is not None:
            text += "; found %s" % shorten(self.found)
        if self.allowed:
            text += "; allowed: %s" % self.allowed
        if self.cure:
            text += "; %s" % self.cure
        return text


class DataType:
    """One nft data type; this class itself is an integer with symbolic names.

    ``name``       nft's name, as in ``type ipv4_addr`` of a set
    ``number``     nft's id, which NFTA_SET_KEY_TYPE carries to the kernel and back
    ``bits``       the width; 0 where the selector decides it
    ``byteorder``  "big" or "host"
    ``bitmask``    a type of flags: a bare value means "any of these bits"
    ``constants``  nft's names, in nft's order: of several names for one number it prints the first
    ``aliases``    further names that are read but never written
    """

    __slots__ = ("_names", "aliases", "bitmask", "bits", "byteorder", "constants", "form", "name", "number")

    def __init__(
        self,
        name: str,
        number: int,
        bits: int,
        constants: dict[str, int] | None = None,
        byteorder: str = "big",
        aliases: dict[str, int] | None = None,
        form: str = "%d",
    ) -> None:
        self.name = name
        self.number = number
        self.bits = bits
        self.byteorder = byteorder
        self.bitmask = False
        self.constants: dict[str, int] = constants or {}
        self.aliases: dict[str, int] = aliases or {}
        self.form = form
        self._names: dict[int, str] | None = None

    def __repr__(self) -> str:
        return "<%s %s>" % (type(self).__name__, self.name)

    def number_of(self, value: object, bits: int = 0) -> int:
        """The integer a JSON scalar stands for.

        Takes a known name, a decimal or hexadecimal number as text, or an
        integer. ``bits`` is the width where the type itself has none (or is
        narrower in this field). Raises DatatypeError.
        """
        if isinstance(value, str):
            found = self.named(value)
            if found is not None:
                return found
            number = parse_integer(value)
            if number is None:
                raise self._unknown(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            raise self._wrong_type(value)
        return self._in_range(number, value, bits)

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        """The value as ``nft -j list`` prints it."""
        name = self.name_of(number)
        return number if name is None else name

    def text_of(self, number: int) -> str:
        """The value as ``nft list`` prints it."""
        name = self.name_of(number)
        return self.form % number if name is None else name

    def named(self, word: str) -> int | None:
        """The integer of a symbolic name; None where the word is none."""
        found = self.constants.get(word)
        return self.aliases.get(word) if found is None else found

    def name_of(self, number: int) -> str | None:
        """The name nft prints for an integer; None where it prints the number."""
        names = self._names
        if names is None:
            names = {}
            for name, value in self.constants.items():
                names.setdefault(value, name)
            self._names = names
        return names.get(number)

    def allowed(self, bits: int = 0) -> str:
        """What may stand here, for an error message."""
        bits = bits or self.bits
        numbers = "a number from 0 to %d" % ((1 << bits) - 1) if bits else "a number"
        return "%s, or %s" % (", ".join(self.constants), numbers) if self.constants else numbers

    def _in_range(self, number: int, found: object, bits: int) -> int:
        bits = bits or self.bits
        if number < 0 or (bits and number >> bits):
            raise DatatypeError("the number does not fit %s" % self._called(), found, self.allowed(bits))
        return number

    def _called(self) -> str:
        return "data type %s" % self.name

    def _unknown(self, word: str) -> DatatypeError:
        known = list(self.constants) + list(self.aliases)
        return DatatypeError(
            "unknown value for %s" % self._called(), word, self.allowed(), nearest(word, known)
        )

    def _wrong_type(self, value: object) -> DatatypeError:
        return DatatypeError("not a value of %s" % self._called(), value, self.allowed())


class Flags(DataType):
    """A type of flags: one name a bit, several bits at once."""

    __slots__ = ()

    def __init__(
        self, name: str, number: int, bits: int, constants: dict[str, int], byteorder: str = "host"
    ) -> None:
        super().__init__(name, number, bits, constants, byteorder, form="0x%x")
        self.bitmask = True

    def number_of(self, value: object, bits: int = 0) -> int:
        """One flag, a number, or several names in one text: ``syn,ack`` or ``syn|ack``.

        An error is about the one name that is wrong.
        """
        if isinstance(value, str) and ("," in value or "|" in value):
            words = [word.strip() for word in value.replace("|", ",").split(",")]
            if not all(words):
                raise DatatypeError("a name is missing beside a comma or |", value, self.allowed(bits))
            number = 0
            for word in words:
                number |= super().number_of(word, bits)
            return number
        return super().number_of(value, bits)

    def parts(self, number: int) -> list[int]:
        """The bits that are set, lowest first, each as the number it stands for."""
        return [1 << bit for bit in range(number.bit_length()) if number >> bit & 1]

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        """One flag as a scalar, several as a list, none as 0."""
        parts = self.parts(number)
        if len(parts) < 2:
            return self._json_of_one(number)
        return [self._json_of_one(part) for part in parts]

    def text_of(self, number: int) -> str:
        """The flags joined with commas, lowest first; ``0x0`` where none is set."""
        parts = self.parts(number) or [0]
        return ",".join(super(Flags, self).text_of(part) for part in parts)

    def _json_of_one(self, number: int) -> str | int:
        name = self.name_of(number)
        return number if name is None else name


class Text(DataType):
    """A string of at most 15 bytes, NUL-padded to 16; the integer is its bytes, first byte highest."""

    __slots__ = ()

    SIZE = 16  # IFNAMSIZ, and what nft reserves for a helper's or an OS fingerprint's name

    def number_of(self, value: object, bits: int = 0) -> int:
        """The integer of the padded bytes. Raises DatatypeError where the text is empty or too long."""
        if not isinstance(value, str):
            raise DatatypeError("not a text for %s" % self._called(), value, self.allowed())
        raw = value.encode("utf-8", "surrogateescape")
        if not 0 < len(raw) < self.SIZE or b"\0" in raw:
            raise DatatypeError(
                "%s for %s" % ("too long" if len(raw) >= self.SIZE else "no usable text", self._called()),
                value,
                self.allowed(),
            )
        return int.from_bytes(raw.ljust(self.SIZE, b"\0"), "big")

    def json_of(self, number: int) -> str | int | bool | list[str | int]:
        """The text without its padding."""
        return self._decoded(number)

    def text_of(self, number: int) -> str:
        """The text in quotes."""
        return '"%s"' % self._decoded(number)

    def allowed(self, bits: int = 0) -> str:
        """How long the text may be."""
        return "1 to %d bytes of text" % (self.SIZE - 1)

    def _decoded(self, number: int) -> str:
        raw = number.to_bytes(max(self.SIZE, (number.bit_length() + 7) // 8), "big")
        return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def parse_integer(text: str) -> int | None:
    """A decimal or 0x-hexadecimal number as an integer; None where the text is neither.

    A leading zero is refused: nft reads it as octal in a file and as decimal in JSON.
    """
    if text.isdecimal() and text.isascii():
        return int(text) if text[0] != "0" or len(text) == 1 else None
    if text[:2] in ("0x", "0X") and text.isalnum():
        try:
            return int(text, 16)
        except ValueError:
            return None
    return None
