"""Code counts by its meaning, not by its comments."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
from pathlib import Path

import pytest
import yaml

from study.errors import StudyError
from study.training import fingerprint as signature
from study.training import syntax
from study.training.fingerprint import TRAINING_CODE, code_digest, with_imports
from study.training.syntax import PACKAGE
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


def test_what_a_processor_cannot_reach_counts_for_graphics_cards_alone(tmp_path: Path) -> None:
    file, plain, card = tmp_path / "a.py", "def f(x):\n    return x + 1\n", "        return fast(x)\n"
    before = digest(file, plain)
    for test in ("x.is_cuda", "x.is_cuda and not compiling()"):
        branched = plain.replace("    return", f"    if {test}:\n{card}    return")
        assert digest(file, branched) == before
        on_card = code_digest([file], "cuda")
        assert on_card != before
        digest(file, branched.replace("fast", "faster"))
        assert code_digest([file], "cuda") != on_card
    either = f"    if x.is_cuda:\n{card}    else:\n        return x + 1\n"
    there = digest(file, plain.replace("    return x + 1\n", either))
    assert digest(file, plain.replace("    return x + 1\n", either.replace("fast", "faster"))) == there
    assert digest(file, plain.replace("    return x + 1\n", either.replace("+ 1", "+ 2"))) != there
    assert digest(file, plain.replace("    return", f"    if x.is_cpu:\n{card}    return")) != before


def test_kernels_count_for_graphics_cards_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "study"
    shutil.copytree(PACKAGE, package)
    for module in (signature, syntax):
        monkeypatch.setattr(module, "PACKAGE", package)
    digest_on = signature.training_code_digest.__wrapped__  # without its cache
    before = {device: digest_on(device) for device in ("cpu", "cuda")}
    (package / "kernels" / "color.py").write_text("x = 1\n")
    assert digest_on("cpu") == before["cpu"] and digest_on("cuda") != before["cuda"]
    classification = package / "losses" / "classification.py"
    assert package / "kernels" / "classification.py" in with_imports(classification, "cuda")
    assert package / "kernels" / "classification.py" not in with_imports(classification, "cpu")


def test_helpers_of_a_loss_of_ones_own_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, helper = tmp_path / "own.py", tmp_path / "helper.py"
    own.write_text("from helper import error\nfrom study.losses import Loss, PerceptualLoss, register\n")
    helper.write_text("error = abs\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_digest(with_imports(own))
    helper.write_text("error = max\n")
    assert code_digest(with_imports(own)) != before
    assert PACKAGE / "losses" / "perceptual.py" in with_imports(own)
    assert not set(with_imports(own)) & {PACKAGE / name for name in TRAINING_CODE}


def test_code_that_does_not_parse_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot be read as Python"):
        digest(tmp_path / "a.py", "def f(:\n")


def test_everything_that_training_code_imports_from_the_package_is_training_code() -> None:
    without_numbers = {"errors.py", "files.py", "params.py"}
    listed = {PACKAGE / name for name in TRAINING_CODE} | {PACKAGE / name for name in without_numbers}
    listed |= set((PACKAGE / "kernels").glob("*.py"))  # which count where they run
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


@pytest.mark.parametrize("stage", ["search", "train", "train_control", "train_tuned"])
def test_the_pipeline_trains_again_when_any_of_it_changes(stage: str) -> None:
    deps = {Path(dep) for dep in yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"][stage]["deps"]}
    for name in TRAINING_CODE:
        file = Path("study", name)
        assert deps & {file, *file.parents}, f"{file} is no dependency of {stage}"
    assert deps & {Path("ablations/losses"), Path("ablations")}, f"losses of one's own are no dependency of {stage}"
