"""What a number depends on: hashes of code and of settings. Same hash, same numbers.

The code that decides a number is found by following imports: from the file that makes the number, through the rooms of
this package that compute. Nobody keeps a list. A file counts as its syntax tree without comments, docstrings and the
texts of errors, so words cost nothing.

- A signature names one cell: its loss, network, training settings, seed, data, device, and all code behind them.
- A fingerprint names code alone. Scores, search and step times are kept with the fingerprint of what made them.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import sys
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from study.config.arms import Arm, Control
from study.config.study import ModelSettings, TrainSettings
from study.errors import StudyError

PACKAGE = Path(__file__).parents[1]
TRAINER = Path(__file__).with_name("trainer.py")
CONTROLS = Path(__file__).with_name("controls.py")

# Rooms that read settings, find files, write them, or tell a person: no number comes from them. (Settings are part of
# a signature by their values.)
WITHOUT_NUMBERS = ("cli", "config", "doctor", "errors", "files", "plugins", "project", "report", "tracking")

# And modules elsewhere that only tell a person something: how to read a metric, that units are wrong.
FOR_READERS = ("metrics/card.py", "metrics/units.py", "color/units.py")

# Settings that change how a cell is run, but not one bit of its result.
WITHOUT_EFFECT = {"checkpoint_seconds", "device"}


# -- signatures --------------------------------------------------------------------------------------------------------


def cell_signature(
    arm: Arm,
    model: ModelSettings,
    train: TrainSettings,
    seed: int,
    data_hash: str,
    device: str,
    files: Iterable[Path],
    weights: str | None = None,
) -> str:
    """Signature (16 hex digits) of the cell that trains `arm` with `seed` on the data of `data_hash` on `device`.

    files: those that define the arm's loss and network. weights: hash of the network's pretrained weights. How the arm
    decodes is no part of the signature: decoding needs no training, and arms that differ in it alone share their cells.
    """
    return _short_hash(
        {
            "loss": arm.loss.model_dump(exclude={"file"}),
            "model": model.model_dump(exclude={"file"}),
            "train": train.model_dump(exclude=WITHOUT_EFFECT),
            "seed": seed,
            "data": data_hash,
            "weights": weights,
            "device": device,
            "code": code_fingerprint(TRAINER, *files, device=device),
            "torch": version("torch"),
        }
    )


def control_signature(control: Control, sources: list[str], temperature: float | None = None) -> str:
    """Signature (16 hex digits) of a control made from the cells with the signatures `sources`.

    temperature: at which the matched arm decodes; None where it predicts no bins.
    """
    return _short_hash(
        {
            "control": control.model_dump(exclude={"of"}),
            "sources": sources,
            "temperature": temperature,
            "code": code_fingerprint(CONTROLS),
        }
    )


def _short_hash(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def features_key(model: ModelSettings, weights: str, data_hash: str, test: str, file: Path) -> str:
    """Key (16 hex digits) of the frozen features of a study's pictures.

    weights: hash of the pretrained weights. test: hash of the test pictures, which data_hash leaves out. file: that
    defines the network.
    """
    return _short_hash(
        {
            "model": model.model_dump(include={"name", "options"}),
            "weights": weights,
            "data": [data_hash, test],
            "code": code_fingerprint(file),
        }
    )


# -- code --------------------------------------------------------------------------------------------------------------


def code_fingerprint(*files: Path, device: str = "cpu") -> str:
    """SHA-256 (16 hex digits) of Python files and of all that they import from rooms that compute.

    On "cuda" the kernels of a graphics card count too. They are loaded by name, so no import leads to them.
    """
    return _fingerprint(tuple(sorted(set(files))), device)


@cache
def _fingerprint(files: tuple[Path, ...], device: str) -> str:
    found = set().union(*(modules_of(file) for file in files))
    if device == "cuda":
        found |= set(PACKAGE.glob("*/triton/*.py"))
    digest = hashlib.sha256()
    for path in sorted(found, key=_name):
        digest.update(f"{_name(path)}\n{meaning(path)}\n".encode())
    return digest.hexdigest()[:16]


def _name(path: Path) -> str:
    """How a file is called in a fingerprint: the same wherever the project lies."""
    return path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else f"own/{path.name}"


def meaning(file: Path) -> str:
    """`file` without comments, docstrings, texts of errors and layout; StudyError when it is not Python."""
    return _without_words(_parsed(file))


def _parsed(file: Path) -> ast.Module:
    try:
        return _tree(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise StudyError(f"{file} cannot be read as Python: {error}") from error


@lru_cache(maxsize=512)
def _tree(text: str) -> ast.Module:
    return ast.parse(text)


@lru_cache(maxsize=512)
def _without_words(shared: ast.Module) -> str:
    tree = copy.deepcopy(shared)
    for node in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            if isinstance(statements := getattr(node, block, None), list):
                kept = [one for one in statements if not _is_text(one)]
                setattr(node, block, kept or ([ast.Pass()] if statements else []))
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args, node.exc.keywords = [], []
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [one for one in node.decorator_list if not _is_card(one)]
    return ast.unparse(tree)


def _is_text(statement: ast.AST) -> bool:
    """Whether a statement is a string alone: the docstring of a module, class or function, or that of a constant."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_card(decorator: ast.expr) -> bool:
    """Whether it is `@metric(...)`: that says how to read a metric, and changes no value of it."""
    call = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(call, ast.Name) and call.id == "metric"


def modules_of(file: Path) -> set[Path]:
    """`file` and the modules that it imports, directly or not, from rooms that compute.

    For a file outside of this package, what lies in its own folder and where Python finds modules counts too: a loss of
    one's own and its helpers. Imports by computed names are not seen.
    """
    home = file.resolve().parent
    found: set[Path] = set()
    todo = [file]
    while todo:
        current = todo.pop()
        found.add(current)
        for node in ast.walk(_parsed(current)):
            todo += {path for path in _imported(node, current, home) if _computes(path)} - found
    return found


def _computes(path: Path) -> bool:
    if not path.is_relative_to(PACKAGE):
        return True
    inside = path.relative_to(PACKAGE)
    return inside.parts[0].removesuffix(".py") not in WITHOUT_NUMBERS and inside.as_posix() not in FOR_READERS


def _imported(node: ast.AST, file: Path, home: Path) -> set[Path]:
    """Files of the project that a statement of `file` imports."""
    if isinstance(node, ast.Import):
        return {path for alias in node.names for path in _files(_places(alias.name, home), "", home)}
    if isinstance(node, ast.ImportFrom):
        origins = _origins(node, file, home)
        return {path for alias in node.names for path in _files(origins, alias.name, home)}
    return set()


def _origins(node: ast.ImportFrom, file: Path, home: Path) -> list[Path]:
    """Where the names of a `from ... import ...` in `file` may come from: paths without suffix."""
    module = node.module or ""
    return [file.parents[node.level - 1].joinpath(*module.split("."))] if node.level else _places(module, home)


def _places(module: str, home: Path) -> list[Path]:
    """Where a module or package of that name may lie in the project: paths without suffix."""
    top, *inner = module.split(".")
    if top == "study":
        return [PACKAGE.joinpath(*inner)]
    places = (Path(folder).resolve().joinpath(top, *inner) for folder in sys.path)
    return [place for place in places if place.is_relative_to(home)]


def _files(places: list[Path], name: str, home: Path) -> set[Path]:
    """Files behind `from place import name`, or behind `import place` where `name` is empty."""
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
    # A name that this package re-exports brings the module that defines it, not all that the package imports besides.
    # So a new loss leaves the cells of the others alone.
    for node in _parsed(package).body:
        if isinstance(node, ast.ImportFrom) and package.parent not in (origins := _origins(node, package, home)):
            for alias in node.names:
                if name == (alias.asname or alias.name):
                    return _files(origins, alias.name, home)
    return inner or {package}
