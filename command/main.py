# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The console script: whatever happens, an exit code and no traceback.

Imports nothing until it can answer Ctrl-C; the rest begins in ``cli``.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line of this process, and end the process with its exit code."""
    code = _run()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # None where the shell closed it
                stream.flush()
        except (OSError, ValueError):
            code = code or 1
    # Taking thousands of rules apart in memory would take longer than comparing them.
    os._exit(code)


def _run() -> int:
    try:
        from .cli import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.stderr.write("rempart: interrupted\n")
        return 130
    except SystemExit as error:  # click's, after completing a shell's line
        return error.code if isinstance(error.code, int) else 0


if __name__ == "__main__":
    main()
