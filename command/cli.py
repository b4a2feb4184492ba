# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line: subcommands loaded when they are asked for, and what becomes of errors.

Exit codes: 0 done, or nothing to do; 1 an error, a usage error too; 2 where there
is a difference (``plan``, ``check``); 130 after Ctrl-C.

How fast ``apply`` starts is a feature. It needs click and the engine alone, so
every other package is imported inside the function that needs it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from typing import Any

import click
from rempart.errors import Problem, RempartError
from rempart.version import VERSION

from .groups import Subcommands
from .session import EXIT_DONE, EXIT_ERROR, EXIT_INTERRUPTED, OutputLost, Session, complain

SUBCOMMANDS = (
    "plan",
    "apply",
    "check",
    "show",
    "validate",
    "elements",
    "capture",
    "save",
    "restore",
    "conntrack",
    "kill",
)

_DEBUG = "REMPART_DEBUG"


@click.group(
    cls=Subcommands,
    package="%s.subcommands" % __package__,
    names=SUBCOMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="FILE is a document in YAML or JSON, or - for standard input. "
    "Exit codes: 0 done or nothing to do, 1 error, 2 there is a difference (plan, check).",
)
@click.version_option(VERSION, prog_name="rempart", message="%(prog)s %(version)s")
def group() -> None:
    """Declare a firewall, and have the kernel hold exactly that.

    A document names tables of nftables with their chains and rules. The tables
    in it are made so in one transaction; rules that stay keep their counters,
    and tables that it does not name are never touched. It may also set how
    connections are tracked.
    """


def run(arguments: list[str]) -> int:
    """Run one command line, and return its exit code; errors are written to standard error."""
    # A run allocates much, keeps it all and ends: collecting would only cost time.
    gc.disable()
    session = Session("--json" in arguments)
    try:
        code = _guarded(session, arguments)
        session.close()
        return code
    except OutputLost as lost:
        # The interpreter's own flush at the end must not complain again.
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        if not isinstance(lost.reason, BrokenPipeError):
            complain("cannot write the output: %s" % (lost.reason.strerror or lost.reason))
        return EXIT_ERROR


def _guarded(session: Session, arguments: list[str]) -> int:
    try:
        found: Any = group.main(arguments, prog_name="rempart", standalone_mode=False, obj=session)
        return found if isinstance(found, int) else EXIT_DONE
    except (click.Abort, KeyboardInterrupt):
        session.fail([Problem(session.interrupted())])
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        session.fail([Problem(error.format_message())], shown=True)
    except RempartError as error:
        session.fail(error.problems)
    except OutputLost:
        raise
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        message = "internal error: %s: %s" % (type(error).__name__, error)
        cure = "this is a bug; with %s=1 in the environment it shows where" % _DEBUG
        session.fail([Problem(message, cure=cure)])
    return EXIT_ERROR
