"""Damaged files of the pipeline's own: one line that names the file and the command that fixes it, and it does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.test_cli import fails, one_study, study


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one arm and one seed that went through the pipeline as far as its tables."""
    root = tmp_path_factory.mktemp("whole")
    shutil.copytree(REPOSITORY / "ablations", root / "ablations")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STUDY_CELLS", raising=False)
        one_study(root, ["mse"], seeds=[0])
        for command in ("prepare", "train", "evaluate", "compare"):
            done = study(command, "tiny", cwd=root)
            assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def root(compared: Path, tmp_path: Path) -> Path:
    """A copy of that study, to damage."""
    return Path(shutil.copytree(compared, tmp_path / "own"))


@pytest.mark.parametrize(
    ("file", "command", "fix"),
    [
        ("data/tiny/manifest.json", "train", "study prepare tiny"),
        ("data/tiny/prior.npy", "train", "study prepare tiny"),
        ("data/tiny/world.npz", "evaluate", "study prepare tiny"),
        ("results/tiny/runs/mse/seed-0/record.json", "evaluate", "study train tiny mse"),
        ("results/tiny/runs/mse/seed-0/record.json", "compare", "study train tiny mse"),
        ("results/tiny/runs/mse/seed-0/model.pt", "evaluate", "study train tiny mse"),
        ("results/tiny/runs/mse/seed-0/history.csv", "compare", "study train tiny mse"),
        ("results/tiny/scores/mse.parquet", "compare", "study evaluate tiny mse"),
    ],
)
def test_a_damaged_file_is_named_with_the_command_that_fixes_it(root: Path, file: str, command: str, fix: str) -> None:
    path = root / file
    before = path.read_bytes()
    cut = before + b'"' if path.suffix == ".csv" else before[: len(before) // 2].rstrip(b"}]\n")
    for content in (cut, b""):
        path.write_bytes(content)
        said = fails(command, "tiny", cwd=root)
        assert str(path) in said
        assert said.endswith(f": run: {fix}")
    done = study(*fix.split()[1:], cwd=root)
    assert done.returncode == 0, done.stderr
    done = study(command, "tiny", cwd=root)
    assert done.returncode == 0, done.stderr


def test_a_damaged_cell_is_named_with_the_folder_to_delete(root: Path) -> None:
    (cell,) = (path for path in (root / ".cells").iterdir() if path.is_dir())
    digest = (cell / "record.json").read_text()
    (cell / "record.json").write_text("[]")
    said = fails("train", "tiny", cwd=root)
    assert said.endswith(f"(a list in place of an object): delete {cell}, and the cell is trained anew")
    shutil.rmtree(cell)
    assert study("train", "tiny", cwd=root).returncode == 0
    key = '"weights_sha256"'
    again = (cell / "record.json").read_text()
    assert [line for line in again.splitlines() if key in line] == [line for line in digest.splitlines() if key in line]


def test_a_damaged_checkpoint_is_named_with_the_folder_to_delete(root: Path) -> None:
    (cell,) = (path for path in (root / ".cells").iterdir() if path.is_dir())
    model = (cell / "model.pt").read_bytes()
    (cell / "record.json").unlink()
    (cell / "checkpoint.pt").write_bytes(model[: len(model) // 2])  # a file of torch's, cut off
    said = fails("train", "tiny", cwd=root)
    assert f"mse seed 0 failed: {cell / 'checkpoint.pt'} is damaged (" in said
    assert f": delete {cell}, and the cell is trained anew" in said
    shutil.rmtree(cell)
    assert study("train", "tiny", cwd=root).returncode == 0
    assert (cell / "model.pt").read_bytes() == model
