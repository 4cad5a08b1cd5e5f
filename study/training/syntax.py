"""Python files as a device runs them: their syntax trees, and the modules of the project that they import.

What the device cannot reach is left out: branches under a test of `is_cuda` are for graphics cards alone.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path

from study.errors import StudyError

PACKAGE = Path(__file__).parents[1]


def parsed(file: Path, device: str = "cpu") -> ast.Module:
    """The syntax tree of `file` as `device` runs it, to be read only: the same text gives the same tree again.

    StudyError when it cannot be read.
    """
    try:
        return _tree(file.read_text(encoding="utf-8"), device)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise StudyError(f"{file} cannot be read as Python: {error}") from error


@lru_cache(maxsize=512)
def _tree(text: str, device: str) -> ast.Module:
    tree = ast.parse(text)
    return tree if device == "cuda" else _WithoutCards().visit(tree)


def meaning(file: Path, device: str = "cpu") -> str:
    """What is left of `file` as `device` runs it without comments, docstrings and layout; StudyError like `parsed`."""
    return _without_words(parsed(file, device))


@lru_cache(maxsize=512)
def _without_words(shared: ast.Module) -> str:
    tree = copy.deepcopy(shared)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def asks_for_card(node: ast.AST) -> bool:
    """Whether a statement is `if x.is_cuda:` or `if x.is_cuda and ...:`."""
    if not isinstance(node, ast.If):
        return False
    every = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else [node.test]
    return any(isinstance(test, ast.Attribute) and test.attr == "is_cuda" for test in every)


class _WithoutCards(ast.NodeTransformer):
    """Takes out of a syntax tree what only a graphics card runs; an else stays in its place."""

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        """The statement, or what is left of it."""
        self.generic_visit(node)
        return node.orelse if asks_for_card(node) else node


def modules_of(file: Path, device: str = "cpu", known: Collection[Path] = ()) -> set[Path]:
    """`file` and the modules of the project that it imports on `device`, directly or not; `known` ones and what only
    they import are left out.

    The project is this package and, for a file outside of it, what lies in the file's own folder and where Python
    finds modules too: a loss of one's own and its helpers. Imports by computed names are not seen.
    """
    home = file.resolve().parent
    left_out = set(known)
    found: set[Path] = set()
    todo = [file]
    while todo:
        current = todo.pop()
        found.add(current)
        for node in ast.walk(parsed(current, device)):
            todo += _imported(node, current, home) - found - left_out
    return found


def _imported(node: ast.AST, file: Path, home: Path) -> set[Path]:
    """Files of the project that a statement of `file` imports."""
    if isinstance(node, ast.Import):
        return {path for alias in node.names for path in _files(_places(alias.name, home), "", home)}
    if isinstance(node, ast.ImportFrom):
        origins = _origins(node, file, home)
        return {path for alias in node.names for path in _files(origins, alias.name, home)}
    return set()


def _origins(node: ast.ImportFrom, file: Path, home: Path) -> list[Path]:
    """Where in the project the names of a `from ... import ...` in `file` may come from, as `_places` tells it."""
    module = node.module or ""
    return [file.parents[node.level - 1].joinpath(*module.split("."))] if node.level else _places(module, home)


def _places(module: str, home: Path) -> list[Path]:
    """Where in the project a module or package of that name may lie: paths without suffix."""
    top, *inner = module.split(".")
    if top == "study":
        return [PACKAGE.joinpath(*inner)]
    places = (Path(folder).resolve().joinpath(top, *inner) for folder in sys.path)
    return [place for place in places if place.is_relative_to(home)]


def _files(places: list[Path], name: str, home: Path) -> set[Path]:
    """Files behind `from place import name` at any of `places`, or behind `import place` where `name` is empty."""
    found: set[Path] = set()
    for place in places:
        package, module = place / "__init__.py", place.with_suffix(".py")
        if package.is_file():
            found |= _files_of_package(package, name, home)
        elif module.is_file():
            found.add(module)
        elif name:  # a folder without __init__.py
            found |= _files([place / name], "", home)
    return found


def _files_of_package(package: Path, name: str, home: Path) -> set[Path]:
    inner = _files([package.parent / name], "", home) if name else set()
    if not package.is_relative_to(PACKAGE):
        return {package} | inner
    # A name of this package brings the module that has it, not all that the package imports besides: a new loss
    # leaves the cells of the others alone.
    for node in parsed(package).body:
        if isinstance(node, ast.ImportFrom) and package.parent not in (origins := _origins(node, package, home)):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _files(origins, alias.name, home)
    return inner or {package}
