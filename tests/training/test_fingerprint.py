"""What a number depends on: code by its meaning, found by following imports."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from study.config.arms import load_arm
from study.config.study import ModelSettings, TrainSettings
from study.errors import StudyError
from study.training import fingerprint
from study.training.fingerprint import (
    PACKAGE,
    TRAINER,
    WITHOUT_NUMBERS,
    cell_signature,
    code_fingerprint,
    modules_of,
)
from tests.conftest import REPOSITORY

CODE = '"""Doc."""\n\ndef f(x):\n    """Doc of f."""\n    return x + 1  # why\n'
LOSSES = PACKAGE / "losses"


@pytest.fixture(autouse=True)
def no_memory() -> None:
    """Files change between calls here, as they do between commands."""
    fingerprint._fingerprint.cache_clear()


def digest(path: Path, text: str) -> str:
    path.write_text(text)
    fingerprint._fingerprint.cache_clear()
    return code_fingerprint(path)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, whose files may be changed."""
    package = tmp_path / "study"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprint, "PACKAGE", package)
    return package


# -- meaning -----------------------------------------------------------------------------------------------------------


def test_comments_docstrings_and_layout_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    before = digest(file, CODE)
    assert digest(file, '"""Other."""\ndef f( x ):\n    return x + 1\n') == before
    assert digest(file, CODE.replace("x + 1", "x + 2")) != before


def test_what_the_card_of_a_metric_says_does_not_count(copy: Path) -> None:
    card, trainer = copy / "metrics" / "card.py", copy / "training" / "trainer.py"
    file = copy / "metrics" / "fidelity.py"
    before, text = code_fingerprint(trainer), file.read_text()
    card.write_text(card.read_text() + "\nADDED = 1\n")
    file.write_text(text.replace("margin=0.25", "margin=0.5"))
    fingerprint._fingerprint.cache_clear()
    assert code_fingerprint(trainer) == before
    file.write_text(text.replace("error.square_()", "error.abs_()"))
    fingerprint._fingerprint.cache_clear()
    assert code_fingerprint(trainer) != before


def test_texts_of_errors_and_docstrings_of_constants_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    code = (
        'LIMIT = 3\n"""Of x."""\n\n'
        'def f(x):\n    if x > LIMIT:\n        raise ValueError(f"{x} is large")\n    return x\n'
    )
    before = digest(file, code)
    assert digest(file, code.replace("Of x.", "The most.").replace("is large", "is too large")) == before
    assert digest(file, code.replace("ValueError", "KeyError")) != before
    assert digest(file, code.replace("LIMIT = 3", "LIMIT = 4")) != before


def test_a_function_that_is_only_a_docstring_is_still_a_function(tmp_path: Path) -> None:
    assert digest(tmp_path / "a.py", 'def f():\n    """Doc."""\n') == digest(tmp_path / "a.py", "def f():\n    pass\n")


def test_code_that_does_not_parse_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"a\.py") as error:
        digest(tmp_path / "a.py", "def f(:\n")
    assert "\n" not in str(error.value)


def test_where_the_project_lies_does_not_count(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = code_fingerprint(copy / "training" / "trainer.py")
    elsewhere = tmp_path / "elsewhere" / "study"
    shutil.copytree(copy, elsewhere)
    monkeypatch.setattr(fingerprint, "PACKAGE", elsewhere)
    assert code_fingerprint(elsewhere / "training" / "trainer.py") == here


# -- what a cell depends on --------------------------------------------------------------------------------------------


def changed_by(copy: Path, names: list[str], *files: Path) -> list[str]:
    """Which of these modules change the fingerprint of `files` when something is added to them."""
    before, changed = code_fingerprint(*files), []
    for name in names:
        text = (copy / name).read_text()
        (copy / name).write_text(text + "\nADDED = 1\n")
        fingerprint._fingerprint.cache_clear()
        if code_fingerprint(*files) != before:
            changed.append(name)
        (copy / name).write_text(text)
    return changed


def test_code_behind_every_cell_is_found_from_the_trainer(copy: Path) -> None:
    names = [
        "training/schedule.py", "training/batches.py", "training/validation.py", "models/unet.py", "color/bins.py",
        "models/colorizer.py", "color/lab.py", "metrics/vividness.py", "losses/base.py", "losses/anti_average.py",
    ]  # fmt: skip
    assert changed_by(copy, names, copy / "training" / "trainer.py", copy / "models" / "unet.py") == names


def test_other_code_leaves_the_cells_of_mse_alone(copy: Path) -> None:
    names = [
        "cli/steps.py", "config/params.py", "files.py", "report/__init__.py", "search/runner.py", "losses/hue.py",
        "training/executor.py", "training/store.py", "losses/classification.py", "analysis/compare.py",
    ]  # fmt: skip
    assert changed_by(copy, names, copy / "training" / "trainer.py", copy / "losses" / "regression.py") == []


def test_kernels_count_on_a_gpu_alone(copy: Path) -> None:
    trainer = copy / "training" / "trainer.py"
    before = {device: code_fingerprint(trainer, device=device) for device in ("cpu", "cuda")}
    kernel = next(iter((copy / "losses" / "triton").glob("[a-z]*.py")))
    kernel.write_text("x = 1\n")
    fingerprint._fingerprint.cache_clear()
    assert code_fingerprint(trainer) == before["cpu"]
    assert code_fingerprint(trainer, device="cuda") != before["cuda"]
    assert not [path for path in modules_of(trainer) if "triton" in path.parts]


def test_a_loss_brings_what_it_imports_and_no_other_loss() -> None:
    perceptual = modules_of(LOSSES / "perceptual.py")
    assert PACKAGE / "metrics" / "lpips_network.py" in perceptual
    assert LOSSES / "classification.py" not in perceptual
    assert LOSSES / "classification.py" not in modules_of(TRAINER)


def test_helpers_of_a_loss_of_ones_own_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, helper = tmp_path / "own.py", tmp_path / "helper.py"
    own.write_text("from helper import error\nfrom study.losses import Loss, PerceptualLoss, register\n")
    helper.write_text("error = abs\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_fingerprint(own)
    helper.write_text("error = max\n")
    fingerprint._fingerprint.cache_clear()
    assert code_fingerprint(own) != before


@pytest.fixture
def arm(root: Path):
    return load_arm(root, "anti_average")


def test_a_signature_holds_what_decides_the_numbers_and_nothing_else(arm) -> None:
    train, model = TrainSettings(images=100), ModelSettings()

    def signature(arm=arm, model=model, train=train, seed=0, data="d", device="cpu") -> str:
        return cell_signature(arm, model, train, seed, data, device, [LOSSES / "anti_average.py"])

    same = signature()
    assert signature(arm=arm.model_copy(update={"name": "other", "description": "other"})) == same
    assert signature(train=train.model_copy(update={"checkpoint_seconds": 1.0})) == same
    assert signature(arm=arm.model_copy(update={"decode": arm.decode.model_copy(update={"temperature": 1.0})})) == same
    loss = arm.loss.model_copy(update={"weights": {"lab": 2.0}})
    others = [
        signature(arm=arm.model_copy(update={"loss": loss})),
        signature(model=ModelSettings(options={"width": 8})),
        signature(train=train.model_copy(update={"keep": "best"})),
        signature(seed=1),
        signature(data="e"),
        signature(device="cuda"),
    ]
    assert len({same, *others}) == 1 + len(others)


@pytest.mark.parametrize("stage", ["search", "train", "train_control", "train_tuned"])
def test_the_pipeline_looks_again_when_code_behind_a_cell_changes(stage: str) -> None:
    deps = {Path(dep) for dep in yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"][stage]["deps"]}
    for path in modules_of(TRAINER):
        file = path.relative_to(PACKAGE.parent)
        assert deps & {file, *file.parents}, f"{file} is no dependency of {stage}"
    assert deps & {Path("ablations/losses"), Path("ablations")}


def test_rooms_without_numbers_exist() -> None:
    there = {path.stem for path in PACKAGE.iterdir()}
    assert set(WITHOUT_NUMBERS) <= there


# -- following imports -------------------------------------------------------------------------------------------------


def modules(folder: Path, text: str) -> set[str]:
    """What a file `own.py` with these imports brings besides itself: paths in the package or in its folder."""
    own = folder / "own.py"
    own.write_text(text)
    brought = modules_of(own) - {own}
    return {path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else folder).as_posix() for path in brought}


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("from study.losses.hue import HueLoss", "losses/hue.py"),
        ("from study.losses import HueLoss as Own", "losses/hue.py"),
        ("from study.losses import hue", "losses/hue.py"),
        ("import study.losses.hue", "losses/hue.py"),
        ("import study.losses.hue as own", "losses/hue.py"),
        ("def later():\n    from study.losses import HueLoss", "losses/hue.py"),
        ("from study import statistics", "statistics.py"),
        ("from study.data import folder", "data/folder.py"),  # which the package imports from itself
        ("from study.losses import PerceptualLoss", "metrics/lpips_network.py"),  # not directly
    ],
)
def test_every_way_to_import_a_module_of_the_package_is_followed(tmp_path: Path, text: str, file: str) -> None:
    brought = modules(tmp_path, text)
    assert file in brought
    assert "losses/pinball.py" not in brought


@pytest.mark.parametrize("text", ["import study.losses", "from study import losses", "from study.losses import *"])
def test_a_package_that_is_imported_as_a_whole_brings_all_of_it(tmp_path: Path, text: str) -> None:
    assert {"losses/__init__.py", "losses/pinball.py", "losses/hue.py"} <= modules(tmp_path, text)


def test_a_name_that_a_package_defines_brings_the_package(tmp_path: Path) -> None:
    assert {"data/__init__.py", "data/folder.py"} <= modules(tmp_path, "from study.data import LOADERS")


def test_settings_and_files_are_not_followed(tmp_path: Path) -> None:
    assert not modules(tmp_path, "from study.config.arms import Arm\nfrom study.files import atomic_write\n")


def write_helpers(folder: Path) -> None:
    (folder / "helper.py").write_text("from study.losses import HueLoss\n")
    (folder / "tools").mkdir()
    (folder / "tools" / "__init__.py").write_text("from .first import one\n")
    (folder / "tools" / "first.py").touch()
    (folder / "tools" / "second.py").touch()


@pytest.mark.parametrize(
    ("text", "brought"),
    [
        ("import helper", {"helper.py", "losses/hue.py", "losses/base.py"}),
        ("from tools import one", {"tools/__init__.py", "tools/first.py"}),
        ("from tools import second", {"tools/__init__.py", "tools/first.py", "tools/second.py"}),
        ("import nothing, json", set()),
    ],
)
def test_what_lies_beside_a_file_is_followed_where_python_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, brought: set[str]
) -> None:
    write_helpers(tmp_path)
    assert modules(tmp_path, text) == set()
    monkeypatch.syspath_prepend(tmp_path)
    assert modules(tmp_path, text) >= brought
    assert bool(modules(tmp_path, text)) == bool(brought)


def test_what_lies_beside_a_file_may_be_named_from_the_project_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ablations" / "losses"
    folder.mkdir(parents=True)
    write_helpers(folder)
    monkeypatch.syspath_prepend(tmp_path)
    for text in ("from ablations.losses.helper import HueLoss", "from ablations.losses import helper"):
        assert {"helper.py", "losses/hue.py"} <= modules(folder, text)
