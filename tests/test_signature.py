"""Code counts by its meaning, not by its comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.errors import StudyError
from study.signature import TRAINING_CODE, code_digest
from tests.conftest import REPOSITORY

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


def test_every_module_that_training_imports_is_listed() -> None:
    # What train.py needs from the package must be part of the signature, or only shape settings and files.
    import ast

    without_numbers = {"errors", "files", "params"}
    listed = {name.removesuffix(".py") for name in TRAINING_CODE}
    for name in TRAINING_CODE:
        path = REPOSITORY / "study" / name
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("study."):
                    assert node.module.split(".")[1] in listed | without_numbers, f"{file.name} imports {node.module}"
