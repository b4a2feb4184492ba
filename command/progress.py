# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far a long run has come, on a terminal.

One line that is written over again, on standard error, from the engine's stages. A
thread keeps its clock going while the engine works. It is written by hand: a library
to draw it would take longer to import than the engine takes for thousands of rules.
"""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext, suppress
from threading import Event, Thread
from types import TracebackType
from typing import Any

from rempart.ruleset.reconcile import Progress

from .session import Session, on_terminal

#: bytes of a document from which on its progress is shown: some hundred rules
_LARGE = 64 * 1024
_TICK = 0.1  # seconds
_ERASE = "\r\x1b[K"  # to the line's start, and erase to its end (ECMA-48, EL)
_WIDTH = 60

_STAGES = {
    "parse": "reading the document",
    "compile": "compiling %s rules",
    "read": "reading the kernel's rules",
    "compare": "comparing",
    "send": "sending %s messages in one transaction",
}


class Followed(Progress):
    """Notes the stage, for what an interruption has to say."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stage(self, name: str, total: int = 0) -> None:
        """A new stage begins."""
        self._session.stage = name


class Drawn(Followed):
    """Shows the stage on standard error as long as the ``with`` block runs."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._began = time.monotonic()
        self._text = ""
        self._over = Event()
        self._clock = Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Drawn:
        self.stage("parse")
        self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._clock.join()
        self._draw(_ERASE)

    def stage(self, name: str, total: int = 0) -> None:
        """A new stage begins; ``total`` is how many rules or messages it has."""
        super().stage(name, total)
        text = _STAGES.get(name, name)
        self._text = text % format(total, ",") if "%s" in text else text
        self._draw(self._line())

    def _tick(self) -> None:
        while not self._over.wait(_TICK):
            self._draw(self._line())

    def _line(self) -> str:
        return "%s%-*s %6.1f s" % (_ERASE, _WIDTH, self._text, time.monotonic() - self._began)

    def _draw(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def progress_of(session: Session, size: int) -> Any:
    """The context manager whose value follows a run over a document of ``size`` bytes."""
    if size >= _LARGE and on_terminal(sys.stderr):
        return Drawn(session)
    return nullcontext(Followed(session))
