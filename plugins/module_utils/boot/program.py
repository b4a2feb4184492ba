# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that boot runs as one file: the engine's sources, as far as it needs them, in a zip archive.

Python runs such a file by itself (zipapp). It needs nothing that could be upgraded away from
under it, and is replaced as a whole or not at all. Beside each source lies its byte code for the
Python that the file was made with; another Python takes the source.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import marshal
import zipfile
from collections.abc import Iterator

ENTRY = "boot.apply"
"""The module whose ``main`` the program runs."""

PACKAGE = "rempart"

_ENGINE = __name__.rpartition(".")[0].rpartition(".")[0]
"""The engine's package: ``rempart``, or where Ansible has it on a host."""

_MAIN = """\
import sys

if sys.version_info < (3, 9):
    sys.exit("rempart needs Python 3.9 or later, this is " + sys.version.split()[0])
from %s.%s import main

sys.exit(main())
""" % (PACKAGE, ENTRY)

_MAIN_PATH = "__main__.py"
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip archive can say
_UNCHECKED = 1  # PEP 552: byte code known by a hash that is not compared with the source


def build() -> bytes:
    """The archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        _put(archive, _MAIN_PATH, _MAIN)
        for path, source in sorted(sources(ENTRY).values()):
            full = "%s/%s" % (PACKAGE, path)
            code = compile(source, full, "exec", dont_inherit=True)
            _put(archive, full, source)
            _put(archive, full + "c", _head(source) + marshal.dumps(code))
    return content.getvalue()


def is_current(content: bytes) -> bool:
    """Whether an archive holds this engine, with byte code for this Python.

    The modules that it holds follow from their sources. So where all of them are as they are
    here, none is missing and none too many.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            held = set(archive.namelist()) - {_MAIN_PATH}
            modules = {one for one in held if one.endswith(".py")}
            return (
                archive.read(_MAIN_PATH).decode() == _MAIN
                and held == modules | {one + "c" for one in modules}
                and all(_is_module_current(archive, path) for path in modules)
            )
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, ImportError, NotImplementedError):
        return False


def _is_module_current(archive: zipfile.ZipFile, path: str) -> bool:
    parts = path[: -len(".py")].split("/")[1:]
    source = _source(".".join(parts[:-1] if parts[-1] == "__init__" else parts))[1]
    # Reading compares the archive's own checksum too.
    return archive.read(path).decode() == source and archive.read(path + "c").startswith(_head(source))


def sources(entry: str) -> dict[str, tuple[str, str]]:
    """The modules that one needs, by name within the engine: each with its path and its text.

    What is imported only when it is needed is needed too.
    """
    found: dict[str, tuple[str, str]] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = path, source = _source(name)
        if name:
            waiting.append(name.rpartition(".")[0])
        waiting += _imports(name, path.endswith("__init__.py"), source)
    return found


def _source(name: str) -> tuple[str, str]:
    full = "%s.%s" % (_ENGINE, name) if name else _ENGINE
    spec = importlib.util.find_spec(full)
    if spec is None:
        raise ImportError("the engine has no module %s" % name)
    path = name.replace(".", "/")
    if spec.submodule_search_locations is not None:
        path += "/__init__" if path else "__init__"
    getter = getattr(spec.loader, "get_source", None)  # a package that is a mere directory has none
    return path + ".py", (getter(full) or "") if getter is not None else ""


def _imports(name: str, package: bool, source: str) -> Iterator[str]:
    """The engine's own modules that a source imports: all its imports of them are relative."""
    parts = name.split(".") if name else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = parts[: len(parts) - node.level + package]
            if node.module:
                base += node.module.split(".")
                yield ".".join(base)
            for alias in node.names:
                inner = ".".join([*base, alias.name])
                if _is_module(inner):
                    yield inner


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec("%s.%s" % (_ENGINE, name)) is not None
    except ModuleNotFoundError:  # below a module that is no package
        return False


def _head(source: str) -> bytes:
    """How a file ``.pyc`` begins: the magic number of this Python, flags, the source's hash."""
    flags = _UNCHECKED.to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source.encode())


def _put(archive: zipfile.ZipFile, path: str, content: str | bytes) -> None:
    entry = zipfile.ZipInfo(path, _DATE)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)
