# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documents as Jinja2 templates."""

from __future__ import annotations

import json
import traceback
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import SandboxedEnvironment
from rempart.errors import DocumentError

#: values whose Python form is neither YAML nor JSON
_AS_JSON = (bool, list, tuple, dict, type(None))


def render(text: str, name: str, variables: dict[str, Any], directory: str) -> bytes:
    """The template's text with the variables put in, as UTF-8.

    ``directory`` is where ``include`` and ``import`` look for files. A variable that is
    not defined is an error; lists, mappings, truth values and None become JSON, which
    is YAML too. Raises DocumentError with the line.
    """
    environment = SandboxedEnvironment(
        undefined=StrictUndefined,
        loader=FileSystemLoader(directory),
        finalize=_finalize,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    try:
        code = environment.compile(text, name, name)
        template = environment.template_class.from_code(environment, code, environment.make_globals(None))
        return template.render(variables).encode("utf-8", "surrogateescape")
    except TemplateSyntaxError as error:
        raise _wrong(error.message or "syntax error", error.filename or name, error.lineno) from None
    except RecursionError:
        raise _wrong("templates nested too deeply", name, None) from None
    except Exception as error:
        file, line = _where(error, name, directory)
        reason = str(error) or type(error).__name__
        if not isinstance(error, TemplateError):
            reason = "%s: %s" % (type(error).__name__, reason)
        cure = "give it with -e or --vars" if reason.endswith(" is undefined") else ""
        raise _wrong(reason, file, line, cure) from None


def _finalize(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, _AS_JSON) else value


def _wrong(reason: str, file: str, line: int | None, cure: str = "") -> DocumentError:
    at = " at line %d" % line if line else ""
    return DocumentError("the template fails%s: %s" % (at, reason), file, cure=cure)


def _where(error: Exception, name: str, directory: str) -> tuple[str, int | None]:
    """The innermost line of a template that the error passed: Jinja2 gives its frames their lines."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == name or frame.filename.startswith(directory + "/"):
            return frame.filename, frame.lineno
    return name, None
