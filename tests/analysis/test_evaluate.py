"""`study evaluate`: what it writes, and when it has nothing to do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from study.analysis import evaluate as module
from study.analysis.evaluate import Evaluated, evaluate
from study.analysis.runs import read_runs
from study.data.prepare import prepare
from study.errors import StudyError
from study.project import Project
from study.training.executor import run_cells
from study.training.fingerprint import PACKAGE, modules_of
from study.training.store import collect
from tests.conftest import REPOSITORY, TINY_STUDY, write_params


def train(project: Project, *arms: str) -> None:
    for arm in project.arms("tiny", arms):
        cells = project.cells("tiny", [arm], project.seeds("tiny"))
        run_cells(cells, project.store, jobs=1)
        collect(cells, project.store, project.results("tiny") / "runs" / arm.name)


def evaluated(project: Project, arm: str = "mse") -> Evaluated:
    (found,) = project.arms("tiny", (arm,))
    return evaluate(project, "tiny", found)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an arm that is trained and scored."""
    root = tmp_path_factory.mktemp("scored")
    shutil.copytree(REPOSITORY / "ablations", root / "ablations")
    write_params(root, {"pipeline": {"studies": ["tiny"], "arms": ["mse"], "baseline": "mse"},
                        "studies": {"tiny": TINY_STUDY}})  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STUDY_CELLS", raising=False)
        project = Project.open(root)
        prepare("tiny", project.study("tiny"), root)
        train(project, "mse")
        assert evaluated(project).fresh
    return root


@pytest.fixture
def project(scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("STUDY_CELLS", raising=False)
    root = tmp_path / "own"
    shutil.copytree(scored, root)
    return Project.open(root)


def reopened(project: Project, **evaluate: object) -> Project:
    """The project with other settings of the evaluation."""
    study = TINY_STUDY | {"evaluate": TINY_STUDY["evaluate"] | evaluate}
    write_params(project.root, {"pipeline": {"studies": ["tiny"], "arms": ["mse"], "baseline": "mse"},
                                "studies": {"tiny": study}})  # fmt: skip
    return Project.open(project.root)


def unfit(*_: object, **__: object) -> None:
    raise AssertionError("it is scored again")


def test_an_arm_that_is_up_to_date_is_not_scored_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    written = {path: path.read_bytes() for path in project.results("tiny").rglob("*") if path.is_file()}
    monkeypatch.setattr(module, "score_table", unfit)
    monkeypatch.setattr(module, "load_network", unfit)
    scores, fresh = evaluated(project)
    assert not fresh
    assert sorted(scores["seed"].unique()) == TINY_STUDY["seeds"]
    assert list(scores.columns) == ["study", "arm", "seed", "image", "region", "metric", "value", "signature"]
    assert {path: path.read_bytes() for path in project.results("tiny").rglob("*") if path.is_file()} == written


@pytest.mark.parametrize("file", ["scores/mse.parquet", "predictions/mse.npz", "metrics/mse.json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half"])
def test_a_missing_or_damaged_file_is_written_anew_as_it_was(project: Project, file: str, damage: str) -> None:
    path = project.results("tiny") / file
    before = path.read_bytes()
    path.unlink() if damage == "gone" else path.write_bytes(before[: len(before) // 2] if damage == "half" else b"")
    assert evaluated(project).fresh
    assert path.read_bytes() == before
    assert not evaluated(project).fresh


@pytest.mark.parametrize("change", ["kept", "decode", "signature", "code", "pictures", "metric"])
def test_what_decides_a_score_asks_for_a_new_evaluation(
    project: Project, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if change == "kept":
        project = reopened(project, kept=3)
    elif change == "decode":
        file = project.root / "ablations" / "mse.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"decode": {"temperature": 0.5}}))
    elif change == "signature":
        file = project.results("tiny") / "runs" / "mse" / "seed-1" / "record.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"signature": "0" * 16}))
    elif change == "pictures":
        path = project.root / "data" / "tiny" / "manifest.json"
        manifest = json.loads(path.read_text())
        manifest["splits"]["test"]["sha256"] = "0" * 64
        path.write_text(json.dumps(manifest))
    elif change == "metric":
        from study.analysis import runs

        monkeypatch.setattr(runs, "METRICS", {name: card for name, card in runs.METRICS.items() if name != "auc"})
    else:
        from study.analysis import runs

        monkeypatch.setattr(runs, "code_fingerprint", lambda *files: "other code")
    assert evaluated(project).fresh
    assert not evaluated(project).fresh


def test_code_of_lpips_and_of_every_metric_is_among_what_decides_scores(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from study.analysis import runs

    seen: set[Path] = set()

    def noted(*files: Path) -> str:
        seen.update(*map(modules_of, files))
        return "code"

    monkeypatch.setattr(runs, "code_fingerprint", noted)
    runs.scoring_digest(project, "tiny", {})
    expected = set((PACKAGE / "metrics").glob("*.py")) | {PACKAGE / "statistics.py", PACKAGE / "color" / "lab.py"}
    assert expected | {PACKAGE / "analysis" / "scoring.py", PACKAGE / "data" / "color_distribution.py"} <= seen
    assert not [path for path in seen if path.parent.name in ("losses", "training", "config")]


def alex(seed: int, path: Path) -> Path:
    """A file of random weights of AlexNet's convolutions, as torchvision names them."""
    from study.metrics.lpips_network import build_lpips

    generator = torch.Generator().manual_seed(seed)
    trunk = build_lpips("alex", None).net.state_dict()
    names = {f"features.{name.split('.', 1)[1]}": value for name, value in trunk.items()}
    torch.save({name: 0.05 * torch.randn(value.shape, generator=generator) for name, value in names.items()}, path)
    return path


def test_other_weights_of_lpips_ask_for_a_new_evaluation_and_are_not_mixed(project: Project, tmp_path: Path) -> None:
    weights = alex(0, tmp_path / "alex.pth")
    own = reopened(project, lpips=str(weights))
    scores, fresh = evaluated(own)
    assert fresh and "lpips" in set(scores["metric"])
    assert scores.attrs["lpips"]["measured"]
    assert not evaluated(own).fresh
    train(own, "gray")
    assert evaluated(own, "gray").fresh
    arms = own.arms("tiny", ("mse", "gray"))
    assert read_runs(own, "tiny", arms).cells["status"].tolist() == ["finished"] * 4
    alex(1, weights)
    assert evaluated(own, "gray").fresh
    found = read_runs(own, "tiny", arms)
    assert found.cells.set_index("arm")["status"].to_dict() == {"mse": "finished", "gray": "outdated"}
    assert set(found.scores["arm"]) == {"mse"}
    assert evaluated(own).fresh
    assert read_runs(own, "tiny", arms).cells["status"].tolist() == ["finished"] * 4


def test_pictures_too_small_for_lpips_are_scored_without_it(root: Path) -> None:
    small = TINY_STUDY | {"data": TINY_STUDY["data"] | {"size": 16}, "evaluate": {"lpips": "auto", "pictures": 2}}
    write_params(root, {"pipeline": {"studies": ["tiny"], "arms": ["mse"], "baseline": "mse"},
                        "studies": {"tiny": small | {"seeds": [0]}}})  # fmt: skip
    project = Project.open(root)
    prepare("tiny", project.study("tiny"), root)
    train(project, "mse")
    scores, _ = evaluated(project)
    assert "lpips" not in set(scores["metric"])
    assert not scores.attrs["lpips"]["measured"]
    assert "16 pixels" in scores.attrs["lpips"]["reason"]


def test_an_arm_that_is_not_trained_says_what_to_run(project: Project) -> None:
    with pytest.raises(StudyError, match="study train tiny zhang"):
        evaluated(project, "zhang")


def strictly(text: str) -> dict[str, float | None]:
    """JSON as the standard has it, without NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_means_are_those_of_the_scores_and_a_mean_that_is_none_is_null(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = evaluated(project).scores
    path = project.results("tiny") / "metrics" / "mse.json"
    overall = scores[scores["region"] == "all"].astype({"metric": str})
    expected = overall.groupby("metric")["value"].mean().to_dict()
    assert strictly(path.read_text()) == pytest.approx(expected, rel=1e-7)

    def nothing_defined(*args: object) -> pd.DataFrame:
        return table(*args).assign(value=np.nan)

    table = module.score_table
    monkeypatch.setattr(module, "score_table", nothing_defined)
    path.unlink()
    assert evaluated(project).fresh
    assert set(strictly(path.read_text()).values()) == {None}


def test_evaluating_does_not_wait_for_the_compiler() -> None:
    code = textwrap.dedent("""
        import sys
        import torch
        import study.analysis.evaluate
        from study.losses import ClassificationLoss
        from study.training.memory import peak_bytes
        from study.metrics import rebalanced_auc
        from study.training.machine import prepare_torch
        prepare_torch()
        ab = 20 * torch.randn(2, 2, 8, 8)
        rebalanced_auc(ab, ab + 1, torch.full((313,), 1 / 313))
        logits = torch.zeros(2, 313, 8, 8, requires_grad=True)
        peak_bytes(lambda: ClassificationLoss()(logits, ab)["total"].backward(), torch.device("cpu"))
        print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
