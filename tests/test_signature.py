"""Code counts by its meaning, not by its comments."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from study.errors import StudyError
from study.signature import PACKAGE, TRAINING_CODE, code_digest, with_imports

CODE = '"""Doc."""\n\ndef f(x):\n    """Doc of f."""\n    return x + 1  # why\n'


def digest(path: Path, text: str) -> str:
    path.write_text(text)
    return code_digest([path])


def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    before = digest(file, CODE)
    assert digest(file, '"""Other."""\ndef f( x ):\n    return x + 1\n') == before
    assert digest(file, CODE.replace("x + 1", "x + 2")) != before


def test_a_function_that_is_only_a_docstring_is_still_a_function(tmp_path: Path) -> None:
    assert digest(tmp_path / "a.py", 'def f():\n    """Doc."""\n') == digest(tmp_path / "a.py", "def f():\n    pass\n")


def test_code_that_does_not_parse_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be read as Python"):
        digest(tmp_path / "a.py", "def f(:\n")


def test_everything_that_training_code_imports_from_the_package_is_training_code() -> None:
    without_numbers = {"errors.py", "files.py", "params.py"}
    listed = {PACKAGE / name for name in TRAINING_CODE} | {PACKAGE / name for name in without_numbers}
    for name in TRAINING_CODE:
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("study."):
                continue
            module = importlib.import_module(node.module)
            for alias in node.names:
                thing = getattr(module, alias.name)
                defined = inspect.getmodule(thing) if inspect.isclass(thing) or inspect.isroutine(thing) else module
                assert Path(defined.__file__) in listed, f"{name} imports {alias.name} from {defined.__file__}"


def test_a_loss_brings_what_it_imports_and_no_other_loss() -> None:
    losses = PACKAGE / "losses"
    assert with_imports(losses / "classification.py") == [losses / "classification.py"]
    perceptual = with_imports(losses / "perceptual.py")
    assert PACKAGE / "lpips_network.py" in perceptual
    assert losses / "classification.py" not in perceptual
