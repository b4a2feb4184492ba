# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""This machine with an /etc and a /var/lib of its own, for playbooks that write a host's files.

What a command run there writes below these two lands in a directory of the test; the machine keeps its own.
"""

from __future__ import annotations

from pathlib import Path

_ENTER = """\
mount --bind "$0/etc" /etc
mount --bind "$0/var/lib" /var/lib
exec "$@"
"""


class PrivateHost:
    """The host whose /etc and /var/lib are those below ``root``, which are made.

    /etc has copies of the files that programs need to run at all. ``directories`` are made too, relative
    to ``root``.
    """

    def __init__(self, root: Path, *directories: str) -> None:
        self.root = root
        for name in ("etc", "var/lib", *directories):
            (root / name).mkdir(parents=True, exist_ok=True)
        for name in ("passwd", "group", "nsswitch.conf", "protocols", "services", "ld.so.cache"):
            source = Path("/etc", name)
            if source.exists():
                (root / "etc" / name).write_bytes(source.read_bytes())

    def prefix(self) -> list[str]:
        """The command line that runs another one on this host."""
        return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _ENTER, str(self.root)]

    def text(self, path: str) -> str | None:
        """What is in a file; None without one. ``path`` is as the host has it."""
        file = self.root / path.lstrip("/")
        return file.read_text() if file.exists() else None

    def files(self, below: str = "etc") -> set[str]:
        """The files and links below a directory, as the host has their paths."""
        found = [one for one in (self.root / below).rglob("*") if one.is_symlink() or one.is_file()]
        return {"/" + str(one.relative_to(self.root)) for one in found}
