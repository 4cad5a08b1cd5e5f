"""Which modules a file brings: by every way to import them, from this package and from the file's own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.training.syntax import PACKAGE, modules_of


def modules(folder: Path, text: str) -> set[str]:
    """What a file `own.py` with these imports brings besides itself: paths in the package or in its folder."""
    own = folder / "own.py"
    own.write_text(text)
    brought = modules_of(own) - {own}
    return {path.relative_to(PACKAGE if path.is_relative_to(PACKAGE) else folder).as_posix() for path in brought}


def test_modules_that_a_loss_needs() -> None:
    classification = PACKAGE / "losses" / "classification.py"
    assert {PACKAGE / "bins.py", PACKAGE / "losses" / "base.py", classification} <= modules_of(classification)
    assert PACKAGE / "bins.py" not in modules_of(PACKAGE / "losses" / "anti_average.py")


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("from study.losses.hue import HueLoss", "losses/hue.py"),
        ("from study.losses import HueLoss as Own", "losses/hue.py"),
        ("from study.losses import hue", "losses/hue.py"),
        ("import study.losses.hue", "losses/hue.py"),
        ("import study.losses.hue as own", "losses/hue.py"),
        ("def later():\n    from study.losses import HueLoss", "losses/hue.py"),
        ("from study import theory", "theory.py"),
        ("from study.data import folder", "data/folder.py"),  # which the package imports from itself
        ("from study.losses import PerceptualLoss", "lpips_network.py"),  # not directly
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
    assert {"search/__init__.py", "search/runner.py"} <= modules(tmp_path, "from study.search import search")


def test_names_of_a_package_bring_the_modules_that_have_them_alone(tmp_path: Path) -> None:
    assert modules(tmp_path, "import torch\nfrom study.losses import Loss, check_same_shape\n") == {"losses/base.py"}


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
